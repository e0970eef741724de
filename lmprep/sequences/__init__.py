"""Documents of ids become sequences of ids with special tokens.

Everything here is a pure function of its arguments: a partition's tokens, settings, vocabulary and
one key. Every token ends in a sequence or in a counted drop.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.sequences.documents import document_windows
from lmprep.sequences.nsp import next_sentence_pairs
from lmprep.sequences.packed import packed_windows
from lmprep.sequences.sop import sentence_order_pairs
from lmprep.sequences.templates import template_of
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary

RawLengths = tuple[NDArray[np.int64], NDArray[np.int8] | None]


def make_sequences(
    tokens: Tokens,
    settings: SequenceSettings,
    vocabulary: Vocabulary,
    key: np.uint64,
    *,
    frame: str = "template",
    raw_lengths: Callable[[int], RawLengths] | None = None,
    sentence_starts: bool = False,
) -> tuple[Sequences, Drops]:
    """The sequences of one partition, in the order of its text, and what was dropped.

    Args:
        tokens: the partition's documents.
        settings: how to cut them.
        vocabulary: its family fixes the template.
        key: fixes every draw.
        frame: how they are laid out, one of `batches.FRAMES`.
        raw_lengths: tells how many tokens each of the first so many windows holds (int64) and
            its denoiser (int8, or None); for frame `bare`, by default the length.
        sentence_starts: say where sentences begin; for frame `bare`.

    Raises:
        ValueError: the vocabulary's family has no template for these sequences.
    """
    template = template_of(vocabulary)
    if settings.pairs == "nsp":
        return next_sentence_pairs(tokens, settings, template, key)
    if settings.pairs == "sop":
        return sentence_order_pairs(tokens, settings, template, key)
    if settings.sequences == "packed":
        return packed_windows(tokens, settings.length, template)
    return document_windows(tokens, settings.length, template)
