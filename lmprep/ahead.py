"""What a command is going to need, compiled by processes beside it while it reads its first text.

With an empty cache of kernels a command spends some seconds in compiling what cuts text, what looks
up words, and what is done with them then. None of it needs the rest. So for the latter a command
starts processes that go through it with hardly any text. When the command gets there, it finds the
kernels in the cache, or waits for them (`jit`).
"""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lmprep.engines.processes import leave_stops_to, no_stops
from lmprep.jit import kernel_folder, start_compiler
from lmprep.locks import Lock

if TYPE_CHECKING:
    from lmprep.build_settings import BuildSettings
    from lmprep.settings import VocabSettings
    from lmprep.tokenization import TokenizerFolder
    from lmprep.tokenization.scanning.scanner import Scanner

_DONE = b"done"


def before_vocab(settings: VocabSettings) -> None:
    """Compile what `lmprep vocab` needs beside what cuts text."""
    from lmprep.tokenization import learning

    kind = f"{settings.algorithm}-{settings.criterion}"
    _rehearse(
        learning,
        kind,
        scanners=lambda: [learning.word_finder(settings).scanner],
        then=lambda: learning.rehearse_end(settings),
    )
    _start(learning, f"{kind}-learning", lambda: learning.rehearse(settings))


def before_encoding(folder: TokenizerFolder) -> None:
    """Compile what encoding needs beside what cuts text."""
    from lmprep.tokenization import encoder

    tokenizer = folder.tokenizer
    kind = f"{type(tokenizer.model).__name__}-{type(tokenizer.pre_tokenizer).__name__}"
    _rehearse(encoder, kind, lambda: encoder.Encoder(folder).scanners)


def before_build(folder: TokenizerFolder, settings: BuildSettings) -> None:
    """Compile what `lmprep build` needs beside what cuts text."""
    from lmprep import build

    before_encoding(folder)
    kind = f"{settings.objective}-{settings.sequences.sequences}-{settings.sequences.pairs}"
    _start(build, f"{kind}-rows", lambda: build.rehearse(folder, settings))


def _rehearse(
    module: ModuleType,
    kind: str,
    scanners: Callable[[], Sequence[Scanner]],
    then: Callable[[], object] = lambda: None,
) -> None:
    """Compile what scanners need, which the processes make for themselves.

    Args:
        module, kind: as for `_start`.
        scanners: makes them.
        then: more to be done by the process that is through first.
    """

    def models() -> None:
        for scanner in scanners():
            scanner.rehearse_model()
        then()

    def look_up() -> None:
        for scanner in scanners():
            scanner.rehearse_look_up()

    _start(module, f"{kind}-model", models)
    _start(module, f"{kind}-look-up", look_up)


def _start(module: ModuleType, kind: str, rehearse: Callable[[], object]) -> None:
    """Call a function in a process beside this one, unless its kernels were compiled before.

    The process is a fork, which costs no second of imports; so nothing is done once this process
    has threads, nor where forks are not safe, nor with a single processor. It writes to nothing
    but the cache, and ends with this one.

    Args:
        module: the kernels are those of this module and of what it imports.
        kind: tells apart functions that need other kernels.
        rehearse: what it returns or raises is not looked at.
    """
    forks = sys.platform == "linux" and threading.active_count() == 1
    if not forks or len(os.sched_getaffinity(0)) == 1:
        return
    marker = Path(kernel_folder(Path(str(module.__file__))), f"{kind}.ahead")
    with contextlib.suppress(OSError):
        if marker.read_bytes() == _DONE:
            return
    start_compiler()  # here, once, and not in every process
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_run, args=(marker, rehearse, os.getpid()), daemon=True)
    with no_stops(), contextlib.suppress(OSError):  # no more processes, or no memory
        process.start()


def _run(marker: Path, rehearse: Callable[[], object], parent: int) -> None:
    """What the process does: nothing if another one is at it."""
    leave_stops_to(parent)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    logging.disable()
    gc.disable()
    if Lock(marker).take():
        with contextlib.suppress(Exception):  # what the command says when it gets there
            rehearse()
        with contextlib.suppress(OSError):
            marker.write_bytes(_DONE)
