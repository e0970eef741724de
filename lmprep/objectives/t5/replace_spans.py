"""Replace spans: i.i.d. noise whose runs become one sentinel each.

T5 (arXiv:1910.10683), section 3.3.1, "i.i.d. noise, replace spans". Exactly k tokens are noise.
A row with more runs than there are sentinels keeps as many of its runs as noise as there are,
every set of that many equally likely; the tokens of the others stay in the inputs, unselected.

    The old boat left the small harbour before dawn today .
    inputs  The old X the small harbour before Y today .        targets  X boat left Y dawn
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, ragged
from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objective_settings import T5Settings
from lmprep.objectives.counting import wanted_predictions
from lmprep.objectives.restoring import sequences_of
from lmprep.objectives.t5.sentinels import splice, unsplice
from lmprep.objectives.t5.token_mask import token_mask
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: T5Settings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Inputs with a sentinel for each run of noise, labels with the runs; int32, ragged, N rows."""
    mask = token_mask(sequences, settings.density, keys)
    runs = len(vocabulary.sentinels) - settings.final_sentinel
    limit_runs(mask, sequences.offsets, runs, keys)
    text = Ragged(sequences.ids, sequences.offsets)
    inputs, labels = splice(text, mask, vocabulary, final_sentinel=settings.final_sentinel)
    return {"input_ids": inputs, "labels": labels}


def restore(columns: Columns, settings: T5Settings, vocabulary: Vocabulary) -> Sequences:
    """Undo `corrupt`: the runs back in their places."""
    text = unsplice(ragged(columns, "input_ids"), ragged(columns, "labels"), vocabulary)
    return sequences_of(text, columns, vocabulary)


def shortfall(columns: Columns, settings: T5Settings, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Noise tokens that each row has too few, for want of sentinels: int64 [N]."""
    labels = ragged(columns, "labels")
    offsets = restore(columns, settings, vocabulary).offsets
    sentinels = np.isin(labels.values, vocabulary.sentinels)
    running = np.append(0, np.cumsum(sentinels))
    noise = labels.lengths - 1 - (running[labels.offsets[1:]] - running[labels.offsets[:-1]])
    wanted = np.minimum(wanted_predictions(offsets, settings.density), np.diff(offsets))
    missing: NDArray[np.int64] = wanted - noise
    return missing


def sizes(tokens: int, settings: T5Settings) -> tuple[int, int]:
    """Tokens in inputs and labels of a row of so many raw tokens at most, end tokens included."""
    noise = int(wanted_predictions(np.array([0, tokens]), settings.density)[0])
    runs = min(noise, tokens - noise + 1)
    return tokens + 1, noise + runs + settings.final_sentinel + 1


def sentinels(tokens: int, settings: T5Settings) -> int:
    """Sentinels without which nothing can be replaced; with few, fewer runs are."""
    return 1 + settings.final_sentinel


@bare_kernel
def limit_runs(mask: NDArray[np.bool_], offsets: NDArray[np.int64], most: int, keys: Keys) -> None:
    """Clear runs of the mask until no row has more than `most`, in place.

    Whether run r of a row with too many stays is drawn by counter 3r + 1 (algorithm S).
    """
    for row in range(len(keys)):
        left, previous = 0, False
        for i in range(offsets[row], offsets[row + 1]):
            left += mask[i] and not previous
            previous = mask[i]
        if left <= most:
            continue
        kept, run, stays, previous = 0, 0, False, False
        for i in range(offsets[row], offsets[row + 1]):
            if mask[i] and not previous:
                stays = integer_below(left, keys[row], 3 * run + 1) < most - kept
                kept += stays
                left -= 1
                run += 1
            previous = mask[i]
            mask[i] = mask[i] and stays
