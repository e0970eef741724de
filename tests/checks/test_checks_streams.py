"""Rows stored as they are: next-word windows, ELMo's rows, ELECTRA's segments."""

import numpy as np
import pytest
from planted import (
    CLS,
    LENGTH,
    MASK,
    SEP,
    columns_of,
    dataset,
    failed,
    found_in,
    put_row,
    row_lists,
)

from lmprep.batches import take_rows
from lmprep.objective_settings import FORMS, BartSettings, T5Settings, Ul2Settings

CLM = {"objective": "clm", "settings": FORMS["clm"].settings(), "family": "gpt2"}
BILM = {"objective": "bilm", "settings": FORMS["bilm"].settings()}
ELECTRA = {"objective": "electra", "settings": FORMS["electra"].settings()}


def row_with(columns, fits):
    """The first row that a function says yes to."""
    return next(row for row in range(len(columns["input_ids"])) if fits(row))


# --- Windows of exact lengths. -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "settings", "family"),
    [
        ("clm", FORMS["clm"].settings(), "gpt2"),
        ("t5", T5Settings(), "t5"),
        ("t5", T5Settings(noise="mass"), "t5"),
        ("bart", BartSettings(), "roberta"),
        ("ul2", Ul2Settings(), "ul2"),
    ],
)
def test_a_short_window_that_is_not_the_last_is_found(tmp_path, objective, settings, family):
    def fault(columns):
        """The partition's last row, which is short, comes first."""
        rows = np.arange(len(columns["document"]))
        return take_rows(columns, np.concatenate([rows[-1:], rows[:-1]]))

    def second_source_alone(content):
        content["shards"].pop(0)

    options = {"objective": objective, "settings": settings, "family": family}
    assert found_in(tmp_path, fault, "packed", papers=second_source_alone, **options) == {
        "full windows"
    }


def test_a_short_window_that_does_not_end_its_document_is_found(tmp_path):
    def fault(columns):
        document, lengths = columns["document"], columns["input_ids"].lengths
        row = row_with(columns, lambda r: lengths[r] == LENGTH and document[r] == document[r + 1])
        put_row(columns, row, input_ids=columns["input_ids"][row].tolist()[:-1])

    assert found_in(tmp_path, fault, "document", **CLM) == {"full windows"}


def test_windows_beyond_the_length_are_found(tmp_path):
    def shorter(content):
        content["settings"]["sequences"]["length"] = LENGTH - 1

    assert failed(dataset(tmp_path / "out", "packed", papers=shorter, **CLM)) == {"lengths"}


def test_short_windows_must_be_as_many_as_drawn(tmp_path):
    def some_short(content):
        content["settings"]["sequences"]["short_sequence_probability"] = "0.3"

    folder = dataset(tmp_path / "out", "document", documents=1500, papers=some_short, **CLM)
    assert failed(folder) == {"short windows"}


# --- Separators. ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "token"), [("packed", SEP), ("packed", -1), ("document", SEP)])
def test_a_separator_too_many_or_missing_is_found(tmp_path, kind, token):
    def fault(columns):
        """A token of text becomes a separator, or the separator of a document becomes text."""
        ids = columns["input_ids"].values
        inner = (ids == SEP)[:-1] if token < 0 else (ids != SEP)[:-1] & (ids != SEP)[1:]
        ends = np.zeros(len(ids), bool)
        ends[columns["input_ids"].offsets[1:] - 1] = True
        place = int(np.argmax(inner & ~ends[:-1]))
        ids[place] = 50 if token < 0 else SEP

    assert "template" in found_in(tmp_path, fault, kind, **CLM)


def test_documents_of_a_stream_begin_behind_a_separator(tmp_path):
    def shifted(columns):
        starts = columns["document_starts"]
        row = row_with(columns, lambda r: starts.lengths[r] == 1 and 3 < starts[r][0] < LENGTH - 3)
        starts.values[starts.offsets[row]] += 1

    def beside(columns):
        starts = columns["document_starts"]
        row = row_with(columns, lambda r: starts.lengths[r] == 1 and 3 < starts[r][0] < LENGTH - 3)
        place = int(starts[row][0])
        put_row(columns, row, document_starts=[place, place + 1])

    def at_zero(columns):
        row = row_with(columns, lambda r: columns["document_starts"].lengths[r] == 0)
        put_row(columns, row, document_starts=[0])

    def outside(columns):
        row = row_with(columns, lambda r: columns["document_starts"].lengths[r] == 0)
        put_row(columns, row, document_starts=[int(columns["input_ids"].lengths[row])])

    assert found_in(tmp_path, shifted, "packed", **CLM) == {"template"}
    for fault in (beside, at_zero, outside):
        assert found_in(tmp_path, fault, "packed", **CLM) == {"document starts"}, fault.__name__


def test_a_window_may_begin_with_the_separator_of_the_document_before():
    columns = columns_of("packed", 1, family="gpt2", settings=CLM["settings"], objective="clm")
    first = columns["input_ids"].values[columns["input_ids"].offsets[:-1]]

    assert (first == SEP).any()


# --- Rows of ELMo. -------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "token"), [(0, 50), (-1, CLS), (3, SEP), (3, MASK)])
@pytest.mark.parametrize("kind", ["document", "packed"])
def test_rows_between_a_begin_and_an_end_token_hold_no_other(tmp_path, kind, place, token):
    def fault(columns):
        ids, starts = columns["input_ids"], columns.get("document_starts")
        row = row_with(
            columns, lambda r: ids.lengths[r] > 8 and (starts is None or not starts.lengths[r])
        )
        ids.values[ids.offsets[row] + place % ids.lengths[row]] = token

    assert found_in(tmp_path, fault, kind, **BILM) == {"template"}


def test_tokens_that_are_in_no_row_are_found(tmp_path):
    def fault(content):
        content["input_tokens"] = 1

    assert failed(dataset(tmp_path / "out", "document", papers=fault, **BILM)) == {"coverage"}


def test_tokens_that_were_dropped_are_counted(tmp_path):
    def without(columns):
        return take_rows(columns, np.arange(1, len(columns["document"])))

    lost = (
        int(
            columns_of("document", 1, settings=BILM["settings"], objective="bilm")[
                "input_ids"
            ].lengths[0]
        )
        - 2
    )

    def papers(counted):
        def change(content):
            content["drops"]["some_reason_tokens"] = counted
            content["input_tokens"] = (
                sum(s["tokens"] - 2 * s["rows"] for s in content["shards"]) + lost
            )

        return change

    for counted, broken in ((lost, set()), (0, {"coverage"}), (lost + 1, {"coverage"})):
        found = found_in(tmp_path, without, "document", papers=papers(counted), **BILM)
        assert found == broken


# --- Segments of ELECTRA. ------------------------------------------------------------------------


def test_segments_point_at_separators(tmp_path):
    def nothing(columns):
        columns["first_segment_length"][4] = 2

    def beyond(columns):
        columns["first_segment_length"][4] = columns["input_ids"].lengths[4] + 1

    def no_second(columns):
        columns["first_segment_length"][4] = columns["input_ids"].lengths[4] - 1

    for fault in (nothing, beyond, no_second):
        assert found_in(tmp_path, fault, "document", **ELECTRA) == {"segments"}, fault.__name__

    def shifted(columns):
        first, lengths = columns["first_segment_length"], columns["input_ids"].lengths
        row = row_with(columns, lambda r: 5 < first[r] < lengths[r])
        first[row] -= 1

    def joined(columns):
        """Two segments are said to be one."""
        first, lengths = columns["first_segment_length"], columns["input_ids"].lengths
        row = row_with(columns, lambda r: 5 < first[r] < lengths[r])
        first[row] = lengths[row]

    assert found_in(tmp_path, shifted, "document", **ELECTRA) == {"template"}
    assert "template" in found_in(tmp_path, joined, "document", **ELECTRA)


def test_too_few_rows_of_one_segment_are_found(tmp_path):
    def fault(columns):
        two = columns["first_segment_length"] < columns["input_ids"].lengths
        return take_rows(columns, np.flatnonzero(two))

    def second_source_alone(content):
        content["shards"].pop(0)

    found = found_in(tmp_path, fault, "document", papers=second_source_alone, **ELECTRA)
    assert found == {"one segment"}


def test_the_rows_faults_are_planted_in_have_lists():
    assert set(
        row_lists(columns_of("packed", 0, settings=CLM["settings"], objective="clm"), 0)
    ) == {
        "input_ids",
        "document_starts",
    }
