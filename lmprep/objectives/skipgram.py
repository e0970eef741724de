"""Skip-gram: frequent tokens thinned out; each token then predicts its neighbours.

word2vec (arXiv:1310.4546). Subsampling (section 2.3) is drawn when a dataset is built: a token of
frequency f, its share of all tokens of the corpus, stays with probability min(1, sqrt(t / f)).
Windows and negatives (section 2.2) are drawn while reading, by `draw_pairs`: neighbours lie in the
thinned row, within a distance drawn for each centre from 1 to `window`; negatives come in
proportion to count ** 0.75. A negative may by chance be the context itself, as in the paper's law.

    the cat sat on the mat   ->   cat sat mat   ->   (cat, sat) (sat, cat) (sat, mat) (mat, sat)

    dataset = lmprep.load("OUT")
    columns = dataset.rows(rows)
    noise = noise_table(dataset.word_counts)
    keys = sub_keys(key_for(seed, "pairs", copy=epoch), rows)
    pairs = draw_pairs(columns["input_ids"], settings, noise, keys)

A draw is the upper 63 bits of `keyed_random.draw` under a threshold, an integer computed exactly:
probabilities are those of the paper rounded down to a multiple of 2**-63.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, ragged
from lmprep.jit import bare_kernel, inline_kernel
from lmprep.keyed_random import Keys, draw, integer_below
from lmprep.objective_settings import SkipgramSettings
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary

_CERTAIN = 1 << 63
_ONE_BIT = np.uint64(1)


def corrupt(
    sequences: Sequences,
    settings: SkipgramSettings,
    vocabulary: Vocabulary,
    keys: Keys,
    counts: NDArray[np.int64] | None = None,
) -> Columns:
    """Thin the sequences out; token i of row r is kept or not by draw i of keys[r] (uint64 [N]).

    Args:
        counts: int64 [V], how often each id occurs in the corpus; by default in these sequences.

    Returns:
        `input_ids`: int32, ragged, N rows, some of them perhaps empty.
    """
    if counts is None:
        counts = np.bincount(sequences.ids, minlength=vocabulary.size)
    ids = np.empty(len(sequences.ids), np.int32)
    offsets = np.zeros(len(sequences) + 1, np.int64)
    thresholds = keep_thresholds(counts, settings.subsample)
    _keep(sequences.ids, sequences.offsets, keys, thresholds, ids, offsets)
    return {"input_ids": Ragged(ids[: offsets[-1]].copy(), offsets)}


def scored(columns: Columns) -> int:
    """How many tokens are predicted: all but those that were left alone in their row."""
    lengths = ragged(columns, "input_ids").lengths
    return int(lengths[lengths > 1].sum())


def keep_thresholds(counts: NDArray[np.int64], subsample: Fraction) -> NDArray[np.uint64]:
    """floor(2**63 * min(1, sqrt(t / f))) for each id: uint64 [V]; 2**63 where nothing is dropped.

    f is an id's share of all counts. `subsample`, the paper's t, keeps all when it is 0.
    """
    total = int(counts.sum())

    def threshold(count: int) -> int:
        if not subsample or not count:
            return _CERTAIN
        share = (subsample.numerator * total << 126) // (subsample.denominator * count)
        return min(_CERTAIN, isqrt(share))

    return _each_count(counts, threshold)


def _each_count(counts: NDArray[np.int64], function: Callable[[int], int]) -> NDArray[np.uint64]:
    """An integer function of each count, worked out once for equal ones: uint64 [V]."""
    distinct, places = np.unique(counts, return_inverse=True)
    return np.array([function(count) for count in distinct.tolist()], np.uint64)[places]


@inline_kernel
def _draw63(key: np.uint64, counter: int) -> np.uint64:
    return np.uint64(draw(key, counter) >> _ONE_BIT)


@bare_kernel
def _keep(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    keys: Keys,
    thresholds: NDArray[np.uint64],
    kept: NDArray[np.int32],
    kept_offsets: NDArray[np.int64],
) -> None:
    """Write the tokens that stay, row after row, and where each row ends."""
    n = 0
    for row in range(len(keys)):
        for i in range(offsets[row], offsets[row + 1]):
            kept[n] = ids[i]  # taken back by the next one unless it stays
            n += _draw63(keys[row], i - offsets[row]) < thresholds[ids[i]]
        kept_offsets[row + 1] = n


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseTable:
    """The law of the negatives, P(id) in proportion to count ** 0.75, as integers.

    Args:
        bounds: uint64 [V + 1], from 0 to 2**63: a 63-bit draw from bounds[i] to below
            bounds[i + 1] means id i.
        guide: int64 [2**b], where the search begins for draws with these b leading bits.
        shift: 63 - b.
    """

    bounds: NDArray[np.uint64]
    guide: NDArray[np.int64]
    shift: int


def noise_table(counts: NDArray[np.int64]) -> NoiseTable:
    """The law of the negatives for ids that occur this often (int64 [V]).

    count ** 0.75 is rounded down to a multiple of 2**-24.

    Raises:
        ValueError: no id occurs, or together they occur too often for 64-bit sums.
    """
    weights = _each_count(counts, lambda count: isqrt(isqrt(count**3 << 96)))
    total = sum(weights.tolist())
    if not 0 < total < 1 << 63:
        raise ValueError(f"counts of {int(counts.sum())} tokens have no law of negatives")
    sums = np.cumsum(weights).tolist()
    bounds = np.array([0, *((upto << 63) // total for upto in sums)], np.uint64)
    bits = len(counts).bit_length() + 1  # at least two entries for each id
    edges = np.arange(1 << bits, dtype=np.uint64) << np.uint64(63 - bits)
    guide = np.searchsorted(bounds[1:], edges, side="right")
    return NoiseTable(bounds=bounds, guide=guide, shift=63 - bits)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """P training pairs, centre after centre in the order of the text.

    Args:
        centres, contexts: int32 [P].
        negatives: int32 [P, settings.negatives].
    """

    centres: NDArray[np.int32]
    contexts: NDArray[np.int32]
    negatives: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.centres)


def draw_pairs(rows: Ragged, settings: SkipgramSettings, noise: NoiseTable, keys: Keys) -> Pairs:
    """All pairs of N rows of ids, with their negatives; row i draws only from keys[i].

    Contexts never lie in another row. Centre i of a row draws its window with counter s * i and
    its n-th negative with s * i + 1 + n, where s = 1 + 2 * window * negatives.
    """
    starts = rows.offsets[:-1]
    counts = np.empty(len(rows), np.int64)
    _count_pairs(rows.lengths, settings.window, settings.negatives, keys, counts)
    firsts = offsets_of(counts)
    pairs = Pairs(
        centres=np.empty(firsts[-1], np.int32),
        contexts=np.empty(firsts[-1], np.int32),
        negatives=np.empty((firsts[-1], settings.negatives), np.int32),
    )
    _write_pairs(
        rows.values,
        starts,
        rows.lengths,
        settings.window,
        keys,
        (noise.bounds, noise.guide, noise.shift),
        firsts,
        (pairs.centres, pairs.contexts, pairs.negatives),
    )
    return pairs


@inline_kernel
def _stride(window: int, negatives: int) -> int:
    """Draws that a centre may need: its window, and the negatives of a full one."""
    return 1 + 2 * window * negatives


@bare_kernel
def _count_pairs(
    lengths: NDArray[np.int64],
    window: int,
    negatives: int,
    keys: Keys,
    counts: NDArray[np.int64],
) -> None:
    stride = _stride(window, negatives)
    for row in range(len(keys)):
        counts[row] = 0
        for i in range(lengths[row]):
            reach = 1 + integer_below(window, keys[row], stride * i)
            counts[row] += min(i, reach) + min(lengths[row] - 1 - i, reach)


@bare_kernel
def _write_pairs(
    ids: NDArray[np.int32],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    window: int,
    keys: Keys,
    noise: tuple[NDArray[np.uint64], NDArray[np.int64], int],
    firsts: NDArray[np.int64],
    out: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
) -> None:
    """Write the pairs of row r from pair firsts[r] on."""
    centres, contexts, negatives = out
    stride = _stride(window, negatives.shape[1])
    for row in range(len(keys)):
        pair, start = firsts[row], starts[row]
        for i in range(lengths[row]):
            counter = stride * i
            reach = 1 + integer_below(window, keys[row], counter)
            for j in range(max(0, i - reach), min(lengths[row], i + reach + 1)):
                if j == i:
                    continue
                centres[pair], contexts[pair] = ids[start + i], ids[start + j]
                for n in range(negatives.shape[1]):
                    counter += 1
                    negatives[pair, n] = noise_id(noise, keys[row], counter)
                pair += 1


@inline_kernel
def noise_id(
    noise: tuple[NDArray[np.uint64], NDArray[np.int64], int], key: np.uint64, counter: int
) -> int:
    """The id whose stretch of the bounds a draw falls in."""
    bounds, guide, shift = noise
    drawn = _draw63(key, counter)
    i = guide[drawn >> np.uint64(shift)]
    while bounds[i + 1] <= drawn:
        i += 1
    return i  # type: ignore[no-any-return]
