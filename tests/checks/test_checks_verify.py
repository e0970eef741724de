"""Every check sees the fault it is for, and clean data passes."""

import json
import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from planted import (
    CLS,
    LENGTH,
    MASK,
    PAD,
    SEP,
    SIZE,
    UNK,
    columns_of,
    copied,
    dataset,
    failed,
)

from lmprep.batches import DOCUMENT_SHIFT, take_rows
from lmprep.checks.verify import verify
from lmprep.files import canonical_json
from lmprep.objective_settings import MlmSettings
from lmprep.ragged import Ragged, offsets_of
from lmprep.shards import writer

END_OF_STREAM = 8  # bytes
HALF = MlmSettings(mask_rate=Fraction(1, 2))
SECOND_SHARD = "data-00001-00000-00.arrow"


def place_of(columns, row, position):
    """Index of a position of a row in the flat ids."""
    return columns["input_ids"].offsets[row] + position


def chosen_of(columns):
    """Indices of all predicted tokens in the flat ids."""
    ids, positions = columns["input_ids"], columns["masked_positions"]
    return positions.values + np.repeat(ids.offsets[:-1], positions.lengths)


def free_place(columns, row):
    """A position of a row that is neither special nor predicted."""
    taken = {0, *columns["masked_positions"][row].tolist()}
    ids = columns["input_ids"][row].tolist()
    return next(p for p, i in enumerate(ids) if p not in taken and i > MASK)


# --- Clean data. ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("kind", ["nsp", "sop", "document", "packed"])
def test_clean_data_passes_every_check(tmp_path, kind, family):
    checks = verify(dataset(tmp_path / "out", kind, family=family, copies=2))

    assert [check for check in checks if not check.passed] == []
    assert len({check.name for check in checks}) == len(checks)
    undecided = {check.name for check in checks if "too few" in check.detail}
    assert undecided == set()


def test_clean_data_passes_with_any_seed(tmp_path):
    for seed in range(1, 9):
        assert failed(dataset(tmp_path / str(seed), "sop", seed=seed)) == set()


def test_clean_data_of_a_tiny_vocabulary_passes(tmp_path):
    """One random token in 15 is the original, and a frequent one seldom comes as replacement."""
    folder = dataset(tmp_path / "out", "document", copies=6, size=20, settings=HALF)
    checks = verify(folder)

    assert [check for check in checks if not check.passed] == []
    assert not any("too few" in check.detail for check in checks)


def test_chosen_positions_scatter_as_much_as_the_test_takes_them_to(tmp_path):
    """Where 90 % of a row are chosen, counts scatter a tenth as much as independent draws."""
    masking = MlmSettings(mask_rate=Fraction(9, 10))
    statistics = []
    for seed in range(24):
        checks = verify(dataset(tmp_path / str(seed), "document", seed=seed, settings=masking))
        (check,) = [check for check in checks if check.name == "positions uniform"]
        statistics.append(float(check.detail.split()[1].rstrip(",")))

    # Chi-square of 9 degrees of freedom: mean 9, variance 18; within five standard errors.
    assert abs(np.mean(statistics) - 9) < 5 * math.sqrt(18 / 24)


def test_small_data_passes_and_says_where_it_is_too_small(tmp_path):
    def first_rows(columns):
        return take_rows(columns, np.arange(3))

    folder = tmp_path / "out"
    folder.mkdir()
    checks = verify(
        dataset(folder / "in", "document", plant=first_rows, papers=lambda c: c["shards"].pop(0))
    )

    assert all(check.passed for check in checks)
    assert "too few to judge" in {check.detail for check in checks}


def test_rows_are_read_across_record_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_BATCH_BYTES", 8_000)
    folder = dataset(tmp_path / "out", "packed")
    entries = json.loads((folder / "manifest.json").read_bytes())["shards"]

    assert min(len(entry["batch_offsets"]) for entry in entries) > 3
    assert failed(folder) == set()


# --- Papers and files. ---------------------------------------------------------------------------


def test_a_folder_without_a_manifest_fails_at_once(tmp_path):
    folder = dataset(tmp_path / "out")
    (folder / "manifest.json").unlink()

    (check,) = verify(folder)
    assert not check.passed
    assert "not a dataset folder" in check.detail


@pytest.mark.parametrize("fault", ["value", "form", "cut"])
def test_a_changed_manifest_fails_at_once(tmp_path, fault):
    path = dataset(tmp_path / "out") / "manifest.json"
    content = json.loads(path.read_bytes())
    if fault == "value":
        path.write_bytes(canonical_json(content | {"drops": {"x_tokens": 1}}))
    elif fault == "form":
        path.write_text(json.dumps(content))
    else:
        path.write_bytes(path.read_bytes()[:100])

    assert failed(path.parent) == {"manifest"}


def test_a_shard_cut_short_or_missing_fails_at_once(tmp_path):
    for name, damage in {
        "cut": lambda p: p.write_bytes(p.read_bytes()[:-1]),
        "gone": lambda p: p.unlink(),
    }.items():
        folder = dataset(tmp_path / name)
        damage(folder / SECOND_SHARD)
        assert failed(folder) == {"manifest"}


def test_a_flipped_bit_breaks_the_hash(tmp_path):
    folder = dataset(tmp_path / "out", "document")
    path = folder / SECOND_SHARD
    content = bytearray(path.read_bytes())
    place = content.rfind(
        (1 << DOCUMENT_SHIFT).to_bytes(8, "little")
    )  # a document number of source 1
    content[place] ^= 1
    path.write_bytes(content)

    assert failed(folder) == {"sha256"}
    check = next(c for c in verify(folder) if c.name == "sha256")
    assert SECOND_SHARD in check.detail


def test_another_tokenizer_is_found(tmp_path):
    path = dataset(tmp_path / "out", "document") / "tokenizer" / "tokenizer.json"
    path.write_bytes(b"{ }")
    assert failed(tmp_path / "out") == {"tokenizer"}
    path.unlink()
    assert failed(tmp_path / "out") == {"tokenizer"}


def test_offsets_that_miss_their_record_batch_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_BATCH_BYTES", 8_000)

    def swap(content):
        offsets = content["shards"][1]["batch_offsets"]
        offsets[0], offsets[1] = offsets[1], offsets[0]

    def shift(content):
        content["shards"][1]["batch_offsets"][1] += 8

    def drop(content):
        content["shards"][1]["batch_offsets"].pop()

    assert failed(dataset(tmp_path / "shift", papers=shift)) == {"arrow"}
    assert failed(dataset(tmp_path / "drop", papers=drop)) == {"arrow"}
    assert failed(dataset(tmp_path / "swap", papers=swap)) == {"manifest"}


def rewrite(folder, change):
    """Write the second shard again with another Arrow table, and fit the manifest to it."""
    from lmprep.files import file_sha256
    from lmprep.shards.manifest import write_manifest

    path, manifest = folder / SECOND_SHARD, json.loads((folder / "manifest.json").read_bytes())
    with pa.OSFile(str(path)) as file:
        (batch,) = pa.ipc.open_stream(file)
    batch = change(batch)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batch.schema) as stream:
        stream.write_batch(batch)
    offset = path.stat().st_size - pa.ipc.get_record_batch_size(batch) - END_OF_STREAM
    changed = {"bytes": path.stat().st_size, "sha256": file_sha256(path), "batch_offsets": [offset]}
    manifest["shards"][1] |= changed
    del manifest["manifest_sha256"]
    write_manifest(folder, manifest)
    return folder


def test_a_null_is_found(tmp_path):
    def with_null(batch):
        place = batch.schema.get_field_index("document")
        values = [None, *batch.column("document").to_pylist()[1:]]
        return batch.set_column(place, "document", pa.array(values, pa.int64()))

    assert failed(rewrite(dataset(tmp_path / "same"), lambda batch: batch)) == set()
    assert failed(rewrite(dataset(tmp_path / "out"), with_null)) == {"arrow"}


def test_list_offsets_that_fall_are_found(tmp_path):
    def with_falling_offsets(batch):
        place, column = batch.schema.get_field_index("input_ids"), batch.column("input_ids")
        offsets = column.offsets.to_numpy().copy()
        offsets[3] = offsets[5]
        broken = pa.ListArray.from_buffers(
            column.type, len(column), [None, pa.py_buffer(offsets)], children=[column.values]
        )
        return batch.set_column(place, "input_ids", broken)

    assert failed(rewrite(dataset(tmp_path / "out"), with_falling_offsets)) == {"arrow"}


def test_columns_are_those_of_the_objective_in_the_right_types(tmp_path):
    def missing(batch):
        return batch.drop_columns(["second_document"])

    def surplus(batch):
        return batch.append_column("extra", batch.column("document"))

    def wide(batch):
        place = batch.schema.get_field_index("input_ids")
        return batch.set_column(
            place, "input_ids", batch.column("input_ids").cast(pa.list_(pa.int32()))
        )

    for name, change in {"missing": missing, "surplus": surplus, "wide": wide}.items():
        assert failed(rewrite(dataset(tmp_path / name), change)) == {"columns"}


@pytest.mark.parametrize("name", ["rows", "tokens", "scored_tokens"])
def test_counts_in_the_manifest_must_be_those_of_the_shard(tmp_path, name):
    def one_more(content):
        content["shards"][1][name] += 1

    assert failed(dataset(tmp_path / "out", papers=one_more)) == {"counts"}


def test_all_copies_of_a_partition_must_be_there_in_equal_size(tmp_path):
    def forget(content):
        content["shards"].pop(1)

    def one_row_less(columns):
        return take_rows(columns, np.arange(len(columns["document"]) - 1))

    folder = dataset(tmp_path / "forgotten", copies=2, papers=forget)
    assert failed(folder) == {"copies"}

    rows = iter([one_row_less, lambda columns: columns])
    folder = dataset(tmp_path / "short", copies=2, plant=lambda columns: next(rows)(columns))
    assert failed(folder) == {"copies"}


# --- Rows. ---------------------------------------------------------------------------------------


def plant_in(tmp_path, fault, kind="nsp"):
    return failed(dataset(tmp_path / "out", kind, plant=fault))


def test_rows_beyond_the_length_are_found(tmp_path):
    def shorter(content):
        content["settings"]["sequences"]["length"] = LENGTH - 1

    assert failed(dataset(tmp_path / "out", papers=shorter)) == {"lengths"}


def test_a_row_of_special_tokens_alone_is_found(tmp_path):
    def two_tokens(columns):
        """Row 2 becomes [CLS] [SEP], with nothing to predict."""
        lists = {"input_ids": [CLS, SEP], "masked_positions": [], "masked_labels": []}
        for name, row in lists.items():
            rows = [list(values) for values in columns[name]]
            rows[2] = row
            columns[name] = Ragged.from_rows(rows, np.int32)

    assert plant_in(tmp_path, two_tokens, "document") == {"lengths"}


def test_the_first_offending_row_is_named(tmp_path):
    def fault(columns):
        columns["input_ids"].values[place_of(columns, 7, 1)] = SIZE
        columns["input_ids"].values[place_of(columns, 9, 1)] = SIZE

    checks = verify(dataset(tmp_path / "out", plant=fault))

    (check,) = [check for check in checks if not check.passed]
    assert check.name == "ids"
    assert check.detail == f"first in {SECOND_SHARD}, row 7"


def test_labels_outside_the_vocabulary_are_found(tmp_path):
    def fault(columns):
        columns["masked_labels"].values[5] = SIZE + 3

    assert plant_in(tmp_path, fault) == {"labels"}


def test_a_label_without_a_position_is_found(tmp_path):
    def fault(columns):
        labels = columns["masked_labels"]
        lengths = labels.lengths
        lengths[2] += 1
        values = np.insert(labels.values, labels.offsets[3], 50)
        columns["masked_labels"] = Ragged(values, offsets_of(lengths))

    assert plant_in(tmp_path, fault) == {"labels and positions"}


def test_positions_out_of_order_or_outside_the_row_are_found(tmp_path):
    def swapped(columns):
        positions, start = columns["masked_positions"], columns["masked_positions"].offsets[0]
        positions.values[[start, start + 1]] = positions.values[[start + 1, start]]

    def doubled(columns):
        positions, start = columns["masked_positions"], columns["masked_positions"].offsets[0]
        positions.values[start + 1] = positions.values[start]

    def outside(columns):
        positions = columns["masked_positions"]
        positions.values[positions.offsets[1] - 1] = columns["input_ids"].lengths[0]

    for name, fault in {"swapped": swapped, "doubled": doubled, "outside": outside}.items():
        assert failed(dataset(tmp_path / name, plant=fault)) == {"positions"}


def test_document_starts_that_fall_or_point_elsewhere_are_found(tmp_path):
    def falling(columns):
        starts = columns["document_starts"]
        row = int(np.argmax(starts.lengths > 1))
        starts.values[starts.offsets[row] + 1] = 0

    def shifted(columns):
        columns["document_starts"].values[0] += 1

    assert failed(dataset(tmp_path / "a", "packed", plant=falling)) == {"document starts"}
    assert "template" in failed(dataset(tmp_path / "b", "packed", plant=shifted))


@pytest.mark.parametrize("start", [0, 1, 2, LENGTH - 1, LENGTH])
def test_a_document_start_without_room_for_a_document_on_either_side_is_found(tmp_path, start):
    def planted(columns):
        starts = columns["document_starts"]
        rows = [list(row) for row in starts]
        row = int(np.argmax((starts.lengths == 0) & (columns["input_ids"].lengths == LENGTH)))
        rows[row] = [start]
        columns["document_starts"] = Ragged.from_rows(rows, np.int32)

    assert plant_in(tmp_path, planted, "packed") == {"document starts"}


def test_two_document_starts_side_by_side_are_found(tmp_path):
    def planted(columns):
        starts = columns["document_starts"]
        row = int(np.argmax(starts.lengths > 0))
        rows = [list(row) for row in starts]
        rows[row] = sorted({*rows[row], rows[row][0] + 1})
        columns["document_starts"] = Ragged.from_rows(rows, np.int32)

    assert plant_in(tmp_path, planted, "packed") == {"document starts"}


def test_documents_of_one_token_are_no_fault(tmp_path):
    def planted(columns):
        """Row 0 becomes [CLS] a [SEP] b [SEP], with b predicted and kept."""
        lists = {
            "input_ids": [CLS, 9, SEP, 8, SEP],
            "masked_positions": [3],
            "masked_labels": [8],
            "document_starts": [3],
        }
        for name, row in lists.items():
            rows = [list(values) for values in columns[name]]
            rows[0] = row
            columns[name] = Ragged.from_rows(rows, np.int32)

    assert plant_in(tmp_path, planted, "packed") == set()


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_segments_of_no_token_are_found(tmp_path, family):
    gap = {"bert": 0, "roberta": 1}[family]

    def no_first(columns):
        columns["first_segment_length"][4] = 2

    def no_second(columns):
        columns["first_segment_length"][4] = columns["input_ids"].lengths[4] - 1 - gap

    for fault in (no_first, no_second):
        folder = dataset(tmp_path / fault.__name__, family=family, plant=fault)
        assert failed(folder) == {"segments"}, fault.__name__


def test_segment_lengths_must_point_at_the_first_separator(tmp_path):
    def nothing(columns):
        columns["first_segment_length"][4] = 0

    def whole_row(columns):
        columns["first_segment_length"][4] = columns["input_ids"].lengths[4]

    def shifted(columns):
        columns["first_segment_length"][4] -= 1

    roomy = next(row for row, n in enumerate(columns_of("nsp", 1)["first_segment_length"]) if n > 5)
    assert failed(dataset(tmp_path / "a", plant=nothing)) == {"segments"}
    assert failed(dataset(tmp_path / "b", plant=whole_row)) == {"segments"}

    def one_less(columns):
        columns["first_segment_length"][roomy] -= 1

    assert "template" in failed(dataset(tmp_path / "c", plant=one_less))


@pytest.mark.parametrize("kind", ["nsp", "sop", "document", "packed"])
@pytest.mark.parametrize(
    ("position", "token"), [(0, SEP), (0, 50), (-1, CLS), (-1, 50), (1, SEP), (1, MASK), (1, PAD)]
)
def test_special_tokens_stand_where_the_template_has_them_and_nowhere_else(
    tmp_path, kind, position, token
):
    def fault(columns):
        row, length = 6, columns["input_ids"].lengths[6]
        place = free_place(columns, row) if position == 1 else position % length
        columns["input_ids"].values[place_of(columns, row, place)] = token

    assert plant_in(tmp_path, fault, kind) == {"template"}


def test_special_tokens_are_never_predicted(tmp_path):
    def fault(columns):
        positions, ids = columns["masked_positions"], columns["input_ids"]
        last = positions.offsets[1] - 1
        # What stood there comes back, and the closing separator is predicted instead.
        place = place_of(columns, 0, positions.values[last])
        ids.values[place] = columns["masked_labels"].values[last]
        positions.values[last] = ids.lengths[0] - 1
        columns["masked_labels"].values[last] = SEP

    assert plant_in(tmp_path, fault) == {"special tokens"}


def test_an_unknown_token_may_be_predicted_and_kept(tmp_path):
    labels = columns_of("nsp", 1)["masked_labels"].values

    assert UNK in labels
    assert failed(dataset(tmp_path / "out")) == set()


@pytest.mark.parametrize("name", ["document", "second_document"])
def test_documents_are_those_of_the_shards_source(tmp_path, name):
    def fault(columns):
        columns["document"][columns["next_sentence_label"] == 0] -= 1 << DOCUMENT_SHIFT
        columns["second_document"][columns["next_sentence_label"] == 0] -= 1 << DOCUMENT_SHIFT

    def elsewhere(columns):
        row = int(np.argmax(columns["next_sentence_label"] == 1))
        columns[name][row] += 5 << DOCUMENT_SHIFT

    assert failed(dataset(tmp_path / "a", plant=fault)) == {"origin"}
    assert failed(dataset(tmp_path / "b", plant=elsewhere)) == {"origin"}


# --- Masking. ------------------------------------------------------------------------------------


def test_one_prediction_too_few_is_found(tmp_path):
    def fault(columns):
        positions, labels = columns["masked_positions"], columns["masked_labels"]
        place = place_of(columns, 0, positions.values[0])
        columns["input_ids"].values[place] = labels.values[0]
        lengths = positions.lengths
        lengths[0] -= 1
        columns["masked_positions"] = Ragged(positions.values[1:], offsets_of(lengths))
        columns["masked_labels"] = Ragged(labels.values[1:], offsets_of(lengths))

    assert plant_in(tmp_path, fault) == {"predictions"}


@pytest.mark.parametrize("token", [PAD, UNK, CLS, SEP])
def test_a_special_token_as_random_replacement_is_found(tmp_path, token):
    def fault(columns):
        columns["input_ids"].values[chosen_of(columns)[3]] = token

    assert plant_in(tmp_path, fault) == {"random tokens"}


def test_other_shares_of_mask_random_and_kept_are_found(tmp_path):
    def fault(columns):
        places = chosen_of(columns)
        kept = np.arange(len(places)) % 8 == 0
        columns["input_ids"].values[places[kept]] = columns["masked_labels"].values[kept]

    assert plant_in(tmp_path, fault) == {"treatment"}


def test_random_tokens_that_are_not_uniform_are_found(tmp_path):
    def fault(columns):
        ids, places = columns["input_ids"].values, chosen_of(columns)
        found, labels = ids[places], columns["masked_labels"].values
        replaced = (found != labels) & (found != MASK)
        smaller = 5 + (found - 5) // 2
        change = replaced & (smaller != labels)
        ids[places[change]] = smaller[change]

    assert plant_in(tmp_path, fault) == {"random tokens uniform"}


@pytest.mark.parametrize("kind", ["document", "packed"])
def test_positions_that_favour_the_front_are_found(tmp_path, kind):
    def fault(columns):
        """Every chosen token in a row's second half trades places with one in its first half."""
        ids, positions = columns["input_ids"], columns["masked_positions"]
        for row in range(0, len(ids), 3):
            chosen = positions[row]
            middle = ids.lengths[row] // 2
            special = {p for p, i in enumerate(ids[row].tolist()) if i in (CLS, SEP)}
            free = [p for p in range(middle) if p not in special and p not in set(chosen.tolist())]
            for j in np.flatnonzero(chosen >= middle)[: len(free)]:
                other, own = free.pop(0), int(chosen[j])
                a, b = place_of(columns, row, own), place_of(columns, row, other)
                ids.values[[a, b]] = ids.values[[b, a]]
                chosen[j] = other
            order = np.argsort(chosen)
            chosen[:] = chosen[order]
            labels = columns["masked_labels"][row]
            labels[:] = labels[order]

    assert plant_in(tmp_path, fault, kind) == {"positions uniform"}


# --- Pairs. --------------------------------------------------------------------------------------


def test_wrong_next_sentence_labels_are_found(tmp_path):
    def row_with(columns, label):
        return int(np.argmax(columns["next_sentence_label"] == label))

    def flip_negative(columns):
        columns["next_sentence_label"][row_with(columns, 1)] = 0

    def flip_positive(columns):
        columns["next_sentence_label"][row_with(columns, 0)] = 1

    def unknown(columns):
        columns["next_sentence_label"][0] = 2

    def same_document(columns):
        row = row_with(columns, 1)
        columns["second_document"][row] = columns["document"][row]

    def earlier(columns):
        row = row_with(columns, 0)
        columns["first_sentence"][row] = columns["second_sentence"][row]

    for fault in (flip_negative, flip_positive, unknown, same_document, earlier):
        folder = dataset(tmp_path / fault.__name__, plant=fault)
        assert failed(folder) == {"next-sentence labels"}, fault.__name__


def test_wrong_sentence_order_labels_are_found(tmp_path):
    def flip(columns):
        columns["sentence_order_label"][3] ^= 1

    def unknown(columns):
        columns["sentence_order_label"][3] = 2

    def other_document(columns):
        columns["second_document"][3] += 1

    def no_order(columns):
        columns["second_sentence"][3] = columns["first_sentence"][3]

    for fault in (flip, unknown, other_document, no_order):
        folder = dataset(tmp_path / fault.__name__, "sop", plant=fault)
        assert failed(folder) == {"sentence-order labels"}, fault.__name__


@pytest.mark.parametrize("kind", ["nsp", "sop"])
def test_labels_out_of_balance_are_found(tmp_path, kind):
    name = {"nsp": "next_sentence_label", "sop": "sentence_order_label"}[kind]

    def fault(columns):
        ones = np.flatnonzero(columns[name] == 1)
        return take_rows(columns, np.delete(np.arange(len(columns[name])), ones[::2]))

    assert plant_in(tmp_path, fault, kind) == {"label balance"}


def test_pairs_dropped_for_balance_count_as_drawn(tmp_path):
    def fault(columns):
        ones = np.flatnonzero(columns["next_sentence_label"] == 1)
        rows = np.arange(len(columns["document"]))
        return take_rows(columns, np.delete(rows, ones[::2]))

    def many_dropped(content):
        content["drops"]["nsp_balance_pairs"] = 10_000_000

    assert failed(dataset(tmp_path / "out", plant=fault, papers=many_dropped)) == set()


def test_the_data_that_faults_are_planted_in_is_left_as_it_was():
    columns = columns_of("nsp", 0)
    copy = copied(columns)
    copy["input_ids"].values[0] = 77

    assert columns["input_ids"].values[0] == CLS
