"""What the tests of t5, ul2 and bart share: vocabularies, sequences, a sentence of 11 tokens."""

from __future__ import annotations

import numpy as np

from lmprep.batches import Sequences
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary

PAD, END, UNK = 0, 1, 2


def t5_vocabulary(sentinels=100, size=1000):
    """Sentinels from the top down: 999, 998 ...; ordinary ids from 3."""
    names = tuple(range(size - 1, size - 1 - sentinels, -1))
    return Vocabulary(
        family="t5",
        size=size,
        special=(PAD, END, UNK, *sorted(names)),
        pad=PAD,
        sep=END,
        unk=UNK,
        sentinels=names,
    )


def ul2_vocabulary(sentinels=256, size=1000):
    """As above, with the mode tokens below the sentinels."""
    modes = tuple(range(size - sentinels - 3, size - sentinels))
    plain = t5_vocabulary(sentinels, size)
    return Vocabulary(
        family="ul2",
        size=size,
        special=tuple(sorted((*plain.special, *modes))),
        pad=PAD,
        sep=END,
        unk=UNK,
        sentinels=plain.sentinels,
        modes=modes,
    )


T5 = t5_vocabulary()
UL2 = ul2_vocabulary()
# <s> <pad> </s> <unk> <mask> are 0 to 4; ordinary ids from 5.
BART = Vocabulary(
    family="roberta", size=1000, special=(0, 1, 2, 3, 4), cls=0, pad=1, sep=2, unk=3, mask=4
)

WORDS = ["The", "old", "boat", "left", "the", "small", "harbour", "before", "dawn", "today", "."]
SENTENCE = list(range(10, 21))
"""Ids of WORDS."""

NAMES = dict(zip(SENTENCE, WORDS, strict=True)) | {999: "X", 998: "Y", 997: "Z", END: "</s>"}


def in_words(ids):
    return " ".join(NAMES[int(token)] for token in ids)


def mask_of(*positions, length=11):
    """A mask over the sentence; positions count from 1, as in the textbook."""
    return np.isin(np.arange(1, length + 1), positions)


def bare(rows, *, word_start=None, sentence_starts=None, denoiser=None):
    """Sequences without special tokens; every token a word unless told otherwise."""
    ids = np.array([token for row in rows for token in row], np.int32)
    flags = [True] * len(ids) if word_start is None else [f for row in word_start for f in row]
    starts = [[] for _ in rows] if sentence_starts is None else sentence_starts
    return Sequences(
        ids=ids,
        word_start=np.array(flags, np.bool_),
        maskable=np.ones(len(ids), np.bool_),
        offsets=offsets_of([len(row) for row in rows]),
        document=np.arange(len(rows)) * 7,
        first_sentence=np.arange(len(rows), dtype=np.int32),
        sentence_starts=Ragged.from_rows(starts, np.int32),
        denoiser=None if denoiser is None else np.array(denoiser, np.int8),
    )


def text(rows):
    return Ragged.from_rows(rows, np.int32)


def counting_rows(lengths, size=700):
    """Rows of ids from 5 to size - 1, each a function of its place."""
    return [
        [5 + (7 * row + 3 * i) % (size - 105) for i in range(n)] for row, n in enumerate(lengths)
    ]


def lists(columns, name):
    return [row.tolist() for row in columns[name]]


def chi_square_fits(observed, expected):
    """Whether counts agree with expected ones, within five standard deviations of the law."""
    observed, expected = np.asarray(observed, float), np.asarray(expected, float)
    assert observed.sum() == np.round(expected.sum())
    assert expected.min() >= 5
    freedom = len(expected) - 1
    value = np.sum((observed - expected) ** 2 / expected)
    return value <= freedom + 5 * np.sqrt(2 * freedom)
