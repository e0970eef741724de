"""Figures of answers: scikit-learn's and seqeval's, and SQuAD's exact match and F1."""

from __future__ import annotations

import re
import string
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

Figures = dict[str, float]
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def label_figures(right: Sequence[str], given: Sequence[str]) -> Figures:
    """Accuracy, F1 as the plain mean over labels, Matthews correlation."""
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one label alone: then the correlation is 0
        matthews = float(matthews_corrcoef(right, given))
    return {
        "accuracy": float(accuracy_score(right, given)),
        "f1_macro": float(f1_score(right, given, average="macro", zero_division=0)),
        "matthews": matthews,
    }


def tag_figures(
    right: Sequence[Sequence[str]], given: Sequence[Sequence[str]], *, bio: bool
) -> Figures:
    """Of BIO labels precision, recall and F1 of whole entities; else as `label_figures`."""
    flat = [label for labels in right for label in labels]
    flat_given = [label for labels in given for label in labels]
    if not bio:
        return label_figures(flat, flat_given)
    from seqeval.metrics import f1_score, precision_score, recall_score

    pair = [list(labels) for labels in right], [list(labels) for labels in given]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of entities that are never found: then it is 0
        figures = {
            "f1": float(f1_score(*pair, zero_division=0)),
            "precision": float(precision_score(*pair, zero_division=0)),
            "recall": float(recall_score(*pair, zero_division=0)),
        }
    same = sum(a == b for a, b in zip(flat, flat_given, strict=True))
    return figures | {"accuracy": same / max(1, len(flat))}


def span_figures(
    right: Iterable[Sequence[tuple[int, int, str]]], given: Iterable[Sequence[tuple[int, int, str]]]
) -> Figures:
    """Precision, recall and F1 of spans that are right in both ends and label."""
    hits = wanted = found = 0
    for golds, spans in zip(right, given, strict=True):
        hits += len(set(golds) & set(spans))
        wanted += len(set(golds))
        found += len(set(spans))
    return {
        "f1": 2 * hits / max(1, wanted + found),
        "precision": hits / max(1, found),
        "recall": hits / max(1, wanted),
    }


def answer_figures(right: Sequence[Sequence[str]], given: Sequence[str]) -> Figures:
    """SQuAD's exact match and F1 (shares, not percentages): the best over the right answers.

    A question without right answers is right when nothing is answered.
    """
    exact = [max(exact_match(r, a) for r in answers or [""]) for answers, a in _pairs(right, given)]
    f1 = [max(word_f1(r, a) for r in answers or [""]) for answers, a in _pairs(right, given)]
    return {"f1": sum(f1) / max(1, len(f1)), "exact": sum(exact) / max(1, len(exact))}


def _pairs(
    right: Sequence[Sequence[str]], given: Sequence[str]
) -> Iterable[tuple[Sequence[str], str]]:
    return zip(right, given, strict=True)


def exact_match(right: str, given: str) -> float:
    """Whether two answers are the same but for case, punctuation, articles and spaces."""
    return float(normalized(right) == normalized(given))


def word_f1(right: str, given: str) -> float:
    """F1 of the words of an answer."""
    a, b = normalized(right).split(), normalized(given).split()
    if not a or not b:
        return float(a == b)
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b))


def normalized(text: str) -> str:
    """As SQuAD's evaluation program compares texts."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def main_figure(figures: Figures) -> str:
    """The one that decides which weights are best."""
    return "f1" if "f1" in figures else "accuracy"
