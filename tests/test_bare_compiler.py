"""Bare kernels do what they say, also when what they call comes from the cache."""

import os
import subprocess
import sys
from pathlib import Path

KERNELS = """
import numpy as np
from lmprep.jit import bare_inner_kernel, bare_kernel, bare_melted_kernel, kernel

SQUARES = np.arange(5) ** 2

@bare_inner_kernel
def power(base, exponent):
    found = 1
    for _ in range(exponent):
        found *= base
    return found

@bare_inner_kernel
def square_share(number, of):
    return SQUARES[number] // of + power(of, 2)

@bare_melted_kernel
def doubled(number):
    return 2 * number

@bare_kernel
def first(number, of):
    return square_share(number, of)

@bare_kernel
def second(number, of):
    return doubled(square_share(number, of)) + doubled(1)

@kernel
def array(number, of):
    found = np.empty(2, np.int64)
    found[:] = square_share(number, of)
    return found
"""


def run(folder: Path, code: str) -> str:
    """What a process of its own prints; kernels come from the cache of those before."""
    (folder / "kernels_of_a_test.py").write_text(KERNELS)
    environment = {**os.environ, "LMPREP_CACHE_DIR": str(folder), "PYTHONPATH": str(folder)}
    command = [sys.executable, "-W", "error", "-c", f"from kernels_of_a_test import *\n{code}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr.replace("Compiling kernels, once", "compiled")


def test_what_bare_kernels_call_is_kept_for_other_kernels_and_other_processes(tmp_path):
    assert run(tmp_path, "print(first(3, 2))").startswith("8\n")
    assert run(tmp_path, "print(second(3, 2), array(3, 2))").startswith("18 [8 8]\n")

    assert run(tmp_path, "print(first(3, 2), second(3, 2), array(4, 4))") == "8 18 [20 20]\n"


def test_an_error_in_an_inner_kernel_reaches_the_caller(tmp_path):
    attempt = """
for called in (first, second, array):
    try:
        called(1, 0)
    except ZeroDivisionError as error:
        print(error)
"""

    assert run(tmp_path, attempt).startswith(3 * "integer division by zero\n")
    assert run(tmp_path, attempt) == 3 * "integer division by zero\n"  # from the cache


def test_an_inner_kernel_cannot_be_called_from_python(tmp_path):
    attempt = "try: power(2, 3)\nexcept TypeError as error: print(error)"

    assert "is not callable" in run(tmp_path, attempt)
    assert run(tmp_path, attempt) == "'_dynfunc._Closure' object is not callable\n"


def test_an_inner_kernel_has_no_machine_code_of_its_own(tmp_path):
    kept = "print([o.library.serialize_using_object_code()[1] for o in power.overloads.values()])"
    code = f"from lmprep.jit import compile_for\ncompile_for(power, 1, 2)\n{kept}"

    assert run(tmp_path, code).startswith("['inner']\n")
    assert run(tmp_path, code) == "['inner']\n"  # from the cache
