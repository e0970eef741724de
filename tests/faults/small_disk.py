"""A real file system of a few kilobytes, for this process alone, without being root.

python -m tests.faults.small_disk FOLDER     exits with 0 where that is possible
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000  # CLONE_NEWUSER, CLONE_NEWNS of sched.h


def mount_small_disk(folder: Path, size: int) -> None:
    """Make a folder the root of an empty file system of `size` bytes.

    In a namespace of our own, in which we may mount; it goes when this process ends. The process
    must have one thread.

    Raises:
        OSError: the system does not let us, or is not Linux.
    """
    user, group = os.getuid(), os.getgid()
    if not sys.platform.startswith("linux"):
        raise OSError("namespaces are Linux's")
    library = ctypes.CDLL(None, use_errno=True)
    _check(library.unshare(_NEW_USER | _NEW_MOUNTS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    options = f"size={size}".encode()
    _check(library.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options))


def _check(outcome: int) -> None:
    if outcome != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    mount_small_disk(Path(sys.argv[1]), 1 << 20)
