"""Opens a hostile dataset folder in a process of its own, with its time and memory measured.

    python -m tests.faults.hostile FOLDER...

For each folder a line of JSON: what a reader and `verify` answered, seconds, and the bytes by which
the process grew at most meanwhile.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from lmprep.checks.verify import verify
from lmprep.dynamic import load
from lmprep.errors import LmprepError
from lmprep.shards.reader import Dataset


def read(folder: Path) -> str:
    """What happens when all rows are read, as stored and drawn anew."""
    try:
        stored = Dataset(folder)
        stored.rows(np.arange(len(stored)))
        if stored.manifest["objective"] == "skipgram":
            assert stored.word_counts.sum() > 0
        else:
            load(folder, 7).rows(np.arange(len(stored)))
    except LmprepError as error:
        return f"refused: {error}"
    except Exception as error:  # what the test is about: told, not raised
        return f"crashed: {error!r}"
    return "read"


def check(folder: Path) -> str:
    """What verify finds."""
    try:
        broken = [check.name for check in verify(folder) if not check.passed]
    except LmprepError as error:
        return f"refused: {error}"
    except Exception as error:
        return f"crashed: {error!r}"
    return f"failed: {', '.join(broken)}" if broken else "passed"


def peak() -> int:
    """The most memory this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sound, *folders = map(Path, sys.argv[1:])
    warm = [read(sound), check(sound)]  # imports and kernels
    warm += [read(folders[0]), check(folders.pop(0))]
    print(json.dumps({"answers": warm, "seconds": 0.0, "grown": 0}), flush=True)
    for folder in folders:
        before, started = peak(), time.perf_counter()
        answers = [read(folder), check(folder)]
        seconds = time.perf_counter() - started
        print(
            json.dumps({"answers": answers, "seconds": seconds, "grown": peak() - before}),
            flush=True,
        )
