"""What is checked of skipgram: rows thinned out by how often ids occur in the training documents.

`word_counts.npy` tells how often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.rows import length_law, vocabulary_law
from lmprep.checks.outcomes import statistical
from lmprep.checks.record import Batch, Check, Contract, Law, Subject
from lmprep.checks.statistics import LEAST_EXPECTED, UNDECIDED, Verdict, scatter
from lmprep.files import file_sha256
from lmprep.ragged import Ragged
from lmprep.shards.manifest import WORD_COUNTS

Flags = NDArray[np.bool_]

_CLASSES = 64


def word_counts(contract: Contract) -> NDArray[np.int64] | None:
    """How often each id occurs in the training documents, int64 [V]; None if that is not told
    by a table of counts."""
    try:
        # Mapped: a header that promises more than the file holds allocates nothing.
        counts = np.load(contract.folder / WORD_COUNTS, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    if counts.dtype != np.int64 or counts.shape != (contract.vocabulary.size,):
        return None
    if counts.min() < 0 or counts.max() == 0:
        return None
    found: NDArray[np.int64] = counts
    return found


def keep_chances(contract: Contract) -> NDArray[np.float64] | None:
    """With what probability an occurrence of each id stays: min(1, sqrt(t / f)); float64 [V]."""
    counts, t = word_counts(contract), float(contract.settings.subsample)
    if counts is None:
        return None
    if not t:
        return np.ones(len(counts))
    # An id that never occurs has no frequency; it may stay.
    ratio = np.sqrt(t * counts.sum() / np.maximum(1, counts))
    chances: NDArray[np.float64] = np.minimum(1.0, ratio)
    return chances


class WordCounts:
    """The file of counts is the manifest's; all training tokens are in it, none of them special."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    def see(self, batch: Batch) -> None:
        """Rows do not tell how often a token was dropped."""

    def check(self) -> Check:
        fault = self._fault()
        return Check(
            name="word counts",
            expected="as in the manifest, of every token of input",
            found="not so" if fault else "so",
            tolerance="",
            passed=not fault,
            detail=fault,
        )

    def _fault(self) -> str:
        contract = self._contract
        path: Path = contract.folder / WORD_COUNTS
        if not path.is_file() or file_sha256(path) != contract.manifest["word_counts"]["sha256"]:
            return f"{WORD_COUNTS} is missing or changed"
        counts = word_counts(contract)
        if counts is None:
            return f"{WORD_COUNTS} is no table of {contract.vocabulary.size} counts"
        if counts[~contract.vocabulary.maskable].any():
            return "special tokens have a count"
        total, stated = int(counts.sum()), contract.manifest["input_tokens"]
        if contract.manifest["part"] == "train" and total != stated:
            return f"{total} tokens, not {stated}"
        return ""


class Subsampling:
    """Occurrences of an id stay with the probability of its frequency, whatever the copy.

    In a held-out part only what stayed is known: each token that did stands for 1/p of them, and
    together they must be as many as went in.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._kept = np.zeros(contract.vocabulary.size, np.int64)

    def see(self, batch: Batch) -> None:
        self._kept += np.bincount(batch.flat("input_ids"), minlength=len(self._kept))

    def check(self) -> Check:
        counts, chances = word_counts(self._contract), keep_chances(self._contract)
        kept, total = int(self._kept.sum()), 0.0
        verdict = UNDECIDED
        if counts is not None and chances is not None:
            if self._contract.manifest["part"] == "train":
                total = float(counts @ chances) * self._contract.copies
                verdict = self._by_frequency(counts * self._contract.copies, chances)
            else:
                stated = self._contract.manifest["input_tokens"] * self._contract.copies
                total, verdict = self._held_out(stated, chances)
        return statistical(
            "subsampling", f"{total:.0f} tokens kept", f"{kept}", "chi-square", verdict
        )

    def _by_frequency(self, counts: NDArray[np.int64], chances: NDArray[np.float64]) -> Verdict:
        """Ids in classes of neighbouring frequency; those that always stay by themselves."""
        thinned = np.flatnonzero((chances < 1) & (counts > 0))
        thinned = thinned[np.argsort(counts[thinned], kind="stable")]
        mean = counts * chances
        variance = mean * (1 - chances)
        classes = np.minimum(
            _CLASSES - 1, np.arange(len(thinned)) * _CLASSES // max(1, len(thinned))
        )
        deviation = np.bincount(classes, (self._kept - mean)[thinned], _CLASSES).astype(np.float64)
        scattered = np.bincount(classes, variance[thinned], _CLASSES).astype(np.float64)
        often: Flags = scattered >= LEAST_EXPECTED
        certain = np.ones(len(chances), np.bool_)
        certain[thinned] = False
        if np.any(self._kept[certain] != counts[certain]):
            return Verdict(statistic=math.inf, p=0.0)
        return scatter(deviation[often], np.diag(scattered[often]), LEAST_EXPECTED)

    def _held_out(self, stated: int, chances: NDArray[np.float64]) -> tuple[float, Verdict]:
        seen = chances[self._kept > 0], self._kept[self._kept > 0]
        estimate = float(np.sum(seen[1] / seen[0]))
        variance = float(np.sum(seen[1] * (1 - seen[0]) / seen[0] ** 2))
        kept = float(self._kept.sum())
        verdict = scatter(np.array([estimate - stated]), np.array([[variance]]), kept)
        return kept * stated / max(1.0, estimate), verdict


def _skipgram_sound(contract: Contract) -> Sequence[Law]:
    return [length_law(0, contract.length), vocabulary_law("ids", "input_ids", contract)]


def _skipgram_ways(batch: Batch) -> NDArray[np.float64]:
    """A row comes out again with at most the chance that all that stayed stay again."""
    chances = keep_chances(batch.contract)
    if chances is None:
        return np.zeros(len(batch))
    ways = -np.log(chances[batch.flat("input_ids")])
    total = np.append(0.0, np.cumsum(ways))
    of_row: NDArray[np.float64] = total[batch.ids.offsets[1:]] - total[batch.ids.offsets[:-1]]
    return of_row


def _skipgram_scored(batch: Batch) -> int:
    lengths = batch.ids.lengths
    return int(lengths[lengths > 1].sum())


SKIPGRAM = Subject(
    frame="bare",
    columns=lambda contract: {"input_ids": "ids"},
    undo=lambda batch: Ragged(batch.flat("input_ids"), batch.ids.offsets),
    scored=_skipgram_scored,
    sound=_skipgram_sound,
    laws=lambda contract: [WordCounts(contract), Subsampling(contract)],
    redrawn=("input_ids",),
    ways=_skipgram_ways,
    restores=False,
)
