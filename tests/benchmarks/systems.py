"""Every system that has a recipe, trained for a short time, each beside a baseline.

    python tests/benchmarks/systems.py CORPUS -o WORK [--only bert,t5] [--time 60s] [--jobs 1]

Each is one command, `lmprep run NAME --corpus CORPUS -o WORK/NAME`, with a tiny model, 8,000 tokens
and rows of 128, all with the same time to train; students of DistilBERT see the same number of
tokens. Held-out documents are scored at its end. The baseline isolates what makes the system:

    electra      verdicts by the share of replaced tokens alone
    infoword     an n-gram chosen blindly among the candidates
    distilbert   the same student, trained on as many tokens without a teacher
    spanbert     the boundary loss, with the boundaries of other spans
    word2vec     the best scores that do not look at the other word; of glove the mean
    all others   guessing by frequency

Prints a table; a system whose WORK/NAME is complete is not trained again. `--jobs` systems are
trained at once, for a GPU that one tiny model does not fill.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lmprep.evaluation.held_out import load_model
from lmprep.models.construction import count_parameters
from lmprep.shards.reader import Dataset
from lmprep.training.run_folder import read_config
from lmprep.training.validation import score
from lmprep.vectors.folder import KIND

MODELS = {
    "bert": "bert-tiny", "roberta": "roberta-tiny", "albert": "albert-tiny",
    "spanbert": "bert-tiny", "electra": "electra-tiny", "distilbert": "distilbert-tiny",
    "infoword": "bert-tiny", "gpt": "gpt-tiny", "gpt2": "gpt2-tiny", "t5": "t5-tiny",
    "bart": "bart-tiny", "ul2": "t5v1.1-tiny", "elmo": "elmo-tiny", "word2vec": "word2vec-tiny",
    "glove": "glove-tiny",
}  # fmt: skip
VECTORS = ("word2vec", "glove")
_RATES = dict.fromkeys(("gpt", "bart", "albert"), "5e-4")  # they stand still at 2e-3
_DISTILLED = 600_000  # tokens that students see
ROW = tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus")
    parser.add_argument("-o", "--work", type=Path, required=True)
    parser.add_argument("--only", default=",".join(MODELS))
    parser.add_argument("--time", default="60s")
    parser.add_argument("--jobs", type=int, default=1, help="systems at once")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    names = arguments.only.split(",")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        rows = list(pool.map(lambda name: row_of(name, arguments), names))
    header = ("system", "model", "parameters", "tokens", "seconds", "figure", "system's",
              "baseline's", "")  # fmt: skip
    for row in (header, ("---",) * len(header), *rows):
        print("| " + " | ".join(row) + " |")


def row_of(name: str, arguments: argparse.Namespace) -> ROW:
    """Train a system, unless it is; its line of the table."""
    work = arguments.work / name
    command = [
        sys.executable, "-m", "lmprep", "run", name, "--corpus", arguments.corpus, "-o", work,
        "--json", "--workers", "2", *changes(name, arguments.time),
    ]  # fmt: skip
    figures = json.loads(done(command))
    run = work / "run"
    figure, system, baseline, is_better = judged(name, figures, work)
    counters = last_line(run)
    row = (
        name, MODELS[name], f"{parameters(run):,}", f"{counters['tokens'] / 1e6:.1f} M",
        f"{counters.get('elapsed', 0):.0f}", figure, system, baseline,
        "better" if is_better else "WORSE",
    )  # fmt: skip
    print("  ".join(row), file=sys.stderr, flush=True)
    return row


def changes(name: str, time: str) -> list[str]:
    """What makes a recipe small and quick."""
    settings = {"vocab.size": 8000, "build.valid": "2%", "pretrain.model": MODELS[name]}
    if name in VECTORS:
        settings |= {"pretrain.epochs": 2 if name == "word2vec" else 10}
        settings |= {"build.subsample": "1e-3"} if name == "word2vec" else {}
    else:
        settings |= {
            "build.length": 128, "pretrain.time": time, "pretrain.batch_tokens": 4096,
            "pretrain.lr": _RATES.get(name, "2e-3"), "pretrain.warmup": 0.1,
            "pretrain.dropout": 0.0, "pretrain.compile": "off",
        }  # fmt: skip
    if name == "bert":
        settings |= {"build.copies": 1, "pretrain.stages": ""}
    if name == "distilbert":
        del settings["pretrain.time"]  # reading with the teacher takes time: as many tokens, then
        settings |= {
            "pretrain.tokens": _DISTILLED, "teacher.model": "bert-tiny", "teacher.lr": "2e-3",
            "teacher.tokens": 3 * _DISTILLED, "teacher.warmup": 0.1,
        }  # fmt: skip
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def done(command: list[Any]) -> str:
    """What a command prints; this one leaves with its error when it fails."""
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{ended.stderr}")
    return ended.stdout


def judged(name: str, figures: Mapping[str, Any], work: Path) -> tuple[str, str, str, bool]:
    """The figure, of the system and of its baseline, and whether the system's is better."""
    if name in VECTORS:
        return _losses("loss", figures["loss"], figures["unigram_loss"])
    if name == "electra":
        found = figures["replaced"]
        return "AUC", f"{found['auc']:.3f}", "0.500", found["auc"] > 0.5
    if name == "infoword":
        found = figures["ngrams"]
        shown = f"{found['accuracy']:.2%}", f"{found['chance']:.2%}"
        return "n-grams found", *shown, found["accuracy"] > found["chance"]
    loss = figures["corrupted"]["cross_entropy"]
    if name == "distilbert":
        alone = work / "alone"
        command = [
            sys.executable, "-m", "lmprep", "pretrain", work / "train", "-o", alone, "--resume",
            "--model", MODELS[name], "--tokens", _DISTILLED, "--eval", work / "valid",
            "--lr", "2e-3", "--batch-tokens", "4096", "--dropout", "0", "--warmup", "0.1",
            "--compile", "off",
        ]  # fmt: skip
        done(command)
        shown = done([sys.executable, "-m", "lmprep", "evaluate", alone, work / "valid", "--json"])
        return _losses("cross-entropy", loss, json.loads(shown)[0]["corrupted"]["cross_entropy"])
    if name == "spanbert":
        own = figures["boundary"]["cross_entropy"]
        return _losses("boundary cross-entropy", own, others_boundaries(work))
    return _losses("cross-entropy", loss, figures["unigram"]["cross_entropy"])


def _losses(figure: str, own: float, other: float) -> tuple[str, str, str, bool]:
    return figure, f"{own:.3f}", f"{other:.3f}", own < other


def others_boundaries(work: Path) -> float:
    """The boundary loss when each token is predicted from the boundaries of another span."""
    model, _ = load_model(work / "run")
    judge = model._boundary

    def moved(hidden_BLD: torch.Tensor, boundaries: Any) -> Any:
        if boundaries is not None:
            order = torch.randperm(
                len(boundaries.left_S), generator=torch.Generator().manual_seed(0)
            )
            left_S, right_S = boundaries.left_S[order], boundaries.right_S[order]
            boundaries = replace(boundaries, left_S=left_S, right_S=right_S)
        return judge(hidden_BLD, boundaries)

    model._boundary = moved
    return score(model, Dataset(work / "valid"), torch.float32).boundary.cross_entropy


def parameters(run: Path) -> int:
    if read_config(run)["model"]["kind"] == KIND:
        config = read_config(run)["model"]
        return int(config["vocabulary_size"]) * int(config["width"]) * 2
    return count_parameters(load_model(run)[0])


def last_line(run: Path) -> dict[str, Any]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return next(line for line in reversed(found) if "tokens" in line)


if __name__ == "__main__":
    main()
