"""Drop tokens: i.i.d. noise that leaves no trace in the inputs.

T5 (arXiv:1910.10683), section 3.3.1, "i.i.d. noise, drop tokens". Exactly k tokens are noise.

    The old boat left the small harbour before dawn today .
    inputs  The old the small harbour before today .        targets  boat left dawn
"""

from __future__ import annotations

import numpy as np

from lmprep.batches import Columns, Sequences, ragged
from lmprep.keyed_random import Keys
from lmprep.objective_settings import T5Settings
from lmprep.objectives.counting import wanted_predictions
from lmprep.objectives.restoring import sequences_of
from lmprep.objectives.row_ends import end_token
from lmprep.objectives.t5.separation import merge, separate
from lmprep.objectives.t5.token_mask import token_mask
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: T5Settings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Inputs without the noise, labels with nothing but it, and `noise_positions`, where it stood
    in the raw tokens; int32, ragged, N rows."""
    mask = token_mask(sequences, settings.density, keys)
    text = Ragged(sequences.ids, sequences.offsets)
    inputs, labels, positions = separate(text, mask, end_token(vocabulary))
    return {"input_ids": inputs, "labels": labels, "noise_positions": positions}


def restore(columns: Columns, settings: T5Settings, vocabulary: Vocabulary) -> Sequences:
    """Undo `corrupt`: the noise back in its places."""
    parts = [ragged(columns, name) for name in ("input_ids", "labels", "noise_positions")]
    return sequences_of(merge(*parts), columns, vocabulary)


def sizes(tokens: int, settings: T5Settings) -> tuple[int, int]:
    """Tokens in inputs and labels of a row of so many raw tokens, end tokens included."""
    noise = int(wanted_predictions(np.array([0, tokens]), settings.density)[0])
    return tokens - noise + 1, noise + 1
