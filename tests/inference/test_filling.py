"""Gaps: what stands in them is what the model finds likeliest, and comes back as text."""

from __future__ import annotations

import pytest
import torch
import transformers

from lmprep.errors import UsageError
from lmprep.inference.faults import RowFault
from lmprep.inference.filling import filled, masks_written, pieces_of
from lmprep.inference.pretrained import ask
from lmprep.inference.writing import WritingSettings
from lmprep.models.inputs import Inputs
from tests.finetuning.folders import MODELS


@pytest.mark.parametrize("name", ["bert", "roberta", "albert", "distilbert", "electra"])
def test_masks_have_the_chances_of_transformers(model_folder, name):
    asked = ask(str(model_folder(name)))
    gap = asked.token(asked.vocabulary.mask)
    text = f"the {gap} and a {gap} ."
    (found,) = filled(asked, [text], top=4)
    class_name = {"bert": "BertForMaskedLM", "albert": "AlbertForMaskedLM"}.get(
        name, MODELS[name][0]
    )
    hf = getattr(transformers, class_name).from_pretrained(model_folder(name)).eval()
    (row,) = asked.marked([text])
    places = [i for i, id in enumerate(row) if id == asked.vocabulary.mask]
    with torch.no_grad():
        logits = hf(torch.tensor([row])).logits[0, places]
    logits[:, list(asked.vocabulary.special)] = -torch.inf
    best = logits.softmax(-1).topk(4)

    assert len(found["fills"]) == 2
    for fill, ids, chances in zip(found["fills"], best.indices, best.values, strict=True):
        assert list(fill.tokens) == [asked.token(id) for id in ids.tolist()]
        assert fill.probabilities == pytest.approx(chances.tolist(), abs=1e-5)
    for place, id in zip(places, best.indices[:, 0].tolist(), strict=True):
        row[place] = id
    assert found["text"] == asked.text(row)


def test_answers_are_cut_at_their_sentinels():
    assert pieces_of([90, 4, 5, 91, 92, 7], [90, 91, 92]) == {90: [4, 5], 91: [], 92: [7]}
    assert pieces_of([3, 90, 4, 90, 5, 91, 6], [90, 91]) == {90: [4], 91: [6]}


def test_t5_puts_its_pieces_where_the_sentinels_stand(model_folder, monkeypatch):
    asked = ask(str(model_folder("t5")))
    first, second = asked.vocabulary.sentinels[:2]
    words = asked.plain(["night", "boat"])
    monkeypatch.setattr(
        "lmprep.inference.filling.written", lambda *_: [[first, *words[0], second, *words[1]]]
    )
    (found,) = filled(asked, [f"the {asked.token(first)} of a {asked.token(second)}"])

    assert found["text"].split() == asked.text(asked.plain(["the night of a boat"])[0]).split()
    assert found["pieces"] == {
        asked.token(first): asked.text(words[0]), asked.token(second): asked.text(words[1])
    }  # fmt: skip


def test_bart_writes_the_text_anew(model_folder):
    asked = ask(str(model_folder("bart")))

    (found,) = filled(asked, [f"the {asked.token(asked.vocabulary.mask)} boat"])
    assert isinstance(found["text"], str)
    assert found.keys() == {"text"}


def test_masks_behind_a_text_are_filled_from_the_left(model_folder):
    asked = ask(str(model_folder("bert")))
    gap = asked.token(asked.vocabulary.mask)
    (ids,) = masks_written(asked, ["the boat"], WritingSettings(tokens=3))
    known = []
    for left in (3, 2, 1):
        row = [*asked.marked([" ".join(["the boat", *[gap] * 3])])[0]]
        begin = row.index(asked.vocabulary.mask)
        row[begin : begin + len(known)] = known
        assert row.count(asked.vocabulary.mask) == left
        with torch.no_grad():
            inputs = Inputs(ids_BL=torch.tensor([row]), scored_M=torch.tensor([begin + len(known)]))
            logits = asked.model(inputs).logits_MV[0]
        logits[list(asked.vocabulary.special)] = -torch.inf
        known.append(int(logits.argmax()))

    assert ids == known
    assert masks_written(asked, ["the boat", "a"], WritingSettings(tokens=3))[0] == ids


def test_what_has_no_gap_or_learnt_none_is_refused(model_folder):
    with pytest.raises(RowFault, match=r"text 2: there is no \[MASK\]. Write \[MASK\] where a gap"):
        filled(ask(str(model_folder("bert"))), ["a [MASK]", "a b"])
    with pytest.raises(UsageError, match="has learnt to fill no gaps"):
        filled(ask(str(model_folder("gpt2"))), ["a [MASK]"])
    with pytest.raises(RowFault, match=r"text 1: its .* tokens are more than the model's 64 pos"):
        filled(ask(str(model_folder("bert"))), ["a [MASK] " * 40])
    with pytest.raises(UsageError, match="has no beams"):
        masks_written(ask(str(model_folder("bert"))), ["a"], WritingSettings(beams=2))
    with pytest.raises(UsageError, match="no head that predicts tokens"):
        ask(str(model_folder("bert-bare")))
