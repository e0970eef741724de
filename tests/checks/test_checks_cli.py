"""`lmprep verify` on the command line: a table or JSON, the source, exit codes."""

import json

import pytest
from click.testing import CliRunner
from rewritten import rewrite

from lmprep.cli import main
from lmprep.cli.verify import verify
from tests.corpora import build_dataset, make_tokenizer, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("cli") / "corpus.txt")


@pytest.fixture(scope="module")
def folder(corpus):
    tokenizer = make_tokenizer(corpus, corpus.parent / "tok", family="gpt2")
    return build_dataset(corpus, tokenizer, corpus.parent / "out", objective="clm")


def run(*arguments):
    return CliRunner().invoke(verify, [str(argument) for argument in arguments])


def names_in(result):
    return {check["name"] for check in json.loads(result.stdout)}


def test_a_good_dataset_exits_with_0_and_shows_every_check(folder):
    result = run(folder)

    assert result.exit_code == 0
    assert "full windows" in result.stdout
    assert "FAILED" not in result.stdout


@pytest.mark.parametrize("spread", [False, True])
def test_the_source_is_one_file_or_many(folder, corpus, tmp_path, spread):
    """As a shell that expands a pattern gives them."""
    if spread:
        other = tmp_path / "other.txt"
        other.write_text("A file more.\n")
        result = run(folder, "--json", "--source", corpus, other)
        assert result.exit_code == 1
        assert [c["name"] for c in json.loads(result.stdout) if not c["passed"]] == ["source files"]
        return
    result = run(folder, "--source", corpus, "--json")
    assert result.exit_code == 0
    assert names_in(run(folder, "--json")) < names_in(result)


def test_a_violation_exits_with_1(folder, tmp_path):
    import shutil

    def fault(columns):
        columns["input_ids"].values[3] = 60_000

    broken = shutil.copytree(folder, tmp_path / "broken")
    rewrite(broken, fault)
    result = run(broken)

    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    found = json.loads(run(broken, "--json").stdout)
    assert [check["name"] for check in found if not check["passed"]] == ["ids"]


def test_wrong_usage_exits_with_2(folder, tmp_path, capsys):
    assert run(folder, "stray").exit_code == 2
    with pytest.raises(SystemExit) as missing:
        main(["verify", str(tmp_path / "nothing")])
    assert missing.value.code == 2
    with pytest.raises(SystemExit) as no_source:
        main(["verify", str(folder), "--source", str(tmp_path / "nothing.txt")])
    assert no_source.value.code == 2
    assert "nothing.txt" in capsys.readouterr().err
