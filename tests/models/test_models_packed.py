"""Rows side by side in one bin are to the model what each of them is alone.

B bins, L positions, M scored states.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lmprep.models import runs, scopes
from lmprep.models.construction import new_model
from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import IGNORED, Documents, Inputs, Labels
from lmprep.models.losses import Losses
from lmprep.models.runs import runs_of
from lmprep.models.scopes import Square
from tests.models.tiny_models import VOCABULARY, random_ids, tiny

LENGTH = 24
# Of two bins: rows, then what pads the bin; the second bin is full.
BINS = ((9, 4, 8, 3), (5, 14, 5))
PADDING = 3
POSITIONS = ("learned", "sinusoidal", "rotary", "relative")
CASES = [(family, positions) for family in ("bert", "gpt2") for positions in POSITIONS]


@pytest.fixture(autouse=True)
def several_groups(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs this short would all go into one."""
    if "few" not in request.node.name:
        monkeypatch.setattr(runs, "_GROUP_CELLS", 10)


def documents_of(lengths: list[int], *repeated: int) -> Documents:
    """Runs of these lengths, and offsets that begin no run."""
    ends = np.cumsum(lengths).tolist()
    offsets = sorted([0, *ends, *[ends[place] for place in repeated]])
    return Documents(offsets_S=torch.tensor(offsets, dtype=torch.int32), longest=max(lengths))


def packed_inputs() -> Inputs:
    lengths = [length for bin_ in BINS for length in bin_]
    positions = torch.cat([torch.arange(length) for length in lengths])
    scored = torch.ones(2 * LENGTH, dtype=torch.bool)
    scored[LENGTH - PADDING : LENGTH] = False
    return Inputs(
        ids_BL=random_ids(2, LENGTH),
        types_BL=(positions > 2).int().view(2, LENGTH),
        positions_BL=positions.view(2, LENGTH),
        documents=documents_of(lengths, 2, -1, -1),
        scored_M=scored.nonzero().squeeze(1),
    )


def rows_alone(packed: Inputs) -> list[Inputs]:
    """The tokens' runs, each a batch by itself."""
    ends = np.cumsum([length for bin_ in BINS for length in bin_]).tolist()
    spans = [span for span in zip([0, *ends], ends, strict=False) if span[1] != LENGTH]
    return [
        Inputs(
            ids_BL=packed.ids_BL.flatten()[None, start:stop],
            types_BL=packed.types_BL.flatten()[None, start:stop],
            scored_M=torch.arange(stop - start),
        )
        for start, stop in spans
    ]


def loss_of(losses: Losses, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
    """The model is to predict what stands at each scored place, one id further on."""
    seen = inputs.ids_BL.flatten()[inputs.scored_M]
    return losses(inputs, Labels(tokens_M=(seen + 1) % VOCABULARY), key)[0]


def gradients(losses: Losses, *batches: Inputs) -> dict[str, Tensor]:
    losses.zero_grad()
    for batch in batches:
        loss_of(losses, batch).backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in losses.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize(("family", "positions"), CASES)
def test_packed_rows_have_the_logits_and_gradients_they_have_alone(family: str, positions: str):
    losses = Losses(new_model(tiny(family, positions=positions), seed=3))
    with torch.no_grad():  # large enough for attention to be far from even
        for parameter in losses.parameters():
            parameter *= 3
    packed = packed_inputs()
    rows = rows_alone(packed)
    assert len(runs_of(packed.documents, causal=False).groups) > 2
    with torch.no_grad():
        found = losses.model(packed).logits_MV
        expected = torch.cat([losses.model(row).logits_MV for row in rows])

    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    together, apart = gradients(losses, packed), gradients(losses, *rows)
    assert together.keys() == apart.keys()
    for name, gradient in together.items():
        scale = apart[name].abs().max().clamp(min=1)
        torch.testing.assert_close(gradient / scale, apart[name] / scale, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("family", "positions"), CASES)
def test_groups_of_runs_equal_a_mask_of_the_whole_square(
    family: str, positions: str, monkeypatch: pytest.MonkeyPatch
):
    model = new_model(tiny(family, positions=positions), seed=3)
    packed = packed_inputs()
    with torch.no_grad():
        grouped = model(packed).logits_MV
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        scope = scopes.scope_of(packed, torch.zeros(1), causal=False, dropping=False)
        assert isinstance(scope, Square)
        squared = model(packed).logits_MV

    torch.testing.assert_close(grouped, squared, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", POSITIONS)
def test_positions_are_those_that_are_named(positions: str):
    # But for relative ones, which count what stands between.
    model = new_model(tiny("bert", positions=positions), seed=3)
    packed = packed_inputs()
    with torch.no_grad():
        states, closer = (
            model.states(replace(packed, positions_BL=packed.positions_BL.clamp(max=last)))
            for last in (LENGTH, 3)
        )

    assert torch.allclose(states, closer, atol=1e-5) == (positions == "relative")


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_positions_in_the_row_are_those_of_a_batch_that_names_none(family: str):
    for positions in POSITIONS:
        model = new_model(tiny(family, positions=positions), seed=3)
        plain = Inputs(ids_BL=random_ids(2, LENGTH), scored_M=torch.arange(2 * LENGTH))
        named = replace(plain, positions_BL=torch.arange(LENGTH).expand(2, LENGTH))
        with torch.no_grad():
            torch.testing.assert_close(model(named).logits_MV, model(plain).logits_MV)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_bins_drop_the_same_wherever_a_step_is_cut(family: str):
    # A bin's values do not depend on the other bins of its batch, on how they are grouped least.
    losses = Losses(new_model(tiny(family, positions="rotary"), seed=3).double())
    packed = packed_inputs()
    parts = []
    for row, lengths in enumerate(BINS):
        here = (packed.scored_M // LENGTH) == row
        parts.append(
            Inputs(
                ids_BL=packed.ids_BL[row : row + 1],
                types_BL=packed.types_BL[row : row + 1],
                positions_BL=packed.positions_BL[row : row + 1],
                documents=documents_of(list(lengths)),
                scored_M=packed.scored_M[here] - row * LENGTH,
            )
        )
    with torch.no_grad():
        whole = loss_of(losses, packed, DropoutKey(seed=4, step=2))
        cut = [
            loss_of(losses, part, DropoutKey(seed=4, step=2, row=row))
            for row, part in enumerate(parts)
        ]
        undropped = loss_of(losses, packed)

    torch.testing.assert_close(sum(cut), whole, atol=0, rtol=1e-6)
    assert abs(undropped - whole) > 1e-3


def test_dropped_weights_differ_between_runs_heads_and_queries():
    group = runs_of(documents_of([4, 4]), causal=False).groups[0]
    starts = scopes._starts(group, DropoutKey(seed=0, step=0, row=5), 8, heads=3).flatten()

    assert starts.unique().numel() == 2 * 3 * 4
    assert starts.sort().values.diff().min() >= 4  # of a line of keys
    assert starts.min() == 5 * 8 * 3 * 8


@settings(deadline=None, max_examples=50)
@given(lengths=st.lists(st.integers(1, 70), min_size=1, max_size=60), causal=st.booleans())
def test_every_position_stands_in_one_group_once_and_comes_back(lengths: list[int], causal: bool):
    made = runs_of(documents_of(lengths, 0), causal=causal)
    total = sum(lengths)
    x = torch.arange(1.0, total + 1)[:, None].requires_grad_()
    parts = made.split(x)
    back = made.join([part * 2 for part in parts])

    assert torch.equal(back, 2 * x)
    back.square().sum().backward()
    assert torch.equal(x.grad, 8 * x)
    seen = []
    for part, group in zip(parts, made.groups, strict=True):
        inside = group.mask.cells(group.width, group.width)[:, 0, -1]
        for line, kept in zip(part[..., 0], inside.expand(group.runs, -1), strict=True):
            run = line.tolist() if causal else line[kept].tolist()
            seen += [run[: 1 + int(np.argmax(run))]]  # past the end its first position again
    expected = torch.split(x[:, 0].detach(), lengths)
    assert sorted(seen) == sorted(part.tolist() for part in expected)


def test_runs_of_one_length_are_a_view():
    x = torch.randn(18, 5)
    (part,) = runs_of(documents_of([6, 6, 6]), causal=True).split(x)

    assert part.data_ptr() == x.data_ptr()
    assert part.shape == (3, 6, 5)


def test_few_groups_hold_the_runs_of_a_batch_in_little_more_than_their_squares():
    lengths = np.random.default_rng(1).integers(8, 513, size=400)
    groups = runs_of(documents_of(lengths.tolist()), causal=False).groups
    cells = sum(group.runs * group.width**2 for group in groups)

    assert len(groups) <= 16
    assert cells < 1.2 * np.square(lengths).sum()
    assert len(runs_of(documents_of([3, 4, 5, 6] * 4), causal=False).groups) == 1


def test_labels_that_are_ignored_and_their_places_leave_no_trace():
    losses = Losses(new_model(tiny("bert"), seed=3))
    packed = packed_inputs()
    filled = replace(packed, scored_M=torch.cat((packed.scored_M, torch.zeros(5).long())))
    tokens = torch.randint(0, VOCABULARY, packed.scored_M.shape)
    plain = losses(packed, Labels(tokens_M=tokens))
    more = torch.full((5,), IGNORED)

    found = losses(filled, Labels(tokens_M=torch.cat((tokens, more))))
    # Products of other shapes round otherwise.
    torch.testing.assert_close(found, plain, rtol=1e-6, atol=0)
