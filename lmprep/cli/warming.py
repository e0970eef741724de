"""`lmprep doctor --warm`: run every command on a small text, so that all kernels get compiled.

A kernel is compiled for the types it is called with. So nothing here names kernels: the commands
themselves are run, with every algorithm, objective and kind of sequence, in a temporary folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from lmprep.errors import LmprepError
from lmprep.objective_settings import FORMS, NOISES
from lmprep.settings import ALGORITHMS, CRITERIA, FAMILIES

# How the vocabulary of each family is made, as small as the small text allows.
_VOCABULARIES = {
    "bert": ("wordpiece", 100), "roberta": ("byte-bpe", 300), "gpt2": ("byte-bpe", 300),
    "t5": ("unigram", 200), "ul2": ("unigram", 400),
}  # fmt: skip
# A model of each kind.
_MODELS = {
    "mlm": "bert-tiny", "span": "bert-tiny", "clm": "gpt2-tiny", "t5": "t5-tiny",
    "bart": "bart-tiny", "ul2": "t5v1.1-tiny", "bilm": "elmo-tiny", "electra": "electra-tiny",
}  # fmt: skip
_WITH_DECODERS = {"t5", "bart", "ul2"}
_VECTORS = {
    "word2vec-tiny": "skipgram", "cbow-tiny": "skipgram", "glove-tiny": "cooccurrence",
}  # fmt: skip
# Letters that are not ASCII are here, too, and words without spaces between them.
_LINE = (
    "the small ferry leaves harbour early in morning and nobody knows when it comes back so we "
    "wait beside water with bread cheese an old map three letters über Ωmega 東京"
)


Step = list[str] | Callable[[], object]
"""A command as its arguments, or what a program does that uses lmprep as a library."""


_BART_NOISES = (
    "--delete-rate", "0.1", "--mask-rate", "0.1", "--insert-rate", "0.1", "--rotate-rate", "0.5",
    "--random-share", "0.5",
)  # fmt: skip


class Part(NamedTuple):
    """Steps that belong together."""

    name: str
    steps: list[Step]


def parts() -> Iterator[Part]:
    """All there is to warm, in the order in which one needs another; training only with torch."""
    for algorithm in ALGORITHMS:
        yield Part(f"vocab {algorithm}", list(_learning(algorithm)))
    for family in FAMILIES:
        yield Part(f"vocabulary of {family}, encode, decode", list(_encoding(family)))
    yield Part("encode with another tokenizer", list(_encoding_by_the_library()))
    yield Part("tables of many words", [_spill_words, _number_pairs, _fill_cache])
    yield Part("overlap", [["overlap", "corpus.txt", "records.jsonl"]])
    for objective in FORMS:
        yield Part(f"build and verify {objective}", list(_objective(objective)))
    if find_spec("torch") is not None:
        for objective, model in _MODELS.items():
            yield Part(f"pretrain and evaluate {model} on {objective}", _training(objective, model))
        for model, objective in _VECTORS.items():
            yield Part(f"pretrain and evaluate {model}", _vectors(objective, model))


def warm_up(folder: Path, say: Callable[[str], object], names: Sequence[str] = ()) -> float:
    """Run the commands in an empty folder, and return how many seconds that took.

    Args:
        folder: where; it becomes the working directory meanwhile.
        say: called with a line for each part: its seconds and name.
        names: beginnings of the parts that shall run; all without any.
    """
    begin = time.monotonic()
    with contextlib.chdir(folder), _without_warnings():
        _write_texts()
        for part in parts():
            if not names or part.name.startswith(tuple(names)):
                started = time.monotonic()
                for step in part.steps:
                    step() if callable(step) else _run(step)
                say(f"{time.monotonic() - started:6.1f} s  {part.name}")
    return time.monotonic() - begin


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """A text as small as ours gives many, and none of them matters."""
    log = logging.getLogger("lmprep")
    usual = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(usual)


def _run(arguments: list[str]) -> None:
    """Run a command in this process, and show what it said only if it fails."""
    from lmprep.cli import cli

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            cli.main(arguments, prog_name="lmprep", standalone_mode=False)
    except SystemExit as left:
        if left.code:
            click.echo(said.getvalue(), err=True)
            what = f"lmprep {' '.join(arguments)} failed"
            raise LmprepError(what, fix="Please report what stands above") from None


def _learning(algorithm: str) -> Iterator[Step]:
    """A vocabulary by each criterion, of words enough that tables must grow."""
    criteria = CRITERIA if algorithm == "wordpiece" else ("",)
    for number, criterion in enumerate(criteria):
        flags = ["--criterion", criterion] if criterion else []
        yield _vocab("words.txt", f"{algorithm}-{number}", algorithm, 2000, flags)


def _encoding(family: str) -> Iterator[Step]:
    """The vocabulary that all further parts use, and texts through it and back."""
    algorithm, size = _VOCABULARIES[family]
    yield _vocab("corpus.txt", family, algorithm, size, ["--family", family])
    yield ["encode", "-t", family, "corpus.txt", "-o", f"{family}.arrow"]
    yield ["encode", "-t", family, "corpus.txt", "records.jsonl", "-o", f"{family}.text"]
    yield ["decode", "-t", family, f"{family}.text", "-o", f"{family}.txt"]


def _encoding_by_the_library() -> Iterator[Step]:
    """A tokenizer whose words the library has to encode, of text with words of any length."""
    yield _change_tokenizer
    yield ["encode", "-t", "other", "corpus.txt", "words.txt", "-o", "other.arrow"]


def _change_tokenizer() -> None:
    """Write BERT's vocabulary again, with words cut another way."""
    from tokenizers import Tokenizer, pre_tokenizers

    shutil.copytree("bert", "other")
    tokenizer = Tokenizer.from_file("bert/tokenizer.json")
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save("other/tokenizer.json")


def _spill_words() -> None:
    """Add up words in no memory at all, as a corpus larger than memory does."""
    import numpy as np

    from lmprep.tokenization.counted_words import CountedWords
    from lmprep.tokenization.word_sum import add_up

    words = CountedWords.of([f"{i}" for i in range(50_000)], [1] * 50_000)
    add_up([words.take(np.arange(len(words)))], most_bytes=1)


def _number_pairs() -> None:
    """Merge words with more pairs of letters than there is room for at first."""
    import numpy as np

    from lmprep.tokenization.merges import merge_frequent

    letters = 70
    symbols = np.indices((letters, letters), np.int32).T.ravel()
    words = letters**2
    merge_frequent(symbols, np.arange(words + 1) * 2, np.ones(words, np.int64), letters, 1)


def _fill_cache() -> None:
    """Encode more words than an encoder has room for at first, and more text than one thread."""
    from lmprep.tokenization import folder
    from lmprep.tokenization.encoder import Encoder

    lines = b"".join(b"%d\n" % i for i in range(50_000))
    Encoder(folder.load("bert"), threads=2).encode_lines(lines * 10)


def _vocab(corpus: str, out: str, algorithm: str, size: int, flags: list[str]) -> list[str]:
    return ["vocab", corpus, "-o", out, "--algorithm", algorithm, "--size", str(size), *flags]


def _objective(objective: str) -> Iterator[Step]:
    """Builds of every kind that it can have, each read again in every way."""
    from lmprep.objectives import OBJECTIVES
    from lmprep.shards.dense import OBJECTIVES as DENSE_FORMS

    form = FORMS[objective]
    kinds = [["--sequences", sequences] for sequences in form.sequences]
    kinds += [["--pairs", pairs] for pairs in form.pairs if pairs != "none"]
    kinds += [["--noise", noise] for noise in NOISES] if objective == "t5" else []
    kinds += [["--dense"]] if objective in DENSE_FORMS else []
    # BART's noises that are off by default.
    kinds += [[*_BART_NOISES]] if objective == "bart" else []
    copies = ["--copies", "2"] if OBJECTIVES[objective].draws else []
    for number, kind in enumerate(kinds):
        out = f"{objective}-{number}"
        yield _build(objective, out, [*kind, *copies])
        if kind != ["--dense"]:
            yield ["verify", out, "--source", "corpus.txt", "records.jsonl"]
            yield ["stats", out]
            yield ["inspect", out, "--rows", "2"]
            if OBJECTIVES[objective].restore is not None:
                yield partial(_draw_anew, out)
    yield ["try", objective, "corpus.txt", "-t", form.families[0], "--length", "32", "--rows", "1"]


def _draw_anew(out: str) -> None:
    """Read rows in another copy than those stored, as a training does from its second epoch on."""
    import numpy as np

    from lmprep.dynamic import load

    load(out, copy=5).rows(np.arange(2))


def _build(objective: str, out: str, flags: list[str]) -> list[str]:
    usual = ["-t", FORMS[objective].families[0], "-o", out, "--length", "32", "--workers", "1"]
    return ["build", objective, "corpus.txt", "records.jsonl", *usual, *flags]


def _training(objective: str, model: str) -> list[Step]:
    pairs = ["--pairs", "nsp"] if objective == "mlm" else []
    out, run = f"train-{objective}", f"run-{objective}"
    usual = ["--model", model, "--device", "cpu", "--dropout", "0.1", "--batch-tokens", "256"]
    usual += ["--steps", "2", "--eval", f"{out}-valid"]
    return [
        _build(objective, out, [*pairs, "--valid", "20%"]),
        ["pretrain", out, "-o", f"{run}-fp32", "--precision", "fp32", *usual],
        ["pretrain", out, "-o", f"{run}-bf16", "--precision", "bf16", *usual],
        ["evaluate", f"{run}-fp32", f"{out}-valid"],
        *([partial(_count_labels, out)] if objective in _WITH_DECODERS else []),
    ]


def _count_labels(out: str) -> None:
    """Count labels of rows without reading the rows, as a training on several ranks does."""
    import numpy as np

    from lmprep.shards.reader import Dataset

    dataset = Dataset(Path(out))
    dataset.row_counts(np.arange(2), "labels", dataset.vocabulary.maskable)


def _vectors(objective: str, model: str) -> list[Step]:
    out, run = f"train-{model}", f"run-{model}"
    thinning = ["--subsample", "0"] if objective == "skipgram" else []
    return [
        _build(objective, out, [*thinning, "--valid", "20%"]),
        ["pretrain", out, "-o", run, "--model", model, "--epochs", "1"],
        ["evaluate", run, f"{out}-valid"],
    ]


def _write_texts() -> None:
    """Forty documents of some sentences, as text and as records, and a list of made-up words."""
    documents, place, line = [], 0, _LINE.split()
    for number in range(40):
        lines = []
        for length in range(4 + number % 5, 12):
            words = [line[(place + i * i) % len(line)] for i in range(length)]
            lines.append(" ".join(words).capitalize() + ".")
            place += 5
        documents.append("\n".join(lines))
    Path("corpus.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    records = "".join(json.dumps({"text": document}) + "\n" for document in documents)
    Path("records.jsonl").write_text(records, encoding="utf-8")
    made_up = (f"{(17 * i) ** 5:x} {(13 * i) ** 4:x}" for i in range(1, 2000))
    Path("words.txt").write_text("\n".join(made_up), encoding="utf-8")
