"""`lmprep build mlm --pairs nsp` beside the way of transformers' run_mlm. Run by hand:

    python tests/benchmarks/build_speed.py [--times 6] [--text FILE] [--slice 4] [--work FOLDER]

From a text file to finished examples on one core. Ours is the whole command: 49 MB of novels (as
the text, `--times` over), WordPiece of 30,000, sentence pairs, masks, shards with checksums; MB/s
with start and imports, kernels compiled by a run before. Theirs is a slice of the same text (MB),
since it is slow: `datasets.load_dataset`, `map` with the fast tokenizer, `map` with `group_texts`
(windows of 128), and `DataCollatorForLanguageModeling` over all of it in batches of 32; without
pairs, which it does not make, and without the seconds of imports and of loading the tokenizer.

Exit status 1 when ours is not `REQUIRED` times as fast, or takes more than `MOST` MB.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

from child_process import keep_to, measured, settled
from encode_speed import DATA, filled
from memory import repeated

REQUIRED = 40
MOST = 1000
LENGTH = 128
LINE = "{:34}{:>10}{:>10}{:>10}{:>10}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=6)
    parser.add_argument("--text", type=Path, help="UTF-8, an empty line between documents")
    parser.add_argument("--slice", type=float, default=4, help="MB for run_mlm's way")
    parser.add_argument("--work", type=Path, help="where texts and vocabulary are kept")
    parser.add_argument("--theirs", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.theirs:
        theirs(*map(Path, arguments.theirs))
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        text = arguments.text or novels(work)
        compare(work, repeated(work, text, arguments.times), part_of(work, text, arguments.slice))


def novels(work: Path) -> Path:
    """Chapters of novels, a paragraph a line, an empty line between chapters."""
    path = work / "chapters.txt"
    if not path.exists():
        with path.open("wb") as out:
            for name in ("train", "train_more"):
                with gzip.open(
                    DATA / "novels" / f"{name}.jsonl.gz", "rt", encoding="utf-8"
                ) as rows:
                    out.writelines(filled(json.loads(row)["text"]) + b"\n" for row in rows)
    return path


def compare(work: Path, text: Path, part: Path) -> None:
    """Print both sides, and leave."""
    tok = work / "build-speed-tok"
    if not tok.exists():
        run("vocab", part, "-o", tok, "--algorithm", "wordpiece", "--size", 30_000)
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        run(*build(part, tok, Path(scratch) / "first"))  # compiles
        ours = settled(["-m", "lmprep", *build(text, tok, Path(scratch) / "ours")], 1)
    other = measured([__file__, "--theirs", part, tok], 1)
    if ours.status or other.status:
        sys.exit(ours.output + other.output)
    seconds = json.loads(other.output.splitlines()[-1])
    speed, peer = text.stat().st_size / 1e6 / ours.seconds, part.stat().st_size / 1e6 / seconds
    print(LINE.format("one core", "MB", "seconds", "MB/s", "peak MB"))
    for name, path, took, each, peak in (
        ("lmprep build mlm --pairs nsp", text, ours.seconds, speed, ours.megabytes),
        ("datasets.map, group_texts, collator", part, seconds, peer, other.megabytes),
    ):
        size = f"{path.stat().st_size / 1e6:.1f}"
        print(LINE.format(name, size, f"{took:.2f}", f"{each:.2f}", f"{peak:.0f}"))
    print(f"ratio {speed / peer:.1f} ({REQUIRED} asked for)")
    sys.exit(speed < REQUIRED * peer or ours.megabytes > MOST)


def build(text: Path, tok: Path, out: Path) -> tuple[object, ...]:
    """The arguments of the command."""
    return (
        "build", "mlm", text, "-t", tok, "-o", out,
        "--pairs", "nsp", "--length", LENGTH, "--workers", 1,
    )  # fmt: skip


def run(*command: object) -> None:
    done = measured(["-m", "lmprep", *command], 1)
    if done.status:
        sys.exit(done.output)


def part_of(work: Path, text: Path, megabytes: float) -> Path:
    """The first lines of a text."""
    path = work / f"slice-{megabytes:g}.txt"
    path.write_bytes(text.read_bytes()[: int(megabytes * 1e6)].rpartition(b"\n")[0] + b"\n")
    return path


def theirs(text: Path, tok: Path) -> None:
    """What run_mlm.py does with a text file before a step of training; prints seconds."""
    keep_to(1)
    from datasets import load_dataset
    from datasets.utils.logging import disable_progress_bar
    from transformers import AutoTokenizer, DataCollatorForLanguageModeling

    disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(tok)
    collate = DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm_probability=0.15)

    def tokenize(rows: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return tokenizer(rows["text"], return_special_tokens_mask=True)  # type: ignore[no-any-return]

    def group(rows: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        joined = {name: list(chain.from_iterable(lists)) for name, lists in rows.items()}
        total = len(joined["input_ids"]) // LENGTH * LENGTH
        return {
            name: [ids[i : i + LENGTH] for i in range(0, total, LENGTH)]
            for name, ids in joined.items()
        }

    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        rows = load_dataset("text", data_files=str(text), split="train", cache_dir=cache)
        rows = rows.map(tokenize, batched=True, remove_columns=["text"])
        rows = rows.map(group, batched=True)
        for first in range(0, len(rows), 32):
            collate([rows[i] for i in range(first, min(first + 32, len(rows)))])
        print(json.dumps(time.perf_counter() - began))


if __name__ == "__main__":
    main()
