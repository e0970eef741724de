"""Peak memory of `vocab`, `encode` and `build` as the corpus grows. Run by hand:

    python tests/benchmarks/memory.py [--quick] [--text FILE] [--work FOLDER] [--only vocab,build]

The corpus is 50 MB of novels, then the same 4 and 16 times over, in one file; partitions of 16 MB,
one worker. With `--quick` it is 40 MB, then 80 MB, in partitions of 8 MB: less would not fill the
buffers of `vocab`, whose partitions are of 16 MB always. Peak resident memory in MB of the whole
command, the largest of its processes, and seconds; kernels were compiled by a run before.

Exit status 1 when a command takes more than `MOST` times what it takes for the corpus once. A
command that lmprep does not have is left out, with a line that says so.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from child_process import measured, settled
from encode_speed import novels

MOST = 1.10
LINE = "{:22}{:>8}{:>10}{:>10}{:>9}"
HEADING = ("", "times", "peak MB", "seconds", "growth")
LEARNERS = {
    "vocab wordpiece": ("wordpiece", "bert"),
    "vocab byte-bpe": ("byte-bpe", "gpt2"),
    "vocab unigram": ("unigram", "t5"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--text", type=Path, help="UTF-8, a paragraph a line")
    parser.add_argument("--work", type=Path, help="where the texts are kept")
    parser.add_argument("--only", default="vocab,encode,build", help="commands")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        text = arguments.text or novels(work, 40_000_000 if arguments.quick else None)
        times = (1, 2) if arguments.quick else (1, 4, 16)
        corpora = {number: repeated(work, text, number) for number in times}
        with tempfile.TemporaryDirectory(dir=work) as scratch:
            rows = commands(Path(scratch), text, "8MB" if arguments.quick else "16MB")
            wanted = [row for row in rows if row.split()[0] in arguments.only.split(",")]
            small = work / "small.txt"
            small.write_bytes(text.read_bytes()[:300_000].rpartition(b"\n")[0] + b"\n")
            for row in wanted:
                run_or_exit(filled_in(rows[row], small, Path(scratch) / f"first-{row}"))
            print(LINE.format(*HEADING))
            grown = [row for row in wanted if grows(row, rows[row], corpora, Path(scratch))]
    print("memory grows: " + ", ".join(grown) if grown else "memory stays")
    sys.exit(bool(grown))


def commands(scratch: Path, text: Path, partition: str) -> dict[str, list[str]]:
    """Each command's arguments by its name; CORPUS and OUT stand for what changes."""
    tokenizer = str(scratch / "tok")
    learn = ["vocab", "CORPUS", "-o", "OUT", "--size", "30000", "--documents", "line"]
    found = {
        name: [*learn, "--algorithm", algorithm, "--family", family]
        for name, (algorithm, family) in LEARNERS.items()
    }
    first = filled_in(learn, text, Path(tokenizer))
    run_or_exit([*first, "--algorithm", "wordpiece", "--family", "bert"])
    if subprocess.run(
        [sys.executable, "-m", "lmprep", "encode", "--help"], capture_output=True, check=False
    ).returncode:
        print("lmprep encode: there is no such command, it is left out")
    else:
        found["encode"] = ["encode", "-t", tokenizer, "CORPUS", "--to", "jsonl", "-o", "OUT"]
    common = ["CORPUS", "-t", tokenizer, "-o", "OUT", "--length", "128", "--documents", "line"]
    found["build mlm"] = ["build", "mlm", *common, "--workers", "1", "--partition-size", partition]
    return found


def filled_in(command: list[str], corpus: Path, out: Path) -> list[str]:
    return [{"CORPUS": str(corpus), "OUT": str(out)}.get(each, each) for each in command]


def run_or_exit(command: list[str]) -> None:
    done = measured(["-m", "lmprep", *command], threads=1)
    if done.status:
        sys.exit(done.output)


def repeated(work: Path, text: Path, times: int) -> Path:
    """The text so many times over."""
    path = work / f"{text.stem}-{times}x.txt"
    if not path.exists():
        with path.open("wb") as out:
            for _ in range(times):
                out.write(text.read_bytes())
    return path


def grows(name: str, command: list[str], corpora: dict[int, Path], scratch: Path) -> bool:
    """Print the lines of a command; does its memory grow with the corpus?"""
    first = largest = 0.0
    for times, corpus in corpora.items():
        out = scratch / "out"
        written = filled_in(command, corpus, out)
        run = settled(["-m", "lmprep", *written], threads=1)
        if run.status:
            sys.exit(f"lmprep {' '.join(written)} failed:\n{run.output}")
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)
        first = first or run.megabytes
        largest = max(largest, run.megabytes)
        growth = f"{run.megabytes / first:.2f}"
        print(
            LINE.format(name, times, f"{run.megabytes:.0f}", f"{run.seconds:.1f}", growth),
            flush=True,
        )
    return largest > MOST * first


if __name__ == "__main__":
    main()
