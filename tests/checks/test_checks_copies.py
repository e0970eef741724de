"""Copies hold the same rows in the same order, each time masked anew."""

from fractions import Fraction

import numpy as np
import pytest
from planted import MASK, columns_of, dataset, failed

from lmprep.batches import join_rows, take_rows
from lmprep.checks.verify import verify
from lmprep.objective_settings import MlmSettings


@pytest.mark.parametrize(
    "name",
    ["document", "first_sentence", "second_document", "next_sentence_label", "masked_labels"],
)
def test_a_copy_of_other_rows_is_found(tmp_path, name):
    first = columns_of("nsp", 1)
    row = int(np.argmax(first["next_sentence_label"] == 1))

    def other(columns):
        if np.array_equal(columns["input_ids"].values, first["input_ids"].values):
            return
        if name == "masked_labels":
            columns[name].values[columns[name].offsets[row]] ^= 1
        else:
            columns[name][row] += 2

    assert "copies restored" in failed(dataset(tmp_path / "out", copies=2, plant=other))


def test_a_copy_with_the_same_tokens_in_another_order_is_found(tmp_path):
    def reversed_in_the_second(columns):
        """Two tokens that nobody predicts trade places."""
        if np.array_equal(columns["input_ids"].values, columns_of("nsp", 1)["input_ids"].values):
            return
        taken = {0, *columns["masked_positions"][0].tolist()}
        ids = columns["input_ids"][0]
        first, second = [p for p, i in enumerate(ids) if p not in taken and i > MASK][:2]
        ids[[first, second]] = ids[[second, first]]

    folder = dataset(tmp_path / "out", copies=2, plant=reversed_in_the_second)
    assert failed(folder) == {"copies restored"}


def test_a_copy_in_another_order_is_found(tmp_path):
    def swapped(columns):
        rows = np.arange(len(columns["document"]))
        return take_rows(columns, np.concatenate([[1, 0], rows[2:]]))

    for kind in ("packed", "sop"):
        orders = iter([swapped, lambda columns: columns, swapped])
        folder = dataset(
            tmp_path / kind, kind, copies=3, plant=lambda columns, o=orders: next(o)(columns)
        )
        assert failed(folder) == {"copies restored"}
        (check,) = [check for check in verify(folder) if not check.passed]
        assert check.detail == "first in data-00001-00000-01.arrow, row 0"


@pytest.mark.parametrize(("alike", "fails"), [(0.02, False), (0.1, True), (1, True)])
def test_copies_that_are_corrupted_alike_are_found(tmp_path, alike, fails):
    def mixed(columns):
        """The first rows as the first copy has them."""
        shared = int(alike * len(columns["document"]))
        first = columns_of("document", 1)
        rows = np.arange(len(columns["document"]))
        return join_rows([take_rows(first, rows[:shared]), take_rows(columns, rows[shared:])])

    def only_second_source(content):
        content["shards"] = content["shards"][3:]

    folder = dataset(tmp_path / "out", "document", copies=3, plant=mixed, papers=only_second_source)
    assert failed(folder) == ({"copies differ"} if fails else set())


def test_copies_may_be_alike_where_every_token_is_masked(tmp_path):
    masking = MlmSettings(mask_rate=Fraction(1), mask_share=Fraction(1), random_share=Fraction(0))
    checks = verify(dataset(tmp_path / "out", "document", copies=2, settings=masking))

    assert [check for check in checks if not check.passed] == []
    (check,) = [check for check in checks if check.name == "copies differ"]
    assert check.detail == "too few to judge"


def test_two_copies_alike_are_enough_and_are_named(tmp_path):
    def one_alike(columns):
        second = columns_of("document", 1, 1)["masked_positions"].values
        if np.array_equal(columns["masked_positions"].values, second):
            return columns_of("document", 1)
        return columns

    def only_second_source(content):
        content["shards"] = content["shards"][3:]

    folder = dataset(
        tmp_path / "out", "document", copies=3, plant=one_alike, papers=only_second_source
    )
    (check,) = [check for check in verify(folder) if not check.passed]
    assert check.name == "copies differ"
    assert check.found.endswith("rows in copies 0 and 1")
    assert check.found.startswith("0 of ")
