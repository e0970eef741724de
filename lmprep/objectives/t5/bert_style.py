"""BERT-style: exactly k tokens hidden, a tenth of them under random tokens; all are predicted.

T5 (arXiv:1910.10683), section 3.3.1. As in its code, no chosen token stays as it is. Random tokens
come from the vocabulary without special tokens, where the code also draws sentinels.

    The old boat left the small harbour before dawn today .
    inputs  The old M M the small harbour before apple today .        targets  all 11 tokens
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

RANDOM_SHARE = Fraction(1, 10)


def corrupt(
    sequences: Sequences, settings: T5Settings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Inputs with sentinel 0 (nine in ten) or a random token for each chosen one, labels with all
    raw tokens; int32, ragged, N rows."""
    mask = token_mask(sequences, settings.density, keys)
    return hide(Ragged(sequences.ids, sequences.offsets), mask, RANDOM_SHARE, vocabulary, keys)
