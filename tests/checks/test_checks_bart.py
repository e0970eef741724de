"""BART's noise: every check of it sees the fault it is for."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from planted import (
    CLS,
    MASK,
    PAD,
    SEP,
    columns_of,
    dataset,
    failed,
    found_in,
    put_row,
    row_lists,
)

from lmprep.objective_settings import BartSettings
from lmprep.ragged import Ragged

NONE, TENTH, HALF = Fraction(0), Fraction(1, 10), Fraction(1, 2)


def options(**settings):
    return {"objective": "bart", "settings": BartSettings(**settings), "family": "roberta"}


def failed_when_stated(tmp_path, made, stated, kind="packed", documents=1500):
    """The checks that fail where a manifest states other settings than the data was made with."""

    def papers(content):
        content["settings"]["objective_settings"] = BartSettings(**stated).as_dict()

    return failed(
        dataset(tmp_path / "out", kind, documents=documents, papers=papers, **options(**made))
    )


def survivors(lists):
    """The raw positions of the tokens that are alone of their kind in labels and inputs."""
    labels, inputs = lists["labels"], lists["input_ids"]
    lost = set(lists["noise_positions"])
    return [
        position
        for position in range(1, len(labels) - 1)
        if position not in lost
        and labels.count(labels[position]) == 1
        and inputs.count(labels[position]) == 1
    ]


def lone_word(lists):
    """The label position of a lost word of one token whose neighbours are not lost, or None."""
    lost = lists["noise_positions"]
    starts = [*lists["word_start"], True]
    for position in lost:
        alone = starts[position - 1] and starts[position]
        if alone and position - 1 not in lost and position + 1 not in lost:
            return position
    return None


def row_with(columns, finds):
    """The first row that a function finds something in, its lists, and what it found."""
    for row in range(len(columns["input_ids"])):
        lists = row_lists(columns, row)
        if (found := finds(lists)) is not None:
            return row, lists, found
    raise AssertionError("no such row")


# --- Form. ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["input_ids", "labels"])
@pytest.mark.parametrize(("place", "token"), [(0, SEP), (0, 50), (-1, CLS), (-1, 50)])
def test_rows_without_their_ends_are_found(tmp_path, column, place, token):
    def fault(columns):
        lists = row_lists(columns, 3)[column]
        lists[place] = token
        put_row(columns, 3, **{column: lists})

    assert found_in(tmp_path, fault, "packed", **options()) == {"end tokens"}


def test_lists_that_do_not_fit_the_labels_are_found(tmp_path):
    def fewer_words(columns):
        put_row(columns, 3, word_start=row_lists(columns, 3)["word_start"][1:])

    def no_first_word(columns):
        put_row(columns, 3, word_start=[False, *row_lists(columns, 3)["word_start"][1:]])

    def sentence_at_zero(columns):
        put_row(columns, 3, sentence_starts=[0, *row_lists(columns, 3)["sentence_starts"]])

    def sentence_outside(columns):
        raw = len(row_lists(columns, 3)["labels"]) - 2
        put_row(columns, 3, sentence_starts=[raw])

    def noise_at_the_end(columns):
        lists = row_lists(columns, 3)
        put_row(columns, 3, noise_positions=[*lists["noise_positions"], len(lists["labels"]) - 1])

    def noise_at_the_start(columns):
        put_row(columns, 3, noise_positions=[0, *row_lists(columns, 3)["noise_positions"]])

    for fault, name in (
        (fewer_words, "word starts"),
        (no_first_word, "word starts"),
        (sentence_at_zero, "sentence starts"),
        (sentence_outside, "sentence starts"),
        (noise_at_the_end, "positions"),
        (noise_at_the_start, "positions"),
    ):
        assert found_in(tmp_path, fault, "packed", **options()) == {name}, fault.__name__


def test_a_token_that_is_no_noise_and_not_there_is_found(tmp_path):
    def fault(columns):
        lists = row_lists(columns, 3)
        ids = lists["input_ids"]
        ids[ids.index(lists["labels"][survivors(lists)[0]])] = MASK
        put_row(columns, 3, input_ids=ids)

    assert found_in(tmp_path, fault, "packed", **options()) == {"remains"}


def test_special_tokens_in_labels_or_inputs_are_found(tmp_path):
    def in_labels(columns):
        """A lost token of the text is padding."""
        lists = row_lists(columns, 3)
        lists["labels"][lists["noise_positions"][0]] = PAD
        put_row(columns, 3, labels=lists["labels"])

    def in_inputs(columns):
        ids = row_lists(columns, 3)["input_ids"]
        ids[ids.index(MASK)] = PAD
        put_row(columns, 3, input_ids=ids)

    assert found_in(tmp_path, in_labels, "packed", **options()) == {"template"}
    assert "special tokens" in found_in(tmp_path, in_inputs, "packed", **options())


# --- Counts. -------------------------------------------------------------------------------------


def test_a_word_hidden_too_few_is_found(tmp_path):
    def under_its_mask(lists):
        """A lost word that a mask behind its left neighbour stands for, and that mask."""
        position = lone_word(lists)
        if position is None or position - 1 not in survivors(lists):
            return None
        ids = lists["input_ids"]
        mask = ids.index(lists["labels"][position - 1]) + 1
        alone = ids[mask] == MASK and MASK not in (ids[mask - 1], ids[mask + 1])
        return (position, mask) if alone and ids.count(MASK) > 1 else None

    def fault(columns):
        """It is there again."""
        row, lists, (position, mask) = row_with(columns, under_its_mask)
        lists["input_ids"][mask] = lists["labels"][position]
        lost = [p for p in lists["noise_positions"] if p != position]
        put_row(columns, row, input_ids=lists["input_ids"], noise_positions=lost)

    assert found_in(tmp_path, fault, "packed", **options(permute_rate=NONE)) == {"words hidden"}


def test_a_word_hidden_in_part_is_found(tmp_path):
    def fault(columns):
        """Of a word that is all there one token more is lost; a mask takes its place."""

        def whole_word(lists):
            starts = [*lists["word_start"], True]
            for p in survivors(lists):
                if p + 1 < len(starts) and not starts[p] and p + 1 not in lists["noise_positions"]:
                    return p + 1 if p + 1 in survivors(lists) else None
            return None

        row, lists, position = row_with(columns, whole_word)
        ids = lists["input_ids"]
        ids[ids.index(lists["labels"][position])] = MASK
        lost = sorted([*lists["noise_positions"], position])
        put_row(columns, row, input_ids=ids, noise_positions=lost)

    assert found_in(tmp_path, fault, "packed", **options()) == {"words hidden"}


def test_too_few_words_hidden_beside_single_tokens_are_found(tmp_path):
    stated = {"infill_rate": HALF, "mask_rate": TENTH}
    assert "words hidden" in failed_when_stated(tmp_path, {"mask_rate": TENTH}, stated)


@pytest.mark.parametrize(
    ("made", "stated", "broken"),
    [
        ({"infill_rate": NONE}, {"infill_rate": NONE, "mask_rate": TENTH}, "noise"),
        (
            {"infill_rate": NONE, "mask_rate": TENTH},
            {"infill_rate": NONE, "delete_rate": TENTH},
            "added tokens",
        ),
        ({"infill_rate": NONE, "insert_rate": TENTH}, {"infill_rate": NONE}, "added tokens"),
        ({"insert_rate": Fraction(1, 20)}, {"insert_rate": TENTH}, "full windows"),
    ],
)
def test_other_rates_than_stated_are_found(tmp_path, made, stated, broken):
    assert broken in failed_when_stated(tmp_path, made, stated)


def test_rows_that_infilling_made_longer_are_found(tmp_path):
    def fault(columns):
        """A row's masks are twice as many as its text had tokens."""
        row = int(np.argmin(columns["labels"].lengths))
        lists = row_lists(columns, row)
        masks = [MASK] * (2 * len(lists["labels"]))
        put_row(columns, row, input_ids=[*lists["input_ids"][:-1], *masks, SEP])

    assert "added tokens" in found_in(tmp_path, fault, "document", **options())


# --- Random tokens. ------------------------------------------------------------------------------


def test_random_tokens_that_nobody_asked_for_are_found(tmp_path):
    def fault(columns):
        ids = columns["input_ids"].values
        ids[np.argmax(ids == MASK)] = 77

    assert found_in(tmp_path, fault, "packed", **options()) == {"random tokens"}


def test_random_tokens_that_are_special_are_found(tmp_path):
    def fault(columns):
        row = row_lists(columns, 3)["input_ids"]
        put_row(columns, 3, input_ids=[1 if token == MASK else token for token in row])

    assert found_in(tmp_path, fault, "packed", **options(random_share=HALF)) == {"random tokens"}


def test_another_share_of_random_tokens_is_found(tmp_path):
    broken = failed_when_stated(tmp_path, {"random_share": TENTH}, {"random_share": HALF})
    assert broken == {"random share", "noise as a whole"}


def test_inserted_tokens_are_counted(tmp_path):
    def fault(columns):
        """A mask of the infilling becomes a random token."""
        ids = columns["input_ids"].values
        ids[np.argmax(ids == MASK)] = 77

    assert found_in(tmp_path, fault, "packed", **options(insert_rate=TENTH)) == {"random share"}


def test_random_tokens_that_are_not_uniform_are_found(tmp_path):
    def fault(columns):
        """Every mask becomes one of few tokens."""
        ids = columns["input_ids"].values
        masks = np.flatnonzero(ids == MASK)
        ids[masks[::2]] = 5 + np.arange(len(masks[::2])) % 500

    found = found_in(tmp_path, fault, "packed", documents=1500, **options(random_share=HALF))
    assert "random tokens uniform" in found


# --- Order. --------------------------------------------------------------------------------------


def test_tokens_that_left_their_sentence_or_its_order_are_found(tmp_path):
    def swapped(columns):
        def two_of_a_sentence(lists):
            bounds = [0, *lists["sentence_starts"], len(lists["labels"])]
            positions = survivors(lists)
            for start, stop in pairwise(bounds):
                inside = [p for p in positions if start < p <= stop]
                if len(inside) > 2:
                    return inside[:2]
            return None

        row, lists, (first, second) = row_with(columns, two_of_a_sentence)
        ids = lists["input_ids"]
        a, b = ids.index(lists["labels"][first]), ids.index(lists["labels"][second])
        ids[a], ids[b] = ids[b], ids[a]
        put_row(columns, row, input_ids=ids)

    def mixed(columns):
        """The first token of the second block stands in the middle of the first."""

        def blocks(lists):
            bounds = lists["sentence_starts"]
            inputs = lists["input_ids"]
            seen = sorted(survivors(lists), key=lambda p: inputs.index(lists["labels"][p]))
            sentence = [sum(p - 1 >= bound for bound in bounds) for p in seen]
            for i in range(2, len(seen) - 1):
                if sentence[i - 2] == sentence[i - 1] != sentence[i] == sentence[i + 1]:
                    return seen[i - 1], seen[i]
            return None

        row, lists, (last, first) = row_with(columns, blocks)
        ids = lists["input_ids"]
        a, b = ids.index(lists["labels"][last]), ids.index(lists["labels"][first])
        ids[a], ids[b] = ids[b], ids[a]
        put_row(columns, row, input_ids=ids)

    for fault in (swapped, mixed):
        assert found_in(tmp_path, fault, "packed", **options()) == {"sentence order"}, fault


def test_sentences_out_of_order_are_found_where_none_are_permuted(tmp_path):
    broken = failed_when_stated(tmp_path, {}, {"permute_rate": NONE})
    assert broken == {"sentence order", "noise as a whole"}


def test_a_rotation_is_found_where_nothing_is_rotated(tmp_path):
    broken = failed_when_stated(tmp_path, {"rotate_rate": TENTH}, {})
    assert "sentence order" in broken


# --- The law as a whole. -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "stated"),
    [
        ({"poisson_lambda": Fraction(2)}, {}),
        ({"permute_rate": NONE}, {}),
        ({"permute_rate": HALF}, {}),
        ({"rotate_rate": TENTH}, {"rotate_rate": HALF}),
        ({"permute_rate": NONE}, {"permute_rate": NONE, "rotate_rate": TENTH}),
    ],
)
def test_another_law_than_stated_is_found(tmp_path, made, stated):
    assert failed_when_stated(tmp_path, made, stated) == {"noise as a whole"}


def test_spans_at_the_front_are_found(tmp_path):
    def fault(columns):
        """Rows without sentences to permute: masks of the second half move to the front."""
        rows = []
        for ids in columns["input_ids"]:
            inner = ids[1:-1].tolist()
            masks = inner[len(inner) // 2 :].count(MASK)
            rest = [t for t in inner[len(inner) // 2 :] if t != MASK]
            rows.append([CLS, *[MASK] * masks, *inner[: len(inner) // 2], *rest, SEP])
        return {**columns, "input_ids": Ragged.from_rows(rows, np.int32)}

    assert found_in(tmp_path, fault, "packed", **options()) == {"noise as a whole"}


def test_copies_that_are_corrupted_alike_are_found(tmp_path):
    settings = BartSettings()

    def as_the_first(columns):
        first = columns_of("packed", 1, 0, "roberta", 0, 3000, settings, "bart")
        return {name: first[name] for name in columns}

    def second_source_alone(content):
        content["shards"] = content["shards"][2:]

    folder = dataset(
        tmp_path / "out",
        "packed",
        copies=2,
        plant=as_the_first,
        papers=second_source_alone,
        **options(),
    )
    assert failed(folder) == {"copies differ"}
