"""Sentinels: rows whose runs of noise stand in the labels, each behind its sentinel.

inputs   [mode] a <0> d e <1> g </s>      labels   <0> b c <1> f [<2>] </s>      raw   a b c d e f g
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.noise import Undone
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Contract
from lmprep.checks.row_arrays import any_in_rows, in_rows, row_of, running
from lmprep.ragged import Ragged, offsets_of

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

ENDED = ("input_ids", "labels")


def end_laws(contract: Contract) -> Sequence[RowLaw]:
    """Inputs and labels close with the end token."""
    return [RowLaw("end tokens", "close inputs and labels, once", _ends_broken)]


def _ends_broken(batch: Batch) -> Flags:
    broken = np.zeros(len(batch), np.bool_)
    for name in ENDED:
        column = batch.lists(name)
        ends = np.append(column.values == batch.contract.sep, False)
        closes = (column.lengths > 0) & ends[column.offsets[1:] - 1]
        broken |= ~closes | (in_rows(ends[:-1], column.offsets) != 1)
    return broken


def sentinel_law(*, final: bool) -> RowLaw:
    """Sentinels count up from the first on both sides, each followed by noise in the labels."""
    expected = "from the first, the same on both sides"
    more = ", and one that closes the labels" if final else ""
    return RowLaw("sentinels", f"{expected}{more}", lambda batch: _out_of_order(batch, final))


def sentinel_numbers(batch: Batch, name: str) -> NDArray[np.int64]:
    """Which sentinel each token of a column is, -1 for any other token: int64 [T]."""
    numbers = np.full(batch.contract.vocabulary.size, -1)
    numbers[list(batch.contract.vocabulary.sentinels)] = np.arange(
        len(batch.contract.vocabulary.sentinels)
    )
    return numbers[batch.flat(name)]


def _out_of_order(batch: Batch, final: bool) -> Flags:
    broken = np.zeros(len(batch), np.bool_)
    counts = []
    for name in ENDED:
        column, numbers = batch.lists(name), sentinel_numbers(batch, name)
        before = running(numbers >= 0)
        expected = before[:-1] - np.repeat(before[column.offsets[:-1]], column.lengths)
        wrong = (numbers >= 0) & (numbers != expected)
        # Two sentinels never stand side by side: runs part, and no run is empty.
        wrong[1:] |= (numbers[1:] >= 0) & (numbers[:-1] >= 0)
        broken |= any_in_rows(wrong, column.offsets)
        counts.append(before[column.offsets[1:]] - before[column.offsets[:-1]])
    labels, numbers = batch.lists("labels"), sentinel_numbers(batch, "labels")
    text = labels.lengths > 1
    broken[text] |= numbers[labels.offsets[:-1][text]] != 0
    last = labels.offsets[1:][text] - 2
    broken[text] |= (numbers[last] >= 0) != final
    out_of_order: Flags = broken | ~text | (counts[0] + final != counts[1])
    return out_of_order


def spliced(batch: Batch, *, lead: int = 0) -> Undone:
    """The raw tokens: what follows a sentinel in the labels, in its place in the inputs.

    Args:
        lead: tokens that open the inputs.
    """
    # A key for every token: its row, how many sentinels came before its place, noise first.
    keys, tokens, noise = [], [], []
    for name, opens, is_noise in (("input_ids", lead, 0), ("labels", 0, 1)):
        column, numbers = batch.lists(name), sentinel_numbers(batch, name)
        before = running(numbers >= 0)[:-1]
        before = before - np.repeat(before[column.offsets[:-1]], column.lengths)
        stays = numbers < 0
        stays[column.offsets[1:] - 1] = False
        for place in range(opens):
            stays[column.offsets[:-1] + place] = False
        key = (row_of(column) << 32) + 2 * before - is_noise
        keys.append(key[stays])
        tokens.append(batch.flat(name)[stays])
        noise.append(np.full(int(stays.sum()), bool(is_noise)))
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    lengths = np.bincount(key >> 32, minlength=len(batch)) if len(key) else np.zeros(len(batch))
    original = Ragged(np.concatenate(tokens)[order], offsets_of(lengths.astype(np.int64)))
    return Undone(original, np.concatenate(noise)[order])
