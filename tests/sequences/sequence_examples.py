"""Small batches of tokens, and what the tests of all kinds of sequences ask of them."""

import itertools
import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from lmprep.batches import Tokens
from lmprep.keyed_random import bernoulli, draw, integer_below
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary
from tests.strategies import BERT, ROBERTA, tokens_of

CLS, SEP = BERT.cls, BERT.sep
# Every family with its separator; ordinary ids from 10.
FAMILIES = {
    "bert": BERT,
    "roberta": ROBERTA,
    "gpt2": Vocabulary(family="gpt2", size=1000, special=(999,), sep=999),
    "t5": Vocabulary(family="t5", size=1000, special=(0, 1, 2), pad=0, sep=1, unk=2),
    "ul2": Vocabulary(family="ul2", size=1000, special=(0, 1, 2), pad=0, sep=1, unk=2),
}
# A batch as its documents' sentence lengths, empty sentences and documents included.
shapes = st.lists(st.lists(st.integers(0, 12), max_size=7), max_size=6)
keys = st.integers(0, 2**64 - 1).map(np.uint64)


def numbered(shape, *, starts=None):
    """Tokens 10, 11, 12, ... in documents with these sentence lengths; numbers 100, 101, ..."""
    ids = itertools.count(10)
    documents = [[list(itertools.islice(ids, n)) for n in document] for document in shape]
    tokens = tokens_of(documents)
    starts = tokens.word_start if starts is None else np.array(starts, np.bool_)
    return replace(tokens, numbers=tokens.numbers + 100, word_start=starts)


def settings_of(length, *, sequences="document", pairs="none", short="0"):
    return SequenceSettings(
        length=length,
        sequences=sequences,
        pairs=pairs,
        short_sequence_probability=Fraction(short),
    )


def documents_of(documents, sentences, length):
    """Tokens 0, 1, 2, ... in so many documents of so many sentences of this length."""
    total = documents * sentences * length
    return Tokens(
        ids=np.arange(total, dtype=np.int32),
        word_start=np.ones(total, np.bool_),
        sentence_offsets=np.arange(0, total + 1, length),
        document_offsets=np.arange(0, documents * sentences + 1, sentences),
        numbers=np.arange(documents),
    )


def sub_key(key, *numbers):
    """The key of a unit's unit's ... unit."""
    for number in numbers:
        key = np.uint64(draw(key, number))
    return key


def target_by_hand(room, short, own):
    """The text a chunk or window with this key aims at, slowly."""
    is_short = bernoulli(short.numerator, short.denominator, own, 0)
    return 2 + integer_below(room - 1, own, 1) if is_short else room


def origins_of(shape):
    """Where each token of `shape` comes from: id -> (number of the document, ordinal)."""
    return {i: (n, o) for n, sentences in sentences_of(shape) for o, ids in sentences for i in ids}


def origins_in(sequences):
    """Where each sequence says it comes from."""
    return list(zip(sequences.document.tolist(), sequences.first_sentence.tolist(), strict=True))


def within(count, total, p):
    """Whether `count` of `total` is within five standard errors of the share p."""
    return abs(count - total * p) < 5 * math.sqrt(total * p * (1 - p))


def rows_of(sequences):
    """The ids of each sequence as a list."""
    ids, offsets = sequences.ids.tolist(), sequences.offsets.tolist()
    return [ids[start:stop] for start, stop in itertools.pairwise(offsets)]


def texts_of(sequences):
    """The ids of each sequence without its special tokens."""
    return [[i for i in row if i >= 10] for row in rows_of(sequences)]


def sentences_of(shape):
    """Every document of `shape` as (number, [(ordinal, ids), ...]) without what is empty."""
    documents, at = [], 10
    for number, lengths in enumerate(shape, 100):
        sentences = []
        for ordinal, length in enumerate(lengths):
            if length:
                sentences.append((ordinal, list(range(at, at + length))))
            at += length
        if sentences:
            documents.append((number, sentences))
    return documents


def lost_tokens(drops):
    """Tokens counted as dropped, over all reasons."""
    return sum(count for reason, count in drops.items() if reason.endswith("_tokens"))


def check_sequences(sequences, drops, length):
    """What holds for all sequences, whatever they were made by."""
    assert np.all(np.diff(sequences.offsets) <= length)
    assert sequences.ids.dtype == np.int32
    assert np.array_equal(sequences.maskable, sequences.ids >= 10)
    assert np.all(sequences.word_start[~sequences.maskable])
    after_special = np.flatnonzero(~sequences.maskable[:-1]) + 1
    assert np.all(sequences.word_start[after_special])
    for row in rows_of(sequences):
        assert row[0] == CLS
        assert row[-1] == SEP
        assert CLS not in row[1:]
    assert sequences.document.dtype == np.int64
    assert sequences.first_sentence.dtype == np.int32
    assert isinstance(drops, Counter)
    units = ("_tokens", "_sentences", "_documents", "_pairs")
    assert all(reason.endswith(units) and count > 0 for reason, count in drops.items())
