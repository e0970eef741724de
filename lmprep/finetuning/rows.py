"""Rows of ids with their special tokens, and batches of them as a model sees them.

    family        one text               two texts
    bert          [CLS] a [SEP]          [CLS] a [SEP] b [SEP]
    roberta       <s> a </s>             <s> a </s> </s> b </s>
    gpt2          a <|endoftext|>        a <|endoftext|> b <|endoftext|>
    t5, ul2       a </s>                 a </s> b </s>

A text, or two, that do not fit lose tokens at their ends, the longer one first.
B rows, L positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.keyed_random import key_for, permutation
from lmprep.models.inputs import Inputs
from lmprep.models.settings import ModelSettings
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary

Int64s = NDArray[np.int64]
_POOL = 50  # batches whose rows are sorted by length together


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """What a network reads, and what is asked of it.

    Args:
        ids: int32, ragged, N rows.
        first_lengths: int64 [N], tokens up to where the second text begins.
        first_places, second_places: int64 [N], where the two texts begin.
        groups: int64 [G + 1], rows that belong together (the answers of one choice); into rows.
        examples: int64 [N], the example that each row is of, rising.
        targets: arrays or ragged arrays by row or group, which the task knows.
        notes: what was lost on the way, by reason, counted.
    """

    ids: Ragged
    first_lengths: Int64s
    first_places: Int64s
    second_places: Int64s
    groups: Int64s
    examples: Int64s
    targets: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def lengths(self) -> Int64s:
        """Tokens in each row."""
        return self.ids.lengths


def rows_of(first: Ragged, second: Ragged | None, vocabulary: Vocabulary, length: int) -> Rows:
    """A row for each text, or pair of texts; each row is a group and an example of its own.

    Args:
        first, second: int32 ids without special tokens, N each.
        length: the longest row, special tokens included.
    """
    opening, middle, closing = marks_of(vocabulary, pair=second is not None)
    rest = np.zeros(len(first), np.int64) if second is None else second.lengths
    room = length - len(opening) - len(middle) - len(closing)
    kept = _kept(first.lengths, rest, room)
    parts = [_repeated(opening, len(first)), _begin(first, kept[0])]
    if second is not None:
        parts += [_repeated(middle, len(first)), _begin(second, kept[1])]
    parts.append(_repeated(closing, len(first)))
    ids = _side_by_side(parts)
    second_places = len(opening) + kept[0] + len(middle)
    cut = int(((kept[0] < first.lengths) | (kept[1] < rest)).sum())
    return Rows(
        ids=ids,
        first_lengths=second_places if second is not None else ids.lengths,
        first_places=np.full(len(first), len(opening), np.int64),
        second_places=second_places,
        groups=np.arange(len(first) + 1),
        examples=np.arange(len(first)),
        notes={f"texts cut to {length} tokens": cut} if cut else {},
    )


def specials(vocabulary: Vocabulary, *, pair: bool) -> int:
    """Special tokens of a row."""
    return sum(map(len, marks_of(vocabulary, pair=pair)))


def marks_of(vocabulary: Vocabulary, *, pair: bool) -> tuple[list[int], list[int], list[int]]:
    """Ids before, between and after the texts."""
    sep = vocabulary.sep
    assert sep is not None  # every family has one
    opening = [vocabulary.cls] if vocabulary.cls is not None else []
    middle = [sep, sep] if vocabulary.family == "roberta" else [sep]
    return opening, middle if pair else [], [sep]


def _kept(first: Int64s, second: Int64s, room: int) -> tuple[Int64s, Int64s]:
    """Tokens that stay of each of two texts: the longer one loses its surplus first."""
    half = room // 2
    of_second = np.where(first <= half, np.minimum(second, room - first), np.minimum(second, half))
    of_first = np.minimum(first, room - of_second)
    return of_first, of_second


def _repeated(ids: list[int], times: int) -> Ragged:
    return Ragged(np.tile(np.array(ids, np.int32), times), np.arange(times + 1) * len(ids))


def _begin(rows: Ragged, counts: Int64s) -> Ragged:
    """The first values of each row."""
    return Ragged(rows.values[ranges(rows.offsets[:-1], counts)], offsets_of(counts))


def ranges(starts: Int64s, counts: Int64s) -> Int64s:
    """starts[0], starts[0] + 1, ... for counts[0] numbers, then those of starts[1], ..."""
    offsets = offsets_of(counts)
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)


def _side_by_side(parts: list[Ragged]) -> Ragged:
    """Rows that are those of all parts, one behind another."""
    lengths = np.stack([part.lengths for part in parts], axis=1)
    starts = offsets_of(lengths.ravel())[:-1].reshape(lengths.shape)
    values = np.empty(lengths.sum(), np.int32)
    for number, part in enumerate(parts):
        begin, end = part.offsets[0], part.offsets[-1]
        values[ranges(starts[:, number], lengths[:, number])] = part.values[begin:end]
    return Ragged(values, offsets_of(lengths.sum(axis=1)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Rows that are read at once.

    Args:
        rows: all rows.
        chosen: int64 [B], those of the batch.
        groups: int64, the groups of the batch, whose rows they are.
        inputs: on the device.
        features: float [B, L, C, E], computed before; None where the model reads.
        lengths_B: int64, tokens in each row.
    """

    rows: Rows
    chosen: Int64s
    groups: Int64s
    inputs: Inputs
    features: Tensor | None
    lengths_B: Tensor

    def target(self, name: str) -> Tensor:
        """Values by row, on the device."""
        return self.tensor(self.rows.targets[name][self.chosen])

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """An array on the device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.lengths_B.device)

    def padded(self, name: str, fill: int) -> Tensor:
        """Values by position of ragged targets, as wide as the longest: int64 [B, ...]."""
        return self.tensor(dense(self.rows.targets[name], self.chosen, fill))


def dense(ragged: Ragged, chosen: Int64s, fill: int) -> Int64s:
    """Chosen rows padded to the longest of them: int64."""
    taken = ragged.take(chosen)
    return taken.padded(int(taken.lengths.max(initial=1)), fill, np.int64)


def rows_of_groups(rows: Rows, groups: Int64s) -> Int64s:
    """The rows of groups, in their order."""
    return ranges(rows.groups[groups], rows.groups[groups + 1] - rows.groups[groups])


def inputs_of(
    rows: Rows, chosen: Int64s, model: ModelSettings, pad: int, device: torch.device
) -> tuple[Inputs, Tensor]:
    """Rows as a model sees them, and their lengths."""
    ids_BL = torch.from_numpy(dense(rows.ids, chosen, pad))
    lengths_B = torch.from_numpy(rows.lengths[chosen])
    types_BL = None
    if model.types > 1 and (rows.first_lengths < rows.lengths).any():
        places_L = torch.arange(ids_BL.shape[1])
        second_BL = places_L >= torch.from_numpy(rows.first_lengths[chosen])[:, None]
        types_BL = (second_BL & (places_L < lengths_B[:, None])).long()
    inputs = Inputs(
        ids_BL=ids_BL,
        types_BL=types_BL,
        lengths_B=lengths_B,
        scored_M=torch.zeros(0, dtype=torch.int64),
    )
    return inputs.each(lambda tensor: tensor.to(device)), lengths_B.to(device)


def shuffled_groups(rows: Rows, size: int, seed: int, epoch: int) -> list[Int64s]:
    """Groups in batches of `size`, rows of like length together, in an order by seed and epoch."""
    count = len(rows.groups) - 1
    order = permutation(count, key_for(seed, "fine-tuning order", copy=epoch))
    longest = _group_lengths(rows)
    batches: list[Int64s] = []
    for first in range(0, count, _POOL * size):
        pool = order[first : first + _POOL * size]
        pool = pool[np.argsort(longest[pool], kind="stable")]
        batches += [pool[at : at + size] for at in range(0, len(pool), size)]
    places = permutation(len(batches), key_for(seed, "fine-tuning batches", copy=epoch))
    return [batches[place] for place in places]


def sorted_groups(rows: Rows, size: int) -> list[Int64s]:
    """All groups in batches of `size`, the longest first."""
    order = np.argsort(-_group_lengths(rows), kind="stable")
    return [order[at : at + size] for at in range(0, len(order), size)]


def _group_lengths(rows: Rows) -> Int64s:
    return np.maximum.reduceat(rows.lengths, rows.groups[:-1])
