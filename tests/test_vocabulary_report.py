"""Figures of a new vocabulary: right, from a bounded sample, for files and pipes alike."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

import lmprep.vocabulary_report as report
from lmprep.batches import Documents
from lmprep.corpus import expand, plan_sources
from lmprep.settings import CorpusSettings
from tests.corpora import make_tokenizer, write_corpus

VOCAB = ("vocab", "-o", "tok", "--algorithm", "wordpiece", "--size", 120)


def slow_figures(tokenizer: Path, texts: list[str]) -> dict[str, int]:
    """What the library says of each text; the unknown token is `[UNK]`."""
    library = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    counts = dict.fromkeys(("text_bytes", "words", "tokens", "whole_words", "unknown"), 0)
    for text in texts:
        encoding = library.encode(text, add_special_tokens=False)
        words = [[t for t, w in zip(encoding.tokens, encoding.word_ids, strict=True) if w == word]
                 for word in dict.fromkeys(encoding.word_ids)]  # fmt: skip
        counts["text_bytes"] += len(text.encode())
        counts["words"] += len(words)
        counts["tokens"] += len(encoding.tokens)
        counts["whole_words"] += sum(len(word) == 1 and word != ["[UNK]"] for word in words)
        counts["unknown"] += encoding.tokens.count("[UNK]")
    return counts | {"sentences": len(texts)}


@pytest.fixture
def corpus(tmp_path) -> Path:
    corpus = write_corpus(tmp_path / "corpus.txt")
    corpus.write_text(corpus.read_text() + "\nbake Ω Ωba Ωba Ωba\n\n\n")
    return corpus


def sentences(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.strip()]


def measured(tokenizer: Path, *inputs: Path, partition: int = 10**7) -> dict[str, dict]:
    corpus = CorpusSettings()
    sources = plan_sources(expand([str(path) for path in inputs]), corpus, partition)
    library = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    return report.Samples(sources, corpus).measure(library, "bert")


def test_the_figures_are_those_that_the_library_gives_text_by_text(corpus, tmp_path):
    plain = write_corpus(tmp_path / "plain.txt", seed=1)
    tokenizer = make_tokenizer(plain, tmp_path / "tok")

    found = measured(tokenizer, corpus, plain)

    slow = [slow_figures(tokenizer, sentences(path)) for path in (corpus, plain)]
    names = list(slow[0])
    assert [{n: one[n] for n in names} for one in found["inputs"]] == slow
    assert {n: found["all"][n] for n in names} == {n: slow[0][n] + slow[1][n] for n in names}
    assert [one["name"] for one in found["inputs"]] == ["corpus.txt", "plain.txt"]
    assert slow[0]["unknown"] == 4
    first = found["inputs"][0]
    assert first["tokens_per_word"] == pytest.approx(slow[0]["tokens"] / slow[0]["words"], abs=1e-6)
    assert first["whole_word_share"] == pytest.approx(
        slow[0]["whole_words"] / slow[0]["words"], abs=1e-6
    )
    assert first["unknown_share"] == pytest.approx(4 / slow[0]["tokens"], abs=1e-6)
    assert first["bytes_per_token"] == pytest.approx(
        slow[0]["text_bytes"] / slow[0]["tokens"], abs=1e-6
    )
    assert first["tokens_per_sentence"] == pytest.approx(
        slow[0]["tokens"] / slow[0]["sentences"], abs=1e-6
    )


def test_a_sample_is_the_first_text_of_every_range_and_bounded(corpus, tmp_path, monkeypatch):
    tokenizer = make_tokenizer(corpus, tmp_path / "tok")
    monkeypatch.setattr(report, "SAMPLE_BYTES", 4000)
    monkeypatch.setattr(report, "MOST_BYTES", 500)

    whole = measured(tokenizer, corpus)["all"]
    ranges = measured(tokenizer, corpus, partition=5000)["all"]

    lengths = np.cumsum([len(text.encode()) for text in sentences(corpus)])
    assert whole["text_bytes"] == lengths[lengths <= 500].max()
    assert 2 * 400 < ranges["text_bytes"] <= 4000
    monkeypatch.setattr(report, "SAMPLE_BYTES", 1)
    one = measured(tokenizer, corpus)["all"]
    assert (one["sentences"], one["text_bytes"]) == (1, lengths[0])


def test_a_word_of_one_unknown_token_is_not_whole():
    tokens = report.figures_of(
        Documents(
            text=np.zeros(9, np.uint8),
            sentence_offsets=np.array([0, 4, 9]),
            document_offsets=np.array([0, 2]),
            numbers=np.zeros(1, np.int64),
        ),
        report.Tokens(
            ids=np.array([1, 5, 6, 7, 1], np.int32),
            word_start=np.array([True, True, False, True, False]),
            sentence_offsets=np.array([0, 3, 5]),
            document_offsets=np.array([0, 2]),
            numbers=np.zeros(1, np.int64),
        ),
        1,
    )

    assert tokens == report.Figures(
        text_bytes=9, sentences=2, words=3, tokens=5, whole_words=0, unknown=2
    )


def test_standard_input_is_measured_without_reading_it_twice(lmprep, corpus, tmp_path):
    text = corpus.read_bytes()
    piped = lmprep(*VOCAB, "-", "--json", stdin=text)
    read = lmprep(*VOCAB[:2], "tok2", *VOCAB[3:], corpus, "--json")

    one, other = (json.loads(done.stdout)["sample"] for done in (piped, read))
    assert one["all"] == other["all"]
    assert one["all"]["sentences"] == len(sentences(corpus))
    assert one == json.loads((tmp_path / "tok" / "training.json").read_text())["sample"]


def test_the_table_shows_all_and_the_first_inputs(lmprep, corpus, tmp_path):
    documents = corpus.read_text().split("\n\n")
    groups = [documents[a:b] for a, b in pairwise(range(0, 56, 2))]
    for number, group in enumerate(groups):
        text = "\n\n".join(group).encode() + b"\n"
        (tmp_path / f"{number:02}.txt.gz").write_bytes(gzip.compress(text))
    done = lmprep(*VOCAB, "*.gz")
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    sample = json.loads((tmp_path / "tok" / "training.json").read_text())["sample"]

    assert done.returncode == 0, done.stderr
    shown = next(line for line in lines if line[0] == "all")
    assert shown[1] == f"{sample['all']['tokens_per_word']:.3f}"
    assert shown[3] == f"{sample['all']['unknown_share']:.2%}"
    assert [line[0] for line in lines if line[0].endswith(".gz")] == [
        f"{number:02}.txt.gz" for number in range(20)
    ]
    assert ["and", "7", "more"] in lines
    assert len(sample["inputs"]) == 27
