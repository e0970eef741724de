"""Random spans: T5's span corruption, with lengths that waste nothing.

T5 (arXiv:1910.10683), sections 3.1.4 and 3.3.4. Runs of noise of a given number and a given mean
length stand at random places (`span_masks`); each is one sentinel in the inputs, and the targets
are the sentinels with what they stand for (`sentinels`).

    The old boat left the small harbour before dawn today .
    inputs  The old X small Y today .        targets  X boat left the Y harbour before dawn
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lmprep.batches import Columns, Sequences, ragged
from lmprep.keyed_random import Keys
from lmprep.objective_settings import T5Settings
from lmprep.objectives.restoring import sequences_of
from lmprep.objectives.t5.lengths import noise_counts, span_counts
from lmprep.objectives.t5.sentinels import splice, unsplice
from lmprep.objectives.t5.span_masks import span_mask
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: T5Settings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Inputs with a sentinel for each span, labels with the spans; int32, ragged, N rows."""
    text = Ragged(sequences.ids, sequences.offsets)
    noise = noise_counts(text.lengths, settings.density)
    spans = span_counts(noise, text.lengths - noise, settings.mean_span_length)
    mask = span_mask(text.offsets, noise, spans, np.ones(len(keys), np.bool_), keys)
    inputs, labels = splice(text, mask, vocabulary, final_sentinel=settings.final_sentinel)
    return {"input_ids": inputs, "labels": labels}


def restore(columns: Columns, settings: T5Settings, vocabulary: Vocabulary) -> Sequences:
    """Undo `corrupt`: the spans back in their places."""
    text = unsplice(ragged(columns, "input_ids"), ragged(columns, "labels"), vocabulary)
    return sequences_of(text, columns, vocabulary)


def span_sizes(tokens: int, density: Fraction, mean_span_length: int) -> tuple[int, int]:
    """Noise tokens and spans in a row of so many raw tokens: 85 and 28 in 568."""
    lengths = np.array([tokens])
    noise = noise_counts(lengths, density)
    spans = span_counts(noise, lengths - noise, mean_span_length)
    return int(noise[0]), int(spans[0])


def sizes(tokens: int, settings: T5Settings) -> tuple[int, int]:
    """Tokens in inputs and labels of a row of so many raw tokens, end tokens included."""
    noise, spans = span_sizes(tokens, settings.density, settings.mean_span_length)
    return tokens - noise + spans + 1, noise + spans + settings.final_sentinel + 1


def sentinels(tokens: int, settings: T5Settings) -> int:
    """Sentinels that a row of so many raw tokens needs."""
    spans = span_sizes(tokens, settings.density, settings.mean_span_length)[1]
    return spans + settings.final_sentinel
