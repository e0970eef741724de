"""N-gram masking: runs of up to `ngram_max` whole words.

ALBERT (arXiv:1909.11942), section 4.1. Start words come in random order; each draws n with
P(n) in proportion to 1/n (6/11, 3/11, 2/11 for 3), and the n-gram is shortened to what fits into
the k tokens of `mlm` (a ceiling; no word is cut) and to what stands before a chosen word or a
special token. Mask, random or keep is drawn once for a word.

ALBERT's code draws n among the lengths the row's end allows, treats each token by itself and stops
at 20 tokens whatever the length; it skips an n-gram that meets a chosen word, which here shortens
it.
"""

from __future__ import annotations

import numpy as np

from lmprep.batches import Columns, Sequences
from lmprep.keyed_random import Keys
from lmprep.objective_settings import NgramSettings
from lmprep.objectives.counting import wanted_predictions
from lmprep.objectives.integer_laws import reciprocal_law
from lmprep.objectives.masking import mask_chosen
from lmprep.objectives.word_choice import choose_runs
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: NgramSettings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Mask n-grams; row i draws only from keys[i] (uint64 [N]).

    Returns:
        The columns of `masking.mask_chosen`, and `word_start`: bool, of every token.
    """
    marks = np.zeros(len(sequences.ids), np.uint8)
    wanted = wanted_predictions(sequences.offsets, settings.mask_rate)
    law = reciprocal_law(settings.ngram_max)
    choose_runs(sequences, wanted, law, keys, marks, through_chosen=False)
    return {
        **mask_chosen(sequences, marks, settings, vocabulary, keys),
        "word_start": Ragged(sequences.word_start, sequences.offsets),
    }
