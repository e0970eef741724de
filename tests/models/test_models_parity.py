"""Our models are those of transformers: loaded from what we export, and read from what it saves.

On CPU in float32. M scored states, V vocabulary, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.inputs import Inputs
from lmprep.models.language_model import LanguageModel
from tests.models.hf_models import (
    CASES,
    Case,
    random_labels,
    random_model,
    read_folder,
    shake,
    start_token_of,
    their_batch,
    their_logits,
    write_folder,
)
from tests.models.tiny_models import DECODERS, LENGTH, inputs_for

transformers = pytest.importorskip("transformers")

NO_FAULTS = {"missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"}
CLOSE = {"atol": 1e-5, "rtol": 0.0}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A model of ours, theirs made of it, and what transformers said on loading it."""

    case: Case
    ours: LanguageModel
    theirs: nn.Module
    faults: dict[str, set[str]]
    folder: Path


@pytest.fixture(scope="module", params=CASES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp("exported")
    ours = random_model(case.settings)
    write_folder(ours, case, folder)
    theirs, faults = getattr(transformers, case.class_name).from_pretrained(
        folder, output_loading_info=True
    )
    return Exported(case=case, ours=ours, theirs=theirs, faults=faults, folder=folder)


def assert_same_logits(case: Case, ours: LanguageModel, theirs: nn.Module) -> None:
    inputs = inputs_for(ours.settings)
    logits_MV, pair_logits_P2 = their_logits(theirs, case, inputs)
    with torch.no_grad():
        outputs = ours(inputs)

    assert logits_MV.std() > 0.5
    torch.testing.assert_close(outputs.logits_MV, logits_MV, **CLOSE)
    if pair_logits_P2 is not None:
        assert pair_logits_P2.std() > 0.05
        torch.testing.assert_close(outputs.pair_logits_P2, pair_logits_P2, **CLOSE)


def test_transformers_finds_all_weights_and_no_others(exported: Exported):
    assert exported.faults.keys() >= NO_FAULTS - {"error_msgs"}
    assert all(not found for found in exported.faults.values()), exported.faults


def test_logits_are_theirs(exported: Exported):
    assert_same_logits(exported.case, exported.ours, exported.theirs)


def test_the_loss_is_theirs(exported: Exported):
    case, inputs = exported.case, inputs_for(exported.case.settings)
    batch, labels_M = their_batch(case, inputs), random_labels(inputs)
    if case.pairs:
        pairs_P = torch.tensor([0, 1, 1])
        name = "sentence_order_label" if case.family == "albert" else "next_sentence_label"
        batch[name] = pairs_P
    scored_M = scored_by_both(case, inputs)
    with torch.no_grad():
        outputs, expected = exported.ours(inputs), exported.theirs(**batch).loss
        loss = F.cross_entropy(outputs.logits_MV[scored_M], labels_M[scored_M])
        if case.pairs:
            loss += F.cross_entropy(outputs.pair_logits_P2, pairs_P)

    torch.testing.assert_close(loss, expected, **CLOSE)


def scored_by_both(case: Case, inputs: Inputs) -> Tensor:
    """Which of our scored states they score: all but, in GPT's classes, the rows' last."""
    if case.family not in DECODERS:
        return torch.ones(len(inputs.scored_M), dtype=torch.bool)
    return inputs.scored_M % LENGTH < LENGTH - 1


def test_what_transformers_saves_is_read_back(exported: Exported, tmp_path: Path):
    theirs = getattr(transformers, exported.case.class_name).from_pretrained(exported.folder)
    shake(theirs, seed=2)
    theirs.save_pretrained(tmp_path)
    ours = read_folder(tmp_path)

    assert_same_logits(exported.case, ours, theirs)


@pytest.mark.parametrize("name", ["t5", "t5v1.1", "bart"])
def test_the_decoder_starts_as_their_class_does(name: str, tmp_path: Path):
    case = CASES[name]
    ours = random_model(case.settings)
    write_folder(ours, case, tmp_path)
    theirs = getattr(transformers, case.class_name).from_pretrained(tmp_path)
    ids_BL, labels_BK = torch.arange(5, 29)[None], torch.arange(20, 39)[None]
    start = torch.tensor([[start_token_of(case.family)]])
    inputs = Inputs(
        ids_BL=ids_BL,
        decoder_ids_BK=torch.cat((start, labels_BK[:, :-1]), dim=1),
        scored_M=torch.arange(19),
    )
    with torch.no_grad():
        expected = theirs(input_ids=ids_BL, labels=labels_BK).loss  # shifts the labels itself
        loss = F.cross_entropy(ours(inputs).logits_MV, labels_BK[0])

    torch.testing.assert_close(loss, expected, **CLOSE)
