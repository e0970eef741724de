"""What a full disk does to anything of a run is said with the way out."""

from __future__ import annotations

import errno

import pytest
import torch

from lmprep.errors import CheckpointError
from lmprep.training import checkpoints
from lmprep.training.checkpoints import Checkpoint
from lmprep.training.failures import full_disk_explained


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device"),
        (errno.EDQUOT, "Disk quota exceeded"),
        (errno.EFBIG, "File too large"),
    ],
)
def test_a_full_disk_names_the_last_good_checkpoint_and_how_to_go_on(tmp_path, number, words):
    weights = {"weight": torch.zeros(3)}
    checkpoints.save(tmp_path, Checkpoint(model=weights, optimizer={}, state={"step": 7}))
    with pytest.raises(CheckpointError) as caught, full_disk_explained(tmp_path):
        raise OSError(number, words)

    last = tmp_path / "checkpoints" / "step-7"
    assert str(caught.value) == (
        f"{tmp_path}: {words}; the last good checkpoint is {last}. {checkpoints.FREE_SPACE}."
    )
    assert caught.value.exit_code == 1


def test_the_file_that_did_not_fit_is_named_where_it_is_known(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with (
        pytest.raises(CheckpointError, match=r"metrics\.jsonl: No space.*no checkpoint yet"),
        full_disk_explained(tmp_path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), full_disk_explained(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")
