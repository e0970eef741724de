"""Vectors of words in context are those of their tokens; senses part where their vectors do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmprep.errors import InputError, UsageError
from lmprep.inference.pretrained import ask
from lmprep.models.inputs import Inputs
from lmprep.probing import senses
from lmprep.probing.senses import auc, sense_figures, sense_map
from lmprep.probing.similarity import table_of_model
from lmprep.probing.words import alone, embeddings_of, in_context

SENTENCES = [["the", "boat", "left"], ["a", "long", "night"], ["boat"]]


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_word_has_the_mean_of_its_tokens_states(model_folder, name):
    asked = ask(str(model_folder(name)), head=False)
    found, known = in_context(asked, SENTENCES, [1, 2, 0], "last")
    for words, place, vector in zip(SENTENCES, [1, 2, 0], found, strict=True):
        ids, word_of_token = asked.encoder.words([words])
        (row,) = asked.marked([" ".join(words)])
        first = row.index(int(ids.values[0]))
        inputs = Inputs(ids_BL=torch.tensor([row]), scored_M=torch.zeros(0, dtype=torch.long))
        with torch.no_grad():
            states = asked.model.states(inputs)[0]
        places = first + np.flatnonzero(word_of_token == place)
        np.testing.assert_allclose(vector, states[places].mean(0).numpy(), atol=2e-5)
    assert known.all()


def test_a_word_behind_what_the_model_takes_is_told(model_folder):
    asked = ask(str(model_folder("bert")), head=False)
    found, known = in_context(asked, [["boat"] * 90, ["boat"]], [89, 0], "last")

    assert known.tolist() == [False, True]
    assert not found[0].any()


def test_a_static_vector_is_the_mean_of_its_pieces_embeddings(model_folder):
    asked = ask(str(model_folder("bert")), head=False)
    word = max(table_of_model(asked).places, key=len) + "ab"
    ids = asked.plain([word])[0]

    assert len(ids) > 1
    assert asked.vocabulary.unk not in ids
    expected = embeddings_of(asked)[ids].mean(0)
    np.testing.assert_allclose(alone(asked, [word])[0], expected, atol=1e-6)


def test_auc_counts_pairs_in_the_right_order_and_ties_half():
    scores, right = np.array([0.9, 0.5, 0.5, 0.1], np.float32), np.array([True, True, False, False])

    assert auc(scores, right) == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def senses_file(path):
    rows = ["bank\ts1\t0\tbank a", "bank\ts1\t0\tbank b", "bank\ts2\t0\tbank c",
            "bank\ts2\t0\tbank d", "run\tr\t0\trun", "run\tr\t0\trun"]  # fmt: skip
    path.write_text("lemma\tsense\tindex\tsentence\n" + "\n".join(rows) + "\n")
    return path


def test_senses_that_part_in_context_have_an_auc_of_one(model_folder, tmp_path, monkeypatch):
    asked, path = ask(str(model_folder("bert")), head=False), senses_file(tmp_path / "s.tsv")
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 1], [1, 1]], np.float32)
    monkeypatch.setattr(senses, "in_context", lambda *_: (vectors, np.ones(6, bool)))
    figures = sense_figures(asked, path, "last")

    assert figures["contextual"]["lemmas"] == {"bank": 1.0}  # run has one sense only
    assert figures["static"]["auc"] == 0.5
    assert figures["contextual"]["above_chance"] == 1


def test_pairs_are_judged_by_the_threshold_of_the_others(model_folder, tmp_path, monkeypatch):
    path = tmp_path / "p.tsv"
    row = "w\tNOUN\t0\t0\tboat a\tboat b"
    labels = ["T", "T", "F", "F"] * 3
    header = "lemma\tpos\tindex1\tindex2\tsentence1\tsentence2\tlabel"
    path.write_text("\n".join([header, *(f"{row}\t{label}" for label in labels)]) + "\n")
    angles = np.array([0.1 if label == "T" else 1.2 for label in labels])
    sides = iter([np.zeros(12), angles])

    def vectors(*_):
        angle = next(sides)
        return np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32), np.ones(12, bool)

    monkeypatch.setattr(senses, "in_context", vectors)
    figures = sense_figures(ask(str(model_folder("bert")), head=False), path, "last")

    assert figures["contextual"] == {"auc": 1.0, "accuracy": 1.0}
    assert figures["static"]["auc"] == 0.5
    assert figures["majority"] == 0.5


def test_the_uses_of_a_word_lie_in_a_plane(model_folder, tmp_path):
    asked, path = ask(str(model_folder("bert")), head=False), senses_file(tmp_path / "s.tsv")
    uses = sense_map(asked, path, "bank", "last")

    assert uses["sense"] == ["s1", "s1", "s2", "s2"]
    assert uses["text"][0] == "bank a"
    assert sum(uses["x"]) == pytest.approx(0, abs=1e-3)
    assert np.var(uses["x"]) >= np.var(uses["y"])
    with pytest.raises(UsageError, match=r"fish occurs 0 times. Choose another, such as bank, run"):
        sense_map(asked, path, "fish", "last")


def test_a_table_that_is_neither_kind_and_a_word_that_is_not_there(model_folder, tmp_path):
    asked, path = ask(str(model_folder("bert")), head=False), tmp_path / "s.tsv"
    path.write_text("a\tb\n1\t2\n")
    with pytest.raises(UsageError, match="neither the columns lemma, sense, index, sentence"):
        sense_figures(asked, path, "last")
    path.write_text("lemma\tsense\tindex\tsentence\nbank\ts\t4\tbank a\n")
    with pytest.raises(InputError, match=r"s.tsv:2: index is '4', the number of none of 2 words"):
        sense_figures(asked, path, "last")
