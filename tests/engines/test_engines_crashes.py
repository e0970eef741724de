"""A build may die at any write and be continued; what it leaves is never mistaken for more."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from dying import Died, die, die_at_removal, writes_of

from lmprep import files
from lmprep.build_settings import BuildSettings
from lmprep.engines import job, output
from lmprep.errors import InputError, LmprepError, UsageError
from lmprep.shards import manifest as papers
from lmprep.shards.manifest import read_receipt, write_receipt
from lmprep.shards.reader import Dataset
from tests.corpora import make_tokenizer, tree, write_corpus

pytestmark = pytest.mark.usefixtures("quick_disk")

OPTIONS = {"pairs": "nsp", "length": 48, "partition_size": 2000, "valid": "1/4", "copies": 2}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt", documents=24)


@pytest.fixture(scope="module")
def tokenizer(corpus) -> Path:
    return make_tokenizer(corpus, corpus.parent / "tok")


@pytest.fixture(scope="module")
def whole(corpus, tokenizer, tmp_path_factory) -> dict[str, bytes]:
    """Both folders of an undisturbed build."""
    folder = tmp_path_factory.mktemp("whole")
    build(corpus, tokenizer, folder / "out")
    return tree(folder)


def build(corpus, tokenizer, out, *, resume=False, force=False, **changes):
    plan = job.make_plan(
        [str(corpus)], str(tokenizer), out, BuildSettings.from_options(OPTIONS | changes)
    )
    return job.run(plan, workers=1, resume=resume, force=force)


def test_files_are_written_in_the_order_that_makes_a_crash_harmless(
    corpus, tokenizer, tmp_path, monkeypatch
):
    names = writes_of(monkeypatch)
    build(corpus, tokenizer, tmp_path / "out")
    ours = [name for name in names if name.split("/")[0] in ("out", "out-valid", "receipts")]
    receipts = [i for i, name in enumerate(ours) if name.startswith("receipts/")]

    assert ours[:2] == ["out-valid/plan.json", "out/plan.json"]
    assert ours[-8:] == [
        f"{folder}/{name}"
        for folder in ("out-valid", "out")
        for name in ("state.json", "dataset_info.json", "README.md", "manifest.json")
    ]
    assert len(receipts) >= 3
    for place in receipts:  # the shards of a partition come before its receipt
        partition = ours[place].removeprefix("receipts/").removesuffix(".json")
        later = [name for name in ours[place:] if f"data-{partition}" in name]
        assert later == []


def test_a_build_that_dies_before_any_write_is_continued_to_the_same_bytes(
    corpus, tokenizer, tmp_path, monkeypatch, whole
):
    with monkeypatch.context() as counting:
        names = writes_of(counting)
        build(corpus, tokenizer, tmp_path / "counted" / "out")
    for moment in range(len(names)):
        folder = tmp_path / str(moment)
        with monkeypatch.context() as dying:
            writes_of(dying, die_before=moment)
            with pytest.raises(Died):
                build(corpus, tokenizer, folder / "out")
        assert not (folder / "out" / "manifest.json").exists()
        build(corpus, tokenizer, folder / "out", resume=True)

        assert tree(folder) == whole, f"died before write {moment}: {names[moment]}"
        shutil.rmtree(folder)


def test_starting_over_may_die_anywhere_and_be_started_over_again(
    corpus, tokenizer, tmp_path, whole
):
    moment, died = 0, True
    while died:
        folder = tmp_path / str(moment)
        build(corpus, tokenizer, folder / "out")
        with pytest.MonkeyPatch.context() as dying:
            die_at_removal(dying, moment)
            try:
                build(corpus, tokenizer, folder / "out", force=True)
                died = False
            except Died:
                pass
        if died:
            build(corpus, tokenizer, folder / "out", force=True)
        assert tree(folder) == whole
        shutil.rmtree(folder)
        moment += 1

    assert moment > 10


def test_a_missing_or_cut_shard_is_built_again(corpus, tokenizer, tmp_path, monkeypatch, whole):
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out")
    first, second, *_ = sorted((tmp_path / "out").glob("data-*.arrow"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    build(corpus, tokenizer, tmp_path / "out", resume=True)

    assert tree(tmp_path) == whole


def test_receipts_of_another_plan_do_not_count(corpus, tokenizer, tmp_path, monkeypatch, whole):
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out")
    receipt = tmp_path / "out" / "receipts" / "00000-00000.json"
    content = read_receipt(receipt)
    assert content is not None
    content["fingerprint"] = "0" * 64
    content["train"]["drops"] = {"lies": 1}
    write_receipt(receipt, content)
    build(corpus, tokenizer, tmp_path / "out", resume=True)

    assert tree(tmp_path) == whole


def test_a_partition_beyond_the_end_of_its_source_is_refused(
    corpus, tokenizer, tmp_path, monkeypatch
):
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out")
    receipts = tmp_path / "out" / "receipts"
    content = read_receipt(receipts / "00000-00000.json")
    assert content is not None
    write_receipt(receipts / "00000-00007.json", content | {"partition": 7})

    with pytest.raises(InputError, match="beyond the end of its source"):
        build(corpus, tokenizer, tmp_path / "out", resume=True)


def test_a_deleted_part_is_made_again(corpus, tokenizer, tmp_path, whole):
    for name in ("out", "out-valid"):
        build(corpus, tokenizer, tmp_path / "a" / "out")
        shutil.rmtree(tmp_path / "a" / name)
        build(corpus, tokenizer, tmp_path / "a" / "out", resume=True)
        assert tree(tmp_path / "a") == whole
        shutil.rmtree(tmp_path / "a")


def test_a_held_out_folder_of_another_build_is_not_taken_over(corpus, tokenizer, tmp_path):
    build(corpus, tokenizer, tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    before = tree(tmp_path / "out-valid")

    with pytest.raises(UsageError, match=r"out-valid: .*seed is 0 there and 1 here"):
        build(corpus, tokenizer, tmp_path / "out", resume=True, seed=1)
    assert tree(tmp_path / "out-valid") == before


def test_a_plan_left_beside_a_manifest_goes(corpus, tokenizer, tmp_path, monkeypatch, whole):
    with monkeypatch.context() as dying:
        dying.setattr(output, "remove_plan", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").exists()
    result = build(corpus, tokenizer, tmp_path / "out", resume=True)

    assert result.already_complete
    assert tree(tmp_path) == whole


def test_what_killed_processes_left_is_removed_and_what_others_write_is_not(
    corpus, tokenizer, tmp_path, whole
):
    out = tmp_path / "out"
    out.mkdir()
    dead, alive = 2**22 + 1, 1  # above the largest process number of Linux; always there
    for process in (dead, alive):
        (out / f".data-00000-00000-00.arrow.{files._host()}.{process}.tmp").write_bytes(b"half")
    (out / f".plan.json.elsewhere.{dead}.tmp").write_bytes(b"half")
    half = out / f".tokenizer.{files._host()}.{dead}.tmp"
    half.mkdir()
    (half / "vocab.txt").write_bytes(b"half")
    build(corpus, tokenizer, out)
    left = {name for name in tree(tmp_path) if name.endswith(".tmp")}

    assert left == {
        f"out/.data-00000-00000-00.arrow.{files._host()}.{alive}.tmp",
        f"out/.plan.json.elsewhere.{dead}.tmp",
    }
    assert {k: v for k, v in tree(tmp_path).items() if k not in left} == whole

    half.mkdir()
    (half / "vocab.txt").write_bytes(b"half")
    build(corpus, tokenizer, out, force=True)
    assert tree(tmp_path) == whole


def test_the_tokenizers_roles_are_part_of_the_plan(corpus, tokenizer, tmp_path):
    bare = tmp_path / "tokenizer.json"
    content = json.loads((tokenizer / "tokenizer.json").read_bytes())
    content["post_processor"] = None
    bare.write_text(json.dumps(content))
    plans = [
        job.make_plan([str(corpus)], str(bare), tmp_path / "out", BuildSettings(), family=family)
        for family in ("bert", "bert")
    ]

    assert plans[0].paper["fingerprint"] == plans[1].paper["fingerprint"]
    assert plans[0].paper["vocabulary"]["family"] == "bert"
    changed = plans[0].paper | {"vocabulary": {"family": "roberta"}}
    with pytest.raises(UsageError, match=r"vocabulary\.cls"):
        output._refuse_other_settings(tmp_path, changed | {"fingerprint": ""}, plans[1].paper)


def test_another_tokenizer_is_another_plan(corpus, tokenizer, tmp_path):
    other = make_tokenizer(corpus, tmp_path / "tok", size=130)
    build(corpus, tokenizer, tmp_path / "out")

    with pytest.raises(UsageError, match="tokenizer_sha256 is"):
        build(corpus, other, tmp_path / "out", resume=True)


def test_stdin_is_compared_when_it_is_read_again(corpus, tokenizer, tmp_path, monkeypatch):
    def piped(text: bytes, **flags):
        stream = io.TextIOWrapper(io.BytesIO(text))
        monkeypatch.setattr(sys, "stdin", stream)
        return build("-", tokenizer, tmp_path / "out", **flags)

    piped(corpus.read_bytes())
    undisturbed = tree(tmp_path)
    output.clear([tmp_path / "out", tmp_path / "out-valid"])
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            piped(corpus.read_bytes())
    with pytest.raises(InputError, match="does not hold the text it held"):
        piped(corpus.read_bytes().swapcase(), resume=True)
    piped(corpus.read_bytes(), resume=True)

    assert tree(tmp_path) == undisturbed


def test_nothing_is_left_of_a_build_that_failed_at_once(tokenizer, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": 1}\n')
    with pytest.raises(LmprepError):
        build(bad, tokenizer, tmp_path / "out")

    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out-valid").exists()


def test_what_was_built_before_a_fault_is_kept(corpus, tokenizer, tmp_path):
    good, bad = corpus, tmp_path / "bad.txt"
    bad.write_bytes(b"caf\xe9\n\n" + b"ba ke lo\n\n" * 400)
    plan = job.make_plan(
        [str(good), str(bad)], str(tokenizer), tmp_path / "out", BuildSettings.from_options(OPTIONS)
    )
    with pytest.raises(InputError, match=r"bad\.txt:1: "):
        job.run(plan, workers=1, resume=False, force=False)

    assert list((tmp_path / "out" / "receipts").iterdir())
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_empty_held_out_part_is_a_warning_not_the_end(tokenizer, tmp_path, caplog):
    text = tmp_path / "short.txt"
    # Two documents of one sentence among many of three: SOP can do nothing with them.
    text.write_text("".join("Ba ke lo.\nMi nu ra.\nSo te vi.\n\n" for _ in range(30)))
    options = {"pairs": "sop", "valid": "1/1000000", "length": 48}
    plan = job.make_plan(
        [str(text)], str(tokenizer), tmp_path / "out", BuildSettings.from_options(options)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "account", _without_valid_rows(job.account))
        job.run(plan, workers=1, resume=False, force=False)

    assert "no example came out of 2 documents for the held-out part" in caplog.text
    assert len(Dataset(tmp_path / "out")) > 0


def _without_valid_rows(real):
    def account(first, second, part):
        found = real(first, second, part)
        return found | {"shards": []} if part == "valid" else found

    return account


def test_drops_reach_the_manifest_of_their_part(tokenizer, tmp_path):
    records = [json.dumps({"text": "Ba ke lo. Mi nu ra."})] * 20 + ['{"text": " "}'] * 3
    text = tmp_path / "r.jsonl"
    text.write_text("\n".join(records) + "\n")
    build(text, tokenizer, tmp_path / "out", pairs="none")

    assert Dataset(tmp_path / "out").manifest["drops"] == {"empty_documents": 3}
    assert Dataset(tmp_path / "out-valid").manifest["drops"] == {}


def test_partitions_of_the_same_text_are_cut_and_masked_differently(tokenizer, tmp_path):
    for number in range(2):
        write_corpus(tmp_path / f"{number}.txt", documents=30)
    plan = job.make_plan(
        [str(tmp_path / "0.txt"), str(tmp_path / "1.txt")],
        str(tokenizer),
        tmp_path / "out",
        BuildSettings.from_options({"pairs": "nsp", "length": 48, "partition_size": "5kB"}),
    )
    job.run(plan, workers=1, resume=False, force=False)
    shards = Dataset(tmp_path / "out").shards
    by_text: dict[str, set[str]] = {}
    for shard in shards:
        by_text.setdefault(shard["text_sha256"], set()).add(shard["sha256"])

    assert max(len(found) for found in by_text.values()) == 2


def test_a_manifest_adds_up_and_tells_its_format(corpus, tokenizer, tmp_path, monkeypatch):
    build(corpus, tokenizer, tmp_path / "out")
    dataset = Dataset(tmp_path / "out")
    totals, shards = dataset.manifest["totals"], dataset.manifest["shards"]
    rows = Dataset(tmp_path / "out").rows

    assert totals == {name: sum(shard[name] for shard in shards) for name in totals}
    assert dataset.manifest["input_tokens"] > 0
    assert sum(e["tokens"] for e in dataset.shards) == sum(
        len(row) for row in rows(np.arange(len(dataset)))["input_ids"]
    )
    monkeypatch.setattr(papers, "FORMAT", 2)
    with pytest.raises(LmprepError, match="format 1 is not 2"):
        Dataset(tmp_path / "out")


def test_the_rows_of_a_dataset_are_those_of_version_one(tmp_path):
    """Any change of these digests is a change of an algorithm.

    Raise `build.ALGORITHMS` with it, and say so in the change log.
    """
    corpus = write_corpus(tmp_path / "corpus.txt", documents=12, seed=5)
    tokenizer = make_tokenizer(corpus, tmp_path / "tok")
    digests = {}
    for pairs in ("none", "nsp", "sop"):
        build(corpus, tokenizer, tmp_path / pairs, pairs=pairs, partition_size=10**6)
        dataset = Dataset(tmp_path / pairs)
        columns = dataset.rows(np.arange(len(dataset)))
        plain = {k: [np.asarray(v).tolist() for v in column] for k, column in columns.items()}
        digests[pairs] = files.json_sha256(plain)[:16]

    assert digests == {
        "none": "1f1ce9910b9c4c70",
        "nsp": "affaeda42377f4b2",
        "sop": "ffb0073cc003e68a",
    }
