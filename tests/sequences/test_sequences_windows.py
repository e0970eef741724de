"""Frame template without pairs: document windows and packed windows."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequence_examples import (
    CLS,
    FAMILIES,
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
    texts_of,
    within,
)

from lmprep.batches import Tokens
from lmprep.sequences import make_sequences
from lmprep.vocabulary import Vocabulary
from tests.strategies import BERT, ROBERTA

KEY = np.uint64(7)
kinds = st.sampled_from(["document", "packed"])


def made(shape, length, kind, vocabulary=BERT, *, short="0", key=KEY):
    settings = settings_of(length, sequences=kind, short=short)
    return make_sequences(numbered(shape), settings, vocabulary, key)


def windows_by_hand(streams, room, targets):
    """The rule, slowly. A stream is a list of sentences; [SEP] alone stands between documents."""
    windows = []
    for sentences in streams:
        stream = [i for sentence in sentences for i in sentence]
        ends = np.cumsum([len(sentence) for sentence in sentences]).tolist()
        ends = [end for end in ends if stream[end - 1] != SEP]
        start = 0
        while start < len(stream):
            target = targets(len(windows))
            fitting = [end for end in ends if start < end <= start + room]
            reached = [end for end in fitting if end >= start + target]
            stop = reached[0] if reached else fitting[-1] if fitting else start + target
            begin = stop + (stream[stop : stop + 1] == [SEP])
            next_sentence = min((end for end in ends if end > begin), default=0) - begin
            if not reached and begin < start + room and next_sentence > room:
                stop = start + target
            windows.append(stream[start:stop])
            start = stop + (stream[stop : stop + 1] == [SEP])
    return windows


@given(shapes, st.integers(8, 20), keys, st.sampled_from(["0", "1/3", "1"]))
def test_document_windows_equal_the_rule_written_slowly(shape, length, key, short):
    sequences, _ = made(shape, length, "document", short=short, key=key)

    streams = [[ids for _, ids in sentences] for _, sentences in sentences_of(shape)]
    room = length - 2
    windows = windows_by_hand(
        streams, room, lambda w: target_by_hand(room, Fraction(short), sub_key(key, 0, w))
    )
    assert rows_of(sequences) == [[CLS, *window, SEP] for window in windows]


@given(shapes, st.integers(8, 20), keys)
def test_packed_windows_equal_the_rule_written_slowly(shape, length, key):
    sequences, _ = made(shape, length, "packed", key=key)

    stream = []
    for _, sentences in sentences_of(shape):
        stream += [[SEP]] * bool(stream) + [ids for _, ids in sentences]
    windows = windows_by_hand([stream], length - 2, lambda _: length - 2)
    assert rows_of(sequences) == [[CLS, *window, SEP] for window in windows]


@given(shapes, st.integers(8, 20), kinds, st.sampled_from([BERT, ROBERTA]), keys)
def test_windows_lose_no_token_and_keep_the_order(shape, length, kind, vocabulary, key):
    short = "1/2" if kind == "document" else "0"
    sequences, drops = made(shape, length, kind, vocabulary, short=short, key=key)

    check_sequences(sequences, drops, length)
    assert [i for text in texts_of(sequences) for i in text] == list(
        range(10, 10 + sum(map(sum, shape)))
    )
    assert drops["empty_documents"] == len(shape) - len(sentences_of(shape))


@given(shapes, st.integers(8, 20), kinds)
def test_windows_name_the_document_and_sentence_they_begin_in(shape, length, kind):
    sequences, _ = made(shape, length, kind)

    origin = origins_of(shape)
    assert origins_in(sequences) == [origin[text[0]] for text in texts_of(sequences)]


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


# --- Short windows. ------------------------------------------------------------------------------


def short_windows(sentences, sentence_length, short="1/4"):
    """Lengths of text in windows of 17 tokens, as long as they may become, of one document."""
    tokens = documents_of(1, sentences, sentence_length)
    settings = settings_of(17, short=short)
    sequences, _ = make_sequences(tokens, settings, BERT, KEY)
    return np.diff(sequences.offsets)[:-1] - 2


@pytest.mark.parametrize(("sentences", "length"), [(400_000, 1), (1, 400_000)])
def test_the_asked_share_of_windows_aims_at_a_uniform_shorter_length(sentences, length):
    texts = short_windows(sentences, length)

    # From 2 tokens to the room of 15; one target in 14 is the room itself.
    assert within(np.sum(texts < 15), len(texts), 1 / 4 * 13 / 14)
    short, counts = np.unique(texts[texts < 15], return_counts=True)
    assert short.tolist() == list(range(2, 15))
    assert all(within(count, len(texts), 1 / 4 / 14) for count in counts)


def test_a_short_window_keeps_its_sentences_whole():
    texts = short_windows(50_000, 4, short="1")

    # Targets 2 to 4 make one sentence of 4 tokens, 5 to 8 two, and 9 to 15 three: a fourth would
    # not fit.
    assert set(texts.tolist()) == {4, 8, 12}
    for length, targets in ((4, 3), (8, 4), (12, 7)):
        assert within(np.sum(texts == length), len(texts), targets / 14)


def test_the_same_key_makes_the_same_windows_and_another_key_others():
    rows = [rows_of(made([[1] * 90], 20, "document", short="1/2", key=k)[0]) for k in (1, 1, 2)]

    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


# --- Refused. ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["t5", "ul2", "gpt2"])
@pytest.mark.parametrize(
    ("frame", "pairs"),
    [("template", "none"), ("template", "nsp"), ("template", "sop"), ("segments", "none")],
)
def test_families_without_a_template_are_refused_with_those_that_have_one(family, frame, pairs):
    settings = settings_of(8, pairs=pairs)

    with pytest.raises(ValueError, match=f"family {family} has no template.* bert or roberta"):
        make_sequences(numbered([[3]]), settings, FAMILIES[family], KEY, frame=frame)


@pytest.mark.parametrize(("role", "roles"), [("cls", {"sep": 1}), ("sep", {"cls": 1})])
def test_a_vocabulary_without_cls_or_sep_is_refused(role, roles):
    vocabulary = Vocabulary(family="bert", size=50, special=(1,), **roles)

    with pytest.raises(ValueError, match=f"has no {role} token"):
        make_sequences(numbered([[3]]), settings_of(8), vocabulary, KEY)


@pytest.mark.parametrize("length", [7, 65_536])
def test_a_length_that_cannot_be_is_refused_with_those_that_can(length):
    with pytest.raises(ValueError, match=f"length {length} must be from 8 to 65535 tokens"):
        settings_of(length)


def test_an_unknown_frame_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'oval'.* template, segments, ended, bare"):
        make_sequences(numbered([[3]]), settings_of(8), BERT, KEY, frame="oval")


@pytest.mark.parametrize("frame", ["segments", "ended", "bare"])
@pytest.mark.parametrize("pairs", ["nsp", "sop"])
def test_pairs_go_with_the_template_only(frame, pairs):
    with pytest.raises(ValueError, match=f"pairs {pairs} do not go with frame {frame}"):
        make_sequences(numbered([[3]]), settings_of(8, pairs=pairs), BERT, KEY, frame=frame)


@pytest.mark.parametrize("frame", ["template", "segments", "ended"])
@pytest.mark.parametrize("asked", [{"sentence_starts": True}, {"raw_lengths": lambda rows: None}])
def test_what_only_bare_windows_have_is_refused_elsewhere(frame, asked):
    with pytest.raises(ValueError, match=f"apply to frame bare, not to {frame}"):
        make_sequences(numbered([[3]]), settings_of(8), BERT, KEY, frame=frame, **asked)
