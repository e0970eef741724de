"""Checkpoints written while the training goes on."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from lmprep.errors import CheckpointError
from lmprep.training import checkpoints
from lmprep.training.checkpoints import Checkpoint

_log = logging.getLogger("lmprep")


class CheckpointWriter:
    """Writes the checkpoints of a run on a thread, one at a time.

    As a context it waits at the end for the last one, but not when Ctrl-C or SIGTERM unwinds the
    block: the thread dies with the process then; what it was writing has no final name yet, and
    the next sitting clears it away.

    Args:
        run: the run folder.
        keep_last, keep_every: see `PretrainSettings`.
    """

    def __init__(self, run: Path, keep_last: int = 2, keep_every: int | None = None) -> None:
        self._run, self._keep_last, self._keep_every = run, keep_last, keep_every
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._copies: dict[str, Tensor] = {}

    def __enter__(self) -> CheckpointWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None or isinstance(error, Exception):
                self.wait()
        except CheckpointError as failure:
            if error is None:
                raise
            _log.warning("%s", failure)  # the error on its way is the one to end with

    def save(self, checkpoint: Checkpoint) -> None:
        """Take a copy now, and write it while the caller goes on.

        Waits for the one before, which is on the disk or has raised its error when this returns.

        Args:
            checkpoint: tensors whole (not sharded), on any device; they may change afterwards.

        Raises:
            CheckpointError: the one before could not be written.
        """
        self.wait()
        copied = self._copy(checkpoint)
        self._thread = threading.Thread(
            target=self._write, args=(copied,), name="checkpoint", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Return when everything given to `save` is on the disk.

        Raises:
            CheckpointError: it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def check(self) -> None:
        """Raise, once, what went wrong in the background; never waits."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _write(self, checkpoint: Checkpoint) -> None:
        try:
            checkpoints.save(self._run, checkpoint, self._keep_last, self._keep_every)
        except BaseException as error:  # any: nobody else would hear of it
            self._failure = error

    def _copy(self, checkpoint: Checkpoint) -> Checkpoint:
        copied = Checkpoint(
            model=self._tensors("model", checkpoint.model),
            optimizer=self._tensors("optimizer", checkpoint.optimizer),
            state=copy.deepcopy(checkpoint.state),
        )
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()  # copies from there are only on their way
        return copied

    def _tensors(self, kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self._tensor(f"{kind}/{name}", tensor) for name, tensor in tensors.items()}

    def _tensor(self, name: str, tensor: Tensor) -> Tensor:
        """A copy in the memory of the copy before: only one is being written."""
        there = self._copies.get(name)
        if there is None or (there.shape, there.dtype) != (tensor.shape, tensor.dtype):
            # Memory that stays in its place is what a GPU copies into by itself, and fast.
            pinned = tensor.device.type == "cuda"
            there = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
            self._copies[name] = there
        return there.copy_(tensor.detach(), non_blocking=True)
