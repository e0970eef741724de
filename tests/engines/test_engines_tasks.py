"""Tasks without a coordinator: whatever their number and order, the same bytes as one build."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest
from dying import Died, die

from lmprep.build_settings import BuildSettings
from lmprep.engines import job
from lmprep.engines.share import share_of
from lmprep.errors import InputError, LmprepError, UsageError
from lmprep.shards.manifest import RECEIPTS
from tests.corpora import make_tokenizer, tree, write_corpus

pytestmark = pytest.mark.usefixtures("quick_disk")

OBJECTIVES = {
    "mlm": ("bert", {"pairs": "nsp", "valid": "20%"}),
    "clm": ("gpt2", {}),
    "t5": ("t5", {"copies": 2}),
    "skipgram": ("bert", {"subsample": "0.01"}),
    "cooccurrence": ("bert", {}),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt", documents=40)


@pytest.fixture(scope="module")
def tokenizers(corpus) -> dict[str, Path]:
    folder = corpus.parent
    return {f: make_tokenizer(corpus, folder / f, family=f) for f in ("bert", "gpt2", "t5")}


def build(inputs, tokenizer, out, options=None, **how):
    settings = BuildSettings.from_options(
        {"objective": "mlm", "length": 48, "partition_size": 2000} | (options or {})
    )
    plan = job.make_plan([str(path) for path in inputs], str(tokenizer), out, settings)
    return job.run(plan, **({"workers": 1, "resume": False, "force": False} | how))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("compressed", [False, True])
def test_tasks_leave_the_bytes_of_one_build(corpus, tokenizers, tmp_path, objective, compressed):
    family, options = OBJECTIVES[objective]
    if compressed:  # one source, whose partitions are shared out
        (tmp_path / "corpus.txt.gz").write_bytes(gzip.compress(corpus.read_bytes(), mtime=0))
        corpus = tmp_path / "corpus.txt.gz"
    options = options | {"objective": objective}
    build([corpus], tokenizers[family], tmp_path / "whole" / "out", options)
    for index in (2, 0, 1):
        result = build(
            [corpus], tokenizers[family], tmp_path / "tasks" / "out", options, task=(index, 3)
        )
        assert bool(result.manifests) == (index == 1) == (not result.waits_for)

    assert tree(tmp_path / "tasks") == tree(tmp_path / "whole")


def test_whichever_task_ends_last_completes_the_folder(corpus, tokenizers, tmp_path):
    build([corpus], tokenizers["bert"], tmp_path / "whole" / "out")
    for order in permutations(range(3)):
        folder = tmp_path / "".join(map(str, order))
        for index in order:
            result = build([corpus], tokenizers["bert"], folder / "out", task=(index, 3))
        assert result.manifests
        assert tree(folder) == tree(tmp_path / "whole")


def test_a_task_that_is_run_again_finds_its_work_done(corpus, tokenizers, tmp_path):
    out = tmp_path / "out"
    build([corpus], tokenizers["bert"], out, task=(0, 2))
    before = {path: path.stat().st_mtime_ns for path in out.glob("data-*")}
    result = build([corpus], tokenizers["bert"], out, task=(0, 2))
    build([corpus], tokenizers["bert"], out, task=(1, 2))

    assert result.waits_for.startswith("partition 0 of source 1 (corpus.txt ...) was not built")
    assert before.items() <= {path: path.stat().st_mtime_ns for path in out.glob("data-*")}.items()
    assert build([corpus], tokenizers["bert"], out, task=(1, 2)).already_complete


def test_finishing_names_what_is_missing_and_completes_what_is_there(
    corpus, tokenizers, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="no build was begun here"):
        build([corpus], tokenizers["bert"], out, finish=True)
    build([corpus], tokenizers["bert"], out, task=(1, 2))
    with pytest.raises(LmprepError, match=r"not complete: partition 0 of source 0 .*Run the tasks"):
        build([corpus], tokenizers["bert"], out, finish=True)
    with monkeypatch.context() as dying:  # a task that is killed before it can complete the folder
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build([corpus], tokenizers["bert"], out, task=(0, 2))
    assert not (out / "manifest.json").exists()
    build([corpus], tokenizers["bert"], out, finish=True)
    build([corpus], tokenizers["bert"], tmp_path / "whole" / "out")

    assert tree(out) == tree(tmp_path / "whole" / "out")


def test_a_task_takes_on_what_a_lost_one_left(corpus, tokenizers, tmp_path):
    out = tmp_path / "out"
    build([corpus], tokenizers["bert"], out, task=(0, 2))
    build([corpus], tokenizers["bert"], out, task=(1, 2))
    whole = tree(out)
    shutil.rmtree(out)
    build([corpus], tokenizers["bert"], out, task=(0, 2))
    result = build([corpus], tokenizers["bert"], out, resume=True)

    assert result.manifests
    assert tree(out) == whole


def test_a_task_that_fails_leaves_the_work_of_others(corpus, tokenizers, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "Ba ke."}\n[]\n')
    inputs, out = [corpus, bad], tmp_path / "out"
    options = {"partition_size": 100_000}
    build(inputs, tokenizers["bert"], out, options, task=(0, 2))
    with pytest.raises(InputError, match=r"bad\.jsonl:2"):
        build(inputs, tokenizers["bert"], out, options, task=(1, 2))

    assert len(list((out / RECEIPTS).iterdir())) == 1
    fresh = tmp_path / "fresh"
    with pytest.raises(InputError, match=r"bad\.jsonl:2"):
        build(inputs, tokenizers["bert"], fresh, options, task=(1, 2))
    assert (fresh / "plan.json").exists()  # another task may have begun by now


def test_other_settings_are_refused_by_every_task(corpus, tokenizers, tmp_path):
    build([corpus], tokenizers["bert"], tmp_path / "out", task=(0, 2))
    with pytest.raises(UsageError, match=r"begun with other settings: settings\.seed is 0 there"):
        build([corpus], tokenizers["bert"], tmp_path / "out", {"seed": 1}, task=(1, 2))


@pytest.mark.parametrize("sources", [1, 2, 5, 8])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_partition_belongs_to_one_task(sources, count):
    shares = [share_of(index, count, [None] * sources) for index in range(count)]
    for source in range(sources):
        for ordinal in range(7):
            owners = [
                s for s in shares if s.has_source(source) and s.has_partition(source, ordinal)
            ]
            assert len(owners) == 1


@pytest.mark.long
def test_tasks_at_the_same_time_leave_one_dataset(corpus, tokenizers, tmp_path):
    def start(out, *more):
        command = [
            sys.executable, "-m", "lmprep", "build", "skipgram", str(corpus),
            "-t", str(tokenizers["bert"]), "-o", out, "--partition-size", "2kB",
            "--workers", "1", "--json", *more,
        ]  # fmt: skip
        return subprocess.Popen(command, cwd=tmp_path, stdout=-1, stderr=-1, text=True)

    (tmp_path / "whole").mkdir()
    alone = start("whole/out")
    ended = alone.communicate()
    assert alone.returncode == 0, ended
    for _ in range(2):
        shutil.rmtree(tmp_path / "tasks", ignore_errors=True)
        (tmp_path / "tasks").mkdir()
        running = [start("tasks/out", "--task", f"{index}/3") for index in range(3)]
        ended = [process.communicate() for process in running]

        assert [process.returncode for process in running] == [0, 0, 0], ended
        assert any(json.loads(out) for out, _ in ended)
        assert tree(tmp_path / "tasks") == tree(tmp_path / "whole")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--task", "2/2"), "'2/2' is not I/N with I from 0 to N - 1, such as 0/8"),
        (("--task", "one"), "'one' is not I/N"),
        (("--task", "0/2", "--force"), "--force would remove what other tasks are building"),
        (("--task", "0/2", "--finish"), "--task and --finish exclude each other"),
    ],
)
def test_tasks_that_cannot_be_are_refused(lmprep, arguments, words):
    done = lmprep("build", "mlm", "a.txt", "-t", "tok", "-o", "out", *arguments)

    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())


def test_standard_input_is_not_shared(tokenizers, tmp_path):
    with pytest.raises(UsageError, match="standard input cannot be shared by tasks"):
        build(["-"], tokenizers["bert"], tmp_path / "out", task=(0, 2))
