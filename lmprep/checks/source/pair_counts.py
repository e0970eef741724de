"""Co-occurrence counts against their source, in bounded memory.

Pairs are put into buckets by a hash; in each bucket the weights of the stored pairs must add up to
those of all pairs of the text.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.cooccurrence import weights
from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.source.corpus import Text
from lmprep.keyed_random import sub_keys

_BUCKETS = 1 << 20
_PRECISION = 1e-6  # of a sum of float32 weights


class PairCounts:
    """The sums of all buckets, of the text and of the rows."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._text, self._rows = np.zeros(_BUCKETS), np.zeros(_BUCKETS)

    def read(self, text: Text) -> None:
        """Count the pairs of a partition: of every two tokens of a window, either way round."""
        tokens = text.tokens
        ends = tokens.sentence_offsets[tokens.document_offsets]
        place = np.arange(len(tokens.ids))
        document = np.searchsorted(ends, place, side="right") - 1
        window = (document << 32) + (place - ends[document]) // self._contract.length
        ids = tokens.ids.astype(np.int64)
        for d in range(1, self._contract.settings.window + 1):
            near = np.flatnonzero(window[d:] == window[:-d])
            for a, b in ((near, near + d), (near + d, near)):
                bucket = _bucket(ids[a], ids[b])
                self._text += np.bincount(bucket, minlength=_BUCKETS) / d

    def see(self, batch: Batch) -> None:
        bucket = _bucket(batch.values("word"), batch.values("context"))
        self._rows += np.bincount(bucket, weights(batch), _BUCKETS)

    def check(self) -> Check:
        room = 0.4 / self._contract.settings.window + _PRECISION * self._text
        wrong = int(np.sum(np.abs(self._rows - self._text) > room))
        return Check(
            name="source counts",
            expected=f"{self._text.sum():.1f} in all, by {_BUCKETS} buckets of pairs",
            found=f"{self._rows.sum():.1f}, {wrong} buckets apart",
            tolerance=f"{_PRECISION:g} of a bucket",
            passed=not wrong,
        )


def _bucket(word: NDArray[np.int64], context: NDArray[np.int64]) -> NDArray[np.int64]:
    hashed = sub_keys(np.uint64(0), (word << 32) | context) % np.uint64(_BUCKETS)
    return hashed.astype(np.int64)
