"""The tokenizers on which parity is tested: our own of each algorithm, and all foreign shapes."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

from parity_comparison import Case
from parity_foreign import bert_shapes, bpe_shapes, byte_shapes, other_shapes
from parity_models import model_shapes, t5_shapes
from parity_random import random_text
from parity_texts import lines_of
from tokenization_examples import DATA, SENTENCES, learn_text
from tokenizers import Tokenizer

from lmprep.settings import VocabSettings

SAMPLES = Path(__file__).parents[2] / "samples" / "corpus.txt"
RANDOM = 500  # random texts learnt from, so that rare characters have ids

OWN = {
    "wordpiece": {"algorithm": "wordpiece", "family": "bert"},
    "wordpiece-cased": {"algorithm": "wordpiece", "family": "bert", "cased": True},
    "byte-bpe": {"algorithm": "byte-bpe", "family": "gpt2"},
    "bpe": {"algorithm": "bpe", "family": "roberta"},
    "unigram": {"algorithm": "unigram", "family": "t5"},
    "word": {"algorithm": "word", "family": "bert"},
}


FOREIGN = {
    **bert_shapes(),
    **byte_shapes(),
    **bpe_shapes(),
    **other_shapes(),
    **t5_shapes(),
    **model_shapes(),
}


@cache
def cases(size: int, chapters: int, lines: int) -> dict[str, Case]:
    """All tokenizers by name, our own first.

    Args:
        size: of each vocabulary that is learnt.
        chapters, lines: what it is learnt from, as `training_text` has it.
    """
    texts = training_text(chapters, lines)
    specs = {name: learnt(name, size, texts).to_str() for name in OWN}
    bases = {name: name for name in OWN} | {name: FOREIGN[name].base for name in FOREIGN}
    for name, shape in FOREIGN.items():
        specs[name] = shape.change(Tokenizer.from_str(specs[shape.base])).to_str()
    return {
        name: Case(name=name, spec=specs[name], family=str(OWN[base]["family"]))
        for name, base in bases.items()
    }


def learnt(name: str, size: int, texts: list[str]) -> Tokenizer:
    """One of our own tokenizers."""
    settings = VocabSettings(**({"size": size} | OWN[name]))  # type: ignore[arg-type]
    return learn_text([texts], settings)


def training_text(chapters: int, lines: int) -> list[str]:
    """Novels, many languages and random texts; our sample where the shared corpora are not here.

    Args:
        chapters: of novels.
        lines: of each language.
    """
    texts = SENTENCES + [random_text(-1 - number) for number in range(RANDOM)]
    if not DATA.is_dir():
        return texts + lines_of(SAMPLES)
    for path in sorted((DATA / "multilingual").glob("*.txt.gz")):
        texts += lines_of(path)[:lines]
    with gzip.open(DATA / "novels" / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        read = [json.loads(row)["text"] for row, _ in zip(file, range(chapters), strict=False)]
    return texts + [line for chapter in read for line in chapter.split("\n")]
