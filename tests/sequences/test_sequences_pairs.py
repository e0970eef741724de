"""Pairs: chunks, labels, debts, trimming, and an account of every token."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequence_examples import (
    CLS,
    SEP,
    check_sequences,
    keys,
    lost_tokens,
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

from lmprep.keyed_random import bernoulli, integer_below, permutation
from lmprep.sequences import make_sequences, nsp
from tests.strategies import BERT, ROBERTA

ROOM_OF_20 = 17
many_sentences = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=20), max_size=6)
labels_of = {"nsp": "next_sentence_label", "sop": "sentence_order_label"}
both = pytest.mark.parametrize("pairs", ["nsp", "sop"])


def made(shape, pairs, key, *, length=20, short="1/2", vocabulary=BERT):
    settings = settings_of(length, pairs=pairs, short=short)
    return make_sequences(numbered(shape), settings, vocabulary, np.uint64(key))


def segments_of(sequences):
    """Each pair as its two lists of ids, cut at the first separator."""
    segments = []
    cuts = sequences.first_segment_length.tolist()
    for row, cut in zip(rows_of(sequences), cuts, strict=True):
        assert row[cut - 1] == SEP
        segments.append((row[1 : cut - 1], [i for i in row[cut:] if i != SEP]))
    return segments


# --- The slow twins: the same draws, written as one would tell them. -----------------------------


def grown(sentences, first, target):
    """How many sentences from `first` on make `target` tokens, at least one."""
    count = 1
    while (
        first + count < len(sentences)
        and sum(len(ids) for _, ids in sentences[first : first + count]) < target
    ):
        count += 1
    return sentences[first : first + count]


def trimmed_by_hand(a, b, room, own):
    counter = 6
    while len(a) + len(b) > room:
        longer = a if len(a) > len(b) else b
        longer.pop(0 if bernoulli(1, 2, own, counter) else -1)
        counter += 1
    return a, b


def flat(sentences):
    return [i for _, ids in sentences for i in ids]


def nsp_by_hand(shape, room, short, key):
    documents = sentences_of(shape)
    if len(documents) < 2:
        return []
    pairs, debts = [], 0
    for d, (_, sentences) in enumerate(documents):
        first = 0
        while first < len(sentences):
            own = sub_key(key, 0, len(pairs))
            target = target_by_hand(room, short, own)
            chunk = grown(sentences, first, target)
            cut = 1 if len(chunk) == 1 else 1 + integer_below(len(chunk) - 1, own, 3)
            elsewhere = bernoulli(1, 2, own, 2)
            if len(chunk) == 1 and not elsewhere:
                elsewhere, debts = True, debts + 1
            elif len(chunk) > 1 and elsewhere and debts:
                elsewhere, debts = False, debts - 1
            a, b = flat(chunk[:cut]), flat(chunk[cut:])
            if elsewhere:
                others = documents[:d] + documents[d + 1 :]
                other = others[integer_below(len(others), own, 4)][1]
                b = flat(grown(other, integer_below(len(other), own, 5), target - len(a)))
            pairs.append((a, b, int(elsewhere), len(chunk) == 1, own))
            first += cut if elsewhere else len(chunk)
    singles = [i for i, pair in enumerate(pairs) if pair[3]]
    places = permutation(len(singles), sub_key(key, 1))
    dropped = {i for i, place in zip(singles, places, strict=True) if place < 2 * debts}
    kept = [pair for i, pair in enumerate(pairs) if i not in dropped]
    return [(*trimmed_by_hand(a, b, room, own), label) for a, b, label, _, own in kept]


def sop_by_hand(shape, room, short, key):
    pairs, chunks = [], 0
    for _, sentences in sentences_of(shape):
        first = 0
        while first < len(sentences):
            own = sub_key(key, 0, chunks)
            chunk = grown(sentences, first, target_by_hand(room, short, own))
            first, chunks = first + len(chunk), chunks + 1
            if len(chunk) == 1:
                continue
            cut = 1 + integer_below(len(chunk) - 1, own, 3)
            a, b, swapped = flat(chunk[:cut]), flat(chunk[cut:]), bernoulli(1, 2, own, 2)
            pairs.append((*trimmed_by_hand(*((b, a) if swapped else (a, b)), room, own), swapped))
    return pairs


@both
@given(st.one_of(shapes, many_sentences), keys)
def test_pairs_equal_the_rule_written_slowly(pairs, shape, key):
    sequences, _ = made(shape, pairs, key)

    by_hand = {"nsp": nsp_by_hand, "sop": sop_by_hand}[pairs]
    expected = by_hand(shape, ROOM_OF_20, Fraction(1, 2), key)
    labels = getattr(sequences, labels_of[pairs]).tolist()
    found = [(a, b, label) for (a, b), label in zip(segments_of(sequences), labels, strict=True)]
    assert found == expected


# --- Laws that hold whatever is drawn. -----------------------------------------------------------


@both
@given(shapes, keys, st.integers(8, 20), st.sampled_from([BERT, ROBERTA]))
def test_pairs_have_the_template_of_their_family(pairs, shape, key, length, vocabulary):
    sequences, drops = made(shape, pairs, key, length=length, vocabulary=vocabulary)

    check_sequences(sequences, drops, length)
    between = [SEP] if vocabulary is BERT else [SEP, SEP]
    for row, (a, b) in zip(rows_of(sequences), segments_of(sequences), strict=True):
        assert row == [CLS, *a, *between, *b, SEP]
        assert min(len(a), len(b)) >= 1
    assert sequences.first_segment_length.dtype == np.int32
    assert getattr(sequences, labels_of[pairs]).dtype == np.int8


@both
@given(shapes, keys, st.integers(8, 20))
def test_every_token_is_placed_or_counted(pairs, shape, key, length):
    sequences, drops = made(shape, pairs, key, length=length)

    labels = getattr(sequences, labels_of[pairs]).tolist()
    own_b = [pairs == "sop" or label == nsp.FOLLOWS for label in labels]
    segments = segments_of(sequences)
    placed = [i for (a, b), own in zip(segments, own_b, strict=True) for i in a + b * own]
    assert len(placed) == len(set(placed))
    assert len(placed) + lost_tokens(drops) == sum(map(sum, shape))
    assert drops["empty_documents"] == len(shape) - len(sentences_of(shape))


@both
@given(shapes, keys)
def test_segments_are_runs_of_the_sentences_they_name(pairs, shape, key):
    sequences, _ = made(shape, pairs, key)

    origin, firsts = origins_of(shape), origins_in(sequences)
    seconds = zip(
        sequences.second_document.tolist(), sequences.second_sentence.tolist(), strict=True
    )
    for (a, b), first, second in zip(segments_of(sequences), firsts, seconds, strict=True):
        assert a == list(range(a[0], a[0] + len(a)))
        assert b == list(range(b[0], b[0] + len(b)))
        assert (origin[a[0]], origin[b[0]]) == (first, second)


@given(shapes, keys)
def test_nsp_labels_tell_the_truth(shape, key):
    sequences, _ = made(shape, "nsp", key)

    elsewhere = sequences.next_sentence_label == nsp.ELSEWHERE
    assert np.array_equal(elsewhere, sequences.document != sequences.second_document)
    assert np.all((sequences.first_sentence < sequences.second_sentence)[~elsewhere])


@given(shapes, keys)
def test_sop_labels_tell_the_truth(shape, key):
    sequences, _ = made(shape, "sop", key)

    assert np.array_equal(sequences.document, sequences.second_document)
    swapped = sequences.first_sentence > sequences.second_sentence
    assert np.array_equal(sequences.sentence_order_label == 1, swapped)
    assert np.all(sequences.first_sentence != sequences.second_sentence)


@both
@given(shapes, keys)
def test_the_same_key_makes_the_same_pairs_and_leaves_the_input_alone(pairs, shape, key):
    tokens, settings = numbered(shape), settings_of(12, pairs=pairs, short="1/10")
    before = (tokens.ids.copy(), tokens.sentence_offsets.copy(), tokens.document_offsets.copy())

    first, first_drops = make_sequences(tokens, settings, BERT, key)
    second, second_drops = make_sequences(tokens, settings, BERT, key)

    assert np.array_equal(first.ids, second.ids)
    assert first_drops == second_drops
    after = (tokens.ids, tokens.sentence_offsets, tokens.document_offsets)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@both
def test_another_key_makes_other_pairs(pairs):
    shape = [[3, 4, 2, 5]] * 10

    assert not np.array_equal(made(shape, pairs, 1)[0].ids, made(shape, pairs, 2)[0].ids)


# --- Worked by hand. -----------------------------------------------------------------------------


def test_a_chunk_of_two_sentences_makes_a_positive_or_a_negative():
    found = set()
    for key in range(40):
        rows = rows_of(made([[2, 1], [3]], "nsp", key, length=9, short="0")[0])
        found.add(tuple(rows[0]))

    # Document 100 is one chunk of three tokens (room for six). Its pair either goes on with the
    # second sentence, or with document 101, whose three tokens fit.
    follows = (CLS, 10, 11, SEP, 12, SEP)
    elsewhere = (CLS, 10, 11, SEP, 13, 14, 15, SEP)
    # After "elsewhere" the second sentence comes back as a chunk of one; if both chunks of one
    # sentence are dropped for a debt, the first pair is the only one, else it is still the first.
    assert found <= {follows, elsewhere, (CLS, 12, SEP, 13, 14, 15, SEP)}
    assert {follows, elsewhere} <= found


def test_after_a_negative_the_unused_sentences_begin_the_next_chunk():
    for key in range(200):
        sequences, drops = made([[1, 1, 1], [2, 2, 2]], "nsp", key, length=20, short="0")
        if sequences.next_sentence_label[0] == nsp.ELSEWHERE and not drops:
            a = segments_of(sequences)[0][0]
            assert segments_of(sequences)[1][0][0] == a[-1] + 1
            return
    pytest.fail("no key of 200 drew a negative first")


def test_sop_swaps_the_segments_of_one_chunk():
    found = {tuple(rows_of(made([[2, 0, 1]], "sop", key, short="0")[0])[0]) for key in range(40)}

    assert found == {(CLS, 10, 11, SEP, 12, SEP), (CLS, 12, SEP, 10, 11, SEP)}


def test_sop_drops_and_counts_chunks_of_one_sentence():
    sequences, drops = made([[2, 1], [5], [0, 30, 0]], "sop", 3, short="0")

    assert len(sequences) == 1
    assert drops == {"sop_one_sentence_chunk_sentences": 2, "sop_one_sentence_chunk_tokens": 35}


def test_a_debt_is_paid_by_the_next_longer_chunk_that_draws_elsewhere():
    follows, elsewhere = False, True
    story = [  # (drawn, sentences in the chunk) -> (what it becomes, debts after it)
        ((follows, 3), (follows, 0)),
        ((elsewhere, 1), (elsewhere, 0)),
        ((follows, 1), (elsewhere, 1)),
        ((follows, 1), (elsewhere, 2)),
        ((follows, 2), (follows, 2)),
        ((elsewhere, 1), (elsewhere, 2)),
        ((elsewhere, 4), (follows, 1)),
        ((elsewhere, 2), (follows, 0)),
        ((elsewhere, 2), (elsewhere, 0)),
    ]
    debts = 0
    for (drawn, sentences), expected in story:
        becomes, debts = nsp.settled(drawn, sentences, debts)
        assert (becomes, debts) == expected


@pytest.mark.parametrize(("debts", "left"), [(0, 5), (1, 3), (2, 1), (3, 0), (9, 0)])
def test_an_unpaid_debt_drops_two_one_sentence_chunks_or_all_there_are(debts, left):
    one_sentence = np.array([True, False, True, True, False, True, True])

    kept = nsp.balanced(one_sentence, debts, np.uint64(5))

    assert one_sentence[kept].sum() == left
    assert {1, 4} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)


def test_documents_of_one_sentence_lose_the_pairs_that_would_unbalance_the_labels():
    shape = [[3]] * 1000

    sequences, drops = made(shape, "nsp", 11, short="0")

    # All become negatives, about half of them drew "follows": each costs two.
    assert drops["nsp_balance_pairs"] + len(sequences) == 1000
    assert drops["nsp_balance_tokens"] == 3 * drops["nsp_balance_pairs"]
    assert len(sequences) < 5 * math.sqrt(1000)


def test_a_single_document_makes_no_nsp_pairs():
    sequences, drops = made([[], [3, 0, 4, 5]], "nsp", 1)

    assert len(sequences) == 0
    assert drops == {
        "empty_documents": 1,
        "nsp_single_document_sentences": 3,
        "nsp_single_document_tokens": 12,
    }


@both
def test_no_documents_make_no_pairs(pairs):
    sequences, drops = made([], pairs, 1)

    assert len(sequences) == len(getattr(sequences, labels_of[pairs])) == 0
    assert not drops


# --- Statistics, within five standard errors. ----------------------------------------------------


@pytest.fixture(scope="module")
def corpus():
    lengths = np.random.default_rng(1).integers(2, 16, (4000, 12))
    return [row[: 1 + i % 12].tolist() for i, row in enumerate(lengths)]


@both
@pytest.mark.parametrize("length", [12, 40, 200])
def test_labels_are_half_and_half(corpus, pairs, length):
    sequences, drops = made(corpus, pairs, 3, length=length, short="1/10")

    labels = getattr(sequences, labels_of[pairs])
    drawn = len(labels) + drops["nsp_balance_pairs"]
    assert len(labels) > 1000
    assert abs(2 * int(labels.sum()) - len(labels)) < 5 * math.sqrt(drawn)


def test_one_chunk_in_ten_aims_at_a_random_shorter_length():
    # One-token sentences: every chunk but a document's last is exactly as long as its target.
    sequences, _ = made([[1] * 40_000], "sop", 5, length=23, short="1/10")

    lengths = np.diff(sequences.offsets)[:-1] - 3
    assert lengths.min() == 2
    assert within((lengths < 20).sum(), len(lengths), 0.1 * 18 / 19)
    short = np.bincount(lengths, minlength=21)[2:20]
    assert all(within(count, short.sum(), 1 / 18) for count in short)


def test_segments_are_cut_anywhere_and_swapped_fairly():
    sequences, _ = made([[4, 4, 4, 4]] * 9000, "sop", 6, length=40, short="0")

    first = sequences.first_segment_length - 2
    a = np.where(sequences.sentence_order_label == 1, 16 - first, first) // 4
    assert all(within(np.sum(a == n), 9000, 1 / 3) for n in (1, 2, 3))


def test_borrowed_text_begins_anywhere_in_any_other_document():
    shape = [[2] * 6 for _ in range(3000)]

    sequences, _ = made(shape, "nsp", 8, length=16, short="0")

    negative = sequences.next_sentence_label == nsp.ELSEWHERE
    total = int(negative.sum())
    assert total > 2000
    assert np.all((sequences.document != sequences.second_document)[negative])
    starts = np.bincount(sequences.second_sentence[negative], minlength=6)
    assert all(within(count, total, 1 / 6) for count in starts)
    distance = (sequences.second_document - sequences.document)[negative] % 3000
    assert all(within(np.sum(distance % 2 == n), total, 1 / 2) for n in (0, 1))


def test_trimming_takes_from_the_front_and_the_back_alike():
    sequences, drops = made([[5, 20]] * 2000, "sop", 9, length=9, short="0")

    segments = [segment for pair in segments_of(sequences) for segment in pair]
    assert {len(segment) for segment in segments} == {3}
    assert drops == {"pair_truncation_tokens": 2000 * (2 + 17)}
    begins = [(segment[0] - 10) % 25 for segment in segments]
    from_front = sum(place - 5 if place >= 5 else place for place in begins)
    assert within(from_front, 2000 * 19, 1 / 2)


@given(keys)
def test_equally_long_segments_lose_from_the_second(key):
    sequences, _ = made([[7, 7]], "sop", key, length=16, short="0")

    a, b = segments_of(sequences)[0]
    assert (len(a), len(b)) == (7, 6)
