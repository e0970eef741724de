"""Words counted by several processes give the vocabulary that one gives; none is left behind."""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from lmprep.engines import counting
from lmprep.engines.counting import Workers
from lmprep.engines.processes import run_in_processes
from lmprep.errors import InputError, LmprepError
from lmprep.settings import CorpusSettings, VocabSettings
from lmprep.tokenization import word_sum
from lmprep.vocab import count_here, make_vocabulary
from tests.corpora import tree, write_corpus

SETTINGS = VocabSettings(algorithm="wordpiece", size=150)
IN_THREADS = counting._IN_THREADS


@pytest.fixture(autouse=True)
def in_processes(monkeypatch) -> None:
    """Processes count these small corpora, too, where a test does not say threads."""
    monkeypatch.setattr(counting, "_IN_THREADS", 0)


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where temporary files go, those of worker processes too."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def records(path: Path, documents: int, seed: int = 0) -> Path:
    """A gzip file of JSON lines, which cannot be read in pieces."""
    texts = write_corpus(path.with_suffix(".txt"), documents, seed).read_text().split("\n\n")
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    path.write_bytes(gzip.compress(lines.encode()))
    return path


def learnt(out: Path, *arguments: object, engine=count_here, partition_bytes=3000, **corpus):
    make_vocabulary(
        [str(a) for a in arguments],
        out,
        SETTINGS,
        CorpusSettings(**corpus),
        engine=engine,
        partition_bytes=partition_bytes,
    )
    return tree(out)


@pytest.mark.parametrize(
    "kind",
    ["ranges of a file", "ranges of a file in threads", "one gzip file", "several gzip files"],
)
def test_no_number_of_workers_changes_a_byte(kind, tmp_path, temporary, monkeypatch):
    if kind.endswith("threads"):
        monkeypatch.setattr(counting, "_IN_THREADS", IN_THREADS)
        monkeypatch.setattr(counting, "run_in_processes", None)
    if kind.startswith("ranges"):
        inputs = [write_corpus(tmp_path / "a.txt", 240)]
    else:
        number = 1 if kind == "one gzip file" else 4
        inputs = [records(tmp_path / f"{i}.jsonl.gz", 240, i) for i in range(number)]
    expected = learnt(tmp_path / "1", *inputs, partition_bytes=16_000_000)

    assert learnt(tmp_path / "pieces", *inputs) == expected
    for number in (2, 3):
        assert learnt(tmp_path / f"{number}", *inputs, engine=Workers(number)) == expected
    assert list(temporary.iterdir()) == []


def test_stdin_is_shared_among_workers(tmp_path, temporary, monkeypatch):
    text = write_corpus(tmp_path / "a.txt", 240).read_bytes()
    calls = []

    def run(given, *arguments, **more):
        calls.extend(given := list(given))
        run_in_processes(given, *arguments, **more)

    def from_stdin(out: str, engine) -> dict[str, bytes]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        return learnt(tmp_path / out, "-", engine=engine)

    monkeypatch.setattr(counting, "run_in_processes", run)

    assert from_stdin("2", Workers(2)) == from_stdin("1", count_here)
    assert len(calls) > 3


def test_little_memory_changes_nothing(tmp_path, temporary, monkeypatch):
    corpus = write_corpus(tmp_path / "a.txt", 240)
    expected = learnt(tmp_path / "much", corpus)
    monkeypatch.setattr(word_sum.WordSum.__init__, "__defaults__", (1, word_sum.LEARNT_BYTES))

    assert learnt(tmp_path / "little", corpus) == expected


def test_a_worker_pours_out_a_full_table(tmp_path, temporary, monkeypatch):
    monkeypatch.setattr(counting, "_TABLE_BYTES", 1)
    given = counting.Counting(settings=SETTINGS, corpus=CorpusSettings(), partition_bytes=3000)
    counting._start((given, temporary))
    inputs = counting_inputs(write_corpus(tmp_path / "a.txt", 240))
    files, facts = counting._count_source(inputs)
    found = word_sum.add_up(w for file in files for w in counting.saved_words(file))
    expected = []
    count_here(given, [inputs], expected.append)

    assert len(files) > 5
    assert found.words == word_sum.add_up(c.words for c in expected).words
    assert facts.documents == sum(c.documents for c in expected) == 240


def counting_inputs(path: Path):
    from lmprep.corpus import expand, plan_sources

    (source,) = plan_sources(expand([str(path)]), CorpusSettings(), 10**6)
    return source


def test_words_left_out_are_told_and_written_down(tmp_path, temporary, monkeypatch, caplog):
    monkeypatch.setattr(word_sum.WordSum.__init__, "__defaults__", (10**9, 3000))
    with caplog.at_level(logging.WARNING, "lmprep"):
        files = learnt(tmp_path / "out", write_corpus(tmp_path / "a.txt", 240))
    facts = json.loads(files["training.json"])

    assert 0 < facts["forgotten_words"] < facts["distinct_words"]
    message = f"{facts['forgotten_words']} of {facts['distinct_words']} distinct words are too many"
    assert message in caplog.text


def test_an_error_in_a_thread_stops_the_others(tmp_path, temporary, monkeypatch):
    monkeypatch.setattr(counting, "_IN_THREADS", IN_THREADS)
    lines = b"a line of text\n\n" * 3000
    (tmp_path / "a.txt").write_bytes(lines + b"caf\xe9\n" + lines)

    with pytest.raises(InputError, match="is not UTF-8"):
        learnt(tmp_path / "out", tmp_path / "a.txt", engine=Workers(2))
    assert not (tmp_path / "out").exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("counting")]


def test_a_small_corpus_starts_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "run_in_processes", None)
    corpus = write_corpus(tmp_path / "a.txt", 240)

    learnt(tmp_path / "out", corpus, engine=Workers(8), partition_bytes=16_000_000)


def test_what_is_wrong_in_a_file_is_told_by_a_worker(tmp_path, temporary):
    files = [write_corpus(tmp_path / f"{i}.txt", 120) for i in range(4)]
    files[2].write_bytes(files[2].read_bytes() + b"\xff\n")

    with pytest.raises(InputError, match="byte 0xFF") as caught:
        learnt(tmp_path / "out", *files, engine=Workers(2))
    assert str(caught.value).startswith(f"{files[2]}:")
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_a_killed_worker_is_told_with_what_to_do():
    with pytest.raises(LmprepError, match="a worker process was killed") as caught:
        run_in_processes(
            [(os._exit, 3)], 2, start=id, argument=0, on_result=print, fix="Do something"
        )
    assert caught.value.fix == "Do something"


def test_a_folder_without_room_is_told_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    corpus = write_corpus(tmp_path / "a.txt", 240)

    with pytest.raises(LmprepError, match="cannot be kept here: No such file") as caught:
        learnt(tmp_path / "out", corpus, engine=Workers(2))
    assert "TMPDIR" in caught.value.fix


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_stop_leaves_no_process_and_no_file(tmp_path, number, code):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = ["vocab", "-", "-o", "out", "--algorithm", "word", "--size", "50", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lmprep", *command],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A background job of a shell is started with Ctrl-C ignored, and its children are too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    process.stdin.write(b"a few words of a document\n\n" * 900_000)  # more than a partition
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list(temporary.glob("lmprep-words-*/*")) and time.monotonic() < deadline:
        time.sleep(0.05)  # until a worker has counted something
    assert list(temporary.glob("lmprep-words-*/*")), "no worker began"
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    while is_alive(process.pid) and time.monotonic() < deadline + 20:
        time.sleep(0.1)

    assert process.returncode == code, said
    assert not is_alive(process.pid)
    assert not (tmp_path / "out").exists()
    if number != signal.SIGKILL:
        assert list(temporary.iterdir()) == []
        assert b"Nothing was written." in said
