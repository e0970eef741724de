"""InfoWord: an n-gram hidden whole, to be matched with its context, and masked words beside it.

InfoWord (arXiv:1910.08350), section 4, which gives neither the law of n nor how the two masks
combine. Here each row hides one n-gram: n is uniform from 1 to `ngram_max` words, but at most the
words of the longest run without a special token and all words of the row but one; its place is
uniform over those where n words stand so. It always becomes mask tokens, so that the context does
not hold it. A row of a single word has none.

Beside it the row is masked as in `mlm`, with the k of the whole row, among the tokens outside the
n-gram: an n-gram of m tokens makes m + min(maskable tokens outside, k) predictions.

    the cat sat on the mat    ->  the [MASK] [MASK] on the [MASK]    n-gram: start 1, length 2
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences
from lmprep.jit import bare_kernel, kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objective_settings import InfoWordSettings
from lmprep.objectives.counting import wanted_predictions
from lmprep.objectives.masking import DRAWS, HIDDEN, Marks, mask_chosen
from lmprep.objectives.token_choice import choose_tokens
from lmprep.objectives.word_choice import words_of
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: InfoWordSettings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Hide an n-gram and mask tokens beside it; row i draws only from keys[i] (uint64 [N]).

    Returns:
        The columns of `masking.mask_chosen`, the n-gram included; `word_start`: bool, of every
        token; `span_starts` and `span_lengths`: int32, the n-gram of each row as position and
        tokens, or nothing.
    """
    marks = np.zeros(len(sequences.ids), np.uint8)
    starts, lengths = _hide_ngrams(sequences, settings.ngram_max, keys, marks)
    wanted = wanted_predictions(sequences.offsets, settings.mask_rate)
    choose_tokens(sequences, wanted, keys, marks)
    return {
        **mask_chosen(sequences, marks, settings, vocabulary, keys),
        "word_start": Ragged(sequences.word_start, sequences.offsets),
        "span_starts": starts,
        "span_lengths": lengths,
    }


def _hide_ngrams(
    sequences: Sequences, ngram_max: int, keys: Keys, marks: Marks
) -> tuple[Ragged, Ragged]:
    """Mark the n-gram of each row; where they start and how many tokens they have."""
    starts, lengths = np.zeros(len(keys), np.int32), np.zeros(len(keys), np.int32)
    longest = int(np.diff(sequences.offsets).max(initial=0))
    _hide(
        sequences.word_start,
        sequences.maskable,
        sequences.offsets,
        keys,
        ngram_max,
        np.empty((3, longest), np.int64),
        marks,
        starts,
        lengths,
    )
    there = lengths > 0
    offsets = offsets_of(there.astype(np.int64))
    return Ragged(starts[there], offsets), Ragged(lengths[there], offsets)


@kernel
def _hide(
    word_start: NDArray[np.bool_],
    maskable: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    keys: Keys,
    ngram_max: int,
    scratch: NDArray[np.int64],
    marks: Marks,
    starts: NDArray[np.int32],
    lengths: NDArray[np.int32],
) -> None:
    """Choose and mark the n-grams. `runs` holds how many words stand together up to each word.

    The tokens of a row of L draw by 3t whether they are chosen; 3L and 3(L + 1) are n and place.
    """
    firsts, ends, runs = scratch
    for row in range(len(keys)):
        start, stop = offsets[row], offsets[row + 1]
        words = words_of(word_start, maskable, start, stop, firsts, ends)
        longest = 0
        for w in range(words):
            runs[w] = runs[w - 1] + 1 if w > 0 and firsts[w] == ends[w - 1] else 1
            longest = max(longest, runs[w])
        beyond = DRAWS * (stop - start)
        n = min(1 + integer_below(ngram_max, keys[row], beyond), longest, words - 1)
        if n < 1:
            continue
        last = _place(runs[:words], n, keys[row], beyond + DRAWS)
        first, end = firsts[last - n + 1], ends[last]
        marks[first:end] = HIDDEN
        starts[row], lengths[row] = first - start, end - first


@bare_kernel
def _place(runs: NDArray[np.int64], n: int, key: np.uint64, counter: int) -> int:
    """The last word of an n-gram, uniform over the words that n - 1 others stand before."""
    places = 0
    for w in range(len(runs)):
        places += runs[w] >= n
    left = integer_below(places, key, counter)
    for w in range(len(runs)):
        if runs[w] >= n:
            if left == 0:
                return w
            left -= 1
    return -1
