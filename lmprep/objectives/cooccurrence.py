"""Co-occurrence: how often two ids stand near each other, the nearer the more.

GloVe (Pennington et al. 2014), section 4.2. Every two tokens of a row that stand d <= window apart
add 1/d to the count of (first, second) and to that of (second, first).

    a b a c   window 2   ->   (a, a) 1   (a, b) 2   (a, c) 1   (b, a) 2   (b, c) 1/2   ...

Two stages: `pair_counts` counts within a partition, `pair_sums` adds up the counts of many for a
range of words. What is stored is exact up to float32 (see `pair_counts`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, plain
from lmprep.keyed_random import Keys
from lmprep.objective_settings import CooccurrenceSettings
from lmprep.objectives.pair_counts import Counts, count_pairs, distance_units
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: CooccurrenceSettings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Count the pairs of all sequences together; nothing is drawn.

    Returns:
        `word`, `context`: int32; `weight`: float32; one row for each pair that occurs, sorted by
        word and context.
    """
    blocks = list(count_pairs(sequences, settings.window, vocabulary.size))
    words, contexts, units = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return columns_of((words, contexts, units), settings.window)


def scored(columns: Columns) -> int:
    """How many counts are to be fitted."""
    return len(plain(columns, "weight"))


def columns_of(counts: Counts, window: int) -> Columns:
    """Counts as they are stored, in float32."""
    words, contexts, units = counts
    weights = (units / distance_units(window)[0]).astype(np.float32)
    return {"word": words, "context": contexts, "weight": weights}


def fit_weights(
    counts: NDArray[np.floating[Any]], ceiling: float = 100, power: float = 0.75
) -> NDArray[np.float64]:
    """f(x) = min(1, (x / ceiling) ** power): what each count weighs in GloVe's loss (section 3)."""
    weights: NDArray[np.float64] = np.minimum(1, np.asarray(counts, np.float64) / ceiling) ** power
    return weights
