"""Damage to a dataset: whatever byte is lost, changed or moved, verify finds it, no reader crashes.

A round takes every cut at a record batch and some of every kind of damage; `--rounds 100` is the
whole battery: a shard of 0.8 MB cut every 512 bytes, 10 000 flipped bits, 1 000 swapped blocks.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lmprep.build_settings import BuildSettings
from lmprep.checks.files import shard_faults
from lmprep.checks.verify import contract_of, verify
from lmprep.engines import job, receipts
from lmprep.errors import DatasetError
from lmprep.shards import writer
from lmprep.shards.manifest import read_manifest, read_receipt
from lmprep.shards.reader import Dataset, Shard
from tests.corpora import make_tokenizer, write_corpus

WHOLE = 100  # rounds of the whole battery
FLIPS, SWAPS, CUT_EVERY = 10_000, 1_000, 512


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """A dataset of one shard of 0.8 MB in 26 record batches."""
    folder = tmp_path_factory.mktemp("corruption")
    corpus = write_corpus(folder / "corpus.txt", documents=2600)
    tokenizer = make_tokenizer(corpus, folder / "tok")
    settings = BuildSettings.from_options({"objective": "mlm", "pairs": "nsp", "length": 64})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_BATCH_BYTES", 32_000)
        plan = job.make_plan([str(corpus)], str(tokenizer), folder / "out", settings)
        job.run(plan, workers=1, resume=False, force=False)
    return folder / "out"


@pytest.fixture
def damaged(dataset, tmp_path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(dataset, tmp_path / "out"))


def share(total: int, rounds: int) -> int:
    """How many of all are tried in so many rounds."""
    return total if rounds >= WHOLE else max(1, total * rounds // WHOLE)


@pytest.fixture
def rounds(request) -> int:
    return int(request.config.getoption("--rounds"))


def entry_of(folder: Path) -> dict:
    (entry,) = json.loads((folder / "manifest.json").read_bytes())["shards"]
    return entry


def read_all(folder: Path) -> bool:
    """Whether all rows can be read; a crash would end the test run."""
    try:
        opened = Dataset(folder)
        opened.rows(np.arange(len(opened)))
    except DatasetError:
        return False
    return True


def test_the_shard_is_of_most_of_a_megabyte_in_many_batches(dataset):
    entry = entry_of(dataset)

    assert 800_000 < entry["bytes"] < 900_000
    assert len(entry["batch_offsets"]) > 20
    assert read_all(dataset)
    assert all(check.passed for check in verify(dataset))


def test_a_cut_anywhere_is_found_and_read_by_nobody(damaged, rounds):
    entry, shard = entry_of(damaged), damaged / entry_of(damaged)["file"]
    whole = shard.read_bytes()
    every = list(range(0, len(whole), CUT_EVERY))
    some = random.Random(0).sample(every, share(len(every), rounds))
    cuts = sorted({*entry["batch_offsets"], len(whole) - 1, len(whole) - 8, *some})
    for cut in reversed(cuts):
        with shard.open("r+b") as file:
            file.truncate(cut)
        (check,) = verify(damaged)
        assert not check.passed
        assert f"{cut} bytes where the manifest says {len(whole)}" in check.detail
        assert not read_all(damaged)


def test_arrow_alone_takes_a_cut_between_batches_for_a_whole_file(dataset, tmp_path):
    """Why sizes and hashes are kept: without them rows would be missing in silence."""
    entry = entry_of(dataset)
    content = (dataset / entry["file"]).read_bytes()
    for cut in entry["batch_offsets"][1:]:
        (tmp_path / "cut.arrow").write_bytes(content[:cut])
        with pa.OSFile(str(tmp_path / "cut.arrow")) as file:
            assert 0 < pa.ipc.open_stream(file).read_all().num_rows < entry["rows"]


def flips(content: bytes, count: int, seed: int) -> Iterator[bytearray]:
    dice = random.Random(seed)
    for _ in range(count):
        changed = bytearray(content)
        changed[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        yield changed


def swaps(content: bytes, count: int, seed: int) -> Iterator[bytearray]:
    """Two blocks of up to 4 kB change places; none where both hold the same."""
    dice = random.Random(seed)
    while count:
        size = dice.randrange(1, min(4096, len(content) // 2))
        first = dice.randrange(len(content) - 2 * size + 1)
        second = dice.randrange(first + size, len(content) - size + 1)
        a, b = content[first : first + size], content[second : second + size]
        if a != b:
            changed = bytearray(content)
            changed[first : first + size], changed[second : second + size] = b, a
            count -= 1
            yield changed


DAMAGE: dict[str, tuple[Callable[[bytes, int, int], Iterator[bytearray]], int]] = {
    "flipped bits": (flips, FLIPS),
    "swapped blocks": (swaps, SWAPS),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_changed_bytes_of_a_shard_are_found_and_crash_no_reader(damaged, kind, rounds):
    make, total = DAMAGE[kind]
    entry, shard = entry_of(damaged), damaged / entry_of(damaged)["file"]
    contract = contract_of(damaged, read_manifest(damaged))
    refused = 0
    for changed in make(shard.read_bytes(), share(total, rounds), 1):
        shard.write_bytes(changed)
        assert shard_faults(damaged, entry, contract)["sha256"]
        refused += not read_all(damaged)

    assert not all(check.passed for check in verify(damaged))  # the whole command, on the last
    print(f"{kind}: {refused} noticed by a reader that does not look at hashes")


@pytest.mark.parametrize("kind", DAMAGE)
def test_changed_bytes_of_a_manifest_are_found(damaged, kind, rounds):
    make, total = DAMAGE[kind]
    path = damaged / "manifest.json"
    for changed in make(path.read_bytes(), share(total, rounds), 2):
        path.write_bytes(changed)
        (check,) = verify(damaged)
        assert not check.passed
        assert not read_all(damaged)


@pytest.fixture(scope="module")
def unfinished(dataset, tmp_path_factory) -> tuple[job.Plan, dict]:
    """A build that died before its manifest, and its receipt."""
    folder = tmp_path_factory.mktemp("unfinished")
    corpus = write_corpus(folder / "corpus.txt", documents=20)
    settings = BuildSettings.from_options({"objective": "mlm", "pairs": "nsp", "length": 64})
    plan = job.make_plan([str(corpus)], str(dataset / "tokenizer"), folder / "out", settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_finish", _die)
        with pytest.raises(KeyboardInterrupt):
            job.run(plan, workers=1, resume=False, force=False)
    return plan, receipts.first_stage(plan.job)[0, 0]


def _die(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_receipt_counts_as_none(unfinished, kind, rounds):
    make, total = DAMAGE[kind]
    plan, receipt = unfinished
    (path,) = (plan.job.out / "receipts").iterdir()
    whole = path.read_bytes()
    for changed in make(whole, share(total, rounds), 3):
        path.write_bytes(changed)
        # Spaces aside: a receipt is read, and its content hashed.
        assert read_receipt(path) in (None, receipt)
        assert path.read_bytes() != whole
    path.write_bytes(whole)
    assert read_receipt(path) == receipt


def test_a_build_with_a_damaged_receipt_comes_out_right(unfinished, dataset):
    plan, _ = unfinished
    (path,) = (plan.job.out / "receipts").iterdir()
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"rows": ', b'"rows": 1', 1))
    job.run(plan, workers=1, resume=True, force=False)

    assert all(check.passed for check in verify(plan.job.out))


def test_a_shard_whose_entry_lies_about_its_rows_is_refused(dataset):
    entry = entry_of(dataset)

    def read_last(rows: int) -> None:
        shard = Shard(dataset / entry["file"], {**entry, "rows": rows})
        shard.record_batch(shard.batches - 1)

    read_last(entry["rows"])
    for rows in (entry["rows"] - 1, entry["rows"] + 1, 10 * entry["rows"]):
        with pytest.raises(DatasetError, match="rows, which does not fit"):
            read_last(rows)
