"""Frame bare: text without special tokens, cut at the lengths an objective asks for."""

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

KEY = np.uint64(3)
T5 = FAMILIES["t5"]
kinds = st.sampled_from(["packed", "document"])
cycles = st.lists(st.integers(2, 9), min_size=1, max_size=4)


def lengths_in_turn(lengths):
    """Raw lengths that come again and again, with the place in the turn as the denoiser."""

    def raw_lengths(rows):
        places = np.arange(rows) % len(lengths)
        return np.array(lengths)[places], places.astype(np.int8)

    return raw_lengths


def made(shape, length, kind, *, short="0", key=KEY, vocabulary=T5, **asked):
    tokens = numbered(shape) if isinstance(shape, list) else shape
    settings = settings_of(length, sequences=kind, short=short)
    return make_sequences(tokens, settings, vocabulary, key, frame="bare", **asked)


def streams_of(shape, kind):
    documents = [[i for _, ids in s for i in ids] for _, s in sentences_of(shape)]
    return documents if kind == "document" else [[i for ids in documents for i in ids]]


@given(shapes, cycles, kinds, keys, st.sampled_from(["0", "1/3", "1"]))
def test_bare_windows_equal_the_rule_written_slowly(shape, lengths, kind, key, short):
    raw_lengths = lengths_in_turn(lengths)
    sequences, _ = made(shape, 8, kind, short=short, key=key, raw_lengths=raw_lengths)

    windows = []
    for stream in streams_of(shape, kind):
        while stream:
            size = lengths[len(windows) % len(lengths)]
            if kind == "document":
                size = target_by_hand(size, Fraction(short), sub_key(key, 0, len(windows)))
            windows.append(stream[:size])
            stream = stream[size:]
    assert rows_of(sequences) == windows
    assert sequences.denoiser.tolist() == [w % len(lengths) for w in range(len(windows))]
    assert sequences.denoiser.dtype == np.int8


@given(shapes, cycles, kinds)
def test_every_token_stands_in_the_rows_once_and_nothing_else(shape, lengths, kind):
    sequences, drops = made(shape, 8, kind, raw_lengths=lengths_in_turn(lengths))

    assert sequences.ids.tolist() == list(range(10, 10 + sum(map(sum, shape))))
    assert np.all(sequences.maskable)
    assert len(sequences.maskable) == len(sequences.word_start) == len(sequences.ids)
    assert sequences.document_starts is None
    empty = len(shape) - len(sentences_of(shape))
    assert drops == ({"empty_documents": empty} if empty else {})


@given(shapes, st.integers(8, 20), kinds)
def test_windows_hold_the_length_unless_told_otherwise(shape, length, kind):
    sequences, _ = made(shape, length, kind)

    expected = []
    for stream in streams_of(shape, kind):
        full, rest = divmod(len(stream), length)
        expected += [length] * full + [rest] * (rest > 0)
    assert np.diff(sequences.offsets).tolist() == expected
    assert sequences.denoiser is None
    assert sequences.sentence_starts is None


@given(shapes, cycles, kinds)
def test_sentence_starts_are_where_sentences_begin_inside_a_row(shape, lengths, kind):
    raw_lengths = lengths_in_turn(lengths)
    sequences, _ = made(shape, 8, kind, raw_lengths=raw_lengths, sentence_starts=True)

    firsts = {ids[0] for _, sentences in sentences_of(shape) for _, ids in sentences}
    assert [starts.tolist() for starts in sequences.sentence_starts] == [
        [p for p, i in enumerate(row) if i in firsts and p > 0] for row in rows_of(sequences)
    ]
    assert sequences.sentence_starts.values.dtype == np.int32


@given(shapes, cycles, kinds)
def test_a_row_names_the_document_and_sentence_it_begins_in(shape, lengths, kind):
    sequences, _ = made(shape, 8, kind, raw_lengths=lengths_in_turn(lengths))

    origin = origins_of(shape)
    assert origins_in(sequences) == [origin[row[0]] for row in rows_of(sequences)]


# --- Worked by hand. -----------------------------------------------------------------------------


def test_packed_windows_run_over_documents_without_a_separator():
    raw_lengths = lengths_in_turn([5, 3])
    sequences, _ = made([[2, 4], [2, 1]], 8, "packed", raw_lengths=raw_lengths)
    with_starts, _ = made(
        [[2, 4], [2, 1]], 8, "packed", raw_lengths=raw_lengths, sentence_starts=True
    )

    assert rows_of(sequences) == [[10, 11, 12, 13, 14], [15, 16, 17], [18]]
    assert sequences.denoiser.tolist() == [0, 1, 0]
    assert origins_in(sequences) == [(100, 0), (100, 1), (101, 1)]
    assert [starts.tolist() for starts in with_starts.sentence_starts] == [[2], [1], []]


def test_document_windows_end_with_their_document():
    raw_lengths = lengths_in_turn([5, 3])
    sequences, _ = made([[2, 4], [2, 2]], 8, "document", raw_lengths=raw_lengths)

    assert rows_of(sequences) == [[10, 11, 12, 13, 14], [15], [16, 17, 18, 19]]
    assert sequences.denoiser.tolist() == [0, 1, 0]


@pytest.mark.parametrize("vocabulary", FAMILIES.values(), ids=FAMILIES)
def test_bare_windows_are_the_same_for_every_family(vocabulary):
    sequences, _ = made([[9], [3]], 8, "packed", vocabulary=vocabulary)

    assert rows_of(sequences) == [list(range(10, 18)), list(range(18, 22))]


@pytest.mark.parametrize("kind", ["packed", "document"])
def test_no_documents_make_no_rows(kind):
    sequences, drops = made(
        [[], []], 8, kind, raw_lengths=lengths_in_turn([4]), sentence_starts=True
    )

    assert len(sequences) == len(sequences.sentence_starts) == len(sequences.denoiser) == 0
    assert drops == {"empty_documents": 2}


def test_a_window_that_begins_inside_a_word_begins_a_word_and_the_input_stays():
    tokens = numbered([[10]], starts=[1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    before = tokens.word_start.copy()

    sequences, _ = made(tokens, 8, "document")

    assert np.flatnonzero(sequences.word_start).tolist() == [0, 3, 8]
    assert np.array_equal(tokens.word_start, before)


def test_documents_may_begin_anywhere_in_the_flat_arrays():
    whole = numbered([[3], [2, 2], [4]])
    part = whole.take(np.array([1, 2]))
    view = type(whole)(
        ids=whole.ids,
        word_start=whole.word_start,
        sentence_offsets=whole.sentence_offsets,
        document_offsets=whole.document_offsets[1:],
        numbers=whole.numbers[1:],
    )

    for kind in ("packed", "document"):
        for asked in ({}, {"sentence_starts": True}):
            taken, seen = made(part, 8, kind, **asked)[0], made(view, 8, kind, **asked)[0]
            assert rows_of(taken) == rows_of(seen)
            assert origins_in(taken) == origins_in(seen)
            assert np.array_equal(taken.offsets, seen.offsets)


def test_few_calls_tell_the_raw_lengths_of_a_long_text():
    asked = []

    def raw_lengths(rows):
        asked.append(rows)
        return np.full(rows, 568), None

    sequences, _ = made(documents_of(1000, 10, 50), 512, "packed", raw_lengths=raw_lengths)

    windows = -(-500_000 // 568)
    assert len(sequences) == windows
    assert len(asked) <= 3
    assert sum(asked) < 12 * windows


@pytest.mark.parametrize("held", [0, 1])
def test_windows_of_less_than_two_tokens_are_refused_with_a_length_that_would_do(held):
    with pytest.raises(ValueError, match=rf"length 8 leaves a window {held} tokens.* length 32"):
        made([[9]], 8, "packed", raw_lengths=lengths_in_turn([5, held]))


def test_the_asked_share_of_document_windows_is_of_a_uniform_shorter_length():
    raw_lengths = lengths_in_turn([18])
    tokens = documents_of(1, 1, 400_000)

    sequences, _ = made(tokens, 16, "document", short="1/4", raw_lengths=raw_lengths)

    lengths = np.diff(sequences.offsets)[:-1]
    values, counts = np.unique(lengths, return_counts=True)
    assert values.tolist() == list(range(2, 19))
    assert all(within(count, len(lengths), 1 / 4 / 17) for count in counts[:-1])
