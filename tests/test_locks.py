"""A lock keeps other processes out until it is freed, or its holder dies."""

import subprocess
import sys

from lmprep.locks import Lock

HOLD = """
import sys, time
from pathlib import Path
from lmprep.locks import Lock
assert Lock(Path(sys.argv[1])).take()
print("held", flush=True)
time.sleep(600)
"""


def test_one_holds_it_until_it_is_freed(tmp_path):
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")

    assert first.take()
    assert not second.take(0.05)
    first.free()
    assert second.take()
    assert second.is_held
    assert not first.is_held


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path):
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert not Lock(path).take()
        holder.kill()

    assert Lock(path).take(10)


def test_where_no_file_can_be_made_nobody_is_kept_out(tmp_path):
    assert Lock(tmp_path / "missing" / "lock").take()
