"""Small corpora and datasets for tests that run the real pipeline."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

from lmprep.build import BuildSettings
from lmprep.engines import job
from lmprep.settings import PAIRS_SHORT, CorpusSettings, SequenceSettings, VocabSettings
from lmprep.vocab import make_vocabulary

SYLLABLES = ["ba", "ke", "lo", "mi", "nu", "ra", "so", "te", "vi", "zu"]


def write_corpus(path: Path, documents: int = 60, seed: int = 0) -> Path:
    """Documents of one to nine sentences of made-up words, a sentence a line."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(300)]

    def sentence() -> str:
        return " ".join(rng.choices(words, k=rng.randint(3, 14))).capitalize() + "."

    texts = ["\n".join(sentence() for _ in range(rng.randint(1, 9))) for _ in range(documents)]
    path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    return path


def make_tokenizer(corpus: Path, folder: Path, size: int = 120) -> Path:
    """An uncased WordPiece vocabulary of the corpus."""
    settings = VocabSettings(algorithm="wordpiece", size=size)
    make_vocabulary([str(corpus)], folder, settings, CorpusSettings())
    return folder


def build_dataset(corpus: Path, tokenizer: Path, out: Path, **changes: object) -> Path:
    """A dataset of NSP pairs of 48 tokens in several partitions, unless changed.

    As in a recipe, the held-out part of `train` is `valid` beside it.
    """
    pairs = str(changes.pop("pairs", "nsp"))
    sequences = SequenceSettings(
        length=int(str(changes.pop("length", 48))),
        pairs=pairs,
        short_sequence_probability=PAIRS_SHORT if pairs != "none" else Fraction(0),
        sequences=str(changes.pop("sequences", "document")),
    )
    settings = BuildSettings(
        sequences=sequences,
        partition_bytes=int(str(changes.pop("partition_bytes", 4000))),
        valid=Fraction(str(changes.pop("valid", 0))),
        **changes,  # type: ignore[arg-type]
    )
    held_out = out.with_name("valid") if out.name == "train" else None
    plan = job.make_plan([str(corpus)], str(tokenizer), out, settings, valid=held_out)
    job.run(plan, workers=1, resume=False, force=False)
    return out
