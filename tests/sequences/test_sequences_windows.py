"""Document windows and packed windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequence_examples import (
    CLS,
    SEP,
    check_sequences,
    numbered,
    rows_of,
    sentences_of,
    settings_of,
    shapes,
    texts_of,
)

from lmprep.batches import Tokens
from lmprep.sequences import make_sequences
from lmprep.vocabulary import Vocabulary
from tests.strategies import BERT, ROBERTA

KEY = np.uint64(7)
kinds = st.sampled_from(["document", "packed"])


def made(shape, length, kind, vocabulary=BERT):
    settings = settings_of(length, sequences=kind)
    return make_sequences(numbered(shape), settings, vocabulary, KEY)


def windows_by_hand(streams, room):
    """The rule, slowly. A stream is a list of sentences; [SEP] alone stands between documents."""
    windows = []
    for sentences in streams:
        stream = [i for sentence in sentences for i in sentence]
        ends = np.cumsum([len(sentence) for sentence in sentences]).tolist()
        ends = [end for end in ends if stream[end - 1] != SEP]
        start = 0
        while start < len(stream):
            full = start + room
            stop = max((end for end in ends if start < end <= full), default=full)
            begin = stop + (stream[stop : stop + 1] == [SEP])
            if begin < full and min((e for e in ends if e > begin), default=0) - begin > room:
                stop = full
            windows.append(stream[start:stop])
            start = stop + (stream[stop : stop + 1] == [SEP])
    return windows


@given(shapes, st.integers(8, 20))
def test_document_windows_equal_the_rule_written_slowly(shape, length):
    sequences, _ = made(shape, length, "document")

    streams = [[ids for _, ids in sentences] for _, sentences in sentences_of(shape)]
    windows = windows_by_hand(streams, length - 2)
    assert rows_of(sequences) == [[CLS, *window, SEP] for window in windows]


@given(shapes, st.integers(8, 20))
def test_packed_windows_equal_the_rule_written_slowly(shape, length):
    sequences, _ = made(shape, length, "packed")

    stream = []
    for _, sentences in sentences_of(shape):
        stream += [[SEP]] * bool(stream) + [ids for _, ids in sentences]
    windows = windows_by_hand([stream], length - 2)
    assert rows_of(sequences) == [[CLS, *window, SEP] for window in windows]


@given(shapes, st.integers(8, 20), kinds, st.sampled_from([BERT, ROBERTA]))
def test_windows_lose_no_token_and_keep_the_order(shape, length, kind, vocabulary):
    sequences, drops = made(shape, length, kind, vocabulary)

    check_sequences(sequences, drops, length)
    assert [i for text in texts_of(sequences) for i in text] == list(
        range(10, 10 + sum(map(sum, shape)))
    )
    assert drops["empty_documents"] == len(shape) - len(sentences_of(shape))


@given(shapes, st.integers(8, 20), kinds)
def test_windows_name_the_document_and_sentence_they_begin_in(shape, length, kind):
    sequences, _ = made(shape, length, kind)

    origin = {
        i: (n, o) for n, sentences in sentences_of(shape) for o, ids in sentences for i in ids
    }
    found = list(zip(sequences.document.tolist(), sequences.first_sentence.tolist(), strict=True))
    assert found == [origin[text[0]] for text in texts_of(sequences)]


@given(shapes, st.integers(8, 20))
def test_document_starts_point_at_the_first_token_of_each_further_document(shape, length):
    sequences, _ = made(shape, length, "packed")

    firsts = {sentences[0][1][0] for _, sentences in sentences_of(shape)}
    for row, starts in zip(rows_of(sequences), sequences.document_starts, strict=False):
        assert starts.tolist() == [p for p, i in enumerate(row) if i in firsts and p > 1]
        assert all(row[p - 1] == SEP for p in starts)
    assert len(sequences.document_starts) == len(sequences)
    assert sequences.document_starts.values.dtype == np.int32


def test_a_document_window_ends_at_the_last_sentence_end_that_fits():
    sequences, _ = made([[3, 2, 2], [2]], 8, "document")

    assert rows_of(sequences) == [
        [CLS, 10, 11, 12, 13, 14, SEP],
        [CLS, 15, 16, SEP],
        [CLS, 17, 18, SEP],
    ]
    assert sequences.document.tolist() == [100, 100, 101]
    assert sequences.first_sentence.tolist() == [0, 2, 0]
    assert sequences.document_starts is None


def test_a_sentence_longer_than_a_window_begins_where_there_is_room_and_goes_on_in_the_next():
    sequences, _ = made([[1, 8, 2]], 8, "document")

    assert texts_of(sequences) == [[10, 11, 12, 13, 14, 15], [16, 17, 18, 19, 20]]
    assert sequences.first_sentence.tolist() == [0, 1]


def test_a_sentence_that_fits_a_whole_window_is_not_cut():
    assert texts_of(made([[1, 6]], 8, "document")[0]) == [[10], [11, 12, 13, 14, 15, 16]]


def test_documents_of_one_long_sentence_fill_packed_windows():
    sequences, _ = made([[7], [15], [11]], 8, "packed")

    assert rows_of(sequences) == [
        [CLS, *range(10, 16), SEP],
        [CLS, 16, SEP, *range(17, 21), SEP],
        [CLS, *range(21, 27), SEP],
        [CLS, *range(27, 32), SEP],  # the separator would take the last place
        [CLS, *range(32, 38), SEP],
        [CLS, *range(38, 43), SEP],
    ]
    assert [starts.tolist() for starts in sequences.document_starts] == [[], [3], [], [], [], []]
    assert sequences.document.tolist() == [100, 100, 101, 101, 102, 102]


@given(st.lists(st.integers(21, 90).map(lambda n: [n]), min_size=1, max_size=6), st.integers(8, 20))
def test_long_sentences_leave_no_room_but_for_a_separator(shape, length):
    sequences, _ = made(shape, length, "packed")

    assert np.all(np.diff(sequences.offsets)[:-1] >= length - 1)


def test_packed_windows_put_one_separator_between_documents():
    sequences, _ = made([[3, 2], [2], [4]], 10, "packed", ROBERTA)

    assert rows_of(sequences) == [
        [CLS, 10, 11, 12, 13, 14, SEP, 15, 16, SEP],
        [CLS, 17, 18, 19, 20, SEP],
    ]
    assert [starts.tolist() for starts in sequences.document_starts] == [[7], []]
    assert sequences.document.tolist() == [100, 102]


def test_the_separator_between_documents_counts_in_the_length():
    # 4 tokens, a separator and 1 token would be 6; 2 tokens are one too many.
    assert texts_of(made([[4], [1]], 8, "packed")[0]) == [[10, 11, 12, 13, 14]]
    assert texts_of(made([[4], [2]], 8, "packed")[0]) == [[10, 11, 12, 13], [14, 15]]


def test_empty_sentences_vanish_and_empty_documents_are_counted():
    sequences, drops = made([[0, 2, 0, 1], [], [0, 0], [0, 1]], 8, "packed")

    assert rows_of(sequences) == [[CLS, 10, 11, 12, SEP, 13, SEP]]
    assert sequences.first_sentence.tolist() == [1]
    assert drops == {"empty_documents": 2}


def test_no_documents_make_no_sequences():
    for kind in ("document", "packed"):
        sequences, drops = made([], 8, kind)
        assert len(sequences) == 0
        assert not drops


def test_a_window_that_begins_inside_a_word_begins_a_word():
    shape, starts = [[8, 2]], [1, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    tokens = numbered(shape, starts=starts)

    sequences, _ = make_sequences(tokens, settings_of(8), BERT, KEY)

    assert texts_of(sequences) == [[10, 11, 12, 13, 14, 15], [16, 17, 18, 19]]
    assert sequences.word_start.tolist() == [
        *[True, True, False, False, True, False, False, True],
        *[True, True, False, True, False, True],
    ]


def test_documents_may_begin_anywhere_in_the_flat_arrays():
    whole = numbered([[3], [2, 2], [4]])
    part = Tokens(
        ids=whole.ids,
        word_start=whole.word_start,
        sentence_offsets=whole.sentence_offsets,
        document_offsets=whole.document_offsets[1:],
        numbers=whole.numbers[1:],
    )

    sequences, _ = make_sequences(part, settings_of(8, sequences="packed"), BERT, KEY)

    assert texts_of(sequences) == [[13, 14, 15, 16], [17, 18, 19, 20]]
    assert sequences.document.tolist() == [101, 102]


def test_windows_leave_their_input_alone():
    tokens = numbered([[3, 12], [5]], starts=[0] * 20)
    before = [tokens.ids.copy(), tokens.word_start.copy(), tokens.sentence_offsets.copy()]

    make_sequences(tokens, settings_of(8, sequences="packed"), BERT, KEY)

    after = [tokens.ids, tokens.word_start, tokens.sentence_offsets]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("family", ["t5", "ul2", "gpt2"])
@pytest.mark.parametrize("pairs", ["none", "nsp", "sop"])
def test_families_without_a_template_are_refused_with_those_that_have_one(family, pairs):
    vocabulary = Vocabulary(family=family, size=50, special=(0,), sep=0)

    with pytest.raises(ValueError, match=f"family {family} has no template.* bert or roberta"):
        make_sequences(numbered([[3]]), settings_of(8, pairs=pairs), vocabulary, KEY)


@pytest.mark.parametrize(("role", "roles"), [("cls", {"sep": 1}), ("sep", {"cls": 1})])
def test_a_vocabulary_without_cls_or_sep_is_refused(role, roles):
    vocabulary = Vocabulary(family="bert", size=50, special=(1,), **roles)

    with pytest.raises(ValueError, match=f"has no {role} token"):
        make_sequences(numbered([[3]]), settings_of(8), vocabulary, KEY)
