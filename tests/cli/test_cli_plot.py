"""`lmprep plot`: from run folders to a file, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lmprep.report.curves import AXES


def write_run(folder: Path, count: int = 5) -> Path:
    folder.mkdir(parents=True)
    lines = [
        {"step": i, "tokens": 9 * i, "elapsed": 0.5 * i, "loss": 3.0, "token_loss": 3.0 / i,
         "lr": 1e-4, "tokens_per_second": 18.0}
        for i in range(1, count + 1)
    ]  # fmt: skip
    if count:
        lines.append({"step": count, "validation": {"token_loss": 2.0}})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize("axis", AXES)
def test_runs_become_a_picture(run, tmp_path, axis):
    runs = [write_run(tmp_path / "a" / "run"), write_run(tmp_path / "b" / "run", 1)]
    ended = run("plot", *runs, "-o", "curves.png", "--x", axis)
    content = Path("curves.png").read_bytes()

    assert (ended.code, ended.out, ended.err) == (0, "", "Drawn: curves.png\n")
    assert content.startswith(b"\x89PNG")
    assert min(struct.unpack(">II", content[16:24])) >= 800


def test_an_svg_is_one_and_replaces_what_was_there(run, tmp_path):
    Path("a.SVG").write_text("old")
    assert run("plot", write_run(tmp_path / "run"), "-o", "a.SVG").code == 0
    assert ElementTree.parse("a.SVG").getroot().tag.endswith("svg")


def test_a_run_at_work_with_a_torn_last_line_is_drawn(run, tmp_path):
    folder = write_run(tmp_path / "run")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "tok')

    assert run("plot", folder, "-o", "a.png").code == 0


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("-o", "a.png"), "Missing argument 'RUN...'"),
        (("run",), "Missing option '-o'"),
        (("run", "-o", "a.pdf"), "a.pdf is neither .png nor .svg"),
        (("run", "-o", "nowhere/a.png"), "the folder nowhere does not exist"),
        (("run", "-o", "a.png", "--x", "epochs"), "'epochs' is not one of"),
        (("run", "run/../run", "-o", "a.png"), "run/../run: the run is given twice"),
        (("run", "absent", "-o", "a.png"), "absent: there is no such run folder"),
        (("run", "other", "-o", "a.png"), "other: this is not a run folder"),
        (("run", "begun", "-o", "a.png"), "begun: no metrics are written yet"),
    ],
)
def test_what_cannot_be_drawn_is_refused(run, tmp_path, given, complaint):
    write_run(tmp_path / "run")
    write_run(tmp_path / "begun", 0)
    (tmp_path / "other").mkdir()
    ended = run("plot", *given)

    assert ended.code == 2
    assert complaint in ended.err
    assert not list(tmp_path.glob("*.png"))


def test_without_matplotlib_it_says_what_to_install(lmprep, tmp_path):
    missing = "raise ModuleNotFoundError('No module named matplotlib', name='matplotlib')"
    (tmp_path / "matplotlib.py").write_text(missing)
    done = lmprep("plot", write_run(tmp_path / "run"), "-o", "a.png")

    assert done.returncode == 1
    assert "matplotlib is not installed. Drawing needs: pip install 'lmprep[plot]'." in done.stderr
