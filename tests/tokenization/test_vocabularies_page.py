"""The documentation of vocabularies shows what there is."""

from __future__ import annotations

import re
from pathlib import Path

import lmprep
from lmprep.settings import ALGORITHMS, CRITERIA, VocabSettings
from lmprep.tokenization import alphabet
from tests.test_docs import examples, run

PAGE = (Path(lmprep.__file__).parent / "docs" / "vocabularies.md").read_text(encoding="utf-8")


def test_the_commands_print_what_the_page_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = examples(PAGE)

    assert [bool(shown) for _, shown in commands] == [False] * 4 + [True]
    for command, shown in commands:
        printed = run(command)
        if shown:  # the page leaves out the figures of each vocabulary
            assert printed.rstrip("\n") == shown, command


def test_every_algorithm_and_criterion_is_on_the_page():
    algorithms = dict(re.findall(r"(?m)^\| `([a-z][a-z-]*)` \|.*\| (\w+) \|$", PAGE))
    criteria = re.findall(r"(?m)^\| `([a-z-]+)`(?: \(default\))? \| from", PAGE)

    assert tuple(algorithms) == ALGORITHMS
    assert criteria == list(CRITERIA)
    for algorithm, family in algorithms.items():
        assert VocabSettings(algorithm=algorithm, size=1000).family == family


def test_the_limits_of_the_alphabet_are_those_on_the_page():
    assert f"Beyond {alphabet.FEWEST_KEPT:,} characters" in PAGE
    assert f"{100 * alphabet.COVERAGE:.2f} % of the text" in PAGE
    assert alphabet.LARGEST_SHARE == 1 / 4
