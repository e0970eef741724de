"""Attention within runs of positions without padding: runs of similar length go together.

The runs of a batch are cut into a few groups; those of a group stand side by side, filled up to
the longest of them. So the work is that of the runs' squares, not of rows times length squared.

B rows, L positions, C queries, keys and values, N heads, H width of a head, X values a position;
R runs in a group, W positions of its longest; G = sum of R * W over groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.models.inputs import Documents
from lmprep.models.masks import Mask, padding_mask

Numbers = NDArray[np.int64]

_WIDTHS = 16  # widths to choose from
# What a group costs beside its cells, in cells of scores: estimated for 4 heads of 64, two cores.
_GROUP_CELLS = 200 * 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Runs side by side.

    Args:
        runs, width: R and W.
        mask: which positions attend to which within a run.
        positions_RW: int64, where in the batch they are; past a run's end, its first position.
    """

    runs: int
    width: int
    mask: Mask
    positions_RW: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Runs:
    """The groups of a batch, and the way there and back.

    Args:
        groups: longest runs first.
        there_G: int64, the position in the batch that each place in the groups holds; None where
            the batch is one group as it stands.
        back_T: int64, the place in the groups of each of the batch's B * L positions.
        filling: int64, places in the groups past the ends of their runs.
    """

    groups: list[Group]
    there_G: Tensor | None
    back_T: Tensor
    filling: Tensor

    def split(self, x_TX: Tensor) -> tuple[Tensor, ...]:
        """For each group its values, [R, W, X], from those of the batch, [B * L, X]."""
        if self.there_G is not None:
            x_TX = _Gather.apply(x_TX, self.there_G, self.back_T, None)  # type: ignore[no-untyped-call]
        sizes = [group.runs * group.width for group in self.groups]
        parts = torch.split(x_TX, sizes)
        return tuple(
            part.view(group.runs, group.width, -1)
            for part, group in zip(parts, self.groups, strict=True)
        )

    def join(self, parts_RWX: list[Tensor]) -> Tensor:
        """The way back: [B * L, X]."""
        joined = torch.cat([part.flatten(0, 1) for part in parts_RWX])
        if self.there_G is None:
            return joined
        back: Tensor = _Gather.apply(joined, self.back_T, self.there_G, self.filling)  # type: ignore[no-untyped-call]
        return back


class _Gather(torch.autograd.Function):
    """Rows by number, each real one taken once: then the gradient is a gather as well, where that
    of torch's index_select adds row by row."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor, filling: Tensor | None) -> Tensor:
        ctx.save_for_backward(back, filling)
        return x.index_select(0, there)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        back, filling = ctx.saved_tensors
        gathered = gradient.index_select(0, back)
        if filling is not None:
            gathered.index_fill_(0, filling, 0)
        return gathered, None, None, None


def runs_of(documents: Documents, *, causal: bool) -> Runs:
    """Cut the runs of a batch into groups.

    Args:
        documents: on CPU.
        causal: whether positions look back only.
    """
    offsets: Numbers = documents.offsets_S.numpy().astype(np.int64)
    begins, lengths = offsets[:-1], np.diff(offsets)
    begins, lengths = begins[lengths > 0], lengths[lengths > 0]
    order = np.argsort(-lengths, kind="stable")
    counts = _group_counts(lengths[order])
    members = np.split(order, np.cumsum(counts)[:-1])
    groups, inside = [], []
    for each in members:
        width = int(lengths[each[0]])
        inside_RW = np.arange(width) < lengths[each, None]
        positions_RW = begins[each, None] + np.arange(width) * inside_RW
        groups.append(_group(positions_RW, inside_RW, lengths[each], causal=causal))
        inside.append(inside_RW.ravel())
    return _runs(groups, np.concatenate(inside))


def _group(
    positions_RW: Numbers, inside_RW: NDArray[np.bool_], lengths_R: Numbers, *, causal: bool
) -> Group:
    runs, width = positions_RW.shape
    # Nothing looks past its run's end when everything looks back.
    padded = not causal and not inside_RW.all()
    return Group(
        runs=runs,
        width=width,
        mask=padding_mask(width, torch.from_numpy(lengths_R)) if padded else Mask(causal=causal),
        positions_RW=torch.from_numpy(positions_RW),
    )


def _runs(groups: list[Group], inside_G: NDArray[np.bool_]) -> Runs:
    there_G = np.concatenate([group.positions_RW.numpy().ravel() for group in groups])
    places = np.flatnonzero(inside_G)
    back_T = np.empty(len(places), np.int64)
    back_T[there_G[places]] = places
    as_it_stands = len(groups) == 1 and np.array_equal(there_G, np.arange(len(back_T)))
    return Runs(
        groups=groups,
        there_G=None if as_it_stands else torch.from_numpy(there_G),
        back_T=torch.from_numpy(back_T),
        filling=torch.from_numpy(np.flatnonzero(~inside_G)),
    )


def _group_counts(lengths: Numbers) -> list[int]:
    """How many runs, from the longest down, to put into each group: the cheapest cut.

    Groups end where lengths cross one of a few widths. `cheapest[i]` is the least cost of the runs
    before the i-th such border, in cells.
    """
    step = -(-lengths[0] // _WIDTHS)
    widths = -(-lengths // step)
    borders = [0, *np.flatnonzero(np.diff(widths)) + 1, len(lengths)]
    cheapest, last = [0], [0]
    for i, end in enumerate(borders[1:], 1):
        costs = [
            cheapest[j] + (end - begin) * int(lengths[begin]) ** 2 + _GROUP_CELLS
            for j, begin in enumerate(borders[:i])
        ]
        last.append(int(np.argmin(costs)))
        cheapest.append(costs[last[-1]])
    counts, i = [], len(borders) - 1
    while i:
        counts.append(int(borders[i] - borders[last[i]]))
        i = last[i]
    return counts[::-1]
