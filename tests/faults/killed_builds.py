"""Builds that SIGKILL ends at a commit point, each continued; `test_builds` runs it.

Reads from stdin, as JSON: `command`, without the output folder, and its number of `copies`;
`folder`, an empty one; `rounds`.
Every process is forked from this one, which has imported lmprep and started no thread. Says as JSON
on stdout how many kills there were at each point, and which continued builds differ from an
undisturbed one.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lmprep import files
from lmprep.cli import cli
from tests.corpora import tree

NAMES = ("plan.json", "tokenizer", "shard", "receipt", "state.json", "dataset_info.json",
         "README.md", "manifest.json")  # fmt: skip
POINTS = [
    f"{moment} {folder}/{name}"
    for folder in ("out-valid", "out")
    for name in NAMES
    if (folder, name) != ("out-valid", "receipt")  # one receipt tells of both
    for moment in ("before", "after")
]


def point_of(target: Path) -> str:
    """The name of the commit that gives a file its name."""
    if target.parent.name == "receipts":
        return "out/receipt"
    name = "shard" if re.fullmatch(r"data-.*\.arrow", target.name) else target.name
    return f"{target.parent.name}/{name}"


def die_at(point: str, occurrence: int) -> None:
    """Have this process killed before or after a commit, when it comes for the n-th time."""
    moment, _, name = point.partition(" ")
    seen = Counter[str]()

    def dying(commit: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
        def committed(source: Path, target: Path) -> object:
            here = point_of(Path(target))
            seen[here] += 1
            is_here = here == name and seen[here] == occurrence
            if is_here and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = commit(source, target)
            if is_here:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return committed

    Path.replace = dying(Path.replace)  # type: ignore[method-assign, assignment]
    Path.rename = dying(Path.rename)  # type: ignore[method-assign, assignment]
    files.os.link = dying(os.link)  # type: ignore[assignment]


def forked(command: list[str], point: str = "", occurrence: int = 1) -> int:
    """Run a command in a process of its own; its exit code, or minus the signal that ended it."""
    process = os.fork()
    if process == 0:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        if point:
            die_at(point, occurrence)
        try:
            cli.main(command, standalone_mode=False)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main() -> None:
    asked = json.load(sys.stdin)
    folder, dice = Path(asked["folder"]), random.Random(0)

    def into(name: str, *more: str) -> list[str]:
        (folder / name).mkdir(exist_ok=True)
        return [*asked["command"], "-o", str(folder / name / "out"), *more]

    assert forked(into("whole")) == 0
    whole = tree(folder / "whole")
    shards = {part: sum(name.startswith(f"{part}/data-") for name in whole)
              for part in ("out", "out-valid")}  # fmt: skip
    kills, different = Counter[str](), []
    for point in POINTS:
        part, _, name = point.partition(" ")[2].partition("/")
        for number in range(asked["rounds"]):
            # A partition has one receipt, and a shard for each of its copies.
            most = {"shard": shards[part], "receipt": shards[part] // asked["copies"]}
            occurrence = dice.randint(1, most.get(name, 1))
            kills[point] += forked(into("killed"), point, occurrence) == -signal.SIGKILL
            if forked(into("killed", "--resume")) != 0 or tree(folder / "killed") != whole:
                different.append(f"{point}, {occurrence}. time, round {number}")
            shutil.rmtree(folder / "killed")
    json.dump({"shards": shards, "kills": kills, "different": different}, sys.stdout)


if __name__ == "__main__":
    main()
