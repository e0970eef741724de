"""MASS-style: exactly k tokens hidden under the mask token; all are predicted.

T5 (arXiv:1910.10683), section 3.3.1: BERT-style without random tokens. MASS itself
(arXiv:1905.02450) hides one run of half a sentence.

    The old boat left the small harbour before dawn today .
    inputs  The old M M the small harbour before M today .        targets  all 11 tokens
"""

from __future__ import annotations

from fractions import Fraction

from lmprep.batches import Columns, Sequences
from lmprep.keyed_random import Keys
from lmprep.objective_settings import T5Settings
from lmprep.objectives.t5.hiding import hide
from lmprep.objectives.t5.token_mask import token_mask
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: T5Settings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Inputs with sentinel 0 for each chosen token, labels with all raw tokens; int32, ragged."""
    mask = token_mask(sequences, settings.density, keys)
    return hide(Ragged(sequences.ids, sequences.offsets), mask, Fraction(0), vocabulary, keys)
