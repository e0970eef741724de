"""`lmprep report`: from folders to a page, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from lmprep.report.report import write_report
from tests.corpora import build_dataset
from tests.finished_runs import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory, quick_disk) -> Path:
    """A run `run`, its dataset `train`, its tokenizer `tok`, laid out as a recipe's results."""
    folder = tmp_path_factory.mktemp("report")
    make_run(folder, "bert-pairs")
    figures = {"tokens": 7, "cross_entropy": 2.5, "perplexity": 12.18, "accuracy": 0.25}
    evaluation = {"run": "run", "dataset": "valid", "objective": "mlm", "step": 7, "rows": 3}
    evaluation |= {"corrupted": figures, "unigram": figures}
    (folder / "evaluation.json").write_text(json.dumps({"figures": evaluation, "fingerprint": ""}))
    (folder / "figures.json").write_text(json.dumps([evaluation | {"dataset": "elsewhere"}]))
    spread = {"dev": {"accuracy": {"mean": 0.8125, "sd": 0.01}, "f1": {"mean": 0.5}}, "seeds": 5}
    (folder / "tuned").mkdir()
    (folder / "tuned" / "results.json").write_text(json.dumps(spread))
    return folder


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_a_dataset_becomes_a_page(run, folder):
    ended = run("report", folder / "train", "-o", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")

    assert (ended.code, ended.out, ended.err) == (0, "", "Written: page.html\n")
    assert headings(page) == ["Dataset train"]
    for part in ("Figures", "Settings", "Inputs", "Dropped", "Checks", "Examples"):
        assert f"<h3>{part}</h3>" in page
    assert re.search(r"All \d+ rows of the first copy\.", page)
    assert re.search(r"All \d+ checks hold\.", page)


def test_a_page_asks_for_nothing_from_elsewhere(run, folder):
    run("report", folder / "train", folder / "tok", folder / "run", "-o", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")

    assert not re.search(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]", page)
    assert not re.search(r"<(?:link|img|iframe|object|embed|base)\b|@import|url\(", page)
    assert re.search(r"""content="default-src 'none'; style-src 'sha256-[^"]*'none'\"""", page)


def test_the_same_folders_give_the_same_bytes(run, folder):
    for name in ("a.html", "b.html"):
        run("report", folder / "train", folder / "tok", folder / "run", "-o", name)

    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()


def test_a_recipes_folder_is_all_that_is_in_it(run, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "out")
    (tmp_path / "out" / "tok").rename(tmp_path / "out" / "tokenizer")
    ended = run("report", "out", "-o", "page.html")

    assert ended.code == 0
    assert headings(Path("page.html").read_text(encoding="utf-8")) == [
        "Dataset train", "Vocabulary tokenizer", "Runs", "Curves", "Attention", "Held-out figures",
    ]  # fmt: skip


def test_kept_figures_are_tables(run, folder):
    given = (folder / "figures.json", folder / "tuned")
    assert run("report", *given, "-o", "page.html").code == 0
    page = Path("page.html").read_text(encoding="utf-8")

    assert headings(page) == ["Held-out figures", "Fine-tuning"]
    assert "elsewhere: step 7 of run" in page
    assert "0.8125 ± 0.0100" in page
    assert ">0.5000</td>" in page


def test_runs_without_anything_else_show_their_curves(run, folder):
    ended = run("report", folder / "run", "-o", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")

    assert ended.code == 0
    assert headings(page) == ["Runs", "Curves", "Attention", "Held-out figures"]
    assert "<figcaption>token loss, held out</figcaption>" in page
    assert "packed, bidirectional" in page
    assert "valid: step 7 of run" in page


def test_texts_of_the_users_are_split(run, folder, tmp_path):
    (tmp_path / "mine.txt").write_text("\n Bakelo minu. \n\nrasote\n")
    assert run("report", folder / "tok", "-o", "page.html", "--text", "mine.txt").code == 0
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>',
                     Path("page.html").read_text(encoding="utf-8"), re.DOTALL)  # fmt: skip

    assert data
    rows = json.loads(data[1])["splits"]["vocabulary-0"]["rows"]
    assert [row["text"] for row in rows] == ["Bakelo minu.", "rasote"]


def test_a_damaged_dataset_gets_its_checks_and_nothing_else(run, folder, tmp_path):
    out = build_dataset(folder / "corpus.txt", folder / "tok", tmp_path / "out", pairs="none")
    shard = next(out.glob("*.arrow"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    ended = run("report", out, "-o", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")

    assert ended.code == 0
    assert re.fullmatch(
        r"Warning: out: \d+ checks? failed; see `lmprep verify`.\nWritten: page.html\n", ended.err
    )
    assert "checks failed. Figures and examples are left out" in page
    assert '<tr class="failed"><th scope="row">FAILED</th><td>sha256</td>' in page
    assert "<h3>Examples</h3>" not in page


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("-o", "a.html"), "Missing argument 'OUT|RUN...'"),
        (("train",), "Missing option '-o'"),
        (("train", "-o", "a.pdf"), "a.pdf: the page is HTML. Choose a name that ends in .html"),
        (("train", "-o", "no/a.html"), "no/a.html: its folder does not exist"),
        (("absent", "-o", "a.html"), "absent: there is no such folder or file"),
        (("empty", "-o", "a.html"), "empty: this is nothing a page can be made of"),
        (("train", "tok/../train", "-o", "a.html"), "tok/../train: it is given twice"),
        (("tok", "-o", "a.html", "--text", "absent.txt"), "File 'absent.txt' does not exist"),
    ],
)
def test_what_is_no_page_is_refused_before_any_work(run, folder, monkeypatch, given, complaint):
    (folder / "empty").mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    ended = run("report", *given)

    assert ended.code == 2
    assert complaint in ended.err
    assert not list(folder.glob("*.html"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("{", "not valid JSON"), ('{"a": 1}', "these are no figures of lmprep"), ("[]", "these are")],
)
def test_other_json_is_refused(run, tmp_path, content, complaint):
    (tmp_path / "a.json").write_text(content)
    ended = run("report", "a.json", "-o", "a.html")

    assert ended.code == 1
    assert f"Error: a.json: {complaint}" in ended.err


def test_an_unfinished_dataset_is_refused(run, folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.json").write_text("{}")
    ended = run("report", "out", "-o", "a.html")

    assert ended.code == 1
    assert "out: the dataset is unfinished" in ended.err


def test_pages_of_datasets_and_vocabularies_do_without_torch_and_matplotlib(
    lmprep, folder, tmp_path
):
    for name in ("torch", "matplotlib"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('gone', name='{name}')")
    done = lmprep("report", folder / "train", folder / "tok", "-o", "a.html")
    runs = lmprep("report", folder / "run", "-o", "b.html")

    assert (done.returncode, done.stderr) == (0, "Written: a.html\n")
    assert runs.returncode == 1
    assert "torch is not installed. Training needs: pip install 'lmprep[train]'." in runs.stderr


def test_many_inputs_are_cut_and_said(folder, tmp_path, quick_disk):
    files = [tmp_path / f"{i:03}.txt" for i in range(120)]
    for file in files:
        file.write_text("bake lomi nura.\nsote vizu.\n")
    from lmprep.build_settings import BuildSettings
    from lmprep.engines import job
    from lmprep.objective_settings import FORMS
    from lmprep.settings import SequenceSettings

    settings = BuildSettings(
        objective="mlm",
        objective_settings=FORMS["mlm"].settings(),
        sequences=SequenceSettings(length=16, sequences="document"),
    )
    plan = job.make_plan([str(f) for f in files], str(folder / "tok"), tmp_path / "out", settings)
    job.run(plan, workers=1, resume=False, force=False)
    write_report([tmp_path / "out"], tmp_path / "a.html")

    assert "and 20 more" in (tmp_path / "a.html").read_text(encoding="utf-8")
