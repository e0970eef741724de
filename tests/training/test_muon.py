"""Muon beside what it should do: singular values, torch's own class, one matrix at a time."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lmprep.models.construction import new_model
from lmprep.models.inputs import Inputs
from lmprep.models.settings import model_settings
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training import muon
from lmprep.training.muon import Matrix, Muon, orthogonalised
from lmprep.training.optimizers import Optimizer

torch.set_num_threads(1)

RATE, DECAY = 0.02, 0.1


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def five_times(value: float) -> float:
    """What five steps make of a singular value, which is brought to a norm of 1 before."""
    for _ in range(5):
        value = 3.4445 * value - 4.7750 * value**3 + 2.0315 * value**5
    return value


def slowly(x_RC: Tensor) -> Tensor:
    """The twin of `orthogonalised`, by the decomposition that it does without."""
    u, values, vt = torch.linalg.svd(x_RC.double(), full_matrices=False)
    values = values / values.norm().clamp(min=1e-7)
    return u @ torch.diag(torch.tensor([five_times(v) for v in values.tolist()]).double()) @ vt


def stepped(
    matrices: dict[str, Matrix], gradients: list[dict[str, Tensor]], dtype: torch.dtype
) -> Muon:
    optimizer = Muon(matrices, decay=DECAY, precision=dtype)
    for gradient in gradients:
        for name, matrix in matrices.items():
            matrix.parameter.grad = gradient[name].clone()
        optimizer.step(RATE)
    return optimizer


def new_matrices(shapes: dict[str, tuple[int, int]]) -> dict[str, Matrix]:
    return {
        name: Matrix(parameter=nn.Parameter(draw(*shape, seed=n)))
        for n, (name, shape) in enumerate(shapes.items())
    }


def random_gradients(shapes: dict[str, tuple[int, int]], steps: int) -> list[dict[str, Tensor]]:
    return [
        {name: draw(*shape, seed=100 * s + n) for n, (name, shape) in enumerate(shapes.items())}
        for s in range(1, steps + 1)
    ]


@given(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_singular_values_go_through_the_polynomial_and_vectors_stay(count, rows, columns, seed):
    x_KRC = draw(count, rows, columns, seed=seed) * 10 ** (seed % 7 - 3)
    found_KRC = orthogonalised(x_KRC)

    for x_RC, found_RC in zip(x_KRC, found_KRC, strict=True):
        torch.testing.assert_close(found_RC.double(), slowly(x_RC), atol=2e-4, rtol=0)


def test_singular_values_end_near_one():
    spread = torch.diag(torch.logspace(-1.5, 0, 16))
    u, v = (torch.linalg.qr(draw(16, 16, seed=seed))[0] for seed in (1, 2))
    values = torch.linalg.svdvals(orthogonalised((u @ spread @ v)[None]))

    assert values.min() > 0.65
    assert values.max() < 1.2


def test_a_matrix_of_nothing_stays_nothing():
    assert torch.equal(orthogonalised(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


SHAPES = {"wide": (8, 24), "tall": (24, 8), "square": (8, 8), "second": (8, 24)}


def test_steps_equal_those_of_torch():
    gradients = random_gradients(SHAPES, steps=4)
    matrices = new_matrices(SHAPES)
    stepped(matrices, gradients, torch.bfloat16)
    twins = {name: m.parameter for name, m in new_matrices(SHAPES).items()}
    theirs = torch.optim.Muon(
        twins.values(), lr=RATE, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"
    )
    for gradient in gradients:
        for name, twin in twins.items():
            twin.grad = gradient[name].clone()
        theirs.step()

    for name, twin in twins.items():
        # Four steps of RATE * 0.2 * sqrt(24) * about 0.3 each; bf16 rounds to a few percent.
        torch.testing.assert_close(matrices[name].parameter, twin, atol=1e-3, rtol=0)
        assert (twin - new_matrices(SHAPES)[name].parameter).abs().max() > 0.02


def test_in_float32_steps_equal_those_of_the_slow_twin():
    gradients = random_gradients(SHAPES, steps=3)
    matrices = new_matrices(SHAPES)
    optimizer = stepped(matrices, gradients, torch.float32)

    for name, twin in new_matrices(SHAPES).items():
        weights, momentum = twin.parameter.detach().double(), torch.zeros(SHAPES[name]).double()
        for gradient in (each[name].double() for each in gradients):
            momentum = 0.95 * momentum + 0.05 * gradient
            step = slowly(0.95 * momentum + 0.05 * gradient)
            weights *= 1 - RATE * DECAY
            weights -= RATE * 0.2 * math.sqrt(max(SHAPES[name])) * step
        torch.testing.assert_close(matrices[name].parameter.double(), weights, atol=1e-4, rtol=0)
        torch.testing.assert_close(optimizer.momenta[name].double(), momentum, atol=1e-6, rtol=0)


@pytest.mark.parametrize("parts", [2, 3])
def test_a_fused_matrix_moves_as_its_parts_by_themselves(parts):
    shapes = {f"part{n}": (6, 10) for n in range(parts)}
    gradients = random_gradients(shapes, steps=2)
    single = new_matrices(shapes)
    start = torch.cat([matrix.parameter.detach().clone() for matrix in single.values()])
    fused = {"all": Matrix(parameter=nn.Parameter(start), parts=parts)}
    stepped(single, gradients, torch.float32)
    stepped(fused, [{"all": torch.cat(list(each.values()))} for each in gradients], torch.float32)

    expected = torch.cat([matrix.parameter for matrix in single.values()])
    torch.testing.assert_close(fused["all"].parameter, expected, atol=1e-6, rtol=0)


def test_how_matrices_are_stacked_does_not_matter(monkeypatch):
    gradients = random_gradients(SHAPES, steps=2)
    together, apart = new_matrices(SHAPES), new_matrices(SHAPES)
    calls = []
    monkeypatch.setattr(muon, "orthogonalised", lambda x: calls.append(len(x)) or orthogonalised(x))
    stepped(together, gradients, torch.float32)
    # Wide, tall and second lie in one stack.
    assert calls == [1, 3] * 2
    monkeypatch.setattr(muon, "_STACK", 400)
    stepped(apart, gradients, torch.float32)

    assert calls[4:] == [1, 2, 1] * 2
    for name in SHAPES:
        torch.testing.assert_close(together[name].parameter, apart[name].parameter)


@pytest.mark.parametrize("shape", [(64, 64), (64, 256), (256, 64)])
def test_a_step_is_as_long_as_one_of_adamw_usually_is(shape):
    matrices = {"one": Matrix(parameter=nn.Parameter(torch.zeros(shape)))}
    stepped(matrices, random_gradients({"one": shape}, steps=1), torch.float32)
    rms = matrices["one"].parameter.square().mean().sqrt().item()

    assert rms == pytest.approx(0.2 * RATE, rel=0.15)


def test_without_gradient_nothing_moves_and_with_a_zero_one_weights_only_decay():
    matrices = new_matrices({"none": (4, 6), "zero": (4, 6)})
    before = {name: matrix.parameter.detach().clone() for name, matrix in matrices.items()}
    matrices["zero"].parameter.grad = torch.zeros(4, 6)
    optimizer = Muon(matrices, decay=DECAY, precision=torch.float32)
    optimizer.step(RATE)

    assert torch.equal(matrices["none"].parameter, before["none"])
    assert list(optimizer.momenta) == ["zero"]
    torch.testing.assert_close(matrices["zero"].parameter, (1 - RATE * DECAY) * before["zero"])


def last_loss(optimizer_name: str, lr: float) -> float:
    """Of a small decoder after 150 steps: texts in which two tokens fix the next one."""
    vocabulary, rows, length, steps = 40, 16, 32, 150
    shape = {"width": 64, "heads": 4, "max_length": length}
    model = new_model(model_settings("gpt2-tiny", vocabulary_size=vocabulary, **shape), seed=0)
    settings = PretrainSettings(
        model="gpt2-tiny", steps=steps, optimizer=optimizer_name, precision="fp32"
    )
    optimizer = Optimizer(model, settings)
    scored_M = torch.arange(rows * length).view(rows, length)[:, :-1].flatten()
    losses = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        ids_BL = torch.randint(vocabulary, (rows, length), generator=generator)
        for place in range(2, length):
            before = ids_BL[:, place - 2]
            ids_BL[:, place] = (ids_BL[:, place - 1] + before * before) % vocabulary
        logits_MV = model(Inputs(ids_BL=ids_BL, scored_M=scored_M)).logits_MV
        loss = F.cross_entropy(logits_MV, ids_BL[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(lr * (1 - step / steps))
        losses.append(loss.item())
    return sum(losses[-10:]) / 10


def test_a_small_model_learns_more_than_with_adamw_in_as_many_steps():
    # The best of 0.001, 0.003, 0.01 and 0.03 for AdamW; 0.01 and 0.03 do for Muon.
    adamw, ours = last_loss("adamw", 0.003), last_loss("muon", 0.01)

    assert ours < 0.6 * adamw
