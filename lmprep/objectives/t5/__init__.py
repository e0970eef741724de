"""T5's unsupervised objectives: one table of noises.

T5 (arXiv:1910.10683), section 3.3 and table 3. Rows are raw tokens; inputs and targets are closed
by the end token each, and only raw tokens count in densities. A row of one token is all noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences
from lmprep.keyed_random import Keys
from lmprep.objective_settings import LONGEST_SPAN, T5Settings
from lmprep.objectives.t5 import (
    bert_style,
    deshuffle,
    drop_tokens,
    hiding,
    mass,
    prefix_lm,
    random_spans,
    replace_spans,
)
from lmprep.objectives.t5.lengths import longest_row
from lmprep.settings import decimal
from lmprep.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Noise:
    """One row of the table.

    Args:
        corrupt, restore: as in `objectives.Objective`.
        sizes: (raw tokens, settings) -> tokens in inputs and in labels at most.
        sentinels: (raw tokens, settings) -> sentinels that a row cannot do without.
    """

    corrupt: Callable[[Sequences, T5Settings, Vocabulary, Keys], Columns]
    restore: Callable[[Columns, T5Settings, Vocabulary], Sequences]
    sizes: Callable[[int, T5Settings], tuple[int, int]]
    sentinels: Callable[[int, T5Settings], int]


NOISES: dict[str, Noise] = {
    "random-spans": Noise(
        corrupt=random_spans.corrupt,
        restore=random_spans.restore,
        sizes=random_spans.sizes,
        sentinels=random_spans.sentinels,
    ),
    "replace-spans": Noise(
        corrupt=replace_spans.corrupt,
        restore=replace_spans.restore,
        sizes=replace_spans.sizes,
        sentinels=replace_spans.sentinels,
    ),
    "drop-tokens": Noise(
        corrupt=drop_tokens.corrupt,
        restore=drop_tokens.restore,
        sizes=drop_tokens.sizes,
        sentinels=lambda tokens, settings: 0,
    ),
    "bert-style": Noise(
        corrupt=bert_style.corrupt,
        restore=hiding.restore,
        sizes=hiding.sizes,
        sentinels=lambda tokens, settings: 1,
    ),
    "mass": Noise(
        corrupt=mass.corrupt,
        restore=hiding.restore,
        sizes=hiding.sizes,
        sentinels=lambda tokens, settings: 1,
    ),
    "deshuffle": Noise(
        corrupt=deshuffle.corrupt,
        restore=hiding.restore,
        sizes=hiding.sizes,
        sentinels=lambda tokens, settings: 0,
    ),
    "prefix-lm": Noise(
        corrupt=prefix_lm.corrupt,
        restore=prefix_lm.restore,
        sizes=prefix_lm.sizes,
        sentinels=lambda tokens, settings: 0,
    ),
}


def corrupt(
    sequences: Sequences, settings: T5Settings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Inputs and labels under `settings.noise`; row i draws only from keys[i] (uint64 [N]).

    Returns:
        `input_ids`, `labels`: int32, each with its end token; drop-tokens also
        `noise_positions`. All ragged, N rows.
    """
    return NOISES[settings.noise].corrupt(sequences, settings, vocabulary, keys)


def restore(columns: Columns, settings: T5Settings, vocabulary: Vocabulary) -> Sequences:
    """Undo `corrupt`: the raw tokens and their provenance; word starts come back as True."""
    return NOISES[settings.noise].restore(columns, settings, vocabulary)


def raw_length(settings: T5Settings, length: int) -> int:
    """The most raw tokens whose inputs fit `length`, whatever is drawn: 568 for 512."""
    sizes = NOISES[settings.noise].sizes
    return longest_row(lambda tokens: sizes(tokens, settings), length, settings.density)


def longest_target(settings: T5Settings, vocabulary: Vocabulary, length: int) -> int:
    """Tokens in the labels of any row at most, the end token included: 114 for 512."""
    return NOISES[settings.noise].sizes(raw_length(settings, length), settings)[1]


def raw_lengths(
    settings: T5Settings, vocabulary: Vocabulary, length: int, key: np.uint64, rows: int
) -> tuple[NDArray[np.int64], None]:
    """Raw tokens in each of the first `rows` windows: the same for all, nothing is drawn.

    Raises:
        ValueError: too short a length or too few sentinels; says what would do.
    """
    tokens = raw_length(settings, length)
    needed, there = _needed(settings, tokens), len(vocabulary.sentinels)
    if needed > there:
        raise ValueError(
            f"noise {settings.noise} of noise_density {decimal(settings.density)} needs {needed} "
            f"or more sentinels at length {length}; this vocabulary has {there}. A vocabulary "
            f"made with --sentinels {needed} would do{_longer_spans(settings, length, there)}"
        )
    return np.full(rows, tokens), None


def _needed(settings: T5Settings, tokens: int) -> int:
    return NOISES[settings.noise].sentinels(tokens, settings)


def _longer_spans(settings: T5Settings, length: int, sentinels: int) -> str:
    """The least mean span length, where there is one, that so many sentinels are enough for."""
    if settings.noise != "random-spans":
        return ""
    for mean in range(settings.mean_span_length + 1, LONGEST_SPAN + 1):
        other = replace(settings, mean_span_length=mean)
        if _needed(other, raw_length(other, length)) <= sentinels:
            return f", or mean_span_length {mean}"
    return ""
