"""Learning a vocabulary, from a file to a file, beside the usual trainers. Run by hand:

    python tests/benchmarks/learn_speed.py [--quick] [--text FILE] [--work FOLDER] [--size 30000]
                                           [--threads 1,2] [--repeats 3]
                                           [--only unigram,wordpiece/likelihood]

The text is that of `encode_speed.py`: 50 MB of novels, a paragraph a line (5 MB with `--quick`).
Each side is a process of its own on as many processors as it has threads; sides take turns. Wall
seconds, the best of the repeats and the median, of the process from its start to its end and, in
the columns `learning`, of the learning alone: from the file to the vocabulary in memory, modules
and kernels being loaded. How many times as long as ours the peers take, peak memory, and how many
ids were learnt: a side that learns fewer has done less. Kernels were compiled before.

    lmprep         `lmprep vocab`: the whole command, folder written and report shown; the learning
                   by the functions that it calls, after a first run on a few words
    tokenizers     its trainer behind the same normalizer and pre-tokenizer, `train` from the file;
                   its Unigram loses pieces of equal score at random, its WordPiece ids vary
    sentencepiece  `SentencePieceTrainer` with all lines of the file, its own normalization
    gigatoken      `train_bpe` from the file

WordPiece is learnt by its default criterion, or by the one behind a slash.

No target is set; exit status 1 when a side of ours fails.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from child_process import Measured, measured, settled
from encode_speed import VOCABULARIES, novels

ALGORITHMS = VOCABULARIES | {"bpe": ("--family", "roberta")}
PEERS = {
    "wordpiece": ("tokenizers",),
    "byte-bpe": ("tokenizers", "gigatoken"),
    "bpe": ("tokenizers", "sentencepiece"),
    "unigram": ("tokenizers", "sentencepiece"),
}
SKIPPED = 77  # exit status of a peer that is not installed
LINE = "{:21}{:>3}  {:15}{:>9}{:>9}{:>9}{:>10}{:>9}{:>9}{:>10}{:>8}"
HEADING = (
    "", "on", "side", "seconds", "median", "times", "learning", "median", "times", "peak MB", "ids"
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="5 MB, once")
    parser.add_argument("--text", type=Path, help="UTF-8, a paragraph a line")
    parser.add_argument("--work", type=Path, help="where the text is kept")
    parser.add_argument("--size", type=int, default=30_000)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--only", default=",".join(ALGORITHMS))
    parser.add_argument("--peer", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        name, algorithm, text, threads = arguments.peer
        sys.exit(run_side(name, algorithm, text, arguments.size, int(threads)))
    repeats = arguments.repeats or (1 if arguments.quick else 3)
    print(LINE.format(*HEADING))
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        text = arguments.text or novels(work, 5_000_000 if arguments.quick else None)
        for threads in map(int, arguments.threads.split(",")):
            for algorithm in arguments.only.split(","):
                compare(algorithm, text, arguments.size, threads, repeats)


def compare(algorithm: str, text: Path, size: int, threads: int, repeats: int) -> None:
    """Run the sides of one algorithm in turn and print their lines."""
    names = ["lmprep", *PEERS[algorithm.partition("/")[0]]]
    runs: dict[str, list[Measured]] = {name: [] for name in [*names, "inside"]}
    command(algorithm, text, size, threads, measured)  # kernels compile
    for _ in range(repeats):
        runs["lmprep"].append(command(algorithm, text, size, threads))
        for name in names:
            where = "inside" if name == "lmprep" else name
            peer = ("--peer", name, algorithm, text, threads)
            runs[where].append(settled([__file__, "--size", size, *peer], threads))
    ours = min(run.seconds for run in runs["lmprep"])
    our_learning = min(learning_seconds(runs["inside"]))
    for name in names:
        if failed := next((run for run in runs[name] if run.status), None):
            if failed.status != SKIPPED:
                sys.exit(f"{name} failed:\n{failed.output}")
            print(LINE.format(algorithm, threads, name, *8 * "-"), "not installed")
            continue
        seconds = [run.seconds for run in runs[name]]
        times = "" if name == "lmprep" else f"{min(seconds) / ours:.2f}"
        figures = [f"{min(seconds):.1f}", f"{statistics.median(seconds):.1f}", times]
        learning = learning_seconds(runs["inside" if name == "lmprep" else name])
        times = "" if name == "lmprep" else f"{min(learning) / our_learning:.2f}"
        figures += [f"{min(learning):.2f}", f"{statistics.median(learning):.2f}", times]
        peak = max(run.megabytes for run in runs[name])
        said = re.search(r'"vocabulary_size": *([0-9]+)', runs[name][0].output)
        ids = said[1] if said else "?"
        print(LINE.format(algorithm, threads, name, *figures, f"{peak:.0f}", ids), flush=True)


def learning_seconds(runs: list[Measured]) -> list[float]:
    """What the sides said of themselves."""
    return [float(re.search(r'"learning": *([0-9.]+)', run.output)[1]) for run in runs]


def command(
    algorithm: str,
    text: Path,
    size: int,
    threads: int,
    measure: Callable[[list[object], int], Measured] = settled,
) -> Measured:
    """`lmprep vocab`."""
    with tempfile.TemporaryDirectory() as folder:
        kind, _, criterion = algorithm.partition("/")
        command = ["-m", "lmprep", "vocab", text, "-o", Path(folder) / "tok", "--json"]
        command += ["--algorithm", kind, *ALGORITHMS[kind], "--size", size]
        command += ["--criterion", criterion] if criterion else []
        command += ["--documents", "line", "--workers", threads]
        return measure(command, threads)


def run_side(name: str, algorithm: str, text: str, size: int, threads: int) -> int:
    """The learning of one side; its exit status."""
    learn: Callable[[str, str, int, int], tuple[int, float]] = {
        "lmprep": by_lmprep,
        "tokenizers": by_tokenizers,
        "sentencepiece": by_sentencepiece,
        "gigatoken": by_gigatoken,
    }[name]
    try:
        named = algorithm if name == "lmprep" else algorithm.partition("/")[0]
        found, seconds = learn(named, text, size, threads)
    except ImportError:
        return SKIPPED
    print(json.dumps({"vocabulary_size": found, "learning": seconds}))
    return 0


def by_lmprep(algorithm: str, text: str, size: int, threads: int) -> tuple[int, float]:
    from lmprep.corpus import expand, plan_sources
    from lmprep.engines.counting import Workers
    from lmprep.settings import CorpusSettings, VocabSettings
    from lmprep.tokenization.learning import learn_with_facts
    from lmprep.tokenization.word_sum import WordSum
    from lmprep.vocab import PARTITION_BYTES, Counting

    corpus = CorpusSettings(documents="line")
    kind, _, criterion = algorithm.partition("/")
    chosen = {"criterion": criterion} if criterion else {}

    def learn(path: Path, size: int) -> int:
        settings = VocabSettings(algorithm=kind, family=ALGORITHMS[kind][1], size=size, **chosen)
        sources = plan_sources(expand([str(path)], format=None), corpus, PARTITION_BYTES)
        counting = Counting(settings=settings, corpus=corpus)
        with WordSum() as words:
            Workers(threads)(counting, sources, lambda counted: words.add(counted.words))
            total = words.total()
        return learn_with_facts(total, settings).tokenizer.get_vocab_size()

    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.txt"
        few.write_text("The cat sat on the mat.\nThe mat sat on the cat, it's 12 mats!\n" * 40)
        learn(few, 300 if algorithm == "byte-bpe" else 145)
    began = time.perf_counter()
    found = learn(Path(text), size)
    return found, time.perf_counter() - began


def by_tokenizers(algorithm: str, text: str, size: int, threads: int) -> tuple[int, float]:
    from tokenizers import Tokenizer, models, trainers
    from tokenizers.pre_tokenizers import ByteLevel

    from lmprep.settings import VocabSettings
    from lmprep.tokenization.pipelines import bare_tokenizer

    family = ALGORITHMS[algorithm][1]
    stages = bare_tokenizer(VocabSettings(algorithm=algorithm, family=family, size=size))
    shared = {"vocab_size": size, "show_progress": False}
    model, trainer = {
        "wordpiece": lambda: (
            models.WordPiece(unk_token="[UNK]"),
            trainers.WordPieceTrainer(special_tokens=["[UNK]"], **shared),
        ),
        "byte-bpe": lambda: (
            models.BPE(),
            trainers.BpeTrainer(initial_alphabet=ByteLevel.alphabet(), **shared),
        ),
        "bpe": lambda: (
            models.BPE(unk_token="<unk>"),
            trainers.BpeTrainer(special_tokens=["<unk>"], **shared),
        ),
        "unigram": lambda: (
            models.Unigram(),
            trainers.UnigramTrainer(special_tokens=["<unk>"], unk_token="<unk>", **shared),
        ),
    }[algorithm]()
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = stages.pre_tokenizer
    if stages.normalizer is not None:
        tokenizer.normalizer = stages.normalizer
    began = time.perf_counter()
    tokenizer.train([text], trainer)
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(str(Path(folder) / "tokenizer.json"))
    return tokenizer.get_vocab_size(), seconds


def by_sentencepiece(algorithm: str, text: str, size: int, threads: int) -> tuple[int, float]:
    import sentencepiece

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            input=text,
            model_prefix=str(Path(folder) / "model"),
            model_type=algorithm,
            vocab_size=size,
            hard_vocab_limit=False,
            num_threads=threads,
            max_sentence_length=1_000_000,
            minloglevel=2,
        )
        seconds = time.perf_counter() - began
        model = Path(folder) / "model.model"
        return len(sentencepiece.SentencePieceProcessor(model_file=str(model))), seconds


def by_gigatoken(algorithm: str, text: str, size: int, threads: int) -> tuple[int, float]:
    import gigatoken

    began = time.perf_counter()
    source = gigatoken.TextFileSource([text], b"\n")
    vocabulary, merges = gigatoken.train_bpe(source, size, ["<|endoftext|>"])
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        written = {"size": len(vocabulary), "merges": [[a.hex(), b.hex()] for a, b in merges]}
        (Path(folder) / "vocabulary.json").write_text(json.dumps(written), encoding="utf-8")
    return len(vocabulary), seconds


if __name__ == "__main__":
    main()
