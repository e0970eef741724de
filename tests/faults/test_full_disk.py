"""A disk that is full, for real: a small file system of the process's own."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lmprep.training import checkpoints
from tests.faults.cases import ALONE
from tests.faults.trainings import Training, assert_same

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _small_disks(tmp_path_factory) -> None:
    place = str(tmp_path_factory.mktemp("disk"))
    probe = [sys.executable, "-m", "tests.faults.small_disk", place]
    done = subprocess.run(probe, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system of our own here: {done.stderr.splitlines()[-1]}")


@pytest.fixture
def training(server, dice, tmp_path) -> Training:
    """One whose run folder lies on a disk that is to be full."""
    training = Training(server, dice.choice(ALONE), tmp_path)
    training.run = tmp_path / "disk" / "run"
    training.run.parent.mkdir()
    return training


def train_on(training: Training, size: int) -> set[int]:
    """Train on a disk of `size` bytes, then give it all the space there is."""
    disk, copy = training.run.parent, training.place / "copy"
    harm = {"folder": str(disk), "bytes": size, "copy": str(copy)}
    codes = training.start(disk=harm).wait()
    disk.rmdir()
    copy.rename(disk)
    return codes


def occupied(folder: Path) -> int:
    """Bytes of a folder in blocks of 4 kB."""
    return sum((path.stat().st_size + 4095) // 4096 * 4096 for path in folder.rglob("*"))


def test_wherever_the_disk_gets_full_the_run_says_so_and_goes_on_once_there_is_room(
    undisturbed, training, dice
):
    expected, _ = undisturbed(training.case)
    one = occupied(checkpoints.folder_of(expected.run, checkpoints.steps(expected.run)[-1]))
    rest = occupied(expected.run) - 2 * one
    # From too little for the run folder alone to not quite the three that there are at times.
    codes = train_on(training, round(dice.uniform(0.3 * rest, rest + 2.9 * one)))
    said = training.said

    assert codes == {1}, said
    assert "Traceback" not in said
    (error,) = re.findall(r"^Error: .*", said, re.MULTILINE)
    assert "No space left on device" in error
    if training.run.exists():
        training.assert_whole()
        assert not list((training.run / "checkpoints").glob(".*"))
        assert "--resume" in error
        if existing := checkpoints.steps(training.run):
            assert f"step-{existing[-1]}. " in error
    training.finish()

    assert_same(training, expected)


def test_a_full_disk_at_a_checkpoint_tells_what_is_needed_and_free(undisturbed, training):
    expected, _ = undisturbed(training.case)
    one = occupied(checkpoints.folder_of(expected.run, checkpoints.steps(expected.run)[-1]))
    rest = occupied(expected.run) - 2 * one
    assert train_on(training, rest + int(1.6 * one)) == {1}
    said = training.said

    found = re.search(r"takes ([\d.]+) MB, and ([\d.]+) MB are free", said)
    assert found, said
    assert float(found[1]) == pytest.approx(one / 1e6, abs=0.1)
    assert 0 < float(found[2]) < float(found[1])
    assert "step-3. Free some space, then run the same command with --resume" in said


def test_a_signal_on_a_full_disk_ends_with_the_disks_error(undisturbed, training):
    """What could not be saved is not called saved."""
    expected, _ = undisturbed(training.case)
    one = occupied(checkpoints.folder_of(expected.run, checkpoints.steps(expected.run)[-1]))
    rest = occupied(expected.run) - 2 * one
    disk, copy = training.run.parent, training.place / "copy"
    harm = {"folder": str(disk), "bytes": rest + one // 2, "copy": str(copy)}
    sitting = training.start("--checkpoint-every", "1000", "--steps", "100000", disk=harm)
    while "pretrain: step" not in training.said:
        pass
    sitting.signal(signal.SIGTERM)

    assert sitting.wait() == {1}, training.said
    assert "everything is saved" not in training.said
    assert "No space left on device" in training.said
    shutil.rmtree(copy)
