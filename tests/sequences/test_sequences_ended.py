"""Frame ended: documents with a separator after each, cut at exact lengths."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequence_examples import (
    FAMILIES,
    documents_of,
    keys,
    numbered,
    origins_in,
    origins_of,
    rows_of,
    sentences_of,
    settings_of,
    shapes,
    sub_key,
    target_by_hand,
    within,
)

from lmprep.sequences import make_sequences
from lmprep.vocabulary import Vocabulary

KEY = np.uint64(3)
GPT2 = FAMILIES["gpt2"]
END = GPT2.sep
kinds = st.sampled_from(["packed", "document"])


def made(shape, length, kind, *, short="0", key=KEY, vocabulary=GPT2):
    settings = settings_of(length, sequences=kind, short=short)
    return make_sequences(numbered(shape), settings, vocabulary, key, frame="ended")


def streams_of(shape, kind):
    """What is cut: all documents and their separators, or each document with its own."""
    documents = [[i for _, ids in s for i in ids] + [END] for _, s in sentences_of(shape)]
    return documents if kind == "document" else [[i for ids in documents for i in ids]]


@given(shapes, st.integers(8, 20), kinds, keys, st.sampled_from(["1/3", "1"]))
def test_ended_windows_equal_the_rule_written_slowly(shape, length, kind, key, short):
    sequences, _ = made(shape, length, kind, short=short, key=key)

    windows = []
    for stream in streams_of(shape, kind):
        while stream:
            own = sub_key(key, 0, len(windows))
            size = target_by_hand(length, Fraction(short), own) if kind == "document" else length
            windows.append(stream[:size])
            stream = stream[size:]
    assert rows_of(sequences) == windows


@given(shapes, st.integers(8, 20), kinds)
def test_every_token_and_one_separator_a_document_stand_in_the_rows_once(shape, length, kind):
    sequences, drops = made(shape, length, kind)

    documents = sentences_of(shape)
    assert sequences.ids[sequences.maskable].tolist() == list(range(10, 10 + sum(map(sum, shape))))
    assert sequences.ids[~sequences.maskable].tolist() == [END] * len(documents)
    assert drops == ({"empty_documents": n} if (n := len(shape) - len(documents)) else {})
    assert sequences.ids.dtype == np.int32
    assert np.all(sequences.word_start[~sequences.maskable])


@given(shapes, st.integers(8, 20), kinds)
def test_windows_but_the_last_have_exactly_the_length(shape, length, kind):
    sequences, _ = made(shape, length, kind)

    lengths = [len(row) for row in rows_of(sequences)]
    expected = []
    for stream in streams_of(shape, kind):
        full, rest = divmod(len(stream), length)
        expected += [length] * full + [rest] * (rest > 0)
    assert lengths == expected


@given(shapes, st.integers(8, 20))
def test_document_starts_are_where_a_further_document_begins(shape, length):
    sequences, _ = made(shape, length, "packed")

    firsts = {sentences[0][1][0] for _, sentences in sentences_of(shape)}
    assert [starts.tolist() for starts in sequences.document_starts] == [
        [p for p, i in enumerate(row) if i in firsts and p > 0] for row in rows_of(sequences)
    ]
    assert made(shape, length, "document")[0].document_starts is None


@given(shapes, st.integers(8, 20), kinds)
def test_a_row_names_where_its_first_token_comes_from(shape, length, kind):
    sequences, _ = made(shape, length, kind)

    origin = origins_of(shape)
    expected, last = [], None
    for row in rows_of(sequences):
        # A separator comes from what it closes: the last token before it.
        expected.append(origin[last if row[0] == END else row[0]])
        last = next((i for i in reversed(row) if i != END), last)
    assert origins_in(sequences) == expected


# --- Worked by hand. -----------------------------------------------------------------------------


def test_documents_as_one_stream():
    sequences, _ = made([[5], [3, 1], [7]], 8, "packed")

    assert rows_of(sequences) == [
        [10, 11, 12, 13, 14, END, 15, 16],
        [17, 18, END, 19, 20, 21, 22, 23],
        [24, 25, END],
    ]
    assert [starts.tolist() for starts in sequences.document_starts] == [[6], [3], []]
    assert origins_in(sequences) == [(100, 0), (101, 0), (102, 0)]


def test_documents_one_by_one():
    sequences, _ = made([[5], [4, 6]], 8, "document")

    assert rows_of(sequences) == [
        [10, 11, 12, 13, 14, END],
        [15, 16, 17, 18, 19, 20, 21, 22],
        [23, 24, END],
    ]
    assert origins_in(sequences) == [(100, 0), (101, 0), (101, 1)]


def test_a_window_may_begin_with_the_separator_of_the_document_before():
    sequences, _ = made([[3, 5], [2]], 8, "packed")

    assert rows_of(sequences) == [list(range(10, 18)), [END, 18, 19, END]]
    assert [starts.tolist() for starts in sequences.document_starts] == [[], [1]]
    assert origins_in(sequences) == [(100, 0), (100, 1)]


@pytest.mark.parametrize("kind", ["packed", "document"])
def test_a_document_that_fills_its_window_leaves_its_separator_for_the_next(kind):
    sequences, _ = made([[8]], 8, kind)

    assert rows_of(sequences) == [list(range(10, 18)), [END]]


@pytest.mark.parametrize(("family", "vocabulary"), FAMILIES.items())
def test_every_family_closes_a_document_with_its_own_separator(family, vocabulary):
    sequences, _ = made([[2], [3]], 8, "packed", vocabulary=vocabulary)

    end = {"bert": 3, "roberta": 3, "gpt2": 999, "t5": 1, "ul2": 1}[family]
    assert rows_of(sequences) == [[10, 11, end, 12, 13, 14, end]]


def test_a_vocabulary_without_a_separator_is_refused():
    vocabulary = Vocabulary(family="gpt2", size=1000, special=())

    with pytest.raises(ValueError, match=r"family gpt2 has no sep token.* --family gpt2 has"):
        made([[3]], 8, "packed", vocabulary=vocabulary)


@pytest.mark.parametrize("kind", ["packed", "document"])
def test_no_documents_make_no_rows(kind):
    sequences, drops = made([[0, 0]], 8, kind)

    assert len(sequences) == 0
    assert drops == {"empty_documents": 1}


def test_a_window_that_begins_inside_a_word_begins_a_word():
    tokens = numbered([[10]], starts=[1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    before = tokens.word_start.copy()

    sequences, _ = make_sequences(tokens, settings_of(8), GPT2, KEY, frame="ended")

    assert np.flatnonzero(sequences.word_start).tolist() == [0, 3, 8, 10]
    assert np.array_equal(tokens.word_start, before)


def test_the_asked_share_of_document_windows_is_of_a_uniform_shorter_length():
    tokens = documents_of(1, 1, 400_000)

    sequences, _ = make_sequences(tokens, settings_of(16, short="1/4"), GPT2, KEY, frame="ended")

    lengths = np.diff(sequences.offsets)[:-1]
    values, counts = np.unique(lengths, return_counts=True)
    assert values.tolist() == list(range(2, 17))
    assert all(within(count, len(lengths), 1 / 4 / 15) for count in counts[:-1])
