"""Senses of words: are uses of one sense nearer to each other than uses of different ones?

Files are tables (tsv, csv, jsonl) of sentences, their words parted by spaces and counted from 0:

    lemma  sense  index  sentence                          occurrences with their senses
    lemma  index1  index2  sentence1  sentence2  label     pairs: one sense (T) or two (F)?

Nearness is the cosine of the words' vectors. A static vector is the same in all sentences: all that
it can tell apart are the forms of a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.errors import InputError, UsageError
from lmprep.finetuning.reading import Record, format_of, read_records
from lmprep.inference.pretrained import Asked
from lmprep.probing.words import Floats, alone, in_context, unit

_MOST = 400  # occurrences of a lemma that are compared
_TRUE = ("T", "true", "True", "1")


@dataclass(frozen=True, kw_only=True)
class Uses:
    """Words in sentences.

    Args:
        words: int64 [N], the place of the word in each sentence.
    """

    sentences: list[list[str]]
    places: list[int]

    @property
    def forms(self) -> list[str]:
        """The words as they stand there."""
        return [words[place] for words, place in zip(self.sentences, self.places, strict=True)]


def sense_figures(asked: Asked, path: Path, layers: str) -> dict[str, Any]:
    """How well vectors tell senses apart, in context and without.

    Returns:
        `kind`, `senses` or `pairs`; `examples` compared, `cut`, those behind the model's length,
        left out. For `contextual` and `static` vectors `auc`, the probability that uses of one
        sense are nearer than uses of different ones (0.5 is chance); of senses the mean over lemmas
        with `lemmas`, by lemma, and `above_chance`, the share of lemmas above 0.5; of pairs also
        `accuracy`, by the best threshold of the other half, and `majority`.

    Raises:
        InputError: a row is not what it should be.
        UsageError: no such file, or neither kind of table.
    """
    records = read_records(path, format_of(path, ""))
    if records and "sense" in records[0].values:
        return _senses(asked, records, path, layers)
    if records and "sentence2" in records[0].values:
        return _pairs(asked, records, path, layers)
    raise UsageError(
        "it has neither the columns lemma, sense, index, sentence nor those of pairs",
        path=path,
        fix="See `lmprep docs evaluation`",
    )


def uses_of(records: Sequence[Record], index: str, sentence: str, path: Path) -> Uses:
    """The word that each record points to."""
    sentences, places = [], []
    for record in records:
        words = str(record.values.get(sentence, "")).split(" ")
        written = str(record.values.get(index, ""))
        if not written.isdecimal() or int(written) >= len(words):
            raise InputError(
                f"{index} is {written!r}, the number of none of {len(words)} words",
                path=path,
                line=record.line,
                fix="Part words by single spaces, and count them from 0",
            )
        sentences.append(words)
        places.append(int(written))
    return Uses(sentences=sentences, places=places)


def _both(asked: Asked, uses: Uses, layers: str) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """Contextual and static vectors of uses, of length 1; which were within the model's length."""
    vectors, known = in_context(asked, uses.sentences, uses.places, layers)
    return {"contextual": unit(vectors), "static": unit(alone(asked, uses.forms))}, known


def _senses(asked: Asked, records: list[Record], path: Path, layers: str) -> dict[str, Any]:
    uses = uses_of(records, "index", "sentence", path)
    vectors, known = _both(asked, uses, layers)
    lemmas = np.array([str(record.values["lemma"]) for record in records])
    senses = np.array([str(record.values["sense"]) for record in records])
    found: dict[str, dict[str, float]] = {"contextual": {}, "static": {}}
    for lemma in np.unique(lemmas).tolist():
        chosen = np.flatnonzero((lemmas == lemma) & known)
        chosen = chosen[np.linspace(0, len(chosen) - 1, min(_MOST, len(chosen))).astype(int)]
        first, second = np.triu_indices(len(chosen), 1)
        same = senses[chosen][first] == senses[chosen][second]
        if same.all() or not same.any():
            continue
        for kind, all_vectors in vectors.items():
            cosines = (all_vectors[chosen] @ all_vectors[chosen].T)[first, second]
            found[kind][lemma] = auc(cosines, same)
    if not found["static"]:
        raise InputError(
            "no lemma has two senses of which one occurs twice",
            path=path,
            fix="Give more uses of each word: two of one sense and one of another at least",
        )
    figures = {
        kind: {
            "auc": float(np.mean(list(by_lemma.values()))),
            "above_chance": float(np.mean([value > 0.5 for value in by_lemma.values()])),
            "lemmas": by_lemma,
        }
        for kind, by_lemma in found.items()
    }
    return {"kind": "senses", "examples": int(known.sum()), "cut": int((~known).sum()), **figures}


def _pairs(asked: Asked, records: list[Record], path: Path, layers: str) -> dict[str, Any]:
    sides = [uses_of(records, f"index{n}", f"sentence{n}", path) for n in (1, 2)]
    (first, known), (second, also) = (_both(asked, uses, layers) for uses in sides)
    kept = known & also
    same = np.array([str(record.values.get("label")) in _TRUE for record in records])[kept]
    if same.all() or not same.any():
        raise InputError(
            "all pairs have one label",
            path=path,
            fix="Give pairs of both labels: of the same sense (T) and of different ones (F)",
        )
    figures = {}
    for kind in first:
        cosines = (first[kind] * second[kind]).sum(1)[kept]
        figures[kind] = {"auc": auc(cosines, same), "accuracy": _accuracy(cosines, same)}
    return {
        "kind": "pairs",
        "examples": int(kept.sum()),
        "cut": int((~kept).sum()),
        "majority": float(max(same.mean(), 1 - same.mean())),
        **figures,
    }


def auc(scores: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """The probability that a right one has the higher score; equal scores count half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(right, scores))


def _accuracy(scores: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """With the threshold that is best on every other example, for the rest; both ways."""
    even = np.arange(len(scores)) % 2 == 0
    hits = 0
    for held in (even, ~even):
        cuts = np.sort(scores[~held])
        at_least = scores[~held][None] >= cuts[:, None]
        best = cuts[(at_least == right[~held]).mean(1).argmax()]
        hits += int(((scores[held] >= best) == right[held]).sum())
    return hits / len(scores)


def sense_map(asked: Asked, path: Path, word: str, layers: str) -> dict[str, Any]:
    """The uses of a lemma in the plane of their two largest principal components.

    Returns:
        `x`, `y`, `sense` and `text` of each use, the text shortened around the word.

    Raises:
        UsageError: the lemma does not occur twice.
    """
    records = read_records(path, format_of(path, ""))
    chosen = [record for record in records if str(record.values.get("lemma")) == word]
    if len(chosen) < 2:
        known = sorted({str(record.values.get("lemma")) for record in records})
        raise UsageError(
            f"{word} occurs {len(chosen)} times", path=path,
            fix=f"Choose another, such as {', '.join(known[:5])}",
        )  # fmt: skip
    uses = uses_of(chosen, "index", "sentence", path)
    vectors, known_N = in_context(asked, uses.sentences, uses.places, layers)
    centred = vectors[known_N] - vectors[known_N].mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ axes[:2].T
    texts = [
        " ".join(words[max(0, place - 3) : place + 4])
        for words, place, kept in zip(uses.sentences, uses.places, known_N, strict=True)
        if kept
    ]
    senses = [
        str(record.values["sense"]) for record, kept in zip(chosen, known_N, strict=True) if kept
    ]
    return {"x": plane[:, 0].tolist(), "y": plane[:, 1].tolist(), "sense": senses, "text": texts}
