"""Run a command whose output lies on a disk of so many bytes; keep what it left there.

python -m tests.faults.full_disk_command FOLDER BYTES COPY COMMAND...
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.faults.small_disk import mount_small_disk


def main() -> None:
    folder, size, copy, *command = sys.argv[1:]
    mount_small_disk(Path(folder), int(size))
    done = subprocess.run(command, check=False)
    shutil.copytree(folder, copy)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
