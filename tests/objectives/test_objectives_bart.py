"""BART: each transformation by its law, all of them together, and the way back."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import slow_denoising as slow
from denoising_examples import BART, T5, bare, chi_square_fits, counting_rows, lists
from hypothesis import given
from hypothesis import strategies as st

from lmprep.objective_settings import BartSettings
from lmprep.objectives import OBJECTIVES, check_fit
from lmprep.objectives.bart import corrupt, raw_lengths, restore
from lmprep.objectives.bart.infilling import poisson_law
from lmprep.settings import SequenceSettings
from tests.strategies import keys_of, seeds

BEGIN, END, MASK = BART.cls, BART.sep, BART.mask
NONE = {"infill_rate": Fraction(0), "permute_rate": Fraction(0)}
EVERYTHING = {
    "mask_rate": Fraction(1, 10),
    "delete_rate": Fraction(1, 10),
    "random_share": Fraction(1, 10),
    "insert_rate": Fraction(1, 10),
    "rotate_rate": Fraction(1, 2),
}


def only(**rates):
    """Settings with these rates and no other."""
    return BartSettings(**{**NONE, **{name: Fraction(rate) for name, rate in rates.items()}})


@st.composite
def damaged(draw):
    """Rows with word and sentence starts; a sentence need not begin a word."""
    lengths = draw(st.lists(st.integers(0, 40), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    words = [(rng.random(n) < rng.random()).tolist() for n in lengths]
    starts = [[t for t in range(1, n) if rng.random() < 0.15] for n in lengths]
    return bare(counting_rows(lengths), word_start=words, sentence_starts=starts)


below_one = st.sampled_from([Fraction(0), Fraction(1, 10), Fraction(3, 10), Fraction(9, 10)])
to_one = st.sampled_from([Fraction(0), Fraction(1, 10), Fraction(1, 2), Fraction(1)])


@st.composite
def settings(draw):
    rates = {name: draw(below_one) for name in ("infill_rate", "mask_rate", "delete_rate")}
    rates |= {name: draw(to_one) for name in ("permute_rate", "insert_rate", "rotate_rate")}
    if not any(rates.values()):
        rates["infill_rate"] = Fraction(3, 10)
    if rates["infill_rate"] or rates["mask_rate"]:
        rates["random_share"] = draw(to_one)
    mean = draw(st.sampled_from([Fraction(1, 10), Fraction(1), Fraction(3), Fraction(7, 2)]))
    return BartSettings(**rates, poisson_lambda=mean)


def check_against_plain_words(sequences, settings, seed):
    keys = keys_of(len(sequences), seed)
    columns = corrupt(sequences, settings, BART, keys)
    law = poisson_law(settings.poisson_lambda)
    for row, key in enumerate(keys):
        start, stop = sequences.offsets[row : row + 2]
        ids, lost = slow.bart(
            sequences.ids[start:stop].tolist(),
            sequences.word_start[start:stop].tolist(),
            sequences.sentence_starts[row].tolist(),
            settings,
            law,
            BART.replacements,
            (BEGIN, END, MASK),
            int(key),
        )
        assert columns["input_ids"][row].tolist() == ids
        assert columns["noise_positions"][row].tolist() == [t + 1 for t in lost]
        assert columns["labels"][row].tolist() == [BEGIN, *sequences.ids[start:stop], END]
        assert np.array_equal(columns["word_start"][row], sequences.word_start[start:stop])


@given(damaged(), settings(), seeds)
def test_columns_equal_the_law_in_plain_words(sequences, settings, seed):
    check_against_plain_words(sequences, settings, seed)


@given(damaged(), seeds)
def test_the_papers_settings_equal_the_law_in_plain_words(sequences, seed):
    check_against_plain_words(sequences, BartSettings(), seed)


@pytest.mark.parametrize("rates", [{}, EVERYTHING])
def test_restoring_gives_back_rows_of_every_length(rates):
    rng = np.random.default_rng(0)
    rows = counting_rows(range(1, 601))
    words = [(rng.random(len(row)) < 0.7).tolist() for row in rows]
    starts = [[t for t in range(1, len(row)) if rng.random() < 0.05] for row in rows]
    sequences = bare(rows, word_start=words, sentence_starts=starts)
    before = sequences.ids.copy(), sequences.word_start.copy()
    settings = BartSettings(**rates)
    columns = corrupt(sequences, settings, BART, keys_of(600))
    restored = restore({**columns, **sequences.provenance()}, settings, BART)

    assert np.array_equal(sequences.ids, before[0])
    assert np.array_equal(sequences.word_start, before[1])
    assert np.array_equal(restored.ids, before[0])
    assert np.array_equal(restored.word_start, before[1])
    assert np.array_equal(restored.offsets, sequences.offsets)
    assert np.array_equal(restored.document, sequences.document)
    assert lists({"s": restored.sentence_starts}, "s") == starts


def test_what_is_copied_and_what_was_corrupted_make_up_the_labels():
    # Ids are unique in each row, so the inputs tell which tokens are still there.
    sequences = bare([range(5 + row, 105 + row) for row in range(50)])
    columns = corrupt(sequences, BartSettings(mask_rate=Fraction(1, 10)), BART, keys_of(50))

    for inputs, labels, lost in zip(
        lists(columns, "input_ids"), lists(columns, "labels"), lists(columns, "noise_positions"),
        strict=True,
    ):  # fmt: skip
        copied = [p for p in range(1, len(labels) - 1) if labels[p] in inputs]
        assert sorted(copied + lost) == list(range(1, len(labels) - 1))


def test_begin_and_end_stay_at_the_ends():
    sequences = bare(counting_rows([1, 2, 10, 100] * 50), sentence_starts=[[], [1], [3], [50]] * 50)
    columns = corrupt(sequences, BartSettings(**EVERYTHING), BART, keys_of(200))

    for name in ("input_ids", "labels"):
        for row in lists(columns, name):
            assert (row[0], row[-1]) == (BEGIN, END)
            assert BEGIN not in row[1:]
            assert END not in row[:-1]


def test_every_order_of_the_sentences_is_equally_likely():
    # Sentences 10 11 12 | 13 | 14 15 | 16.
    rows, sentences = 48_000, [[10, 11, 12], [13], [14, 15], [16]]
    row = [token for sentence in sentences for token in sentence]
    sequences = bare([row] * rows, sentence_starts=[[3, 4, 6]] * rows)
    columns = corrupt(sequences, only(permute_rate=1), BART, keys_of(rows))
    found = Counter(map(tuple, columns["input_ids"].values.reshape(rows, 9)[:, 1:-1].tolist()))
    orders = [tuple(t for s in order for t in s) for order in permutations(sentences)]

    assert found.keys() == set(orders)
    assert chi_square_fits([found[order] for order in orders], [rows / 24] * 24)
    assert len(columns["noise_positions"].values) == 0


@pytest.mark.parametrize(("rate", "moved"), [("0.5", 2), ("0.51", 3), ("0.1", 1)])
def test_only_a_share_of_the_sentences_changes_places(rate, moved):
    # Of 4 sentences ceil(rate * 4) are shuffled: each set of them and each order equally likely.
    rows = 40_000
    sequences = bare([[10, 11, 12, 13]] * rows, sentence_starts=[[1, 2, 3]] * rows)
    columns = corrupt(sequences, only(permute_rate=rate), BART, keys_of(rows))
    orders = columns["input_ids"].values.reshape(rows, 6)[:, 1:-1] - 10
    found = Counter(int(np.sum(order != np.arange(4))) for order in orders)
    law = {1: {0: 1}, 2: {0: 1 / 2, 2: 1 / 2}, 3: {0: 1 / 6, 2: 3 / 6, 3: 2 / 6}}[moved]

    assert found.keys() == law.keys()
    assert chi_square_fits([found[n] for n in law], [p * rows for p in law.values()])
    displaced = np.sum(orders != np.arange(4), 0)
    assert displaced.max() - displaced.min() < 5 * np.sqrt(rows)


def test_exact_numbers_of_tokens_are_masked_deleted_and_inserted():
    sequences = bare([range(5, 105)] * 30)
    masked = corrupt(sequences, only(mask_rate="0.145"), BART, keys_of(30))
    deleted = corrupt(sequences, only(delete_rate="0.155"), BART, keys_of(30))
    inserted = corrupt(sequences, only(insert_rate="0.07"), BART, keys_of(30))

    # 14.5 rounds to the even 14, 15.5 to the even 16.
    assert [row.count(MASK) for row in lists(masked, "input_ids")] == [14] * 30
    assert masked["noise_positions"].lengths.tolist() == [14] * 30
    assert deleted["input_ids"].lengths.tolist() == [102 - 16] * 30
    assert deleted["noise_positions"].lengths.tolist() == [16] * 30
    assert inserted["input_ids"].lengths.tolist() == [102 + 7] * 30
    assert inserted["noise_positions"].lengths.tolist() == [0] * 30


@pytest.mark.parametrize("name", ["mask_rate", "delete_rate"])
def test_every_token_is_masked_or_deleted_equally_often(name):
    rows = 30_000
    sequences = bare([range(5, 15)] * rows)
    columns = corrupt(sequences, only(**{name: "0.3"}), BART, keys_of(rows))
    counts = np.bincount(columns["noise_positions"].values - 1, minlength=10)

    # Choices within a row exclude one another: counts vary less than independent ones.
    assert chi_square_fits(counts, [rows * 3 / 10] * 10)


def test_what_is_masked_is_not_deleted_as_well():
    sequences = bare([range(5, 105)] * 30)
    both = only(mask_rate="0.3", delete_rate="0.9")
    columns = corrupt(sequences, both, BART, keys_of(30))

    # 90 tokens are to go, 70 are left behind the masks.
    assert lists(columns, "input_ids") == [[BEGIN, *[MASK] * 30, END]] * 30


def test_inserted_tokens_stand_anywhere_and_are_ordinary():
    rows = 30_000
    sequences = bare([[BART.unk] * 9] * rows)
    columns = corrupt(sequences, only(insert_rate="0.1"), BART, keys_of(rows))
    inputs = columns["input_ids"].values.reshape(rows, 12)[:, 1:-1]
    new = inputs != BART.unk

    assert np.all(new.sum(1) == 1)
    assert chi_square_fits(new.sum(0), [rows / 10] * 10)
    # 995 ordinary ids, 5 to 999: five times 199.
    counts = np.bincount((inputs[new] - 5) // 199, minlength=5)
    assert inputs[new].min() >= 5
    assert chi_square_fits(counts, [rows / 5] * 5)


def test_a_share_of_the_masks_becomes_random_tokens():
    rows = 3000
    sequences = bare([[BART.unk] * 100] * rows)
    share = only(mask_rate="0.3", random_share="0.1")
    columns = corrupt(sequences, share, BART, keys_of(rows))
    inputs = columns["input_ids"].values.reshape(rows, 102)[:, 1:-1]
    noise = inputs[inputs != BART.unk]
    random = np.mean(noise != MASK)

    assert len(noise) == rows * 30
    assert abs(random - 0.1) < 5 * np.sqrt(0.09 / len(noise))
    assert noise.min() >= MASK
    assert columns["noise_positions"].lengths.tolist() == [30] * rows


def test_rotation_is_a_cyclic_shift_to_a_uniform_token():
    rows, text = 20_000, [10, 11, 12, 13, 14]
    columns = corrupt(bare([text] * rows), only(rotate_rate=1), BART, keys_of(rows))
    found = Counter(map(tuple, columns["input_ids"].values.reshape(rows, 7)[:, 1:-1].tolist()))
    shifts = [tuple(text[i:] + text[:i]) for i in range(5)]

    assert found.keys() == set(shifts)
    assert chi_square_fits([found[shift] for shift in shifts], [rows / 5] * 5)


def test_a_share_of_the_rows_is_rotated():
    rows = 20_000
    columns = corrupt(bare([range(10, 60)] * rows), only(rotate_rate="0.3"), BART, keys_of(rows))
    shifted = np.mean(columns["input_ids"].values.reshape(rows, 52)[:, 1] != 10)
    p = 0.3 * 49 / 50

    assert abs(shifted - p) < 5 * np.sqrt(p * (1 - p) / rows)


def test_raw_rows_leave_room_for_the_ends_and_for_insertions():
    def longest(length, **rates):
        return raw_lengths(BartSettings(**rates), BART, length, np.uint64(0), 2)[0].tolist()

    assert longest(512) == [510, 510]
    # 464 tokens and 46 more.
    assert longest(512, insert_rate=Fraction(1, 10)) == [464, 464]
    with pytest.raises(ValueError, match="length 3 has no room for two tokens; length 4 would"):
        longest(3)


@pytest.mark.parametrize("mean", [Fraction(1, 10), Fraction(3)])
@given(st.integers(8, 60), st.integers(0, 1000))
def test_inputs_never_exceed_the_length(mean, length, seed):
    settings = BartSettings(**EVERYTHING, poisson_lambda=mean)
    raw = int(raw_lengths(settings, BART, length, np.uint64(0), 1)[0][0])
    columns = corrupt(bare(counting_rows([raw] * 30)), settings, BART, keys_of(30, seed))

    assert columns["input_ids"].lengths.max() <= length
    assert columns["labels"].lengths.max() <= length


def test_sentences_that_nobody_can_tell_are_not_permuted():
    sequences = bare([range(5, 15)])
    object.__setattr__(sequences, "sentence_starts", None)

    corrupt(sequences, only(infill_rate="0.3"), BART, keys_of(1))
    with pytest.raises(ValueError, match="permute_rate needs sequences that say where sentences"):
        corrupt(sequences, only(permute_rate=1), BART, keys_of(1))


def test_a_family_without_a_mask_token_is_refused():
    with pytest.raises(ValueError, match="lacks <s>, </s> or <mask>"):
        corrupt(bare([[5, 6]]), BartSettings(), T5, keys_of(1))
    with pytest.raises(ValueError, match="family roberta, not t5"):
        check_fit("bart", BartSettings(), SequenceSettings(sequences="packed"), T5)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"poisson_lambda": Fraction(1, 100)}, "poisson_lambda 0.01 must be from 0.1 to 30"),
        ({"poisson_lambda": Fraction(31)}, "poisson_lambda 31.0 must be from 0.1 to 30"),
        ({"infill_rate": Fraction(1)}, "infill_rate 1.0 must be from 0 to below 1"),
        ({"insert_rate": Fraction(2)}, "insert_rate 2.0 must be from 0 to 1"),
        (NONE, "every rate is 0"),
        ({**NONE, "rotate_rate": Fraction(1), "random_share": Fraction(1, 10)}, "no mask tokens"),
    ],
)
def test_settings_that_cannot_be_are_refused(rates, message):
    with pytest.raises(ValueError, match=message):
        BartSettings(**rates)


def test_the_table_knows_bart():
    assert OBJECTIVES["bart"].frame == "bare"
