"""Two processes, with the whole model or with parts of it each, move it as one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rank_processes import run_ranks
from torch import Tensor

from lmprep.models.construction import new_model
from lmprep.models.inputs import Inputs, Labels
from lmprep.models.language_model import LanguageModel
from lmprep.models.losses import Losses
from lmprep.models.settings import model_settings
from lmprep.pretrain_settings import OPTIMIZERS, SHARDINGS, PretrainSettings
from lmprep.training.distributed import Ranks, full, joined, wrapped
from lmprep.training.optimizers import Optimizer

ROWS, LENGTH, TARGETS, VOCABULARY, STEPS = 4, 12, 6, 30, 4
CPU = torch.device("cpu")


def model_here() -> LanguageModel:
    """Neither 5, 7 nor 15 rows of its matrices go evenly round two ranks."""
    shape = {"width": 5, "heads": 1, "feed_forward": 7, "dropout": 0.0, "attention_dropout": 0.0}
    return new_model(model_settings("t5-tiny", vocabulary_size=VOCABULARY, **shape), seed=1)


def rows_of(step: int, ranks: Ranks) -> tuple[Inputs, Labels]:
    """This rank's rows of a step."""
    generator = torch.Generator().manual_seed(step)
    ids_BL = torch.randint(VOCABULARY, (ROWS, LENGTH), generator=generator)
    labels_BK = torch.randint(VOCABULARY, (ROWS, TARGETS), generator=generator)
    mine = slice(ROWS * ranks.rank // ranks.count, ROWS * (ranks.rank + 1) // ranks.count)
    tokens_M = labels_BK[mine].flatten()
    inputs = Inputs(
        ids_BL=ids_BL[mine],
        decoder_ids_BK=labels_BK[mine].roll(1, 1),
        scored_M=torch.arange(len(tokens_M)),
    )
    return inputs, Labels(tokens_M=tokens_M)


def train(name: str, sharding: str, ranks: Ranks) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Whole weights and optimizer state; halfway an optimizer made anew goes on with the state."""
    torch.set_num_threads(1)
    model = model_here()
    module = wrapped(Losses(model), ranks, sharding, CPU)
    settings = PretrainSettings(
        model="t5-tiny", steps=STEPS, optimizer=name, precision="fp32", weight_decay=0.1
    )
    optimizer = Optimizer(model, settings)
    for step in range(STEPS):
        optimizer.zero_grad()
        sums = module(*rows_of(step, ranks))
        # The ranks' gradients are averaged.
        (ranks.count * sums[0] / (ROWS * TARGETS)).backward()
        optimizer.step(0.02)
        if step == STEPS // 2:
            state = optimizer.tensors()
            optimizer = Optimizer(model, settings)
            optimizer.load(state)
    return {n: full(p).detach() for n, p in model.named_parameters()}, optimizer.tensors()


def train_together(folder: Path) -> int:
    """Both optimizers in both ways, into files of this rank."""
    with joined(CPU) as ranks:
        for name in OPTIMIZERS:
            for sharding in SHARDINGS:
                found = train(name, sharding, ranks)
                torch.save(found, folder / f"{name}-{sharding}-{ranks.rank}")
        return ranks.rank


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outcomes")
    assert run_ranks(2, train_together, folder) == [0, 1]
    return folder


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("sharding", SHARDINGS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_processes_move_weights_as_one_does(name, sharding, rank, outcomes):
    found = torch.load(outcomes / f"{name}-{sharding}-{rank}")
    expected = train(name, sharding, Ranks())

    for ours, alone in zip(found, expected, strict=True):
        assert ours.keys() == alone.keys()
        for key, tensor in alone.items():
            torch.testing.assert_close(ours[key], tensor, atol=1e-5, rtol=0, msg=key)
    start = dict(model_here().named_parameters())
    moved = [key for key, weight in expected[0].items() if (weight - start[key]).abs().max() > 5e-3]
    assert moved == list(start)
