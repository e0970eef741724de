"""Tasks that overtake one another, begin late or end early leave one dataset all the same."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from dying import Died, die
from ways import OPTIONS, run

from lmprep import files
from lmprep.engines import job
from lmprep.errors import InputError, LmprepError, UsageError
from lmprep.files import make_folder
from tests.corpora import tree

pytestmark = pytest.mark.usefixtures("quick_disk")


def receipts_in(folder) -> set[str]:
    return {path.name for path in (folder / "receipts").glob("*.json")}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.parametrize("objective", OPTIONS)
def test_no_number_of_workers_or_tasks_changes_a_byte(
    sources, undisturbed, objective, workers, tmp_path
):
    plan = sources.plan(tmp_path / "tasks" / "out", objective)
    results = [run(plan, workers=workers, task=(i, 2)) for i in (1, 0)]
    run(sources.plan(tmp_path / "one" / "out", objective), workers=workers)

    assert [bool(result.waits_for) for result in results] == [True, False]
    assert results[0].manifests == {}
    assert tree(tmp_path / "tasks") == tree(tmp_path / "one") == undisturbed(objective)


def test_more_tasks_than_partitions_leave_some_idle(sources, undisturbed, tmp_path):
    plan = sources.plan(tmp_path / "out", "clm")
    for index in range(9):
        run(plan, task=(index, 9))

    assert tree(tmp_path) == undisturbed("clm")


@pytest.mark.parametrize("objective", ["mlm", "cooccurrence"])
def test_tasks_may_run_at_the_same_time(sources, undisturbed, objective, tmp_path, monkeypatch):
    # As on different machines: in one process all would have the same temporary names.
    monkeypatch.setattr(files, "_host", lambda: f"node-{threading.get_ident()}")
    plan = sources.plan(tmp_path / "out", objective)
    failed = []

    def build(index: int) -> None:
        try:
            run(plan, task=(index, 4))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=build, args=(i,)) for i in (0, 1, 2, 3, 0, 1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert tree(tmp_path) == undisturbed(objective)


def test_a_folder_that_goes_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    folder, make = tmp_path / "receipts", os.mkdir
    made = []

    def contested(path: Path, *rest: object) -> None:
        made.append(path)
        if len(made) == 1:  # it was there, and another task has removed it since
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        make(path, *rest)

    monkeypatch.setattr(os, "mkdir", contested)
    make_folder(folder)
    make_folder(folder)  # it is there

    assert folder.is_dir()
    assert len(made) == 3


def test_a_file_where_a_folder_belongs_is_an_error(tmp_path):
    (tmp_path / "receipts").write_text("")

    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "receipts")


@pytest.mark.parametrize("objective", ["mlm", "skipgram"])
def test_a_task_that_another_one_overtakes_ends_well(sources, undisturbed, objective, tmp_path):
    plan = sources.plan(tmp_path / "out", objective)
    overtaken = []

    def overtake(_: object) -> None:
        if not overtaken:
            overtaken.append(True)
            run(plan, task=(0, 1))  # everything, to the manifest

    result = run(plan, task=(0, 2), on_receipt=overtake)

    assert result.manifests.keys() == {"train", "valid"}
    assert tree(tmp_path) == undisturbed(objective)


def test_a_task_that_begins_when_the_last_one_ends_undoes_nothing(
    sources, undisturbed, tmp_path, monkeypatch
):
    plan = sources.plan(tmp_path / "out", "mlm")
    real = job.output._begin

    def begin(*arguments, **more):
        monkeypatch.setattr(job.output, "_begin", real)
        run(plan, task=(0, 1))
        real(*arguments, **more)

    monkeypatch.setattr(job.output, "_begin", begin)

    assert run(plan, task=(0, 2)).already_complete
    assert tree(tmp_path) == undisturbed("mlm")


def test_a_task_begins_between_the_two_manifests(sources, undisturbed, tmp_path, monkeypatch):
    plan = sources.plan(tmp_path / "out", "mlm")
    with monkeypatch.context() as dying:
        real = job.write_manifest
        dying.setattr(
            job, "write_manifest", lambda f, c: die() if f == plan.job.out else real(f, c)
        )
        with pytest.raises(Died):
            run(plan, task=(0, 1))
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            run(plan, task=(1, 2))

    assert (tmp_path / "out-valid" / "manifest.json").exists()
    run(plan, task=(0, 2))
    assert tree(tmp_path) == undisturbed("mlm")


def test_finish_completes_what_the_tasks_left(sources, undisturbed, tmp_path, monkeypatch):
    plan = sources.plan(tmp_path / "out", "cooccurrence")
    with pytest.raises(UsageError, match="no build was begun here"):
        run(plan, finish=True)
    assert list(tmp_path.iterdir()) == []
    run(plan, task=(0, 2))
    with pytest.raises(LmprepError, match=r"partition 0 of source 1 .* was not built") as caught:
        run(plan, finish=True)
    assert "--finish again" in caught.value.fix
    with monkeypatch.context() as dying:
        dying.setattr(job, "_finish", die)
        with pytest.raises(Died):
            run(plan, task=(1, 2))
    run(plan, finish=True)

    assert tree(tmp_path) == undisturbed("cooccurrence")
    assert run(plan, finish=True).already_complete


def test_a_task_leaves_what_others_are_writing_and_finish_clears_up(sources, undisturbed, tmp_path):
    plan = sources.plan(tmp_path / "out", "clm")
    run(plan, task=(0, 2))
    dead = 2**22 + 1  # above the largest process number of Linux
    other = tmp_path / "out" / f".data-00001-00000-00.arrow.other-node.{dead}.tmp"
    own = tmp_path / "out" / f".data-00001-00000-00.arrow.{files._host()}.{dead}.tmp"
    other.write_bytes(b"half")
    own.write_bytes(b"half")
    run(plan, task=(1, 2))

    assert not own.exists()
    assert other.exists()
    run(plan, finish=True)
    assert tree(tmp_path) == undisturbed("clm")


def test_a_failing_task_clears_nothing(sources, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_bytes(b"\n\n")
    settings = sources.plan(tmp_path / "out", "clm").job.settings
    plan = job.make_plan([str(empty)], str(sources.tokenizer("gpt2")), tmp_path / "out", settings)
    with pytest.raises(InputError, match="the corpus is empty"):
        run(plan, task=(0, 2))

    assert (tmp_path / "out" / "plan.json").exists()


def test_a_complete_dataset_without_its_held_out_part_is_left_alone(sources, undisturbed, tmp_path):
    plan = sources.plan(tmp_path / "out", "clm")
    run(plan)
    files.remove_tree(tmp_path / "out-valid")
    with pytest.raises(UsageError, match="the held-out part of this complete dataset is missing"):
        run(plan, task=(0, 2))
    run(plan, resume=True)

    assert tree(tmp_path) == undisturbed("clm")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["corpus.txt", "--task", "2/2"], "is not I/N with I from 0"),
        (["corpus.txt", "--task", "two"], "is not I/N"),
        (["corpus.txt", "--task", "0/2", "--force"], "would remove what other tasks"),
        (["corpus.txt", "--finish", "--force"], "would remove what other tasks"),
        (["corpus.txt", "--task", "0/2", "--finish"], "--task and --finish exclude"),
        (["corpus.txt", "--task", "0/2", "--engine", "ray"], "shares out the work itself"),
        (["-", "--task", "0/2"], "standard input cannot be shared by tasks"),
        (["-", "--finish"], "standard input cannot be shared by tasks"),
        (["-", "--engine", "ray"], "standard input cannot be shared by a cluster"),
        (["corpus.txt", "--finish"], "no build was begun here. Run its tasks first"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_work(
    sources, tmp_path, monkeypatch, capsys, flags, said
):
    from lmprep import cli

    (tmp_path / "corpus.txt").symlink_to(sources.file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["build", "mlm", *flags, "-t", str(sources.tokenizer("bert")), "-o", "out"])

    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
