"""The command line: parse, call the library, render.

A command's module is imported when it is asked for, so that `lmprep --help` answers at once, and
imports the standard library and click only; what is heavy is imported inside the functions.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from lmprep import __version__
from lmprep.cli import log
from lmprep.cli.lazy import LazyCommands
from lmprep.errors import LmprepError

INTERRUPTED, TERMINATED = 130, 143


_COMMANDS = {
    "The whole road": {
        "run": "Run a recipe: vocabulary, examples, model, figures.",
        "recipes": "List the recipes that ship with lmprep.",
    },
    "Text to tokens": {
        "vocab": "Learn a vocabulary from CORPUS (files, globs, or - for stdin).",
        "encode": "Turn lines or records into token ids.",
        "decode": "Turn token ids back into text.",
    },
    "Tokens to examples": {
        "build": "Turn a corpus into training examples for an OBJECTIVE.",
        "try": "Show what an OBJECTIVE would do to a text; nothing is written.",
        "inspect": "Show rows of a dataset OUT, and what is hidden in them.",
        "verify": "Check a dataset: files, hashes, counts and laws.",
        "stats": "Count rows, tokens, masks, pairs and drops of a dataset.",
        "merge": "Join datasets of equal settings to one.",
        "convert": "Write a dataset as Parquet, or as datasets saves it.",
        "overlap": "Count what of an evaluation corpus was trained on.",
    },
    "Examples to a model": {
        "pretrain": "Train a model on datasets.",
        "evaluate": "Score a model on held-out examples, texts and words.",
        "plot": "Draw losses, rate and pace of runs.",
        "export": "Write the model of RUN as a folder that transformers loads.",
    },
    "The model at work": {
        "finetune": "Teach a pretrained model a task, and measure it.",
        "predict": "Ask a model something about each line of FILE, or of stdin.",
        "prompt": "Measure a model on a task it is only told about.",
    },
    "Around it": {
        "report": "Make one HTML page of datasets, runs and vocabularies.",
        "docs": "Print a page of the documentation, or list them.",
        "doctor": "Tell versions, devices and caches, and what to mend.",
        "completion": "Print what makes a shell complete commands.",
    },
}
_SUMMARIES = {name: text for commands in _COMMANDS.values() for name, text in commands.items()}


class _ReaderGone(Exception):
    """The reader of our output (`| head`) has enough."""


class _Group(click.Group):
    """Commands, listed by what they are for.

    A closed pipe is no failure of theirs, where click would leave with 1.
    """

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        longest = max(map(len, self.commands))
        for title, commands in _COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(n.ljust(longest), text) for n, text in commands.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGone from error


@click.group(
    cls=_Group,
    commands=LazyCommands(_SUMMARIES),
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "LMPREP"},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or missing input, 130 interrupted, "
    "143 terminated.",
)
@click.version_option(__version__, prog_name="lmprep")
def cli() -> None:
    """From raw text to a pretrained, evaluated language model.

    \b
    Everything in one go:  lmprep run samples/bert-tiny.toml
    Step by step:          lmprep vocab corpus.txt -o tok --algorithm wordpiece --size 16000
                           lmprep build mlm corpus.txt -t tok -o train --pairs nsp
                           lmprep pretrain train -o run --model bert-mini --time 10m
                           lmprep evaluate run valid
    """


class _Terminated(BaseException):
    """SIGTERM arrived: unwinds like Ctrl-C, so that temporary files go."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with the exit codes of the manual."""
    _listen_to_stops()
    logging.getLogger("lmprep").handlers = [log.Handler()]
    sys.excepthook = log.show_bug
    _share_cores()
    try:
        code = cli.main(arguments, prog_name="lmprep", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except LmprepError as error:
        facts = {"what": error.what, "path": error.path, "line": error.line, "fix": error.fix}
        _fail(str(error), error.exit_code, **facts)
    except click.ClickException as error:
        if log.wants_json(arguments):
            os.environ["LMPREP_LOG_FORMAT"] = "json"
            _fail(error.format_message(), error.exit_code)
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort, _Terminated) as stop:
        _fail_stopped(stop, arguments)
    except (_ReaderGone, BrokenPipeError):
        # Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _OPTIONAL:
            raise
        purpose, extra = _OPTIONAL[package]
        _fail(f"{package} is not installed. {purpose} needs: pip install 'lmprep[{extra}]'.", 1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        fix = " Allow more of them: ulimit -n 1024." if error.errno == errno.EMFILE else ""
        _fail(f"{place}{error.strerror or error}.{fix}", 1)
    except Exception as error:
        if (behind := _stop_behind(error)) is None:
            raise
        _fail_stopped(behind, arguments)


def _stop_behind(error: BaseException) -> BaseException | None:
    """The Ctrl-C or SIGTERM that an error came of, if it did.

    Numba, stopped while it compiles, stumbles over the kernel it has half made.
    """
    behind = error.__context__
    while behind is not None and not isinstance(behind, KeyboardInterrupt | _Terminated):
        behind = behind.__context__
    return behind


def _fail_stopped(stop: BaseException, arguments: Sequence[str] | None) -> None:
    terminated = isinstance(stop, _Terminated)
    what, code = ("Terminated", TERMINATED) if terminated else ("Interrupted", INTERRUPTED)
    _fail(f"{what}. {_how_to_go_on(arguments)}", code)


# Packages that come with an extra: what needs them, and its name.
_OPTIONAL = {
    **dict.fromkeys(
        ("torch", "safetensors", "tensorboard", "sklearn", "seqeval"), ("Training", "train")
    ),
    "matplotlib": ("Drawing", "plot"),
    "ray": ("The engine ray", "ray"),
    "s3fs": ("Reading from S3", "s3"),
}
_GOING_ON = {
    "build": "Finished parts are kept: run the same command with --resume to go on.",
    "pretrain": "Run the same command with --resume to go on from the last checkpoint.",
    **dict.fromkeys(("encode", "decode"), "What was printed is not all; no file was written."),
    "finetune": "Finished seeds are kept: run the same command with --resume to go on.",
    "run": "Finished steps are kept: run the same command again to go on.",
}


def _how_to_go_on(arguments: Sequence[str] | None) -> str:
    """What to do after a stop: depends on the command."""
    words = sys.argv[1:] if arguments is None else arguments
    command = next((word for word in words if not word.startswith("-")), "")
    return _GOING_ON.get(command, "Nothing was written.")


def _share_cores() -> None:
    """Let torch's threads sleep while they wait for one another; must come before its import.

    By default they spin, which gains nothing on idle cores, but beside one other busy process a
    step then takes two to ten times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _listen_to_stops() -> None:
    """The first Ctrl-C or SIGTERM unwinds, so that what is temporary goes; the next does not wait.

    A job in the background of a shell is started with Ctrl-C ignored, and stays so.
    """
    signal.signal(signal.SIGTERM, _on_stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _on_stop)


_stopping = False


def _on_stop(number: int, _frame: FrameType | None) -> None:
    global _stopping
    terminated = number == signal.SIGTERM
    if _stopping:
        if not log.is_json():
            os.write(2, b"Stopped at once.\n")
        os._exit(TERMINATED if terminated else INTERRUPTED)
    _stopping = True
    raise _Terminated if terminated else KeyboardInterrupt


def _fail(message: str, code: int, **facts: object) -> NoReturn:
    is_plain = log.is_json() or code >= INTERRUPTED
    level = "info" if code >= INTERRUPTED else "error"
    if log.verbosity() > 1 and sys.exc_info()[0] is not None and code < INTERRUPTED:
        log.say(traceback.format_exc().rstrip(), "info")
    log.say(message if is_plain else f"Error: {message}", level, exit_code=code, **facts)
    sys.exit(code)
