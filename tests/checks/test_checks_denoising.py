"""T5's noises and UL2's denoisers: every check of them sees the fault it is for."""

from fractions import Fraction

import numpy as np
import pytest
from planted import (
    PAD,
    SEP,
    UNK,
    columns_of,
    dataset,
    failed,
    found_in,
    put_row,
    row_lists,
    vocabulary_of,
)

from lmprep.checks.verify import verify
from lmprep.keyed_random import key_for, sub_keys
from lmprep.objective_settings import T5Settings, Ul2Settings
from lmprep.objectives import OBJECTIVES
from lmprep.objectives.t5.sentinels import splice
from lmprep.objectives.t5.span_masks import span_mask
from lmprep.ragged import Ragged, offsets_of

HALF = Fraction(1, 2)
T5 = vocabulary_of("t5")
FIRST, SECOND = T5.sentinels[:2]


def options(noise="random-spans", **settings):
    return {"objective": "t5", "settings": T5Settings(noise=noise, **settings), "family": "t5"}


UL2 = {"objective": "ul2", "settings": Ul2Settings(), "family": "ul2"}


def stated(**settings):
    """A manifest that states other settings than the data was made with."""

    def papers(content):
        content["settings"]["objective_settings"] = T5Settings(**settings).as_dict()

    return papers


def text_of(columns, noise="random-spans"):
    """The raw rows."""
    restored = OBJECTIVES["t5"].restore(columns, T5Settings(noise=noise), T5)
    return Ragged(restored.ids, restored.offsets)


def is_noise(columns):
    """Which raw tokens are noise, for rows whose noise stands in the labels."""
    text = text_of(columns)
    flags = np.zeros(len(text.values), bool)
    for row in range(len(text)):
        place = int(text.offsets[row])
        runs = segments(columns["labels"][row].tolist())
        for token in columns["input_ids"][row].tolist()[:-1]:
            if token in T5.sentinels:
                run = runs[T5.sentinels.index(token)]
                flags[place : place + len(run)] = True
                place += len(run)
            else:
                place += 1
    return flags


def segments(labels):
    """What stands behind each sentinel of the labels."""
    runs = []
    for token in labels[:-1]:
        if token in T5.sentinels:
            runs.append([])
        else:
            runs[-1].append(token)
    return runs


def respliced(columns, noise):
    """The same rows with other noise, bool [T]."""
    inputs, labels = splice(text_of(columns), noise, T5)
    return {**columns, "input_ids": inputs, "labels": labels}


# --- Form. ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["input_ids", "labels"])
@pytest.mark.parametrize("noise", ["random-spans", "mass", "prefix-lm"])
def test_rows_without_their_end_token_are_found(tmp_path, column, noise):
    def other(columns):
        columns[column].values[columns[column].offsets[5] - 1] = 77

    def twice(columns):
        columns[column].values[columns[column].offsets[5] - 2] = SEP

    for fault in (other, twice):
        assert found_in(tmp_path, fault, "packed", **options(noise)) == {"end tokens"}, fault


def test_a_row_of_no_text_is_found(tmp_path):
    def fault(columns):
        put_row(columns, 3, input_ids=[SEP], labels=[SEP])

    assert found_in(tmp_path, fault, "packed", **options("mass")) == {"raw tokens"}


def test_ids_outside_the_vocabulary_are_found(tmp_path):
    for column, name in (("input_ids", "ids"), ("labels", "labels")):

        def fault(columns, column=column):
            columns[column].values[3] = T5.size

        assert found_in(tmp_path, fault, "packed", **options("mass")) == {name}


def test_sentinels_out_of_order_are_found(tmp_path):
    def first_in_labels(columns):
        columns["labels"].values[0] = SECOND

    def other_in_inputs(columns):
        ids = columns["input_ids"].values
        ids[np.argmax(ids == FIRST)] = SECOND

    def text_in_front(columns):
        lists = row_lists(columns, 3)
        put_row(columns, 3, labels=[50, *lists["labels"]])

    def empty_run(columns):
        lists = row_lists(columns, 3)
        runs = len(segments(lists["labels"]))
        put_row(
            columns,
            3,
            input_ids=[*lists["input_ids"][:-2], T5.sentinels[runs], SEP],
            labels=[*lists["labels"][:-1], T5.sentinels[runs], SEP],
        )

    def one_side(columns):
        lists = row_lists(columns, 3)
        runs = len(segments(lists["labels"]))
        put_row(columns, 3, labels=[*lists["labels"][:-1], T5.sentinels[runs], 60, SEP])

    for fault in (first_in_labels, other_in_inputs, text_in_front, empty_run, one_side):
        assert found_in(tmp_path, fault, "packed", **options()) == {"sentinels"}, fault.__name__


@pytest.mark.parametrize("noise", ["random-spans", "replace-spans"])
def test_the_closing_sentinel_stands_where_the_settings_ask_for_it(tmp_path, noise):
    asked = stated(noise=noise, final_sentinel=True)
    assert failed(dataset(tmp_path / "a", "packed", papers=asked, **options(noise))) == {
        "sentinels"
    }
    asked = stated(noise=noise)
    made = options(noise, final_sentinel=True)
    assert failed(dataset(tmp_path / "b", "packed", papers=asked, **made)) == {"sentinels"}


@pytest.mark.parametrize("noise", ["random-spans", "deshuffle", "drop-tokens"])
def test_special_tokens_in_the_text_are_found(tmp_path, noise):
    def fault(columns):
        text = columns["input_ids"].values
        place = int(np.argmax(text[3:] > UNK)) + 3
        if noise == "deshuffle":
            labels = columns["labels"].values
            labels[np.argmax(labels == text[place])] = PAD
        text[place] = PAD

    assert found_in(tmp_path, fault, "packed", **options(noise)) == {"template"}


# --- Noise in spans. -----------------------------------------------------------------------------


def test_a_token_of_noise_too_many_or_a_span_too_few_is_found(tmp_path):
    def longer_span(columns):
        noise = is_noise(columns)
        text = text_of(columns)
        row = next(r for r in range(len(text)) if not noise[text.offsets[r]])
        flags = noise[text.offsets[row] : text.offsets[row + 1]]
        end = int(np.argmax(flags[:-2] & ~flags[1:-1] & ~flags[2:])) + 1
        noise[text.offsets[row] + end] = True
        return respliced(columns, noise)

    def joined_spans(columns):
        """A row's noise all in one span."""
        noise, text = is_noise(columns), text_of(columns)
        first, last = text.offsets[4], text.offsets[5]
        count = int(noise[first:last].sum())
        noise[first:last] = False
        noise[first + 2 : first + 2 + count] = True
        return respliced(columns, noise)

    assert found_in(tmp_path, longer_span, "packed", **options()) == {"noise"}
    assert found_in(tmp_path, joined_spans, "packed", **options()) == {"spans"}


def test_spans_of_equal_length_are_found(tmp_path):
    def fault(columns):
        noise, text = is_noise(columns), text_of(columns)
        for row in range(len(text)):
            flags = noise[text.offsets[row] : text.offsets[row + 1]]
            flags[:] = evened(flags)
        return respliced(columns, noise)

    def evened(flags):
        """The same gaps, with spans as equal as they can be."""
        runs = np.split(flags, np.flatnonzero(np.diff(flags)) + 1)
        spans = [run for run in runs if run[0]]
        sizes = np.diff(np.linspace(0, sum(map(len, spans)), len(spans) + 1).round().astype(int))
        even = iter(sizes)
        return np.concatenate([np.ones(next(even), bool) if run[0] else run for run in runs])

    assert found_in(tmp_path, fault, "packed", documents=1500, **options()) == {"span lengths"}


def test_noise_that_always_ends_the_row_is_found(tmp_path):
    """As in T5's code, which does not rotate its masks."""

    def fault(columns):
        text = text_of(columns)
        noise = Ragged(is_noise(columns), text.offsets)
        counts = np.array([row.sum() for row in noise])
        spans = np.array([np.sum(np.diff(row.astype(int), prepend=0) == 1) for row in noise])
        keys = sub_keys(key_for(3, "unrotated"), np.arange(len(text)))
        never = np.zeros(len(text), bool)
        return respliced(columns, span_mask(text.offsets, counts, spans, never, keys))

    assert found_in(tmp_path, fault, "packed", **options()) == {"span places"}


def test_another_density_or_span_length_than_stated_is_found(tmp_path):
    folder = dataset(
        tmp_path / "a", "packed", papers=stated(noise_density=Fraction(1, 4)), **options()
    )
    assert {"noise", "full windows"} <= failed(folder)
    folder = dataset(tmp_path / "b", "packed", papers=stated(mean_span_length=2), **options())
    assert {"spans", "full windows"} <= failed(folder)


# --- Noise token by token. -----------------------------------------------------------------------


def test_too_little_noise_of_runs_is_found(tmp_path):
    def fault(columns):
        """The last run of a row is text again."""
        lists = row_lists(columns, 4)
        runs = segments(lists["labels"])
        last = T5.sentinels[len(runs) - 1]
        place = lists["input_ids"].index(last)
        put_row(
            columns,
            4,
            input_ids=[*lists["input_ids"][:place], *runs[-1], *lists["input_ids"][place + 1 :]],
            labels=[*lists["labels"][: lists["labels"].index(last)], SEP],
        )

    assert found_in(tmp_path, fault, "packed", **options("replace-spans")) == {"noise"}


def test_too_few_sentinels_leave_less_noise(tmp_path):
    """At density 0.5 a row of 511 tokens has some 128 runs; there are 100 sentinels."""
    made = options("replace-spans", noise_density=HALF)
    folder = dataset(tmp_path / "out", "packed", documents=3000, length=512, **made)
    labels = columns_of("packed", 1, 0, "t5", 0, 3000, made["settings"], "t5", 3000, 512)["labels"]

    assert failed(folder) == set()
    assert any(T5.sentinels[-1] in row for row in labels)


@pytest.mark.parametrize("noise", ["replace-spans", "drop-tokens", "bert-style", "mass"])
def test_noise_that_favours_the_front_is_found(tmp_path, noise):
    def fault(columns):
        """Every other row has its noise at the front."""
        text = text_of(columns, noise)
        counts = [max(1, round(n * Fraction(3, 20))) for n in text.lengths]
        flags = np.zeros(len(text.values), bool)
        rng = np.random.default_rng(1)
        for row, (n, k) in enumerate(zip(text.lengths, counts, strict=True)):
            room = n if row % 2 else max(k, n // 2)
            flags[text.offsets[row] + rng.choice(room, k, replace=False)] = True
        if noise == "replace-spans":
            return respliced(columns, flags)
        if noise == "drop-tokens":
            return dropped(columns, text, flags)
        inputs = columns["input_ids"]
        kept = np.ones(len(inputs.values), bool)
        kept[inputs.offsets[1:] - 1] = False
        random = rng.random(len(flags)) < (0.1 if noise == "bert-style" else 0)
        hidden = np.where(random, rng.integers(5, 2800, len(flags)), FIRST)
        inputs.values[kept] = np.where(flags, hidden, text.values)
        return columns

    assert found_in(tmp_path, fault, "packed", documents=1500, **options(noise)) == {
        "positions uniform"
    }


def dropped(columns, text, flags):
    rows = [text[row] for row in range(len(text))]
    noise = [flags[text.offsets[row] : text.offsets[row + 1]] for row in range(len(text))]
    return {
        **columns,
        "input_ids": Ragged.from_rows(
            [[*r[~n].tolist(), SEP] for r, n in zip(rows, noise, strict=True)], np.int32
        ),
        "labels": Ragged.from_rows(
            [[*r[n].tolist(), SEP] for r, n in zip(rows, noise, strict=True)], np.int32
        ),
        "noise_positions": Ragged.from_rows([np.flatnonzero(n).tolist() for n in noise], np.int32),
    }


def test_dropped_tokens_need_their_positions(tmp_path):
    def one_less(columns):
        put_row(columns, 3, noise_positions=row_lists(columns, 3)["noise_positions"][1:])

    def swapped(columns):
        put_row(columns, 3, noise_positions=row_lists(columns, 3)["noise_positions"][::-1])

    def outside(columns):
        lists = row_lists(columns, 3)
        most = len(lists["input_ids"]) + len(lists["labels"]) - 2
        put_row(columns, 3, noise_positions=[*lists["noise_positions"][:-1], most])

    drop = options("drop-tokens")
    assert found_in(tmp_path, one_less, "packed", **drop) == {"labels and positions"}
    assert found_in(tmp_path, swapped, "packed", **drop) == {"positions"}
    assert found_in(tmp_path, outside, "packed", **drop) == {"positions"}


def test_a_dropped_token_too_few_is_found(tmp_path):
    def fault(columns):
        lists = row_lists(columns, 3)
        place = lists["noise_positions"][0]
        inputs = [*lists["input_ids"][:place], lists["labels"][0], *lists["input_ids"][place:]]
        put_row(
            columns,
            3,
            input_ids=inputs,
            labels=lists["labels"][1:],
            noise_positions=lists["noise_positions"][1:],
        )

    assert "noise" in found_in(tmp_path, fault, "document", **options("drop-tokens"))


# --- Hidden tokens. ------------------------------------------------------------------------------


def hidden_places(columns, random):
    """Places of tokens under a random one, or under the sentinel."""
    inputs, labels = columns["input_ids"].values, columns["labels"].values
    other = inputs != labels
    return np.flatnonzero(other & ((inputs != FIRST) == random))


def test_tokens_hidden_under_something_else_are_found(tmp_path):
    def second_sentinel(columns):
        columns["input_ids"].values[hidden_places(columns, random=False)[3]] = SECOND

    def special(columns):
        columns["input_ids"].values[hidden_places(columns, random=True)[3]] = UNK

    def random(columns):
        columns["input_ids"].values[hidden_places(columns, random=False)[3]] = 77

    assert found_in(tmp_path, second_sentinel, "packed", **options("mass")) == {"hidden tokens"}
    assert found_in(tmp_path, random, "packed", **options("mass")) == {"hidden tokens"}
    bert = options("bert-style")
    assert found_in(tmp_path, second_sentinel, "packed", **bert) == {"hidden tokens"}
    assert found_in(tmp_path, special, "packed", **bert) == {"hidden tokens"}


def test_inputs_and_labels_of_different_length_are_found(tmp_path):
    def fault(columns):
        put_row(columns, 3, input_ids=[60, *row_lists(columns, 3)["input_ids"]][-48:])
        put_row(columns, 4, input_ids=row_lists(columns, 4)["input_ids"][1:])

    for noise in ("bert-style", "mass", "deshuffle"):
        found = found_in(tmp_path, fault, "packed", **options(noise))
        assert "inputs and labels" in found, noise


def test_a_hidden_token_too_many_or_too_few_is_found(tmp_path):
    def too_many(columns):
        inputs, labels = columns["input_ids"].values, columns["labels"].values
        inputs[np.argmax((inputs == labels) & (labels > UNK))] = FIRST

    def too_few(columns):
        place = hidden_places(columns, random=False)[0]
        columns["input_ids"].values[place] = columns["labels"].values[place]

    def several_too_few(columns):
        places = hidden_places(columns, random=False)[:30]
        columns["input_ids"].values[places] = columns["labels"].values[places]

    assert found_in(tmp_path, too_many, "packed", **options("mass")) == {"noise"}
    assert found_in(tmp_path, too_few, "packed", **options("mass")) == {"noise"}
    assert found_in(tmp_path, too_many, "packed", **options("bert-style")) == {"noise"}
    assert found_in(tmp_path, several_too_few, "packed", **options("bert-style")) == {"noise seen"}


def test_other_shares_of_sentinels_and_random_tokens_are_found(tmp_path):
    def fault(columns):
        places = hidden_places(columns, random=False)[::8]
        rng = np.random.default_rng(2)
        columns["input_ids"].values[places] = rng.integers(5, 2800, len(places))

    made = options("bert-style")
    found = found_in(tmp_path, fault, "packed", documents=1500, **made)
    assert found == {"treatment"}


def test_random_tokens_that_are_not_uniform_are_found(tmp_path):
    def fault(columns):
        ids = columns["input_ids"].values
        places = hidden_places(columns, random=True)
        smaller = 5 + np.maximum(0, ids[places] - 5) // 2
        change = smaller != columns["labels"].values[places]
        ids[places[change]] = smaller[change]

    found = found_in(tmp_path, fault, "packed", documents=1500, **options("bert-style"))
    assert found == {"random tokens uniform"}


# --- Shuffled tokens. ----------------------------------------------------------------------------


def test_tokens_that_are_not_those_of_the_labels_are_found(tmp_path):
    def fault(columns):
        columns["input_ids"].values[3] ^= 1

    assert found_in(tmp_path, fault, "packed", **options("deshuffle")) == {"same tokens"}


@pytest.mark.parametrize("order", ["kept", "rotated", "turned round", "in blocks"])
def test_orders_that_are_not_random_are_found(tmp_path, order):
    rng = np.random.default_rng(5)

    def reordered(row):
        if order == "rotated":
            return np.roll(row, rng.integers(len(row)))
        if order == "turned round":
            return row[::-1]
        if order == "in blocks":
            blocks = np.array_split(row, 4)
            return np.concatenate([blocks[i] for i in rng.permutation(4)])
        return row

    def fault(columns):
        labels = columns["labels"]
        rows = [[*reordered(row[:-1]).tolist(), SEP] for row in labels]
        return {**columns, "input_ids": Ragged.from_rows(rows, np.int32)}

    assert found_in(tmp_path, fault, "document", **options("deshuffle")) == {"order"}


# --- Prefixes. -----------------------------------------------------------------------------------


def test_a_row_without_a_prefix_or_a_rest_is_found(tmp_path):
    def no_prefix(columns):
        lists = row_lists(columns, 3)
        put_row(columns, 3, input_ids=[SEP], labels=[*lists["input_ids"][:-1], *lists["labels"]])

    def no_rest(columns):
        row = int(np.argmin(columns["input_ids"].lengths + columns["labels"].lengths))
        lists = row_lists(columns, row)
        put_row(columns, row, input_ids=[*lists["input_ids"][:-1], *lists["labels"]], labels=[SEP])

    prefix = options("prefix-lm")
    assert found_in(tmp_path, no_prefix, "packed", **prefix) == {"prefix"}
    assert found_in(tmp_path, no_rest, "document", **prefix) == {"prefix"}


def test_prefixes_of_another_law_are_found(tmp_path):
    folder = dataset(
        tmp_path / "a",
        "packed",
        documents=1500,
        papers=stated(noise="prefix-lm", noise_density=Fraction(1, 4)),
        **options("prefix-lm"),
    )
    assert "prefix" in failed(folder)

    def short(columns):
        """Long prefixes lose their second half to the rest."""
        inputs, labels = [], []
        for first, rest in zip(columns["input_ids"], columns["labels"], strict=True):
            cut = (len(first) - 1) // 2 if len(first) > 20 else len(first) - 1
            inputs.append([*first[:cut].tolist(), SEP])
            labels.append([*first[cut:-1].tolist(), *rest.tolist()])
        return {
            **columns,
            "input_ids": Ragged.from_rows(inputs, np.int32),
            "labels": Ragged.from_rows(labels, np.int32),
        }

    found = found_in(tmp_path, short, "packed", documents=1500, **options("prefix-lm"))
    assert found == {"prefix lengths uniform"}


# --- UL2. ----------------------------------------------------------------------------------------


def test_a_denoiser_that_there_is_not_or_that_has_no_weight_is_found(tmp_path):
    def fault(columns):
        columns["denoiser"][3] = 7

    def none_of_the_first(content):
        content["settings"]["objective_settings"]["weights"] = "0,1,1,1,1,1,1"

    assert found_in(tmp_path, fault, "packed", **UL2) == {"denoiser"}
    folder = dataset(tmp_path / "b", "packed", papers=none_of_the_first, **UL2)
    assert "denoiser" in failed(folder)


def test_the_mode_token_of_another_denoiser_is_found(tmp_path):
    modes = vocabulary_of("ul2").modes

    def fault(columns):
        ids = columns["input_ids"]
        first = int(ids.offsets[3])
        ids.values[first] = next(mode for mode in modes if mode != ids.values[first])

    assert found_in(tmp_path, fault, "packed", **UL2) == {"mode token"}


def test_a_denoiser_with_the_noise_of_another_is_found(tmp_path):
    def fault(columns):
        """A row of mean 3 is said to have mean 8, and both are of mode R."""
        row = int(np.argmax((columns["denoiser"] == 0) & (columns["input_ids"].lengths > 40)))
        columns["denoiser"][row] = 1

    assert "spans" in found_in(tmp_path, fault, "packed", **UL2)

    def dense(columns):
        row = int(np.argmax((columns["denoiser"] == 5) & (columns["input_ids"].lengths > 40)))
        columns["denoiser"][row] = 6

    assert "noise" in found_in(tmp_path, dense, "packed", **UL2)


def test_a_suffix_that_does_not_end_the_row_is_found(tmp_path):
    sentinels = vocabulary_of("ul2").sentinels

    def fault(columns):
        """The noise of an S row stands one token further in front."""
        row = int(np.argmax((columns["denoiser"] == 2) & (columns["input_ids"].lengths > 20)))
        lists = row_lists(columns, row)
        *seen, last, _, end = lists["input_ids"]
        noise = lists["labels"][1:-1]
        put_row(
            columns,
            row,
            input_ids=[*seen, sentinels[0], noise[-1], end],
            labels=[sentinels[0], last, *noise[:-1], end],
        )

    assert found_in(tmp_path, fault, "packed", **UL2) == {"suffix"}


def test_denoisers_in_other_shares_are_found(tmp_path):
    def other_weights(content):
        content["settings"]["objective_settings"]["weights"] = "3,1,1,1,1,1,1"

    folder = dataset(tmp_path / "out", "document", documents=1500, papers=other_weights, **UL2)
    assert failed(folder) == {"denoiser shares"}


def test_denoisers_of_spans_keep_their_law_of_lengths_and_places(tmp_path):
    """The rotation of T5's masks holds for R and X; S rows are left out."""
    names = {check.name for check in verify(dataset(tmp_path / "out", "packed", **UL2))}

    assert {"span lengths", "span places", "suffix"} <= names


@pytest.mark.parametrize("copies", [2])
def test_copies_that_are_corrupted_alike_are_found(tmp_path, copies):
    def as_the_first(columns):
        first = columns_of("packed", 1, 0, "t5", 0, 3000, T5Settings(), "t5")
        return {name: first[name] for name in columns}

    def second_source_alone(content):
        content["shards"] = content["shards"][2:]

    folder = dataset(
        tmp_path / "out",
        "packed",
        copies=copies,
        plant=as_the_first,
        papers=second_source_alone,
        **options(),
    )
    assert failed(folder) == {"copies differ"}


def test_offsets_of_planted_rows_are_as_before():
    columns = columns_of("packed", 0, 0, "t5", 0, 3000, T5Settings(), "t5")
    again = respliced(columns, is_noise(columns))

    assert np.array_equal(again["input_ids"].values, columns["input_ids"].values)
    assert np.array_equal(again["labels"].offsets, columns["labels"].offsets)
    assert np.array_equal(offsets_of(text_of(columns).lengths), text_of(again).offsets)
