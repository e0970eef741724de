"""Likeness of words without context: scores that people gave, and analogies.

E width of the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmprep.errors import InputError, UsageError
from lmprep.finetuning.reading import lines_of, read_text
from lmprep.inference.pretrained import Asked
from lmprep.probing.words import Floats, embeddings_of, unit
from lmprep.training.embeddings import token_words

_AT_ONCE = 512  # analogies that are solved together


@dataclass(frozen=True, kw_only=True)
class WordTable:
    """Words with one vector each.

    Args:
        places: of each word in the vectors.
        vectors: float32 [N, E].
    """

    places: dict[str, int]
    vectors: Floats

    def place(self, word: str) -> int | None:
        """Where a word is, as it is written or in small letters."""
        found = self.places.get(word)
        return self.places.get(word.lower()) if found is None else found


def table_of_words(words: Sequence[str], vectors: Floats) -> WordTable:
    """Of a list of words and their vectors."""
    return WordTable(places={word: i for i, word in enumerate(words)}, vectors=vectors)


def table_of_model(asked: Asked) -> WordTable:
    """The input embeddings of the words that are one token each.

    Raises:
        UsageError: there are none.
    """
    path = asked.tokenizer.files[0].parent
    special = set(asked.vocabulary.special)
    found = {word: id for word, id in token_words(path).items() if id not in special}
    if not found:
        raise UsageError(
            "no token of it is a whole word",
            path=asked.description,
            fix="Word similarity needs a vocabulary with words in it, see `lmprep vocab`",
        )
    return WordTable(places=found, vectors=embeddings_of(asked))


def similarity_figures(table: WordTable, path: Path) -> dict[str, Any]:
    """Spearman's correlation of cosines with the scores of a file of `word word score`.

    Returns:
        `spearman`, `pairs` compared, and `of` how many; pairs with an unknown word are left out.

    Raises:
        InputError: a line is none of these.
        UsageError: fewer than two pairs are known.
    """
    from scipy.stats import spearmanr

    cosines, scores, total = [], [], 0
    vectors = unit(table.vectors)
    for number, line in lines_of(read_text(path)):
        cells = line.replace("\t", " ").split()
        if not cells or line.startswith("#"):
            continue
        try:
            first, second, score = cells[0], cells[1], float(cells[2])
        except (IndexError, ValueError):
            raise InputError(
                f"{line[:40]!r} is not WORD WORD SCORE",
                path=path,
                line=number,
                fix="Part the three by tabs or spaces",
            ) from None
        total += 1
        a, b = table.place(first), table.place(second)
        if a is not None and b is not None:
            cosines.append(float(vectors[a] @ vectors[b]))
            scores.append(score)
    if len(scores) < 2:
        raise UsageError(
            f"of its {total} pairs of words {len(scores)} are known",
            path=path,
            fix="Give pairs of words of the corpus's language, or learn a larger vocabulary",
        )
    return {
        "kind": "similarity",
        "spearman": float(spearmanr(cosines, scores).statistic),
        "pairs": len(scores),
        "of": total,
    }


def analogy_figures(table: WordTable, path: Path) -> dict[str, Any]:
    """Accuracy of `a is to b as c is to ?`: the word nearest to b - a + c, these three left out
    (3CosAdd, Mikolov et al. 2013), among all words of the table.

    The file has lines of four words; those that begin with a colon name a section.

    Returns:
        `accuracy`, `questions` asked, and `of` how many; those with an unknown word are left out.
        By section, `sections`, accuracy and questions.

    Raises:
        InputError: a line is none of these.
        UsageError: no question has all its words known.
    """
    section, total = "", 0
    asked: list[tuple[int, int, int, int]] = []
    sections: list[str] = []
    for number, line in lines_of(read_text(path)):
        words = line.split()
        if not words or words[0].startswith(":"):
            section = line.removeprefix(":").strip() if words else section
            continue
        if len(words) != 4:
            raise InputError(
                f"has {len(words)} words, not four", path=path, line=number,
                fix="Write A B C D in a line, or : SECTION",
            )  # fmt: skip
        total += 1
        places = [table.place(word) for word in words]
        if None not in places:
            a, b, c, d = (place for place in places if place is not None)
            asked.append((a, b, c, d))
            sections.append(section)
    if not asked:
        raise UsageError(
            f"of its {total} analogies none has all its words known",
            path=path,
            fix="Give analogies of the corpus's language, or learn a larger vocabulary",
        )
    hits = _solved(table, np.array(asked))
    names = np.array(sections)
    return {
        "kind": "analogies",
        "accuracy": float(hits.mean()),
        "questions": len(asked),
        "of": total,
        "sections": {
            name: {"accuracy": float(hits[names == name].mean()),
                   "questions": int((names == name).sum())}
            for name in dict.fromkeys(sections)
        },
    }  # fmt: skip


def _solved(table: WordTable, asked: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Which of the questions, int64 [Q, 4], are answered right: bool [Q]."""
    words = np.array(sorted(table.places.values()))
    vectors = unit(table.vectors)
    known = vectors[words]
    row_of = np.full(len(table.vectors), -1)
    row_of[words] = np.arange(len(words))
    hits = []
    for first in range(0, len(asked), _AT_ONCE):
        a, b, c, d = asked[first : first + _AT_ONCE].T
        scores = (vectors[b] - vectors[a] + vectors[c]) @ known.T
        rows = np.arange(len(a))
        for given in (a, b, c):
            scores[rows, row_of[given]] = -np.inf
        hits.append(words[scores.argmax(1)] == d)
    return np.concatenate(hits)
