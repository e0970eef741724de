"""Documents of ids become sequences of ids with special tokens.

Everything here is a pure function of its arguments: a partition's tokens, settings, vocabulary and
one key. Every token ends in a sequence or in a counted drop.

A frame or a kind of pairs has a file of its own; `windows` cuts text, `layout` puts special tokens
around what was cut.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lmprep.batches import FRAMES, Drops, Sequences, Tokens
from lmprep.sequences.bare import RawLengths, bare_windows
from lmprep.sequences.ended import ended_windows
from lmprep.sequences.nsp import next_sentence_pairs
from lmprep.sequences.segments import two_segment_windows
from lmprep.sequences.sop import sentence_order_pairs
from lmprep.sequences.template import template_windows
from lmprep.settings import SequenceSettings, choice
from lmprep.vocabulary import Vocabulary

Maker = Callable[
    [Tokens, SequenceSettings, Vocabulary, np.uint64],
    tuple[Sequences, Drops],
]

_PAIRS: dict[str, Maker] = {"nsp": next_sentence_pairs, "sop": sentence_order_pairs}
_WINDOWS: dict[str, Maker] = {
    "template": template_windows,
    "segments": two_segment_windows,
    "ended": ended_windows,
}


def make_sequences(
    tokens: Tokens,
    settings: SequenceSettings,
    vocabulary: Vocabulary,
    key: np.uint64,
    *,
    frame: str = "template",
    raw_lengths: RawLengths | None = None,
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
        ValueError: the vocabulary's family has no template for these sequences, or the arguments
            do not go together.
    """
    choice("frame", frame, FRAMES)
    if settings.pairs != "none" and frame != "template":
        raise ValueError(f"pairs {settings.pairs} do not go with frame {frame}, only with template")
    if frame == "bare":
        return bare_windows(tokens, settings, key, raw_lengths, sentence_starts)
    if raw_lengths is not None or sentence_starts:
        raise ValueError(f"raw_lengths and sentence_starts apply to frame bare, not to {frame}")
    make = _WINDOWS[frame] if settings.pairs == "none" else _PAIRS[settings.pairs]
    return make(tokens, settings, vocabulary, key)
