"""Every error that lmprep raises itself says what is wrong, in which file, and how to mend it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmprep
from lmprep import errors

PACKAGE = Path(lmprep.__file__).parent
OF_A_FILE = {"InputError", "DatasetError", "CheckpointError"}
CLASSES = OF_A_FILE | {"LmprepError", "UsageError", "TrainingError"}
# Errors of the input as a whole, however many files it has.
OF_THE_CORPUS = {
    "corpus/sources.py", "engines/outcome.py", "engines/receipts.py", "engines/trial.py",
}  # fmt: skip


def raised() -> Iterator[tuple[str, str, dict[str, ast.expr]]]:
    """Place, class and keyword arguments of each error that the package makes."""
    for module in sorted(PACKAGE.rglob("*.py")):
        name = module.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                arguments = {word.arg: word.value for word in node.keywords if word.arg}
                if node.func.id in CLASSES and not any(w.arg is None for w in node.keywords):
                    yield f"{name}:{node.lineno}", node.func.id, arguments


def is_empty(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and not value.value)


def test_every_error_says_how_to_mend_it():
    places = [place for place, _, arguments in raised() if is_empty(arguments.get("fix"))]

    assert places == []
    assert len(list(raised())) > 200


def test_every_error_of_a_file_names_it():
    places = [
        place
        for place, name, arguments in raised()
        if name in OF_A_FILE
        and place.rpartition(":")[0] not in OF_THE_CORPUS
        and is_empty(arguments.get("path"))
    ]

    assert places == []


def test_an_error_cannot_be_made_without_a_way_out():
    with pytest.raises(TypeError, match="fix"):
        errors.InputError("not valid JSON", path="a.jsonl")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            errors.InputError("not JSON", fix="Write one object a line", path="a.jsonl", line=7),
            "a.jsonl:7: not JSON. Write one object a line.",
        ),
        (
            errors.UsageError("no such model", fix="Did you mean it?"),
            "no such model. Did you mean it?",
        ),
    ],
)
def test_an_error_is_one_line_of_place_fault_and_fix(error, line):
    assert str(error) == line
