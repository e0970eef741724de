"""`lmprep export` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.finished_runs import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    make_run(folder, "bert", objective="span", span_boundary=4)
    return folder


def test_it_says_what_it_has_written_and_what_it_has_left_out(run, folder):
    ended = run("export", folder / "run", "-o", "out")

    assert (ended.code, ended.out) == (0, "")
    left_out, written = ended.err.splitlines()
    assert left_out == ("Left out: the span-boundary head, for which BertForMaskedLM has no place.")
    assert written.startswith("out: BertForMaskedLM, ")
    assert written.endswith(" parameters, step 7")
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "README.md", "config.json", "model.safetensors", "special_tokens_map.json",
        "tokenizer.json", "tokenizer_config.json", "training.json", "vocab.txt",
    ]  # fmt: skip
    assert {path.stat().st_mode for path in Path("out").iterdir()} == {
        Path("out/README.md").stat().st_mode
    }


@pytest.mark.parametrize(
    ("given", "code", "complaint"),
    [
        (("-o", "there"), 2, "there: the folder already exists"),
        (("-o", "out", "--checkpoint", 3), 1, "step-3: there is no such checkpoint"),
        (("-o", "out", "--checkpoint", "last"), 2, "'last' is not a valid integer"),
        ((), 2, "Missing option '-o'"),
    ],
)
def test_what_cannot_be_done_is_refused(run, folder, given, code, complaint):
    Path("there").mkdir()
    ended = run("export", folder / "run", *given)

    assert ended.code == code
    assert complaint in ended.err
    assert not Path("out").exists()
    assert run("export", folder / "run", "-o", "there", "--force").code == 0
