"""Frame segments: windows of one document in two segments, by ELECTRA's rule."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequence_examples import (
    CLS,
    SEP,
    check_sequences,
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

from lmprep.keyed_random import bernoulli
from lmprep.sequences import make_sequences
from tests.strategies import BERT, ROBERTA

KEY = np.uint64(11)
families = st.sampled_from([BERT, ROBERTA])
separators = {BERT.family: 1, ROBERTA.family: 2}


def made(shape, length, key=KEY, *, short="0", vocabulary=BERT):
    tokens = shape if not isinstance(shape, list) else numbered(shape)
    settings = settings_of(length, short=short)
    return make_sequences(tokens, settings, vocabulary, np.uint64(key), frame="segments")


def segments_of(sequences, vocabulary=BERT):
    """Each row as its segments, one or two, after a look at its special tokens."""
    between, segments = [SEP] * separators[vocabulary.family], []
    for row, first in zip(rows_of(sequences), sequences.first_segment_length.tolist(), strict=True):
        a, b = row[1 : first - 1], row[first - 1 + len(between) : -1]
        assert row == [CLS, *a, *(between if first < len(row) else []), *b, SEP]
        segments.append([a, b] if first < len(row) else [a])
    return segments


def rest_of(sentence, taken):
    return [i for i in sentence if i not in taken]


def window_by_hand(sentences, room, target, next_room):
    """The text of one window as a list of (parts of) sentences, from the sentences still to come.

    A sentence that does not fit waits for the next window, unless it is too long for that one too.
    """
    window, size = [], 0
    for sentence in sentences:
        if size >= target:
            break
        if size + len(sentence) <= room:
            window.append(sentence)
        elif not window or len(sentence) > next_room:
            window.append(sentence[: target - size])
        else:
            break
        size += len(window[-1])
    return window


def split_by_hand(window, half, own):
    """ELECTRA's loop, with a second segment that nothing jumps."""
    first, second = [], []
    for part in window:
        joins = not second and (
            not first
            or len(first) + len(part) <= half
            or (len(first) < half and bernoulli(1, 2, own, 3))
        )
        (first if joins else second).extend(part)
    return [first, second] if second else [first]


def by_hand(shape, length, short, key, vocabulary):
    def room_of(own):
        alone = bernoulli(1, 10, own, 2)
        return length - 2 - (0 if alone else separators[vocabulary.family]), alone

    rows = []
    for _, sentences in sentences_of(shape):
        left = [ids for _, ids in sentences]
        while left:
            own = sub_key(key, 0, len(rows))
            room, alone = room_of(own)
            target = target_by_hand(room, short, own)
            next_room, _ = room_of(sub_key(key, 0, len(rows) + 1))
            window = window_by_hand(left, room, target, next_room)
            taken = {i for part in window for i in part}
            left = [rest for rest in (rest_of(ids, taken) for ids in left) if rest]
            rows.append(split_by_hand(window, length if alone else target // 2, own))
    return rows


@given(shapes, st.integers(8, 24), keys, st.sampled_from(["0", "1/3", "1"]), families)
def test_segments_equal_the_rule_written_slowly(shape, length, key, short, vocabulary):
    sequences, _ = made(shape, length, key, short=short, vocabulary=vocabulary)

    expected = by_hand(shape, length, Fraction(short), key, vocabulary)
    assert segments_of(sequences, vocabulary) == expected


@given(shapes, st.integers(8, 24), keys, families)
def test_segments_lose_no_token_and_keep_the_order(shape, length, key, vocabulary):
    sequences, drops = made(shape, length, key, short="1/4", vocabulary=vocabulary)

    check_sequences(sequences, drops, length)
    text = [i for row in segments_of(sequences, vocabulary) for part in row for i in part]
    assert text == list(range(10, 10 + sum(map(sum, shape))))
    assert drops["empty_documents"] == len(shape) - len(sentences_of(shape))
    assert sequences.first_segment_length.dtype == np.int32


@given(shapes, st.integers(8, 24), keys)
def test_a_row_is_of_the_one_document_it_names(shape, length, key):
    sequences, _ = made(shape, length, key)

    origin = origins_of(shape)
    rows = [[i for part in row for i in part] for row in segments_of(sequences)]
    assert origins_in(sequences) == [origin[row[0]] for row in rows]
    assert all(origin[i][0] == origin[row[0]][0] for row in rows for i in row)


@given(shapes, st.integers(8, 24), keys)
def test_the_second_segment_begins_with_a_sentence(shape, length, key):
    sequences, _ = made(shape, length, key)

    firsts = {ids[0] for _, sentences in sentences_of(shape) for _, ids in sentences}
    assert {row[1][0] for row in segments_of(sequences) if len(row) == 2} <= firsts


# --- Worked by hand. -----------------------------------------------------------------------------


def splits(shape, length):
    """Every way in which the first window of a shape is split, over 200 keys."""
    return {tuple(map(tuple, segments_of(made(shape, length, key)[0])[0])) for key in range(200)}


def test_a_sentence_beyond_the_half_joins_the_first_segment_or_not():
    # Twelve tokens of text, of which the first segment aims at six: four, four and four.
    a, b, c = ((10, 11, 12, 13), (14, 15, 16, 17), (18, 19, 20, 21))

    assert splits([[4, 4, 4]], 15) == {(a, b + c), (a + b, c), (a + b + c,)}


def test_a_sentence_that_fills_the_half_exactly_fits_and_the_next_does_not():
    a, b, c = ((10, 11, 12), (13, 14, 15), (16, 17, 18, 19, 20, 21))

    assert splits([[3, 3, 6]], 15) == {(a + b, c), (a + b + c,)}


def test_a_short_sentence_does_not_jump_over_one_that_did_not_fit():
    a, b, c = ((10, 11, 12), (13, 14, 15, 16, 17, 18), (19, 20))

    assert splits([[3, 6, 2]], 15) == {(a, b + c), (a + b, c), (a + b + c,)}


def test_a_first_sentence_beyond_the_half_stands_alone():
    assert splits([[8, 2]], 15) == {
        (tuple(range(10, 18)), (18, 19)),
        (tuple(range(10, 20)),),
    }


def test_a_sentence_longer_than_a_window_goes_on_in_the_next():
    sequences, _ = made([[40]], 15)

    assert [len(a) for (a,) in segments_of(sequences)] in ([12, 12, 12, 4], [13, 12, 12, 3])
    assert sequences.first_segment_length.tolist() == np.diff(sequences.offsets).tolist()


def test_roberta_puts_two_separators_between_the_segments():
    for key in range(20):
        sequences, _ = made([[5, 5]], 14, key, vocabulary=ROBERTA)
        first = sequences.first_segment_length.tolist()
        if len(first) == 1 and first[0] < 12:
            assert rows_of(sequences) == [[CLS, *range(10, 15), SEP, SEP, *range(15, 20), SEP]]
            assert first == [7]
            return
    pytest.fail("no key of 20 drew two segments")


def test_segments_are_not_packed():
    settings = settings_of(20, sequences="packed")

    with pytest.raises(ValueError, match="two segments are not packed; sequences document"):
        make_sequences(numbered([[3]]), settings, BERT, KEY, frame="segments")


def test_no_documents_make_no_segments():
    sequences, drops = made([[], [0]], 20)

    assert len(sequences) == 0
    assert drops == {"empty_documents": 2}


# --- Statistics. ---------------------------------------------------------------------------------


def test_one_window_in_ten_is_one_segment_and_the_sentence_beyond_the_half_draws_fairly():
    sequences, _ = made(documents_of(40_000, 3, 4), 15)

    # Three sentences of four tokens fill a window; ids 0 to 4 are text here.
    lengths = np.diff(sequences.offsets)
    alone = sequences.first_segment_length == lengths
    assert len(sequences) == 40_000
    assert within(alone.sum(), 40_000, 1 / 10)
    cuts, counts = np.unique(sequences.first_segment_length[~alone], return_counts=True)
    assert cuts.tolist() == [6, 10]
    assert within(counts[0], counts.sum(), 1 / 2)


def test_the_asked_share_of_windows_aims_at_a_shorter_length_and_splits_at_its_half():
    sequences, _ = made(documents_of(1, 400_000, 1), 16, short="1/5")

    firsts, lengths = sequences.first_segment_length[:-1], np.diff(sequences.offsets)[:-1]
    two = firsts < lengths
    texts = lengths - 2 - two
    assert np.array_equal(firsts[two], texts[two] // 2 + 2)
    for kind, room in ((two, 13), (~two, 14)):
        assert texts[kind].max() == room
        assert within(np.sum(texts[kind] < room), kind.sum(), 1 / 5 * (room - 2) / (room - 1))
