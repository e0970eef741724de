"""Laws of pairs: labels tell the truth about where the segments came from, and are balanced."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.files import LABEL_COLUMNS
from lmprep.checks.outcomes import RowLaw, statistical
from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.statistics import fair_split


def label_laws(contract: Contract) -> list[RowLaw]:
    """What every pair must obey."""
    if contract.pairs == "nsp":
        return [RowLaw("next-sentence labels", "1 where the documents differ", _nsp_broken)]
    if contract.pairs == "sop":
        return [RowLaw("sentence-order labels", "1 where swapped", _sop_broken)]
    return []


def _nsp_broken(batch: Batch) -> NDArray[np.bool_]:
    """Follows (0): the same document, a later sentence. Elsewhere (1): another document."""
    label = batch.values("next_sentence_label")
    same = batch.values("document") == batch.values("second_document")
    later = batch.values("second_sentence") > batch.values("first_sentence")
    kept: NDArray[np.bool_] = ((label == 0) & same & later) | ((label == 1) & ~same)
    return ~kept


def _sop_broken(batch: Batch) -> NDArray[np.bool_]:
    """In order (0): a later sentence of the same document. Swapped (1): an earlier one."""
    label = batch.values("sentence_order_label")
    same = batch.values("document") == batch.values("second_document")
    step = batch.values("second_sentence") - batch.values("first_sentence")
    kept: NDArray[np.bool_] = same & np.where(label == 0, step > 0, (label == 1) & (step < 0))
    return ~kept


class Balance:
    """Labels are half and half. Copies hold the same pairs: the first one is counted.

    Pairs that were dropped to keep the balance drew labels too.
    """

    def __init__(self, contract: Contract) -> None:
        self._column = LABEL_COLUMNS[contract.pairs]
        self._dropped = contract.manifest["drops"].get("nsp_balance_pairs", 0)
        self._counts = np.zeros(2, np.int64)

    def see(self, batch: Batch) -> None:
        if batch.copy == 0:
            labels = batch.values(self._column)
            self._counts += [int(np.sum(labels == 0)), int(np.sum(labels == 1))]

    def check(self) -> Check:
        zeros, ones = self._counts.tolist()
        verdict = fair_split(zeros, ones, zeros + ones + self._dropped)
        return statistical(
            "label balance",
            "half and half",
            f"{zeros} of 0, {ones} of 1",
            "standard errors",
            verdict,
        )
