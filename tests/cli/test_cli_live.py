"""What a training shows: on terminals of several kinds, and where there is none."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from lmprep.cli import live
from lmprep.cli.live import display, duration, line, panel, validation_facts
from lmprep.training.metrics import Progress

EARLY: dict[str, Any] = {
    "step": 10, "fraction": 0.002, "tokens": 40_000, "loss": 9.125, "tokens_per_second": 1234.6,
    "elapsed": 32.0, "seconds_left": 16_000.0, "validation": {}, "validation_step": 0,
    "losses": {"token_loss": 9.125}, "lr": 1e-5, "epoch": 0.031,
}  # fmt: skip
LATE: dict[str, Any] = {
    "step": 12_480, "fraction": 0.25, "tokens": 10**8, "loss": 3.75, "tokens_per_second": 612_345.6,
    "elapsed": 5000.0, "seconds_left": 15_000.0, "validation_step": 12_000,
    "validation": {"token_loss": 3.25, "token_accuracy": 0.4, "pair_loss": 0.625,
                   "pair_accuracy": 0.7},
    "losses": {"token_loss": 3.0, "pair_loss": 0.5, "boundary_loss": 4.5}, "lr": 4.1e-4,
    "epoch": 3.214, "utilisation": 0.4131, "peak": "datasheet, H200 bf16 dense", "skipped": 2,
    "stage": "128 tokens",
}  # fmt: skip
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


def shown(progress: Progress, width: int, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, **options)
    console.print(panel(progress))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_everything_is_there_and_fits_whatever_the_width(width):
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown(Progress(**LATE), width))
    lines = [line.rstrip() for line in text.splitlines()]
    words = " ".join(text.split())

    assert max(map(len, lines)) <= width
    assert lines[0] == "pretrain  step 12,480, epoch 3.21, stage of 128 tokens"
    assert lines[1].endswith("25%  4 h 10 min left")
    assert lines[2].split() == ["token", "pair", "boundary", "sum"]
    assert lines[3].split() == ["loss", "3.000", "0.500", "4.500", "3.750"]
    assert lines[4].split() == ["held", "out", "3.250", "0.625"]
    assert lines[5].split() == ["accuracy", "0.400", "0.700"]
    assert "612,346 tokens/s, 41.3% of the peak (datasheet, H200 bf16 dense)" in words
    assert "rate 4.10e-04" in words
    assert "trained 1 h 23 min" in words
    assert "skipped 2 steps" in words
    assert "held out scored after step 12,000, 480 steps ago" in words


def test_what_is_not_known_yet_is_not_shown():
    words = " ".join(shown(Progress(**EARLY), 60, no_color=True).split())

    for word in ("sum", "held out", "skipped", "peak", "stage", "accuracy"):
        assert word not in words


def test_figures_of_the_present_step_have_no_age():
    text = shown(Progress(**LATE | {"validation_step": 12_480, "skipped": 1}), 80)

    assert "scored after step 12,480 " in text
    assert " ago" not in text
    assert "1 step " in text


def test_the_bar_is_as_long_as_what_is_done():
    def drawn(fraction: float) -> int:
        text = shown(Progress(**EARLY | {"fraction": fraction}), 80, no_color=True)
        return text.splitlines()[1].count("━")

    assert drawn(1.0) > 50
    assert drawn(0.0) == 0
    assert abs(drawn(0.5) - drawn(1.0) / 2) <= 1


def test_no_color_is_heeded(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert COLOUR.search(shown(Progress(**LATE), 80))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(shown(Progress(**LATE), 80))


def test_losses_of_a_window_of_skipped_steps_are_a_dash():
    progress = Progress(**LATE | {"loss": float("nan"), "losses": {}})

    assert re.search(r"loss +- ", re.sub(r"\x1b\[[0-9;]*m", "", shown(progress, 80)))
    assert "loss -, " in line(progress)


def test_a_line_says_the_same():
    assert line(Progress(**EARLY)) == (
        "step 10 (0%), epoch 0.03, loss 9.125, lr 1.00e-05, 1,235 tokens/s, elapsed 32 s, "
        "left 4 h 26 min"
    )
    assert line(Progress(**LATE)) == (
        "step 12480 (25%), epoch 3.21, stage of 128 tokens, loss 3.750, token_loss 3.000, "
        "pair_loss 0.500, boundary_loss 4.500, lr 4.10e-04, 612,346 tokens/s, 41.3% of the peak "
        "(datasheet, H200 bf16 dense), skipped 2 steps, elapsed 1 h 23 min, left 4 h 10 min, "
        "valid token_loss 3.250 (step 12000), valid token_accuracy 0.400 (step 12000), "
        "valid pair_loss 0.625 (step 12000), valid pair_accuracy 0.700 (step 12000)"
    )


def test_lines_come_every_few_seconds_and_at_the_end(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    with display() as on_progress:
        for step, fraction, passed in ((1, 0.1, 0), (2, 0.2, 4.9), (3, 0.3, 0.2), (4, 1.0, 0.1)):
            now[0] += passed
            on_progress(Progress(**EARLY | {"step": step, "fraction": fraction}))
    lines = capsys.readouterr().err.splitlines()

    assert [said.split()[2] for said in lines] == ["1", "3", "4"]


def test_figures_of_an_earlier_step_say_so():
    assert validation_facts({"token_loss": 2.5}, 500, 500) == {"valid token_loss": "2.500"}
    assert validation_facts({"token_loss": 2.5}, 500, 510) == {
        "valid token_loss": "2.500 (step 500)"
    }


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59, "59 s"), (59.6, "1 min 0 s"), (3599.4, "59 min 59 s"), (3600, "1 h 0 min"),
     (47.9 * 3600, "47 h 54 min"), (53 * 3600, "2 d 5 h")],
)  # fmt: skip
def test_durations_have_two_parts_at_most(seconds, said):
    assert duration(seconds) == said


SCRIPT = f"""
import logging
from lmprep.cli.log import Handler
from lmprep.cli.live import display
from lmprep.training.metrics import Progress

logging.getLogger("lmprep").handlers = [Handler()]
with display() as on_progress:
    on_progress(Progress(**{EARLY!r}))
    logging.getLogger("lmprep").warning("something is odd")
    on_progress(Progress(**{LATE!r}))
logging.getLogger("lmprep").warning("and afterwards")
"""


def on_terminal(**environment: str) -> str:
    """What the script writes to a terminal."""
    reading, writing = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stderr=writing, stdout=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "70", "LINES": "24", **environment},
    )  # fmt: skip
    os.close(writing)
    written = b""
    try:
        while read := os.read(reading, 65536):
            written += read
    except OSError:  # Linux's end of file when the other side is closed
        pass
    os.close(reading)
    assert done.wait(60) == 0
    return written.decode()


def screen(written: str) -> list[str]:
    """What is left on a terminal, line by line: of its commands those that rich gives."""
    lines, row, column = [""], 0, 0
    for count, command, letter in re.findall(r"\x1b\[\??([0-9;]*)([A-Za-z])|([^\x1b])", written):
        if command == "A":
            row -= int(count or 1)
        elif command == "K":
            lines[row] = ""
        elif letter == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif letter == "\r":
            column = 0
        elif letter:
            lines[row] = lines[row].ljust(column)[:column] + letter + lines[row][column + 1 :]
            column += 1
    return lines


def test_a_terminal_is_drawn_on_in_place_with_warnings_above():
    written = on_terminal(TERM="xterm-256color")
    end = written.index("Warning: and afterwards")
    last = screen(written[: written.rindex("skipped", 0, end) + len("skipped")])

    assert written.index("Preparing the first steps") < written.index("step 10,")
    assert last[:2] == [
        "Warning: something is odd", "pretrain  step 12,480, epoch 3.21, stage of 128 tokens",
    ]  # fmt: skip
    assert [line for line in screen(written) if line] == [
        "Warning: something is odd", "Warning: and afterwards",
    ]  # fmt: skip
    assert written.count("\x1b[?25h") == written.count("\x1b[?25l") == 1  # the cursor is back


def test_a_terminal_that_cannot_move_its_cursor_gets_lines():
    written = on_terminal(TERM="dumb")

    assert "\x1b" not in written
    assert "pretrain: step 10 (0%)" in written
