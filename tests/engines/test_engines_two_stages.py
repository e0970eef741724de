"""A build of two stages may die at any write and be continued to the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dying import Died, die, die_at_removal, writes_of

from lmprep import files, second_stage
from lmprep.build_settings import BuildSettings
from lmprep.engines import job, local, output
from lmprep.errors import InputError
from lmprep.shards.manifest import read_receipt, write_receipt
from tests.corpora import make_tokenizer, tree, write_corpus

pytestmark = pytest.mark.usefixtures("quick_disk")

SHARED = {"length": 24, "partition_size": 2000, "valid": "1/4"}
OPTIONS = {
    "skipgram": {**SHARED, "objective": "skipgram", "subsample": "1/50", "copies": 2},
    "cooccurrence": {**SHARED, "objective": "cooccurrence", "window": 3},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt", documents=20)


@pytest.fixture(scope="module")
def tokenizer(corpus) -> Path:
    return make_tokenizer(corpus, corpus.parent / "tok")


@pytest.fixture(autouse=True)
def several_ranges(monkeypatch) -> None:
    """Ranges of words so small that there are a few."""
    monkeypatch.setattr(second_stage, "_CELLS", 6000)


@pytest.fixture(scope="module", params=list(OPTIONS))
def objective(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def whole(corpus, tokenizer, tmp_path_factory, objective) -> dict[str, bytes]:
    """Both folders of an undisturbed build."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second_stage, "_CELLS", 6000)
        build(corpus, tokenizer, folder / "out", objective)
    return tree(folder)


def build(corpus, tokenizer, out, objective, *, resume=False, force=False):
    settings = BuildSettings.from_options(OPTIONS[objective])
    plan = job.make_plan([str(corpus)], str(tokenizer), out, settings)
    return job.run(plan, workers=1, resume=resume, force=force)


def test_a_build_that_dies_before_any_write_is_continued_to_the_same_bytes(
    corpus, tokenizer, tmp_path, monkeypatch, objective, whole
):
    with monkeypatch.context() as counting:
        names = writes_of(counting)
        build(corpus, tokenizer, tmp_path / "counted" / "out", objective)
    assert sum(name.startswith("partials/") for name in names) >= 4
    assert sum(name.startswith("receipts/second-") for name in names) >= 4
    for moment in range(len(names)):
        folder = tmp_path / str(moment)
        with monkeypatch.context() as dying:
            writes_of(dying, die_before=moment)
            with pytest.raises(Died):
                build(corpus, tokenizer, folder / "out", objective)
        assert not (folder / "out" / "manifest.json").exists()
        build(corpus, tokenizer, folder / "out", objective, resume=True)

        assert tree(folder) == whole, f"died before write {moment}: {names[moment]}"
        shutil.rmtree(folder)


def test_the_second_stage_begins_when_the_first_is_complete(
    corpus, tokenizer, tmp_path, monkeypatch, objective
):
    names = writes_of(monkeypatch)
    build(corpus, tokenizer, tmp_path / "out", objective)
    first = [i for i, n in enumerate(names) if n.startswith(("partials/", "receipts/0"))]
    second = [i for i, n in enumerate(names) if "/data-" in n or n.startswith("receipts/second")]

    assert max(first) < min(second)
    assert {"out/manifest.json", "out-valid/manifest.json"} <= set(names[max(second) :])


def test_what_is_done_of_the_second_stage_is_not_done_again(
    corpus, tokenizer, tmp_path, monkeypatch, objective, whole
):
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out", objective)
    with monkeypatch.context() as idle:
        idle.setattr(local, "run_task", die)
        build(corpus, tokenizer, tmp_path / "out", objective, resume=True)

    assert tree(tmp_path) == whole


@pytest.mark.parametrize("damage", ["shard", "partial", "receipt"])
def test_what_is_missing_or_cut_is_made_again(
    corpus, tokenizer, tmp_path, monkeypatch, objective, whole, damage
):
    out = tmp_path / "out"
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, out, objective)
    pattern = {"shard": "data-*.arrow", "partial": "partials/*", "receipt": "receipts/second-*"}
    first, second, *_ = sorted(out.glob(pattern[damage]))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    build(corpus, tokenizer, out, objective, resume=True)

    assert tree(tmp_path) == whole


def test_shards_made_of_another_first_stage_do_not_count(
    corpus, tokenizer, tmp_path, monkeypatch, objective
):
    """A partial was lost, and the text it is made of anew is another one of the same size."""
    changing = tmp_path / "corpus.txt"
    changing.write_bytes(corpus.read_bytes())
    out = tmp_path / "a" / "out"
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(changing, tokenizer, out, objective)
    changing.write_bytes(corpus.read_bytes().replace(b"ba", b"zu"))
    for path in (*out.glob("partials/*"), *(tmp_path / "a" / "out-valid").glob("partials/*")):
        path.unlink()
    build(changing, tokenizer, out, objective, resume=True)
    build(changing, tokenizer, tmp_path / "b" / "out", objective)

    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_starting_over_may_die_anywhere_and_be_started_over_again(
    corpus, tokenizer, tmp_path, objective, whole
):
    moment, died = 0, True
    while died:
        folder = tmp_path / str(moment)
        build(corpus, tokenizer, folder / "out", objective)
        with pytest.MonkeyPatch.context() as dying:
            die_at_removal(dying, moment)
            try:
                build(corpus, tokenizer, folder / "out", objective, force=True)
                died = False
            except Died:
                pass
        if died:
            build(corpus, tokenizer, folder / "out", objective, force=True)
        assert tree(folder) == whole
        shutil.rmtree(folder)
        moment += 1

    assert moment > 10


def test_an_unfinished_build_can_be_cleared(
    corpus, tokenizer, tmp_path, monkeypatch, objective, whole
):
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out", objective)
    assert list((tmp_path / "out" / "partials").iterdir())
    output.clear([tmp_path / "out", tmp_path / "out-valid"])

    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_goes_when_the_build_is_continued(
    corpus, tokenizer, tmp_path, monkeypatch, objective, whole
):
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out", objective)
    dead = 2**22 + 1  # above the largest process number of Linux
    left = [
        tmp_path / "out" / folder / f".x.arrow.{files._host()}.{dead}.tmp"
        for folder in ("partials", "receipts")
    ]
    for path in left:
        path.write_bytes(b"half")
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out", objective, resume=True)

    assert not any(path.exists() for path in left)


def test_partials_left_beside_a_manifest_go(
    corpus, tokenizer, tmp_path, monkeypatch, objective, whole
):
    with monkeypatch.context() as dying:
        dying.setattr(output, "remove_plan", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out", objective)
    assert (tmp_path / "out" / "partials").exists()
    result = build(corpus, tokenizer, tmp_path / "out", objective, resume=True)

    assert result.already_complete
    assert tree(tmp_path) == whole


def test_a_receipt_beyond_the_end_of_a_source_is_refused_before_the_second_stage(
    corpus, tokenizer, tmp_path, monkeypatch, objective
):
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            build(corpus, tokenizer, tmp_path / "out", objective)
    receipts = tmp_path / "out" / "receipts"
    content = read_receipt(receipts / "00000-00000.json")
    assert content is not None
    write_receipt(receipts / "00000-00007.json", content | {"partition": 7})

    with pytest.raises(InputError, match="beyond the end of its source"):
        build(corpus, tokenizer, tmp_path / "out", objective, resume=True)


def test_progress_is_told_of_both_stages(corpus, tokenizer, tmp_path, objective):
    told = []
    settings = BuildSettings.from_options(OPTIONS[objective])
    plan = job.make_plan([str(corpus)], str(tokenizer), tmp_path / "out", settings)
    job.run(plan, workers=1, resume=False, force=False, on_receipt=told.append)

    assert sum(receipt["text_bytes"] for receipt in told) > 0.9 * corpus.stat().st_size
    assert len({receipt.get("first_stage") for receipt in told}) == 2
