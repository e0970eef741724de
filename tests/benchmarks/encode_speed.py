"""Encoding beside the quickest peers, same text, same vocabulary, same threads. Run by hand:

    python tests/benchmarks/encode_speed.py [--quick] [--text FILE] [--work FOLDER] [--repeats 5]
                                            [--threads 1,2] [--only wordpiece,languages]

The text is 50 MB of novels, a paragraph a line (5 MB with `--quick`); the vocabularies of 30,000
are learnt from it by `lmprep vocab`, and kept in the folder given by `--work`. `encode_sides.py`
says how each peer is called. Every measurement is a process of its own on as many processors as it
has threads; sides take turns, `--repeats` times.

    cold    reading the file and encoding it with an empty cache; loading the tokenizer and
            compiling kernels come before
    warm    the same text once more, in memory

MB of text a second, the best of the repeats and the median; peak memory after the cold pass; how
many lines have other ids than ours. A second table takes languages with other scripts, their text
repeated to 3 MB (1 MB), with vocabularies learnt from all of them together.

Exit status 1 when a target of `TARGETS` is missed, or our ids are not those of the library.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from child_process import COMPILING

DATA = Path(__file__).parents[3] / "shared" / "data"
SIDES = Path(__file__).with_name("encode_sides.py")
VOCABULARIES = {
    "wordpiece": ("--family", "bert"),
    "byte-bpe": ("--family", "gpt2"),
    "unigram": ("--family", "t5"),
}
PEERS = {
    "wordpiece": ("tokenizers", "nanotoken"),
    "byte-bpe": ("tokenizers", "gigatoken", "tiktoken"),
    "unigram": ("tokenizers", "sentencepiece"),
}
LANGUAGES = ("zh", "ja", "ko", "ru", "hi", "th", "ar")

# (vocabulary, peer): how many times as fast we must be, cold and warm.
TARGETS = {
    ("wordpiece", "tokenizers"): (30.0, 30.0),
    ("byte-bpe", "tokenizers"): (30.0, 30.0),
    ("unigram", "tokenizers"): (15.0, 15.0),
    ("wordpiece", "nanotoken"): (1.0, 1.3),
    ("byte-bpe", "gigatoken"): (1.0, 0.0),
}
LANGUAGE_TARGET = 5.0  # times tokenizers, cold, in any script: no cliff
LINE = "{:14}{:>3}  {:14}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}{:>9}{:>10}"
HEADING = (
    "MB/s of text", "on", "side", "cold", "median", "warm", "median", "x cold", "x warm", "peak MB",
    "differing",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is measured: a text, a vocabulary, threads.

    Args:
        label: of the text, for the table.
        algorithm: which decides the peers.
    """

    label: str
    algorithm: str
    text: Path
    tokenizer: Path
    threads: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="5 MB, two repeats")
    parser.add_argument("--text", type=Path, help="UTF-8, a paragraph a line")
    parser.add_argument("--work", type=Path, help="where text and vocabularies are kept")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--only", default="", help="vocabularies and `languages`")
    arguments = parser.parse_args()
    repeats = arguments.repeats or (2 if arguments.quick else 5)
    threads = [int(each) for each in arguments.threads.split(",")]
    only = [each for each in arguments.only.split(",") if each]
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        jobs = list(novel_jobs(work, arguments.text, threads, arguments.quick, only))
        if not only or "languages" in only:
            jobs += language_jobs(work, 1 if arguments.quick else 3, only)
        print(LINE.format(*HEADING))
        missed = [line for job in jobs for line in measure(job, repeats, work)]
    print("\n".join(missed) or "every target is reached")
    sys.exit(bool(missed))


def novel_jobs(
    work: Path, given: Path | None, threads: list[int], quick: bool, only: list[str]
) -> Iterator[Job]:
    """Each vocabulary with each number of threads."""
    text = given or novels(work, 5_000_000 if quick else None)
    for number in threads:
        for algorithm in VOCABULARIES:
            if not set(only) - {"languages"} or algorithm in only:
                tokenizer = learnt(work, text, algorithm)
                yield Job(
                    label=algorithm,
                    algorithm=algorithm,
                    text=text,
                    tokenizer=tokenizer,
                    threads=number,
                )


def language_jobs(work: Path, megabytes: int, only: list[str]) -> list[Job]:
    """Each vocabulary in each language, on one thread."""
    together = work / "languages.txt"
    texts = {name: lines_of(DATA / "multilingual" / f"{name}.txt.gz") for name in LANGUAGES}
    together.write_bytes(b"".join(texts.values()))
    jobs = []
    for name, text in texts.items():
        path = work / f"{name}-{megabytes}.txt"
        path.write_bytes(text * max(1, round(megabytes * 1e6 / len(text))))
        for algorithm in VOCABULARIES:
            if not set(only) - {"languages"} or algorithm in only:
                tokenizer = learnt(work, together, algorithm)
                label = f"{algorithm} {name}"
                jobs.append(
                    Job(
                        label=label,
                        algorithm=algorithm,
                        text=path,
                        tokenizer=tokenizer,
                        threads=1,
                    )
                )
    return jobs


def novels(work: Path, most: int | None) -> Path:
    """The paragraphs of all novels of the training split, or of the first ones."""
    path = work / f"novels-{most or 'all'}.txt"
    if path.exists():
        return path
    written = 0
    with path.open("wb") as out:
        for name in ("train", "train_more"):
            with gzip.open(DATA / "novels" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as rows:
                for row in rows:
                    if most is None or written < most:
                        written += out.write(filled(json.loads(row)["text"]))
    return path


def lines_of(path: Path) -> bytes:
    return filled(gzip.decompress(path.read_bytes()).decode())


def filled(text: str) -> bytes:
    """Lines that hold something, each with its line feed: some peers skip the others."""
    return "".join(f"{line}\n" for line in text.split("\n") if line.strip()).encode()


def learnt(work: Path, text: Path, algorithm: str) -> Path:
    """A vocabulary of 30,000 learnt from the text, unless it is there."""
    folder = work / f"{text.stem}-{algorithm}"
    if not folder.exists():
        command = ["vocab", text, "-o", folder, "--algorithm", algorithm, "--size", "30000"]
        command += [*VOCABULARIES[algorithm], "--documents", "line"]
        done = subprocess.run(
            [sys.executable, "-m", "lmprep", *map(str, command)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(done.stderr)
    return folder


def measure(job: Job, repeats: int, work: Path) -> list[str]:
    """Run all sides of a job in turn and print their lines; what was missed."""
    names = ["lmprep", *PEERS[job.algorithm]]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    child(job, "lmprep", "-", compiling=True)
    for repeat in range(repeats):
        for name in names:
            if not any("skipped" in run for run in runs[name]):
                out = str(work / f"{name}.npz") if repeat == 0 else "-"
                runs[name].append(child(job, name, out))
    size = job.text.stat().st_size / 1e6
    missed = []
    for name in names:
        if "skipped" in runs[name][0]:
            reason = runs[name][0]["skipped"]
            print(LINE.format(job.label, job.threads, name, *8 * "-"), reason)
            missed += [f"{job.label} on {job.threads}: {reason}"] if name == "lmprep" else []
            continue
        missed += shown(job, name, runs, size, work)
    for name in names:
        (work / f"{name}.npz").unlink(missing_ok=True)
    return missed


def shown(
    job: Job, name: str, runs: dict[str, list[dict[str, Any]]], size: float, work: Path
) -> list[str]:
    """Print one line; what was missed."""
    best = {way: min(run[way] for run in runs[name]) for way in ("cold", "warm")}
    figures = []
    for way in ("cold", "warm"):
        middle = statistics.median(run[way] for run in runs[name])
        figures += [f"{size / best[way]:.1f}", f"{size / middle:.1f}"]
    measured = name != "lmprep" and "skipped" not in runs["lmprep"][0]
    times = {w: best[w] / min(run[w] for run in runs["lmprep"]) for w in best} if measured else {}
    other = differing(work / "lmprep.npz", work / f"{name}.npz") if measured else ""
    ratios = [f"{each:.2f}" for each in times.values()] or ["", ""]
    peak = max(run["peak"] for run in runs[name])
    print(LINE.format(job.label, job.threads, name, *figures, *ratios, f"{peak:.0f}", other))
    sys.stdout.flush()
    what = f"{job.label} on {job.threads} against {name}:"
    missed = [f"{what} {other} lines differ"] if name == "tokenizers" and other else []
    wanted = TARGETS.get((job.algorithm, name), (0.0, 0.0))
    if job.label != job.algorithm:
        wanted = (LANGUAGE_TARGET if name == "tokenizers" else 0.0, 0.0)
    for (way, found), least in zip(times.items(), wanted, strict=False):
        if found < least:
            missed.append(f"{what} {found:.2f} times as fast {way}; required are {least:g}")
    return missed


def child(job: Job, name: str, out: str, compiling: bool = False) -> dict[str, Any]:
    """One measurement; refused if kernels compiled beside it, unless it is there for that."""
    number = str(job.threads)
    variables = ("RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_RS_NUM_CPUS")
    parallel = "true" if job.threads > 1 else "false"
    done = subprocess.run(
        [sys.executable, SIDES, name, job.tokenizer, job.text, number, out],
        env=os.environ | dict.fromkeys(variables, number) | {"TOKENIZERS_PARALLELISM": parallel},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    if not compiling and COMPILING in done.stderr:
        sys.exit("kernels were compiled in a process that was measured; run it again")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def differing(ours: Path, theirs: Path) -> int:
    """Lines whose ids differ; all of them if there are not as many."""
    with np.load(ours) as mine, np.load(theirs) as other:
        ids, offsets = mine["ids"], mine["offsets"]
        their_ids, their_offsets = other["ids"], other["offsets"]
    if len(offsets) != len(their_offsets):
        return max(len(offsets), len(their_offsets)) - 1
    if np.array_equal(offsets, their_offsets) and np.array_equal(ids, their_ids):
        return 0
    lines = zip(np.split(ids, offsets[1:-1]), np.split(their_ids, their_offsets[1:-1]), strict=True)
    return sum(not np.array_equal(a, b) for a, b in lines)


if __name__ == "__main__":
    main()
