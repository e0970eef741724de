"""Laws of masked language modelling: how many tokens, which, and what became of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.record import Batch, Check, Contract, RowLaw, in_rows, running, statistical
from lmprep.checks.rows import template_places
from lmprep.checks.statistics import LEAST_EXPECTED, chi_square
from lmprep.settings import decimal

_MOST_BUCKETS = 256
_TENTHS = 10


def masking_laws(contract: Contract) -> list[RowLaw]:
    """What every row must obey."""
    rate = decimal(contract.masking.mask_rate)
    wanted = wanted_counts(contract)
    return [
        RowLaw("predictions", f"{rate} of the length", lambda b: _count_broken(b, wanted)),
        RowLaw("random tokens", "never special", _random_special),
    ]


def wanted_counts(contract: Contract) -> NDArray[np.int64]:
    """How many tokens a row of each length predicts where so many can be, int64 [length + 1]."""
    rate = contract.masking.mask_rate
    # Python rounds fractions half to even, exactly.
    return np.array([max(1, round(n * rate)) for n in range(contract.sequences.length + 1)])


def _candidates(batch: Batch) -> NDArray[np.bool_]:
    """Tokens that could have been chosen, bool [T]."""
    return ~template_places(batch)


def _count_broken(batch: Batch, wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    candidates = in_rows(_candidates(batch), batch.ids.offsets)
    expected = np.minimum(candidates, wanted[batch.ids.lengths])
    broken: NDArray[np.bool_] = batch.lists("masked_positions").lengths != expected
    return broken


def _replaced(batch: Batch) -> NDArray[np.bool_]:
    """Which predicted tokens were replaced by another than the mask, bool [K]."""
    found, labels = batch.found, batch.flat("masked_labels")
    replaced: NDArray[np.bool_] = (found != labels) & (found != batch.contract.mask)
    return replaced


def _random_special(batch: Batch) -> NDArray[np.bool_]:
    special = ~_drawable(batch.contract)[batch.found]
    return in_rows(_replaced(batch) & special, batch.lists("masked_positions").offsets) > 0


def _drawable(contract: Contract) -> NDArray[np.bool_]:
    """Which ids a random replacement may be, bool [V]."""
    drawable = np.ones(contract.vocabulary.size, np.bool_)
    drawable[list(contract.vocabulary.special)] = False
    return drawable


class Treatment:
    """Mask, random or kept: chi-square with two degrees of freedom.

    A random token equals the original in one of V cases (V tokens it is drawn from), if the
    original is among them.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._in_pool = _drawable(contract)
        self._counts = np.zeros(3, np.int64)
        self._drawable = 0  # predicted tokens that a random draw could have hit

    def see(self, batch: Batch) -> None:
        labels = batch.flat("masked_labels")
        masked = int(np.sum(batch.found == self._contract.mask))
        replaced = int(_replaced(batch).sum())
        self._counts += [masked, replaced, len(labels) - masked - replaced]
        self._drawable += int(self._in_pool[labels].sum())

    def check(self) -> Check:
        settings, total = self._contract.masking, int(self._counts.sum())
        mask, random = float(settings.mask_share), float(settings.random_share)
        hits = random * self._drawable / int(self._in_pool.sum())
        expected = np.array([mask * total, random * total - hits, 0.0])
        expected[2] = total - expected.sum()
        expected[np.abs(expected) < 1e-6 * total] = 0  # shares that are 0, but for rounding
        return statistical(
            "treatment",
            _shares(expected),
            _shares(self._counts),
            "chi-square",
            chi_square(self._counts, expected),
        )


def _shares(counts: NDArray[np.generic]) -> str:
    masked, replaced, kept = 100 * counts / max(1, counts.sum())
    return f"{masked:.2f} % mask, {replaced:.2f} % random, {kept:.2f} % kept"


class RandomTokens:
    """Random replacements are uniform over the vocabulary without special tokens.

    Only replacements that differ from the original can be seen: the law of one is uniform over all
    tokens but the original. Neighbouring ids are put into at most 256 buckets.
    """

    def __init__(self, contract: Contract) -> None:
        self._pool = np.flatnonzero(_drawable(contract))
        self._size = contract.vocabulary.size
        self._found = np.zeros(self._size, np.int64)
        self._labels = np.zeros(self._size, np.int64)

    def see(self, batch: Batch) -> None:
        replaced = _replaced(batch)
        labels = batch.flat("masked_labels")[replaced]
        self._found += np.bincount(batch.found[replaced], minlength=self._size)
        self._labels += np.bincount(labels, minlength=self._size)

    def check(self) -> Check:
        found, labels = self._found[self._pool], self._labels[self._pool]
        total, drawable, tokens = int(found.sum()), int(labels.sum()), len(self._pool)
        buckets = max(1, min(_MOST_BUCKETS, tokens // 2, total // (2 * LEAST_EXPECTED)))
        edges = np.arange(buckets) * tokens // buckets
        sizes = np.diff(edges, append=tokens)
        expected = sizes * ((total - drawable) / tokens)
        if tokens > 1:
            expected = expected + (drawable * sizes - np.add.reduceat(labels, edges)) / (tokens - 1)
        observed = np.add.reduceat(found, edges)
        return statistical(
            "random tokens uniform",
            f"over {tokens} tokens",
            f"{total} tokens in {buckets} buckets",
            "chi-square",
            chi_square(observed, expected),
        )


class Positions:
    """Predicted tokens are uniform over a row's candidates: tenths of the row, chi-square.

    Drawing k of m without replacement makes counts more even than independent draws, by
    (m - k) / (m - 1); the test takes that into account.
    """

    def __init__(self, contract: Contract) -> None:
        self._counts = np.zeros(_TENTHS, np.int64)
        self._draws = np.zeros(contract.sequences.length + 1, np.int64)  # by m
        self._variance = 0.0

    def see(self, batch: Batch) -> None:
        candidates, offsets = _candidates(batch), batch.ids.offsets
        before = running(candidates)
        m = before[offsets[1:]] - before[offsets[:-1]]
        k = batch.lists("masked_positions").lengths
        ranks = before[batch.chosen] - np.repeat(before[offsets[:-1]], k)
        tenths = _TENTHS * ranks // np.maximum(1, np.repeat(m, k))
        self._counts += np.bincount(np.minimum(tenths, _TENTHS - 1), minlength=_TENTHS)
        self._draws += np.bincount(m, k, len(self._draws)).astype(np.int64)
        self._variance += float(np.sum(k * np.maximum(0, m - k) / np.maximum(1, m - 1)))

    def check(self) -> Check:
        expected = np.zeros(_TENTHS)
        for m in np.flatnonzero(self._draws):
            tenths = np.bincount(_TENTHS * np.arange(m) // m, minlength=_TENTHS)
            expected += self._draws[m] * tenths / m
        total = int(self._counts.sum())
        verdict = chi_square(self._counts, expected, scale=self._variance / max(1, total))
        return statistical(
            "positions uniform",
            _percent(expected),
            _percent(self._counts),
            "chi-square",
            verdict,
        )


def _percent(counts: NDArray[np.generic]) -> str:
    shares = 100 * counts / max(1, counts.sum())
    return f"tenths of a row: {shares.min():.2f} to {shares.max():.2f} %"
