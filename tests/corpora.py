"""Small corpora and datasets for tests that run the real pipeline."""

from __future__ import annotations

import random
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from lmprep.build_settings import BuildSettings
from lmprep.engines import job
from lmprep.objective_settings import FORMS, default_sequences
from lmprep.settings import (
    PAIRS_SHORT,
    CorpusSettings,
    SequenceSettings,
    VocabSettings,
    settings_from,
)
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


# A vocabulary of each family: of the made-up words, with sentinels enough for short sequences.
_FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {"algorithm": "wordpiece", "size": 120},
    "roberta": {"algorithm": "byte-bpe", "size": 330},
    "gpt2": {"algorithm": "byte-bpe", "size": 330},
    "t5": {"algorithm": "unigram", "size": 140, "sentinels": 30},
    "ul2": {"algorithm": "unigram", "size": 140, "sentinels": 30},
}


def make_tokenizer(corpus: Path, folder: Path, size: int = 0, family: str = "bert") -> Path:
    """A vocabulary of the corpus: uncased WordPiece, unless another family is asked for."""
    usual = _FAMILIES[family]
    settings = VocabSettings(**{**usual, "family": family, "size": size or usual["size"]})
    make_vocabulary([str(corpus)], folder, settings, CorpusSettings())
    return folder


def build_dataset(corpus: Path, tokenizer: Path, out: Path, **changes: object) -> Path:
    """A dataset of 48 tokens in several partitions, for mlm of NSP pairs, unless changed.

    Further settings are those of the objective. As in a recipe, the held-out part of `train` is
    `valid` beside it.
    """
    objective = str(changes.pop("objective", "mlm"))
    own = {f.name for f in fields(FORMS[objective].settings)} & set(changes)
    objective_settings: Any = changes.pop("objective_settings", None)
    if objective_settings is None:
        written = {name: changes.pop(name) for name in own}
        objective_settings = settings_from(FORMS[objective].settings, written)
    pairs = str(changes.pop("pairs", "nsp" if "nsp" in FORMS[objective].pairs else "none"))
    usual = "document" if pairs != "none" else default_sequences(objective, objective_settings)
    sequences = SequenceSettings(
        length=int(str(changes.pop("length", 48))),
        pairs=pairs,
        short_sequence_probability=PAIRS_SHORT if pairs != "none" else Fraction(0),
        sequences=str(changes.pop("sequences", usual)),
    )
    workers = int(str(changes.pop("workers", 1)))
    settings = BuildSettings(
        objective=objective,
        objective_settings=objective_settings,
        sequences=sequences,
        partition_bytes=int(str(changes.pop("partition_bytes", 4000))),
        valid=Fraction(str(changes.pop("valid", 0))),
        **changes,  # type: ignore[arg-type]
    )
    held_out = out.with_name("valid") if out.name == "train" else None
    plan = job.make_plan([str(corpus)], str(tokenizer), out, settings, valid=held_out)
    job.run(plan, workers=workers, resume=False, force=False)
    return out


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, those of its folders too, by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
