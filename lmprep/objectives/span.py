"""Span masking: runs of whole words, hidden together, predicted also from their two boundaries.

SpanBERT (arXiv:1907.10529), section 3.1. The length of a span in words is geometric, cut off at
`span_max` and renormalised: .2241 .1792 .1434 .1147 .0918 .0734 .0587 .0470 .0376 .0301 for p = 0.2
and 10 words, 3.797 on average. It starts at a word drawn uniformly from those not yet chosen and
passes over words already chosen. Spans are drawn until the k tokens of `mlm` are used up (a
ceiling; spans are shortened to the words that fit). Spans that overlap or touch are merged; a
merged span draws mask, random or keep once, its random tokens one by one. So the tokens next to a
merged span, special tokens among them, are never corrupted: the span-boundary objective reads them.

    an American football game was x    ->  [MASK] [MASK] [MASK] [MASK] was x    start 0, length 4

Where SpanBERT's code does otherwise: it draws a token and starts at its word, so that a word of
three tokens starts a span three times as often (the paper: uniform over word starts); it cuts the
last word to use up exactly ceil(0.15 n) tokens; it draws random tokens by their frequency.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences
from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys
from lmprep.objective_settings import SpanSettings
from lmprep.objectives.counting import wanted_predictions
from lmprep.objectives.integer_laws import geometric_law
from lmprep.objectives.masking import FIRST, NEXT, UNCHOSEN, Marks, mask_chosen
from lmprep.objectives.word_choice import choose_runs
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: SpanSettings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Mask spans; row i draws only from keys[i] (uint64 [N]).

    Returns:
        The columns of `masking.mask_chosen`; `word_start`: bool, of every token; `span_starts`
        and `span_lengths`: int32, the merged spans of each row in order, as positions and tokens.
    """
    marks = np.zeros(len(sequences.ids), np.uint8)
    wanted = wanted_predictions(sequences.offsets, settings.mask_rate)
    law = geometric_law(settings.span_p, settings.span_max)
    choose_runs(sequences, wanted, law, keys, marks, through_chosen=True)
    _merge(marks, sequences.offsets)
    starts, lengths = _spans(marks, sequences.offsets)
    return {
        **mask_chosen(sequences, marks, settings, vocabulary, keys),
        "word_start": Ragged(sequences.word_start, sequences.offsets),
        "span_starts": starts,
        "span_lengths": lengths,
    }


@bare_kernel
def _merge(marks: Marks, offsets: NDArray[np.int64]) -> None:
    """Make one unit of neighbouring units of a row."""
    for row in range(len(offsets) - 1):
        for i in range(offsets[row] + 1, offsets[row + 1]):
            if marks[i] == FIRST and marks[i - 1] != UNCHOSEN:
                marks[i] = NEXT


def _spans(marks: Marks, offsets: NDArray[np.int64]) -> tuple[Ragged, Ragged]:
    """Where the units of each row start, as positions, and how many tokens they have."""
    firsts, chosen = np.flatnonzero(marks == FIRST), np.flatnonzero(marks)
    lengths = np.diff(np.searchsorted(chosen, firsts), append=len(chosen))
    span_offsets = np.searchsorted(firsts, offsets)
    starts = firsts - np.repeat(offsets[:-1], np.diff(span_offsets))
    return (
        Ragged(starts.astype(np.int32), span_offsets),
        Ragged(lengths.astype(np.int32), span_offsets),
    )
