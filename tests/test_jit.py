"""Kernels are cached by what they are made of, and work where nothing can be kept."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import lmprep
from lmprep import jit
from lmprep.jit import sources_of

PACKAGE = Path(lmprep.__file__).parent
MAY_MAKE_ARRAYS = ("kernel", "float_kernel")

COUNT = """
import numpy as np
from lmprep.jit import _root
from lmprep.tokenization.scanning.bits import line_offsets

line_offsets(np.frombuffer(b"a b\\n", np.uint8))
print(_root())
"""


def run(cache: Path) -> tuple[Path, str]:
    """Where a process that compiles a kernel kept it, and what it said."""
    environment = {**os.environ, "LMPREP_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip()), done.stderr


def test_a_kernel_depends_on_what_its_module_imports_also_through_others_and_on_nothing_else():
    names = {s.relative_to(PACKAGE).as_posix() for s in sources_of(PACKAGE / "objectives/mlm.py")}

    assert {"objectives/mlm.py", "objectives/token_choice.py", "keyed_random.py"} <= names
    assert not {name for name in names if name.startswith(("cli/", "training/", "corpus/"))}


def test_kernels_are_compiled_once_and_said_to_be(tmp_path):
    first_place, first = run(tmp_path)
    second_place, second = run(tmp_path)

    assert first_place == second_place == tmp_path / "kernels"
    assert first.count("Compiling kernels") == 1
    assert second == ""


def test_processes_that_start_together_on_a_new_cache_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "_root", lambda: tmp_path)
    module = PACKAGE / "keyed_random.py"
    first = jit.kernel_folder.__wrapped__(module)
    monkeypatch.setattr(Path, "exists", lambda self: False)  # looked before the first made it

    assert jit.kernel_folder.__wrapped__(module) == first


def test_kernels_work_where_no_cache_can_be_written(tmp_path):
    (tmp_path / "file").touch()

    place, said = run(tmp_path / "file")

    assert said.count("Compiling kernels") == 1
    assert not place.exists()


def test_what_bare_kernels_call_is_bare_as_well():
    # Where it is compiled first for a bare one that calls it, it could not make its arrays; where
    # it was compiled before it could: whether a command works hung on what had run before it.
    kinds, calls = {}, []
    for module in PACKAGE.rglob("*.py"):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        here = ".".join(module.relative_to(PACKAGE.parent).with_suffix("").parts)
        home = {
            alias.asname or alias.name: (statement.module, alias.name)
            for statement in tree.body
            if isinstance(statement, ast.ImportFrom) and statement.module
            for alias in statement.names
        }
        for function in tree.body:
            if not isinstance(function, ast.FunctionDef):
                continue
            for decorator in function.decorator_list:
                kind = getattr(decorator, "id", "")
                if kind.endswith("kernel"):
                    kinds[here, function.name] = kind
                if kind.startswith("bare_"):
                    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
                    calls += [(function.name, home.get(n, (here, n))) for n in names]
    wrong = [(name, callee) for name, callee in calls if kinds.get(callee) in MAY_MAKE_ARRAYS]

    assert ("merge", ("lmprep.tokenization.pieces.merging", "_merge_few")) in calls
    assert kinds["lmprep.keyed_random", "permutation"] == "kernel"
    assert not wrong
