"""Builds on Ray end as builds in one process do."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dying import die
from ways import OPTIONS, run

from lmprep.engines import job
from lmprep.errors import InputError, UsageError
from tests.corpora import tree

ray = pytest.importorskip("ray", reason="the extra ray is not installed")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Ray on this machine, with two cores, once for all tests."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # names of sockets must be short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it writes to the user's home
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=folder,
            _node_ip_address="127.0.0.1",
        )
        yield
        ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("objective", OPTIONS)
def test_no_engine_changes_a_byte(sources, undisturbed, objective, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the workers' folder is another one
    relative = os.path.relpath(tmp_path / "out")
    told: list[dict] = []
    plan = sources.plan(Path(relative), objective)
    for workers in (1, 2):
        run(plan, engine="ray", workers=workers, force=True, on_receipt=told.append)

        assert tree(tmp_path) == undisturbed(objective)
    assert sum(r["text_bytes"] for r in told) > 1.9 * sources.file.stat().st_size


def test_a_source_that_cannot_be_cut_is_read_by_several(sources, undisturbed, tmp_path):
    run(sources.plan(tmp_path / "out", "mlm", records=True), engine="ray")

    assert tree(tmp_path) == undisturbed("mlm", records=True)


def test_what_is_done_is_not_done_again(sources, undisturbed, tmp_path, monkeypatch):
    plan = sources.plan(tmp_path / "out", "mlm")
    run(plan, task=(0, 2))
    told: list[dict] = []
    run(plan, engine="ray", resume=True, on_receipt=told.append)

    assert {receipt["source"] % 2 for receipt in told} == {1}
    assert tree(tmp_path) == undisturbed("mlm")


def test_an_error_arrives_as_it_was(sources, tmp_path):
    broken = tmp_path / "broken.txt"
    broken.write_bytes(sources.file.read_bytes() + b"\xff\n")
    settings = sources.plan(tmp_path / "out", "clm").job.settings
    plan = job.make_plan([str(broken)], str(sources.tokenizer("gpt2")), tmp_path / "out", settings)
    with pytest.raises(InputError, match="byte 0xFF") as caught:
        run(plan, engine="ray")

    assert str(caught.value).startswith(f"{broken}:")
    assert ray.is_initialized()  # a connection that was there is left


def test_a_folder_in_this_process_is_refused(sources):
    from lmprep.remote import RemotePath

    with pytest.raises(UsageError, match="seen by one process only"):
        run(sources.plan(RemotePath("memory://ray/out"), "clm"), engine="ray")


def test_without_ray_it_says_what_to_install(sources, tmp_path, monkeypatch, capsys):
    import sys

    from lmprep import cli

    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "lmprep.engines.ray", raising=False)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(job.output, "open_folders", die)
    with pytest.raises(SystemExit) as ended:
        cli.main(
            ["build", "clm", str(sources.file), "-t", str(sources.tokenizer("gpt2")),
             "-o", str(tmp_path / "out"), "--engine", "ray"]
        )  # fmt: skip

    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "ray is not installed. The engine ray needs: pip install 'lmprep[ray]'." in said
