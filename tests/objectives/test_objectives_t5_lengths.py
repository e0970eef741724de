"""Lengths: raw rows are as long as their inputs allow, and too few sentinels are found first."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import slow_denoising as slow
from denoising_examples import T5, UL2, bare, counting_rows, t5_vocabulary
from hypothesis import given
from hypothesis import strategies as st

from lmprep.objective_settings import NOISES, T5Settings
from lmprep.objectives import OBJECTIVES, check_fit
from lmprep.objectives.t5 import corrupt, raw_length, raw_lengths
from lmprep.objectives.t5.lengths import LONGEST_ROW, longest_row, noise_counts, span_counts
from lmprep.objectives.t5.random_spans import span_sizes
from lmprep.settings import SequenceSettings
from tests.strategies import keys_of

# Inputs, density, mean span length -> raw tokens, targets (T5's helper; the last two its tests).
GOLDEN = [
    (512, "0.15", 3, 568, 114), (512, "0.15", 2, 552, 126), (512, "0.15", 5, 581, 105),
    (512, "0.15", 8, 588, 100), (512, "0.15", 10, 591, 99), (512, "0.10", 3, 548, 74),
    (512, "0.25", 3, 614, 206), (512, "0.5", 3, 766, 512), (512, "0.5", 8, 908, 512),
    (512, "0.15", 64, 600, 92), (512, "0.5", 64, 1006, 512), (1024, "0.15", 3, 1137, 229),
    (256, "0.15", 3, 284, 58), (128, "0.15", 3, 141, 29), (64, "0.20", 2, 70, 22),
    (64, "0.20", 1, 63, 27),
]  # fmt: skip

densities = st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100)
MANY = t5_vocabulary(sentinels=800, size=2000)


def spans_of(density, mean, **rest):
    return T5Settings(noise_density=Fraction(density), mean_span_length=mean, **rest)


def sentinels_in(ids):
    return int(np.sum(np.isin(ids, MANY.sentinels)))


@pytest.mark.parametrize(("length", "density", "mean", "raw", "targets"), GOLDEN)
def test_the_lengths_are_those_of_the_paper(length, density, mean, raw, targets):
    settings = spans_of(density, mean)
    columns = corrupt(bare(counting_rows([raw])), settings, MANY, keys_of(1))

    assert raw_length(settings, length) == raw
    assert len(columns["input_ids"].values) == length
    assert len(columns["labels"].values) == targets


@pytest.mark.parametrize(
    ("raw", "density", "mean", "expected"),
    [(568, "0.15", 3, (85, 28)), (766, "0.5", 3, (383, 128)), (908, "0.5", 8, (454, 57)),
     (600, "0.15", 64, (90, 1)), (1006, "0.5", 64, (503, 8))],
)  # fmt: skip
def test_noise_and_spans_are_those_of_the_paper(raw, density, mean, expected):
    assert span_sizes(raw, Fraction(density), mean) == expected


@given(st.integers(0, 12) | st.integers(0, 700), densities, st.integers(1, 80))
def test_counts_equal_the_law_in_plain_words(length, density, mean):
    noise = noise_counts(np.array([length]), density)
    spans = span_counts(noise, length - noise, mean)

    assert (int(noise[0]), int(spans[0])) == slow.noise_and_spans(length, density, mean)


def test_halves_are_rounded_to_even_and_never_in_floating_point():
    # 190 * 0.15 = 28.5: T5's masks in 32 bits round it up to 29; 10 and 30 tokens make 1.5 and 4.5.
    lengths = np.array([190, 350, 10, 30, 1, 0])

    assert noise_counts(lengths, Fraction("0.15")).tolist() == [28, 52, 2, 4, 1, 0]
    assert span_counts(np.array([5, 7]), np.array([50, 50]), 2).tolist() == [2, 4]


def test_something_is_always_noise_and_something_is_not():
    lengths = np.array([1, 2, 3, 10])

    assert noise_counts(lengths, Fraction("0.01")).tolist() == [1, 1, 1, 1]
    assert noise_counts(lengths, Fraction("0.99")).tolist() == [1, 1, 2, 9]


def test_spans_are_never_more_than_the_tokens_that_part_them():
    noise, rest = np.array([10, 3, 4, 1, 0]), np.array([3, 10, 4, 0, 0])

    assert span_counts(noise, rest, 1).tolist() == [3, 3, 4, 1, 0]
    assert span_counts(noise, rest, 1000).tolist() == [1, 1, 1, 1, 0]


@given(st.integers(8, 300), densities, st.integers(1, 30), st.booleans())
def test_one_more_token_would_not_fit(length, density, mean, final):
    settings = spans_of(density, mean, final_sentinel=final)
    raw = raw_length(settings, length)

    def fits(tokens):
        noise, spans = slow.noise_and_spans(tokens, density, mean)
        inputs, labels = tokens - noise + spans + 1, noise + spans + 1 + final
        return inputs <= length and (density > Fraction(1, 2) or labels <= length)

    assert fits(raw)
    assert not fits(raw + 1)


@pytest.mark.parametrize(
    ("noise", "density", "raw"),
    [("replace-spans", None, 511), ("drop-tokens", None, 601), ("bert-style", None, 511),
     ("mass", None, 511), ("deshuffle", None, 511), ("prefix-lm", None, 512),
     ("drop-tokens", "0.5", 1022), ("prefix-lm", "0.25", 512), ("prefix-lm", "0.75", 1023)],
)  # fmt: skip
def test_the_other_noises_fill_the_length_too(noise, density, raw):
    settings = T5Settings(noise=noise, noise_density=Fraction(density) if density else None)

    assert raw_lengths(settings, T5, 512, np.uint64(1), 3)[0].tolist() == [raw] * 3


@pytest.mark.parametrize("noise", NOISES)
@given(st.integers(8, 80), densities, st.integers(0, 100))
def test_inputs_never_exceed_the_length(noise, length, density, seed):
    density = None if noise == "deshuffle" else density
    settings = T5Settings(noise=noise, noise_density=density)
    raw = raw_length(settings, length)
    columns = corrupt(bare(counting_rows([raw] * 20)), settings, MANY, keys_of(20, seed))
    inputs, labels = columns["input_ids"].lengths, columns["labels"].lengths

    assert inputs.max() <= length
    if density is None or density <= Fraction(1, 2):
        assert labels.max() <= length
    if noise in ("random-spans", "drop-tokens"):
        assert len(set(inputs.tolist())) == 1


@pytest.mark.parametrize(("length", "enough"), [(1, 3), (2, 3)])
def test_a_length_without_room_for_two_tokens_is_refused(length, enough):
    with pytest.raises(ValueError, match=f"length {length} has no room.* length {enough} would"):
        raw_length(T5Settings(noise="mass"), length)


def test_rows_are_never_longer_than_positions_of_16_bits_allow():
    settings = T5Settings(noise="drop-tokens", noise_density=Fraction(999, 1000))

    assert raw_length(settings, 65_535) == LONGEST_ROW == 65_536
    assert longest_row(lambda n: (n, n), 100_000) == LONGEST_ROW


def test_too_few_sentinels_are_found_before_any_work_with_values_that_would_do():
    settings = spans_of("0.5", 3)
    with pytest.raises(
        ValueError, match=r"noise_density 0.5 needs 128 or more .* has 100"
    ) as found:
        check_fit("t5", settings, SequenceSettings(length=512, sequences="packed"), T5)
    assert "--sentinels 128 would do, or mean_span_length 5" in str(found.value)

    raw_lengths(settings, t5_vocabulary(sentinels=128), 512, np.uint64(0), 1)
    raw_lengths(spans_of("0.5", 5), T5, 512, np.uint64(0), 1)
    with pytest.raises(ValueError, match="has 100"):
        raw_lengths(spans_of("0.5", 4), T5, 512, np.uint64(0), 1)


def test_the_closing_sentinel_is_one_more():
    settings = spans_of("0.15", 3, final_sentinel=True)
    raw_lengths(settings, t5_vocabulary(sentinels=29), 512, np.uint64(0), 1)

    with pytest.raises(ValueError, match="--sentinels 29 would do"):
        raw_lengths(settings, t5_vocabulary(sentinels=28), 512, np.uint64(0), 1)


@pytest.mark.parametrize(
    ("noise", "final", "needed"),
    [("replace-spans", False, 1), ("replace-spans", True, 2), ("bert-style", False, 1),
     ("mass", False, 1), ("drop-tokens", False, 0), ("deshuffle", False, 0),
     ("prefix-lm", False, 0)],
)  # fmt: skip
def test_the_other_noises_need_few_sentinels_or_none(noise, final, needed):
    settings = T5Settings(noise=noise, final_sentinel=final)
    raw_lengths(settings, t5_vocabulary(sentinels=needed), 512, np.uint64(0), 1)

    if needed:
        with pytest.raises(ValueError, match=f"--sentinels {needed} would do$"):
            raw_lengths(settings, t5_vocabulary(sentinels=needed - 1), 512, np.uint64(0), 1)


def test_t5_takes_the_vocabularies_of_its_family_and_of_ul2():
    sequences = SequenceSettings(length=512, sequences="packed")
    for vocabulary in (T5, UL2):
        check_fit("t5", T5Settings(), sequences, vocabulary)

    assert OBJECTIVES["t5"].frame == "bare"
