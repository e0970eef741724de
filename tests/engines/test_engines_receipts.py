"""Receipts are read back in order, those of this plan only, and add up."""

from __future__ import annotations

from types import SimpleNamespace

from lmprep.engines import receipts
from lmprep.examples import Place
from lmprep.shards.manifest import write_receipt

NOTHING = {"documents": 0, "input_tokens": 0, "shards": [], "partials": [], "drops": {}}


def job_in(folder):
    return SimpleNamespace(out=folder, fingerprint="mine", folder=lambda part: folder / part)


def write(folder, name: str, **content) -> None:
    (folder / "receipts").mkdir(exist_ok=True)
    write_receipt(folder / "receipts" / f"{name}.json", {"fingerprint": "mine", **content})


def test_the_order_is_that_of_numbers_not_of_names(tmp_path):
    for partition in (100_000, 99_999, 7):
        write(tmp_path, f"00000-{partition:05d}", source=0, partition=partition)
    write(tmp_path, "00001-00000", source=1, partition=0, fingerprint="another")

    assert list(receipts.first_stage(job_in(tmp_path))) == [(0, 7), (0, 99_999), (0, 100_000)]


def test_receipts_of_the_second_stage_belong_to_a_first_one(tmp_path):
    for partition, stage in enumerate(("a", "b", "a")):
        place = {"part": "train", "source": 0, "partition": partition}
        write(tmp_path, f"second-train-00000-{partition:05d}", first_stage=stage, **place)

    assert set(receipts.second_stage(job_in(tmp_path), "a")) == {
        Place("train", 0, 0),
        Place("train", 0, 2),
    }
    assert receipts.first_stage(job_in(tmp_path)) == {}


def test_any_change_of_the_first_stage_is_a_change_of_its_digest():
    first = [{"source": 0, "text": "a"}, {"source": 1, "text": "b"}]

    assert receipts.digest(first) == receipts.digest([dict(r) for r in first])
    assert receipts.digest(first) != receipts.digest(first[::-1])
    assert receipts.digest(first) != receipts.digest([first[0], first[1] | {"text": "c"}])


def test_both_stages_add_up():
    first = [
        {"train": {**NOTHING, "documents": 2, "input_tokens": 9, "drops": {"x": 1}}},
        {"train": {**NOTHING, "documents": 1, "input_tokens": 4, "shards": ["a"]}},
    ]
    second = [
        {"part": "train", "shards": ["b"], "drops": {"x": 2, "y": 3}},
        {"part": "valid", "shards": ["c"], "drops": {"y": 5}},
    ]

    assert receipts.account(first, second, "train") == {
        "documents": 3,
        "input_tokens": 13,
        "shards": ["a", "b"],
        "drops": {"x": 3, "y": 3},
    }


def test_a_receipt_is_intact_when_all_it_lists_is_there_in_full(tmp_path):
    job = job_in(tmp_path)
    (tmp_path / "train" / "partials").mkdir(parents=True)
    files = {"shards": tmp_path / "train" / "s", "partials": tmp_path / "train" / "partials" / "p"}
    for kind, path in files.items():
        path.write_bytes(b"four")
        entry = {"file": path.name, "bytes": 4}
        receipt = {"train": {**NOTHING, kind: [entry]}, "valid": NOTHING}

        assert receipts.Files(job).hold(receipt)
        path.write_bytes(b"fou")
        assert not receipts.Files(job).hold(receipt)
        path.unlink()
        assert not receipts.Files(job).hold(receipt)
