"""Whole-word masking: as masked language modelling, but words are chosen and treated whole.

The released second version of BERT. Words are taken in random order, each that still fits into
the k tokens of `mlm`; k is a ceiling, no word is cut, and where no word fits the shortest is taken.
Mask, random or keep is drawn once for a word, where BERT's code draws it for each of its tokens;
random tokens are drawn one by one. A word never continues behind a special token.

    the un ##known cat sat    ->  the [MASK] [MASK] cat sat    positions [1, 2]
"""

from __future__ import annotations

import numpy as np

from lmprep.batches import Columns, Sequences
from lmprep.keyed_random import Keys
from lmprep.objective_settings import WholeWordSettings
from lmprep.objectives.counting import wanted_predictions
from lmprep.objectives.integer_laws import reciprocal_law
from lmprep.objectives.masking import mask_chosen
from lmprep.objectives.word_choice import choose_runs
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: WholeWordSettings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Mask whole words; row i draws only from keys[i] (uint64 [N]).

    Returns:
        The columns of `masking.mask_chosen`, and `word_start`: bool, of every token.
    """
    marks = np.zeros(len(sequences.ids), np.uint8)
    wanted = wanted_predictions(sequences.offsets, settings.mask_rate)
    one_word = reciprocal_law(1)
    choose_runs(sequences, wanted, one_word, keys, marks, through_chosen=False)
    return {
        **mask_chosen(sequences, marks, settings, vocabulary, keys),
        "word_start": Ragged(sequences.word_start, sequences.offsets),
    }
