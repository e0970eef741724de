"""`lmprep stats`: the figures as a table, as JSON and as a picture."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lmprep.checks.stats import dataset_stats
from tests.corpora import build_dataset, make_tokenizer, write_corpus

OBJECTIVES = {"span": "bert", "ul2": "ul2", "bart": "roberta", "cooccurrence": "bert"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stats")
    corpus = write_corpus(folder / "corpus.txt", documents=12)
    for family in set(OBJECTIVES.values()):
        make_tokenizer(corpus, folder / f"tok-{family}", family=family)
    for objective, family in OBJECTIVES.items():
        build_dataset(corpus, folder / f"tok-{family}", folder / objective, objective=objective)
    return folder


def test_json_is_the_report_of_the_library(run, folder):
    ended = run("stats", folder / "span", "--json")

    assert ended.code == 0
    assert json.loads(ended.out) == json.loads(json.dumps(dataset_stats(folder / "span")))


def test_the_table_says_what_counts(run, folder):
    report = dataset_stats(folder / "span")
    lines = {
        line.strip().split("  ")[0]: line for line in run("stats", folder / "span").out.splitlines()
    }

    assert f"{report['tokens']:,}" in lines["tokens"]
    assert f"{report['masking']['rate']:.2%}" in lines["masked"]
    assert f"{report['masking']['wanted']:,} wanted" in lines["shortfall"]
    assert f"{report['padding_share']:.1%} at length 48" in lines["padding"]
    assert f"{report['labels']['next_sentence_label'][1]:.1%} 1" in lines["next_sentence_label"]
    assert "pair_truncation_tokens" in lines["dropped"]
    assert "█" in lines["of 1"]
    shown = run("stats", folder / "ul2").out
    assert all(f"denoiser {number}" in shown for number in range(7))
    assert "wanted 14.3%" in shown


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_picture_of_every_kind(run, folder, objective):
    ended = run("stats", folder / objective, "--plot", "a.png", "--json")
    assert run("stats", folder / objective, "--plot", "a.svg").code == 0
    content = Path("a.png").read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    text = "".join(ElementTree.parse("a.svg").getroot().itertext())

    assert ended.code == 0
    assert json.loads(ended.out)["objective"] == objective
    assert "Drawn: a.png" in ended.err
    assert content.startswith(b"\x89PNG")
    assert min(width, height) >= 400
    assert len(text) > 0


def test_another_suffix_is_refused_before_any_work(run, folder):
    ended = run("stats", folder / "span", "--plot", "a.pdf")

    assert ended.code == 2
    assert "a.pdf is neither .png nor .svg" in ended.err
    assert ended.out == ""


def test_without_matplotlib_only_drawing_says_what_to_install(lmprep, folder, tmp_path):
    missing = "raise ModuleNotFoundError('No module named matplotlib', name='matplotlib')"
    (tmp_path / "matplotlib.py").write_text(missing)
    drawn = lmprep("stats", folder / "span", "--plot", "a.png")

    assert drawn.returncode == 1
    assert drawn.stdout == ""
    assert "matplotlib is not installed. Drawing needs: pip install 'lmprep[plot]'." in drawn.stderr
    assert lmprep("stats", folder / "span").returncode == 0
    assert not (tmp_path / "a.png").exists()


def test_a_picture_is_written_whole_or_not_at_all(folder, tmp_path):
    code = f"""
import sys
from pathlib import Path
from lmprep.checks.stats import dataset_stats
from lmprep.report import dataset_plot
from matplotlib.figure import Figure

def half(self, file, **_):
    file.write(b"half")
    raise OSError("disk full")

Figure.savefig = half
dataset_plot.plot_stats(dataset_stats(Path({str(folder / "span")!r})), Path("a.png"), "x")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert "disk full" in done.stderr
    assert not list(tmp_path.iterdir())
