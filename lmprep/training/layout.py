"""Rows in their bins: where every token lies, and which runs of positions see one another.

B bins, L positions in each, N rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.batches import Columns, plain, ragged
from lmprep.jit import bare_kernel
from lmprep.models.inputs import Documents
from lmprep.ragged import Ragged
from lmprep.shards.dense import padding_id
from lmprep.training.bins import Bins
from lmprep.vocabulary import Vocabulary

Flat = NDArray[np.int64]


def kept_apart(columns: Columns, bins: Bins, *, constant: bool) -> dict[str, Any]:
    """What says which positions see one another: arguments of `Inputs`.

    Runs are spelled out where bins may hold several, else the lengths of the rows say it all:
    which it is, and with it what dropout masks are counted by, does not depend on how a step is cut
    into batches.

    Args:
        constant: spell them out whether needed or not, so that all batches are alike.
    """
    lengths = ragged(columns, "input_ids").lengths
    if not (bins.several or constant or "document_starts" in columns):
        return {"lengths_B": bin_lengths(lengths, bins)}
    further = _further_documents(columns, bins.flat_N)
    cuts = np.zeros(bins.count * bins.length + 1, np.bool_)
    cuts[:: bins.length] = True
    cuts[bins.flat_N] = cuts[bins.flat_N + lengths] = cuts[further] = True
    offsets = np.flatnonzero(cuts)
    longest = bins.length if constant else int(np.diff(offsets).max(initial=0))
    documents = Documents(offsets_S=torch.from_numpy(offsets.astype(np.int32)), longest=longest)
    positions = positions_in(lengths, bins) if bins.several or constant else None
    return {"documents": documents, "positions_BL": positions}


def _further_documents(columns: Columns, flat: Flat) -> Flat:
    """Where documents begin within rows, int64."""
    if "document_starts" not in columns:
        return np.empty(0, np.int64)
    return places(ragged(columns, "document_starts"), flat)


def bin_lengths(lengths: Flat, bins: Bins) -> Tensor | None:
    """Tokens in each bin of one row at most, int64 [B]: 1 in empty ones; None if all are full."""
    if len(lengths) == bins.count and lengths.min(initial=bins.length) == bins.length:
        return None
    lengths_B = np.ones(bins.count, np.int64)
    lengths_B[bins.bin_N] = lengths
    return torch.from_numpy(lengths_B)


def laid(rows: Ragged, bins: Bins, vocabulary: Vocabulary) -> Tensor:
    """The ids of all rows in their bins, padding elsewhere: int32 [B, L].

    Raises:
        ValueError: a row does not end within its bin and before the next begins.
    """
    out = np.full((bins.count, bins.length), padding_id(vocabulary), np.int32)
    if not _lay(rows.values, rows.offsets, bins.flat_N, bins.length, out.ravel()):
        raise ValueError(f"a row of up to {rows.lengths.max()} tokens does not fit into its place")
    return torch.from_numpy(out)


def token_types(columns: Columns, bins: Bins) -> Tensor:
    """1 on the tokens of a second segment, else 0: int32 [B, L]."""
    types = np.zeros((bins.count, bins.length), np.int32)
    first = plain(columns, "first_segment_length")
    _mark_second(ragged(columns, "input_ids").lengths, first, bins.flat_N, types.ravel())
    return torch.from_numpy(types)


def present(lengths: Flat, bins: Bins) -> Tensor:
    """Where tokens stand: bool [B, L]."""
    there = np.zeros(bins.count * bins.length, np.bool_)
    there[np.repeat(bins.flat_N, lengths) + count_up(lengths)] = True
    return torch.from_numpy(there.reshape(bins.count, bins.length))


def positions_in(lengths: Flat, bins: Bins) -> Tensor:
    """The place of each token in its row, 0 on padding: int32 [B, L]."""
    positions = np.zeros((bins.count, bins.length), np.int32)
    _number(lengths, bins.flat_N, positions.ravel())
    return torch.from_numpy(positions)


def places(column: Ragged, flat: Flat) -> Flat:
    """Positions in rows as positions in the batch, int64, rows beginning at `flat`."""
    return np.repeat(flat, column.lengths) + values(column)


def count_up(lengths: Flat) -> Flat:
    """0, 1, ... within each of the runs with these lengths, one after another."""
    ends = np.cumsum(lengths)
    places: Flat = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
    return places


def values(column: Ragged) -> Flat:
    """The values of the rows and nothing beside them."""
    return column.values[column.offsets[0] : column.offsets[-1]].astype(np.int64)


@bare_kernel
def _lay(
    values: NDArray[Any], offsets: Flat, flat: Flat, length: int, out: NDArray[np.int32]
) -> bool:
    """Write row i to out[flat[i]:]; False if it leaves its bin or reaches into row i + 1."""
    for i in range(len(flat)):
        count = offsets[i + 1] - offsets[i]
        end = flat[i] + count
        if end > (flat[i] // length + 1) * length or (i + 1 < len(flat) and end > flat[i + 1]):
            return False
        for j in range(count):
            out[flat[i] + j] = values[offsets[i] + j]
    return True


@bare_kernel
def _mark_second(
    lengths: Flat, first: NDArray[np.int32], flat: Flat, types: NDArray[np.int32]
) -> None:
    for i in range(len(flat)):
        for j in range(first[i], lengths[i]):
            types[flat[i] + j] = 1


@bare_kernel
def _number(lengths: Flat, flat: Flat, positions: NDArray[np.int32]) -> None:
    for i in range(len(flat)):
        for j in range(lengths[i]):
            positions[flat[i] + j] = j
