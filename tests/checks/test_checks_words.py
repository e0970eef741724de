"""Words, n-grams and spans: every check of them sees the fault it is for."""

from fractions import Fraction

import numpy as np
import pytest
from planted import (
    CLS,
    MASK,
    SEP,
    columns_of,
    dataset,
    failed,
    found_in,
    predict,
    put_row,
    reveal,
    row_lists,
    words_in,
)

from lmprep.batches import take_rows
from lmprep.objective_settings import (
    InfoWordSettings,
    NgramSettings,
    SpanSettings,
    WholeWordSettings,
)
from lmprep.ragged import Ragged

WORDS = {"objective": "whole-word", "settings": WholeWordSettings()}
SPANS = {"objective": "span", "settings": SpanSettings()}
INFOWORD = {"objective": "infoword", "settings": InfoWordSettings()}


def rows_where(columns, fits):
    """The first row that a function finds something in, its lists, and what it found."""
    for row in range(len(columns["input_ids"])):
        lists = row_lists(columns, row)
        if (found := fits(lists)) is not None:
            return row, lists, found
    raise AssertionError("no such row")


def is_predicted(lists, word):
    return set(word) <= set(lists["masked_positions"])


def is_masked(lists, word):
    return is_predicted(lists, word) and all(lists["input_ids"][p] == MASK for p in word)


# --- Words. --------------------------------------------------------------------------------------


def test_a_word_of_which_only_a_part_is_predicted_is_found(tmp_path):
    def two_long_words(lists):
        long = [word for word in words_in(lists) if len(word) > 1]
        taken = [word for word in long if is_masked(lists, word)]
        free = [word for word in long if not is_predicted(lists, word)]
        return (taken[0], free[0]) if taken and free else None

    def fault(columns):
        """The end of a predicted word is shown, the start of another is hidden instead."""
        row, lists, (taken, free) = rows_where(columns, two_long_words)
        put_row(columns, row, **predict(reveal(lists, taken[-1:]), free[:1]))

    assert found_in(tmp_path, fault, **WORDS) == {"whole words"}


def test_a_word_too_many_is_found(tmp_path):
    def free_word(lists):
        free = [w for w in words_in(lists) if not is_predicted(lists, w)]
        full = len(lists["masked_positions"]) == max(1, round(len(lists["input_ids"]) * 0.15))
        return free[0] if free and full else None

    def fault(columns):
        row, lists, word = rows_where(columns, free_word)
        put_row(columns, row, **predict(lists, word))

    assert found_in(tmp_path, fault, **WORDS) == {"predictions"}


def test_a_word_that_would_still_fit_is_found(tmp_path):
    def fault(columns):
        row, lists, word = rows_where(
            columns, lambda lists: next((w for w in words_in(lists) if is_masked(lists, w)), None)
        )
        put_row(columns, row, **reveal(lists, word))

    assert found_in(tmp_path, fault, **WORDS) == {"shortfall"}


@pytest.mark.parametrize(
    ("chosen", "broken"), [([1, 2], set()), ([3, 4, 5], {"predictions"}), ([], {"shortfall"})]
)
def test_where_no_word_fits_the_shortest_is_taken_whole(tmp_path, chosen, broken):
    ids = [CLS, 11, 12, 13, 14, 15, SEP]

    def fault(columns):
        """Row 0 becomes two words, of two and three tokens; one token is to be predicted."""
        hidden = [MASK if p in chosen else i for p, i in enumerate(ids)]
        put_row(
            columns,
            0,
            input_ids=hidden,
            masked_positions=chosen,
            masked_labels=[ids[p] for p in chosen],
            word_start=[True, True, False, True, False, False, True],
        )

    assert found_in(tmp_path, fault, "document", **WORDS) == broken


def test_a_word_of_two_treatments_is_found(tmp_path):
    def fault(columns):
        def long_masked(lists):
            return next((w for w in words_in(lists) if len(w) > 1 and is_masked(lists, w)), None)

        row, lists, word = rows_where(columns, long_masked)
        lists["input_ids"][word[0]] = 77
        put_row(columns, row, **lists)

    assert found_in(tmp_path, fault, **WORDS) == {"one treatment"}


def test_random_words_that_are_random_in_part_are_found(tmp_path):
    def fault(columns):
        """Of random words of several tokens the first one is as it was."""
        ids, labels = columns["input_ids"].values, columns["masked_labels"].values
        positions = columns["masked_positions"]
        places = positions.values + np.repeat(columns["input_ids"].offsets[:-1], positions.lengths)
        starts = columns["word_start"].values[places]
        other = (ids[places] != labels) & (ids[places] != MASK)
        first = np.flatnonzero(starts[:-1] & ~starts[1:] & other[:-1] & other[1:])
        ids[places[first]] = labels[first]

    assert found_in(tmp_path, fault, **WORDS) == {"random throughout"}


def test_other_shares_of_masked_random_and_kept_words_are_found(tmp_path):
    def fault(columns):
        ids, labels = columns["input_ids"].values, columns["masked_labels"].values
        positions = columns["masked_positions"]
        places = positions.values + np.repeat(columns["input_ids"].offsets[:-1], positions.lengths)
        word = np.cumsum(columns["word_start"].values)[places]
        kept = word % 6 == 0
        ids[places[kept]] = labels[kept]

    assert found_in(tmp_path, fault, **WORDS) == {"treatment"}


@pytest.mark.parametrize("change", [1, -1])
def test_word_starts_that_are_no_list_of_all_tokens_are_found(tmp_path, change):
    def fault(columns):
        lists = row_lists(columns, 3)["word_start"]
        put_row(columns, 3, word_start=[*lists, True] if change > 0 else lists[:-1])

    assert found_in(tmp_path, fault, **WORDS) == {"word starts"}


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_word_that_goes_on_behind_a_special_token_is_found(tmp_path, place):
    def fault(columns):
        starts = columns["word_start"]
        starts.values[starts.offsets[4] + place % starts.lengths[4]] = False

    assert found_in(tmp_path, fault, **WORDS) == {"words at special tokens"}


def test_words_chosen_at_the_front_are_found(tmp_path):
    def fault(columns):
        """In every row a predicted word trades places with an equally long one further in front."""
        for row in range(len(columns["input_ids"])):
            lists = row_lists(columns, row)
            words = words_in(lists)
            for word in reversed(words):
                before = [w for w in words if w[0] < word[0] and len(w) == len(word)]
                before = [w for w in before if not is_predicted(lists, w)]
                if is_masked(lists, word) and before:
                    lists = predict(reveal(lists, word), before[0])
                    break
            edited[row] = lists
        for name in ("input_ids", "masked_positions", "masked_labels"):
            rows = [edited[row][name] for row in range(len(edited))]
            columns[name] = Ragged.from_rows(rows, np.int32)

    edited = {}
    assert found_in(tmp_path, fault, "document", **WORDS) == {"runs of words"}


# --- Runs of words under another law. ------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "made", "stated"),
    [
        ("ngram", NgramSettings(ngram_max=1), NgramSettings(ngram_max=3)),
        ("ngram", NgramSettings(ngram_max=3), NgramSettings(ngram_max=5)),
        ("span", SpanSettings(span_p=Fraction(1, 2)), SpanSettings()),
        ("span", SpanSettings(span_max=5), SpanSettings()),
    ],
)
def test_runs_of_words_under_another_law_are_found(tmp_path, objective, made, stated):
    def other_law(content):
        content["settings"]["objective_settings"] = stated.as_dict()

    folder = dataset(
        tmp_path / "out",
        "document",
        objective=objective,
        settings=made,
        documents=2000,
        papers=other_law,
    )
    assert failed(folder) == {"runs of words"}


# --- Merged spans. -------------------------------------------------------------------------------


def long_span(lists):
    """Which span has several words, and its words."""
    starts, lengths = lists["span_starts"], lists["span_lengths"]
    for span, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        words = [w for w in words_in(lists) if start <= w[0] < start + length]
        if len(words) > 1 and is_masked(lists, range(start, start + length)):
            return span, words
    return None


def several_spans(lists):
    return lists["span_starts"] if len(lists["span_starts"]) > 1 else None


def test_spans_without_lengths_are_found(tmp_path):
    def fault(columns):
        put_row(columns, 2, span_lengths=[*row_lists(columns, 2)["span_lengths"], 1])

    assert found_in(tmp_path, fault, **SPANS) == {"spans"}


def test_spans_out_of_order_or_outside_the_row_are_found(tmp_path):
    def outside(columns):
        lists = row_lists(columns, 2)
        put_row(columns, 2, span_starts=[*lists["span_starts"][:-1], len(lists["input_ids"])])

    def swapped(columns):
        row, lists, _ = rows_where(columns, several_spans)
        put_row(columns, row, span_starts=lists["span_starts"][::-1])

    assert found_in(tmp_path, outside, **SPANS) == {"span starts"}
    assert found_in(tmp_path, swapped, **SPANS) == {"span starts"}


def test_spans_of_nothing_or_over_the_next_are_found(tmp_path):
    def empty(columns):
        columns["span_lengths"].values[5] = 0

    def over(columns):
        row, lists, _ = rows_where(columns, several_spans)
        first, second = lists["span_starts"][:2]
        put_row(columns, row, span_lengths=[second - first + 1, *lists["span_lengths"][1:]])

    def beyond(columns):
        lists = row_lists(columns, 2)
        room = len(lists["input_ids"]) - lists["span_starts"][-1]
        put_row(columns, 2, span_lengths=[*lists["span_lengths"][:-1], room + 1])

    for fault in (empty, over, beyond):
        assert found_in(tmp_path, fault, **SPANS) == {"span lengths"}, fault.__name__


def test_a_span_that_holds_a_token_that_is_not_predicted_is_found(tmp_path):
    def fault(columns):
        columns["span_lengths"].values[5] += 1

    assert found_in(tmp_path, fault, **SPANS) == {"spans predicted"}


def test_a_predicted_token_outside_the_spans_is_found(tmp_path):
    def fault(columns):
        row, lists, _ = rows_where(columns, several_spans)
        put_row(
            columns,
            row,
            span_starts=lists["span_starts"][1:],
            span_lengths=lists["span_lengths"][1:],
        )

    assert found_in(tmp_path, fault, **SPANS) == {"spans complete"}


def test_spans_that_touch_are_found(tmp_path):
    def fault(columns):
        row, lists, (span, words) = rows_where(columns, long_span)
        starts, lengths = lists["span_starts"], lists["span_lengths"]
        first, size = starts[span], words[1][0] - starts[span]
        starts[span : span + 1] = [first, first + size]
        lengths[span : span + 1] = [size, lengths[span] - size]
        put_row(columns, row, span_starts=starts, span_lengths=lengths)

    assert found_in(tmp_path, fault, **SPANS) == {"spans apart"}


def test_a_span_of_two_treatments_is_found(tmp_path):
    def fault(columns):
        row, lists, (_, words) = rows_where(columns, long_span)
        for position in words[0]:
            lists["input_ids"][position] = 77
        put_row(columns, row, input_ids=lists["input_ids"])

    assert found_in(tmp_path, fault, **SPANS) == {"one treatment"}


# --- InfoWord. -----------------------------------------------------------------------------------


def ngram_in(lists):
    """The positions of the row's n-gram."""
    if not lists["span_starts"]:
        return None
    start, length = lists["span_starts"][0], lists["span_lengths"][0]
    return list(range(start, start + length))


def test_an_ngram_that_shows_is_found(tmp_path):
    def fault(columns):
        row, lists, positions = rows_where(columns, ngram_in)
        lists["input_ids"][positions[0]] = 77
        put_row(columns, row, input_ids=lists["input_ids"])

    assert found_in(tmp_path, fault, "document", **INFOWORD) == {"n-gram hidden"}


def test_an_ngram_that_is_missing_cut_or_too_long_is_found(tmp_path):
    def missing(columns):
        row, lists, positions = rows_where(columns, ngram_in)
        put_row(columns, row, **{**reveal(lists, positions), "span_starts": [], "span_lengths": []})

    def long_first_word(lists):
        positions = ngram_in(lists)
        return (
            positions
            if positions and not all(lists["word_start"][p] for p in positions[:2])
            else None
        )

    def cut(columns):
        row, lists, positions = rows_where(columns, long_first_word)
        put_row(
            columns,
            row,
            **{
                **reveal(lists, positions[:1]),
                "span_starts": [positions[1]],
                "span_lengths": [len(positions) - 1],
            },
        )

    for fault in (missing, cut):
        assert found_in(tmp_path, fault, "document", **INFOWORD) == {"n-gram"}, fault.__name__

    def at_most_two(content):
        content["settings"]["objective_settings"]["ngram_max"] = 2

    assert "n-gram" in failed(dataset(tmp_path / "b", "document", papers=at_most_two, **INFOWORD))


def test_ngrams_of_another_law_are_found(tmp_path):
    def longer(content):
        content["settings"]["objective_settings"]["ngram_max"] = 4

    settings = InfoWordSettings(ngram_max=2)
    folder = dataset(
        tmp_path / "out", "document", objective="infoword", settings=settings, papers=longer
    )
    assert failed(folder) == {"n-gram lengths"}


def test_ngrams_at_the_front_are_found(tmp_path):
    def fault(columns):
        """The rows whose n-gram begins in the second half are gone."""
        rows = []
        for row in range(len(columns["input_ids"])):
            positions = ngram_in(row_lists(columns, row))
            late = positions and positions[0] > columns["input_ids"].lengths[row] / 2
            if not late:
                rows.append(row)
        return take_rows(columns, np.array(rows))

    assert found_in(tmp_path, fault, "document", documents=1500, **INFOWORD) == {"n-gram places"}


def test_predictions_beside_the_ngram_are_counted(tmp_path):
    def fault(columns):
        def free(lists):
            inside = ngram_in(lists)
            return next((p for p in lists["masked_positions"] if inside and p not in inside), None)

        row, lists, position = rows_where(columns, free)
        put_row(columns, row, **reveal(lists, [position]))

    assert found_in(tmp_path, fault, "document", **INFOWORD) == {"predictions"}


def test_the_columns_faults_are_planted_in_hold_words_of_several_tokens():
    starts = columns_of("document", 1, settings=WholeWordSettings(), objective="whole-word")

    assert 0.5 < starts["word_start"].values.mean() < 0.9
