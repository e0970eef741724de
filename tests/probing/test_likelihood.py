"""Likelihoods of texts, by slow direct computation; perplexity and pairs by hand."""

from __future__ import annotations

import json
import math

import pytest
import torch

from lmprep.errors import InputError, UsageError
from lmprep.inference.pretrained import ask
from lmprep.models.inputs import Inputs
from lmprep.probing import likelihood
from lmprep.probing.likelihood import log_likelihoods, minimal_pair_figures, text_figures

TEXTS = ["the boat", "a night by the water was long", "bees"]


def test_a_decoder_pays_for_each_token_and_for_the_end(model_folder):
    asked = ask(str(model_folder("gpt2")))
    sums, counts = log_likelihoods(asked, TEXTS)
    end = asked.vocabulary.sep
    for text, found, count in zip(TEXTS, sums, counts, strict=True):
        row = [end, *asked.plain([text])[0], end]
        inputs = Inputs(ids_BL=torch.tensor([row]), scored_M=torch.arange(len(row)))
        with torch.no_grad():
            chances = asked.model(inputs).logits_MV.log_softmax(-1)
        expected = sum(float(chances[i - 1, row[i]]) for i in range(1, len(row)))
        assert found == pytest.approx(expected, abs=1e-3)
        assert count == len(row) - 1


def test_a_masked_model_pays_for_each_token_with_all_others_in_sight(model_folder):
    asked = ask(str(model_folder("bert")))
    sums, counts = log_likelihoods(asked, TEXTS)
    for text, found, count in zip(TEXTS, sums, counts, strict=True):
        (row,) = asked.marked([text])
        expected = 0.0
        for place in range(1, len(row) - 1):
            hidden = [*row[:place], asked.vocabulary.mask, *row[place + 1 :]]
            inputs = Inputs(ids_BL=torch.tensor([hidden]), scored_M=torch.tensor([place]))
            with torch.no_grad():
                chances = asked.model(inputs).logits_MV[0].log_softmax(-1)
            expected += float(chances[row[place]])
        assert found == pytest.approx(expected, abs=1e-3)
        assert count == len(row) - 2


def test_small_parts_give_the_same_sums(model_folder, monkeypatch):
    asked = ask(str(model_folder("gpt2")))
    whole = log_likelihoods(asked, TEXTS)[0]
    monkeypatch.setattr(likelihood, "_CELLS", 1)

    assert log_likelihoods(asked, TEXTS)[0].tolist() == pytest.approx(whole.tolist(), abs=1e-4)


def test_bits_are_counted_over_bytes_and_words_whatever_the_tokens(
    model_folder, tmp_path, monkeypatch
):
    """Two texts of 4 + 6 bytes and 1 + 2 words cost 16 ln 2 nats over 8 tokens."""
    asked = ask(str(model_folder("gpt2")))

    def scored(*_):
        import numpy as np

        return np.array([-6.0, -10.0]) * math.log(2), np.array([3, 5])

    monkeypatch.setattr(likelihood, "log_likelihoods", scored)
    (tmp_path / "t.txt").write_text("höh\n\nab cde\n", encoding="utf-8")
    figures = text_figures(asked, tmp_path / "t.txt")

    assert figures["kind"] == "perplexity"
    assert (figures["texts"], figures["tokens"]) == (2, 8)
    assert figures["perplexity"] == pytest.approx(4.0)
    assert figures["bits_per_byte"] == pytest.approx(1.6)
    assert figures["bits_per_word"] == pytest.approx(16 / 3)


def write_pairs(path, pairs):
    lines = [
        json.dumps({"sentence_good": good, "sentence_bad": bad, "UID": kind})
        for good, bad, kind in pairs
    ]
    path.write_text("\n".join(lines))


def test_pairs_are_right_where_the_good_sentence_is_likelier(model_folder, tmp_path, monkeypatch):
    asked, path = ask(str(model_folder("gpt2"))), tmp_path / "p.jsonl"
    write_pairs(path, [("aa", "b", "x"), ("a", "bb", "x"), ("a", "b", "x"), ("aaa", "b", "y")])

    def by_length(_asked, texts, _report):
        import numpy as np

        return np.array([float(len(text)) for text in texts]), None

    monkeypatch.setattr(likelihood, "log_likelihoods", by_length)
    figures = minimal_pair_figures(asked, path)
    assert figures["accuracy"] == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert figures["by_kind"]["x"] == {"accuracy": 0.5, "pairs": 3}
    assert minimal_pair_figures(asked, path, most=1)["by_kind"]["x"]["accuracy"] == 1
    assert minimal_pair_figures(asked, path, most=1)["of"] == 4


def test_what_cannot_be_scored_is_refused(model_folder, tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"sentence_good": "a", "sentence_bad": "b"}\n{"sentence_good": 1}\n')
    with pytest.raises(InputError, match=r"p.jsonl:2: not a pair of sentences"):
        minimal_pair_figures(ask(str(model_folder("gpt2"))), path)
    with pytest.raises(UsageError, match="not scored by a model of kind encoder-decoder"):
        log_likelihoods(ask(str(model_folder("t5"))), ["a"])
    path.write_text("a\n\n" + "the boat " * 60 + "\n")
    with pytest.raises(InputError, match=r"p.jsonl:3: its .* tokens are more than the model's 64"):
        text_figures(ask(str(model_folder("gpt2"))), path)
