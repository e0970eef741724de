"""Datasets that were forged: refused in no time, in little memory, by a message."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.corpora import build_dataset, make_tokenizer, write_corpus
from tests.faults.forged import ARROW, CASES, MANIFESTS, PATHS, forge_all

SECONDS, BYTES = 2.0, 256_000_000  # for a reader and verify together


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What a process that opened all of them answered, by case."""
    folder = tmp_path_factory.mktemp("hostile")
    corpus = write_corpus(folder / "corpus.txt", documents=20)
    tokenizer = make_tokenizer(corpus, folder / "tok")
    sound = build_dataset(
        corpus, tokenizer, folder / "sound", pairs="nsp", partition_bytes=10**6, copies=2
    )
    skipgram = build_dataset(corpus, tokenizer, folder / "skipgram", objective="skipgram")
    folders = forge_all(sound, skipgram, folder)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.hostile", *map(str, (sound, skipgram, *folders))],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *found = map(json.loads, done.stdout.splitlines())
    assert first["answers"] == ["read", "passed"] * 2
    return dict(zip(CASES, found, strict=True))


def test_there_are_many_cases():
    assert len(PATHS) > 30
    assert len(MANIFESTS) >= 50
    assert len(ARROW) >= 29


@pytest.mark.parametrize("case", CASES)
def test_a_forged_dataset_is_refused(answers, case):
    answer = answers[case]
    read, checked = answer["answers"]

    assert checked.startswith(("failed: ", "refused: "))
    assert read.startswith("refused: ")
    assert read.endswith(".")
    assert "\n" not in read
    assert answer["seconds"] < SECONDS
    assert answer["grown"] < BYTES
