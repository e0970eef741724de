"""What is checked of the objectives of static embeddings: skipgram and cooccurrence.

skipgram: rows thinned out by how often each id occurs in the training documents, which
`word_counts.npy` tells. cooccurrence: pairs of ids with a count, sorted, over all shards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.record import (
    Batch,
    Check,
    Contract,
    Law,
    RowLaw,
    Subject,
    statistical,
)
from lmprep.checks.rows import length_law, vocabulary_law
from lmprep.checks.statistics import LEAST_EXPECTED, UNDECIDED, Verdict, scatter
from lmprep.files import file_sha256
from lmprep.keyed_random import sub_keys
from lmprep.ragged import Ragged
from lmprep.shards.manifest import WORD_COUNTS

Flags = NDArray[np.bool_]

_CLASSES = 64


# --- Skip-gram. ----------------------------------------------------------------------------------


def word_counts(contract: Contract) -> NDArray[np.int64] | None:
    """How often each id occurs in the training documents, int64 [V]; None if that is not told."""
    try:
        counts = np.load(contract.folder / WORD_COUNTS, allow_pickle=False)
    except (OSError, ValueError):
        return None
    if counts.dtype != np.int64 or counts.shape != (contract.vocabulary.size,):
        return None
    found: NDArray[np.int64] = counts
    return found


def keep_chances(contract: Contract) -> NDArray[np.float64] | None:
    """With what probability an occurrence of each id stays: min(1, sqrt(t / f)); float64 [V]."""
    counts, t = word_counts(contract), float(contract.settings.subsample)
    if counts is None:
        return None
    if not t:
        return np.ones(len(counts))
    # An id that never occurs has no frequency; it may stay.
    ratio = np.sqrt(t * counts.sum() / np.maximum(1, counts))
    chances: NDArray[np.float64] = np.minimum(1.0, ratio)
    return chances


class WordCounts:
    """The file of counts is the manifest's; all training tokens are in it, none of them special."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    def see(self, batch: Batch) -> None:
        """Rows do not tell how often a token was dropped."""

    def check(self) -> Check:
        fault = self._fault()
        return Check(
            name="word counts",
            expected="as in the manifest, of every token of input",
            found="not so" if fault else "so",
            tolerance="",
            passed=not fault,
            detail=fault,
        )

    def _fault(self) -> str:
        contract = self._contract
        path: Path = contract.folder / WORD_COUNTS
        if not path.is_file() or file_sha256(path) != contract.manifest["word_counts"]["sha256"]:
            return f"{WORD_COUNTS} is missing or changed"
        counts = word_counts(contract)
        if counts is None or counts.min(initial=0) < 0:
            return f"{WORD_COUNTS} is no table of {contract.vocabulary.size} counts"
        if counts[~contract.vocabulary.maskable].any():
            return "special tokens have a count"
        total, stated = int(counts.sum()), contract.manifest["input_tokens"]
        if contract.manifest["part"] == "train" and total != stated:
            return f"{total} tokens, not {stated}"
        return ""


class Subsampling:
    """Occurrences of an id stay with the probability of its frequency, whatever the copy.

    In a held-out part only what stayed is known: each token that did stands for 1/p of them, and
    together they must be as many as went in.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._kept = np.zeros(contract.vocabulary.size, np.int64)

    def see(self, batch: Batch) -> None:
        self._kept += np.bincount(batch.flat("input_ids"), minlength=len(self._kept))

    def check(self) -> Check:
        counts, chances = word_counts(self._contract), keep_chances(self._contract)
        kept, total = int(self._kept.sum()), 0.0
        verdict = UNDECIDED
        if counts is not None and chances is not None:
            if self._contract.manifest["part"] == "train":
                total = float(counts @ chances) * self._contract.copies
                verdict = self._by_frequency(counts * self._contract.copies, chances)
            else:
                stated = self._contract.manifest["input_tokens"] * self._contract.copies
                total, verdict = self._held_out(stated, chances)
        return statistical(
            "subsampling", f"{total:.0f} tokens kept", f"{kept}", "chi-square", verdict
        )

    def _by_frequency(self, counts: NDArray[np.int64], chances: NDArray[np.float64]) -> Verdict:
        """Ids in classes of neighbouring frequency; those that always stay by themselves."""
        thinned = np.flatnonzero((chances < 1) & (counts > 0))
        thinned = thinned[np.argsort(counts[thinned], kind="stable")]
        mean = counts * chances
        variance = mean * (1 - chances)
        classes = np.minimum(
            _CLASSES - 1, np.arange(len(thinned)) * _CLASSES // max(1, len(thinned))
        )
        deviation = np.bincount(classes, (self._kept - mean)[thinned], _CLASSES).astype(np.float64)
        scattered = np.bincount(classes, variance[thinned], _CLASSES).astype(np.float64)
        often: Flags = scattered >= LEAST_EXPECTED
        certain = np.ones(len(chances), np.bool_)
        certain[thinned] = False
        if np.any(self._kept[certain] != counts[certain]):
            return Verdict(statistic=math.inf, p=0.0)
        return scatter(deviation[often], np.diag(scattered[often]), LEAST_EXPECTED)

    def _held_out(self, stated: int, chances: NDArray[np.float64]) -> tuple[float, Verdict]:
        seen = chances[self._kept > 0], self._kept[self._kept > 0]
        estimate = float(np.sum(seen[1] / seen[0]))
        variance = float(np.sum(seen[1] * (1 - seen[0]) / seen[0] ** 2))
        kept = float(self._kept.sum())
        verdict = scatter(np.array([estimate - stated]), np.array([[variance]]), kept)
        return kept * stated / max(1.0, estimate), verdict


def _skipgram_sound(contract: Contract) -> Sequence[Law]:
    return [length_law(0, contract.length), vocabulary_law("ids", "input_ids", contract)]


def _skipgram_ways(batch: Batch) -> NDArray[np.float64]:
    """A row comes out again with at most the chance that all that stayed stay again."""
    chances = keep_chances(batch.contract)
    if chances is None:
        return np.zeros(len(batch))
    ways = -np.log(chances[batch.flat("input_ids")])
    total = np.append(0.0, np.cumsum(ways))
    of_row: NDArray[np.float64] = total[batch.ids.offsets[1:]] - total[batch.ids.offsets[:-1]]
    return of_row


def _skipgram_scored(batch: Batch) -> int:
    lengths = batch.ids.lengths
    return int(lengths[lengths > 1].sum())


SKIPGRAM = Subject(
    frame="bare",
    columns=lambda contract: {"input_ids": "ids"},
    undo=lambda batch: Ragged(batch.flat("input_ids"), batch.ids.offsets),
    scored=_skipgram_scored,
    sound=_skipgram_sound,
    laws=lambda contract: [WordCounts(contract), Subsampling(contract)],
    redrawn=("input_ids",),
    ways=_skipgram_ways,
    restores=False,
)


# --- Co-occurrence. ------------------------------------------------------------------------------


def _pair_sound(contract: Contract) -> Sequence[Law]:
    maskable = contract.vocabulary.maskable

    def broken(batch: Batch) -> Flags:
        pair = np.stack([batch.values("word"), batch.values("context")])
        outside = (pair < 0) | (pair >= len(maskable))
        outside |= ~maskable[np.clip(pair, 0, len(maskable) - 1)]
        either: Flags = outside.any(axis=0)
        return either

    return [RowLaw("ids", "of the vocabulary, none special", broken)]


def weights(batch: Batch) -> NDArray[np.float64]:
    """The counts, float64 [N]."""
    column = batch.columns["weight"]
    assert not isinstance(column, Ragged)
    return column.astype(np.float64)


def _weight_law(contract: Contract) -> RowLaw:
    """Counts are sums of 1/d: multiples of one over the least common multiple, as far as float32
    can tell."""
    window = contract.settings.window
    unit = math.lcm(*range(1, window + 1))

    def off_grid(batch: Batch) -> Flags:
        weight = weights(batch)
        least = (1 - 1e-6) / window
        wrong = np.logical_or(~np.isfinite(weight), weight < least)
        whole = np.where(wrong, 0.0, weight) * unit
        told = np.abs(whole) < 2.0**20  # sixteen float32 steps between two multiples
        off: Flags = np.abs(whole - np.round(whole)) > 0.25
        found: Flags = np.logical_or(wrong, told & off)
        return found

    return RowLaw("weights", f"sums of 1/d, d up to {window}", off_grid)


class Sorted:
    """Pairs rise, by word and then by context, through all shards in their order."""

    def __init__(self) -> None:
        self._last = -1
        self._rows = self._broken = 0
        self._first = ""

    def see(self, batch: Batch) -> None:
        key = (batch.values("word") << 32) | batch.values("context")
        broken = np.diff(key, prepend=self._last) <= 0
        self._rows, self._broken = self._rows + len(key), self._broken + int(broken.sum())
        if broken.any() and not self._first:
            self._first = f"first in {batch.file}, row {batch.numbers[np.argmax(broken)]}"
        self._last = int(key[-1]) if len(key) else self._last

    def check(self) -> Check:
        return Check(
            name="sorted",
            expected="by word and context, no pair twice",
            found=f"{self._rows - self._broken} of {self._rows} rows",
            tolerance="",
            passed=not self._broken,
            detail=self._first,
        )


class Symmetric:
    """(a, b) counts what (b, a) counts: seen by hashes of all pairs, summed either way round."""

    def __init__(self) -> None:
        self._rows = 0
        self._sums = np.zeros(2, np.uint64)

    def see(self, batch: Batch) -> None:
        word, context = batch.values("word"), batch.values("context")
        weight = weights(batch).view(np.uint64)
        self._rows += len(batch)
        for i, (a, b) in enumerate(((word, context), (context, word))):
            pair = sub_keys(np.uint64(1), (a << 32) | b)
            self._sums[i : i + 1] += sub_keys(np.uint64(2), (pair ^ weight).view(np.int64)).sum()

    def check(self) -> Check:
        same = bool(self._sums[0] == self._sums[1])
        return Check(
            name="symmetric",
            expected="(a, b) counts as much as (b, a)",
            found=f"{'so' if same else 'not so'} in {self._rows} pairs",
            tolerance="",
            passed=same,
        )


class TotalWeight:
    """No more is counted than so many tokens can have neighbours."""

    def __init__(self, contract: Contract) -> None:
        self._total = 0.0
        harmonic = sum(1 / d for d in range(1, contract.settings.window + 1))
        self._most = 2 * harmonic * contract.manifest["input_tokens"]

    def see(self, batch: Batch) -> None:
        self._total += float(weights(batch).sum())

    def check(self) -> Check:
        return Check(
            name="total weight",
            expected=f"{self._most:.1f} at most",
            found=f"{self._total:.1f}",
            tolerance="1e-6 of it",
            passed=self._total <= self._most * (1 + 1e-6),
        )


COOCCURRENCE = Subject(
    frame="",
    columns=lambda contract: {"word": "int32", "context": "int32", "weight": "float32"},
    undo=lambda batch: Ragged(np.zeros(0, np.int32), np.zeros(len(batch) + 1, np.int64)),
    scored=len,
    sound=_pair_sound,
    laws=lambda contract: [
        _weight_law(contract),
        Sorted(),
        Symmetric(),
        TotalWeight(contract),
    ],
)
