"""A Unigram vocabulary cuts words as the sentencepiece model does that it was made from."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import sentencepiece
from tokenization_examples import SENTENCES, count_text, learn_text, settings

from lmprep.tokenization import unigram
from lmprep.tokenization.families import special_tokens


@pytest.fixture
def model(monkeypatch) -> list[Any]:
    """The sentencepiece models that are loaded meanwhile."""
    loaded: list[Any] = []
    load = sentencepiece.SentencePieceProcessor

    def noted(**arguments: Any) -> Any:
        loaded.append(load(**arguments))
        return loaded[-1]

    monkeypatch.setattr(sentencepiece, "SentencePieceProcessor", noted)
    return loaded


def differences(texts: list[str], held_out: list[str], size: int, model: list[Any]) -> list[Any]:
    """Words that sentencepiece cuts otherwise, of text that may be new to it, and how."""
    wanted = settings("unigram", size=size)
    tokenizer = learn_text([texts], wanted)
    words = count_text([held_out], wanted).words
    assert len(words) > 10
    cut = [(w, [t.value for t in tokenizer.model.tokenize(w)]) for w in words]
    return [
        (word, pieces, model[0].encode(word, out_type=str))
        for word, pieces in cut
        if pieces != model[0].encode(word, out_type=str)
    ]


def test_sample_sentences_are_cut_as_by_sentencepiece(model):
    assert differences(SENTENCES, SENTENCES, 260, model) == []


def test_scores_are_those_of_sentencepiece(model):
    wanted = settings("unigram", size=260)
    tokenizer = learn_text([SENTENCES], wanted)
    learnt = json.loads(tokenizer.to_str())["model"]["vocab"]
    scores = {piece: score for piece, score in learnt if piece not in special_tokens(wanted)}

    assert len(scores) == len(model[0]) - 1
    assert scores == {
        model[0].id_to_piece(i): model[0].get_score(i) for i in range(1, len(model[0]))
    }


def test_novels_are_cut_as_by_sentencepiece(shared, model):
    def lines(name: str) -> list[str]:
        records = gzip.decompress((shared / "novels" / name).read_bytes()).decode().splitlines()
        return [line for record in records for line in json.loads(record)["text"].split("\n")]

    assert differences(lines("valid.jsonl.gz"), lines("test.jsonl.gz"), 4100, model) == []


def test_counts_of_a_large_text_are_scaled_down_in_proportion(monkeypatch):
    counted = count_text([["a a a a a a b b b c"]], settings("unigram", size=120))
    assert unigram.scaled_counts(counted).tolist() == [6, 3, 1]

    monkeypatch.setattr(unigram, "MOST_OCCURRENCES", 4)

    assert unigram.scaled_counts(counted).tolist() == [2, 1, 1]


def test_a_text_many_times_over_gives_the_same_pieces_once_it_is_scaled(monkeypatch):
    monkeypatch.setattr(unigram, "MOST_OCCURRENCES", 40)
    wanted = settings("unigram", size=260)

    once = learn_text([SENTENCES * 3], wanted)
    often = learn_text([SENTENCES * 12], wanted)

    assert once.to_str() == often.to_str()
