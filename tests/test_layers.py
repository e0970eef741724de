"""Who may import whom: arrows point downwards only, and light stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lmprep

PACKAGE = Path(lmprep.__file__).parent
PRIMITIVES = {
    "lmprep", "allocator", "cards", "errors", "settings", "objective_settings", "pretrain_settings",
    "bare_compiler", "jit", "ragged", "keyed_random", "vocabulary", "batches", "files", "locks",
    "remote",
}  # fmt: skip
SIDE_BY_SIDE = {"corpus", "tokenization", "sequences", "objectives", "shards"}
BUILDING = {"build_settings", "duplicates", "examples", "partials", "build", "second_stage"}
MAKING = SIDE_BY_SIDE | BUILDING | {"dynamic", "vocab"}
TRAINING = {"models", "training", "vectors", "engines", "checks", "evaluation"}

# Part of the package -> other parts it may import, beside the primitives.
MAY_IMPORT: dict[str, set[str]] = {
    **{name: set() for name in PRIMITIVES | SIDE_BY_SIDE},
    # `lmprep` itself finds its public names on first use.
    "lmprep": {"api", "dynamic", "shards"},
    "models": set(),
    "dynamic": {"objectives", "shards"},
    "build_settings": {"objectives", "shards"},
    "examples": {"objectives", "sequences", "dynamic", "build_settings"},
    "partials": {"objectives", "shards", "build_settings", "examples"},
    "duplicates": {"corpus", "shards"},
    "build": SIDE_BY_SIDE | {"dynamic", "build_settings", "duplicates", "examples", "partials"},
    "second_stage": {"objectives", "shards", "build_settings", "examples", "partials", "build"},
    "vocab": {"corpus", "tokenization", "vocabulary_report"},
    "ahead": MAKING | {"build_settings", "engines"},
    "vocabulary_report": {"corpus", "tokenization"},
    "encoding": {"corpus", "tokenization", "shards"},
    "engines": MAKING,
    "checks": MAKING,
    "training": MAKING | {"models"},
    "vectors": MAKING | {"training"},
    "evaluation": MAKING | {"models", "training", "vectors"},
    "export": MAKING | {"models", "training", "evaluation"},
    "finetuning": MAKING | {"models", "training", "evaluation"},
    "inference": MAKING | {"models", "training", "evaluation", "finetuning"},
    "prompting": MAKING | {"models", "training", "evaluation", "finetuning", "inference"},
    "probing": MAKING | TRAINING | {"finetuning", "inference"},
    "api": MAKING | TRAINING | {"build_settings", "export", "finetuning", "merge"},
    "doctor": {"corpus", "tokenization", "training", "vocab"},
    "convert": {"shards"},
    "overlap": SIDE_BY_SIDE,
    "merge": MAKING | {"engines"},
    "recipe_file": MAKING | TRAINING,
    "recipe": MAKING | TRAINING | {"recipe_file"},
    "recipe_reference": MAKING | TRAINING,
    "report": MAKING | TRAINING,
    "shipped": set(),
    "cli": MAKING
    | TRAINING
    | {
        "ahead",
        "doctor",
        "encoding",
        "convert",
        "merge",
        "overlap",
        "recipe",
        "recipe_file",
        "report",
        "shipped",
        "export",
        "finetuning",
        "inference",
        "prompting",
        "probing",
    },
    "__main__": {"cli"},
}
TORCH = {
    "models",
    "training",
    "vectors",
    "evaluation",
    "export",
    "finetuning",
    "inference",
    "prompting",
    "probing",
}
BARE = {"objectives", "sequences"}  # numpy and the primitives only


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    name = relative.parts[0].removesuffix(".py")
    return "lmprep" if name == "__init__" else name


def imports_of(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if node.module == "lmprep":
                found |= {f"lmprep.{alias.name}" for alias in node.names}
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_what_lies_below_it(path):
    part = part_of(path)
    allowed = MAY_IMPORT[part] | PRIMITIVES | {part}
    names = [name.split(".") for name in imports_of(path)]
    inside = {name[1] for name in names if name[0] == "lmprep" and len(name) > 1}
    inside -= {"__version__"}

    assert inside <= allowed


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_trainer_needs_torch(path):
    outside = {name.split(".")[0] for name in imports_of(path)}
    if "torch" in outside or "safetensors" in outside:
        assert part_of(path) in TORCH or path == PACKAGE / "shards" / "collate.py"
    if part_of(path) in BARE:
        assert outside - set(sys.stdlib_module_names) <= {"numpy", "lmprep"}


def test_the_command_line_starts_without_heavy_libraries():
    code = "import sys, lmprep.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}

    assert not loaded & {
        "torch", "datasets", "pyarrow", "tokenizers", "numpy", "numba", "rich", "matplotlib",
    }  # fmt: skip


def test_the_public_names_are_there():
    assert all(hasattr(lmprep, name) for name in lmprep.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        lmprep.nonsense  # noqa: B018
