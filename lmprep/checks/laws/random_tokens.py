"""Random tokens: uniform over the vocabulary."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.outcomes import statistical
from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.statistics import LEAST_EXPECTED, chi_square

_MOST_BUCKETS = 256


class RandomTokens:
    """Random replacements are uniform over the vocabulary without special tokens.

    Only replacements that differ from the original can be seen: the law of one is uniform over all
    tokens but the original. Neighbouring ids are put into at most 256 buckets.

    Args:
        pairs: (batch) -> replacements and the tokens that stood there, int32 [R] each.
    """

    def __init__(
        self,
        contract: Contract,
        pairs: Callable[[Batch], tuple[NDArray[np.int32], NDArray[np.int32]]],
    ) -> None:
        self._pairs = pairs
        self._pool = np.flatnonzero(contract.in_pool)
        self._size = contract.vocabulary.size
        self._found = np.zeros(self._size, np.int64)
        self._labels = np.zeros(self._size, np.int64)

    def see(self, batch: Batch) -> None:
        here, labels = self._pairs(batch)
        self._found += np.bincount(here, minlength=self._size)
        self._labels += np.bincount(labels, minlength=self._size)

    def check(self) -> Check:
        seen, labels = self._found[self._pool], self._labels[self._pool]
        total, drawable, tokens = int(seen.sum()), int(labels.sum()), len(self._pool)
        buckets = max(1, min(_MOST_BUCKETS, tokens // 2, total // (2 * LEAST_EXPECTED)))
        edges = np.arange(buckets) * tokens // buckets
        sizes = np.diff(edges, append=tokens)
        expected = sizes * ((total - drawable) / tokens)
        if tokens > 1:
            expected = expected + (drawable * sizes - np.add.reduceat(labels, edges)) / (tokens - 1)
        observed = np.add.reduceat(seen, edges)
        return statistical(
            "random tokens uniform",
            f"over {tokens} tokens",
            f"{total} tokens in {buckets} buckets",
            "chi-square",
            chi_square(observed, expected),
        )
