"""How often each token occurs in the training rows: the baseline a model must beat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmprep.errors import CheckpointError
from lmprep.files import atomic_file
from lmprep.keyed_random import key_for, permutation
from lmprep.objectives import stored_objective
from lmprep.shards.reader import Dataset

FILE = "unigram.npy"
# Enough for a rank of 30,000 tokens, and read in about a second.
_SAMPLED_TOKENS = 2_000_000
_ROWS_AT_ONCE = 4096


def count_unigrams(
    datasets: list[Dataset], seed: int, sampled_tokens: int = _SAMPLED_TOKENS
) -> NDArray[np.int64]:
    """Counts of the original tokens of a keyed sample of rows, int64 [V].

    Tokens a mask cannot fall on are not counted: they are never predicted.
    """
    tokens = sum(entry["tokens"] for dataset in datasets for entry in dataset.shards)
    share = min(1.0, sampled_tokens / max(1, tokens))
    counts = np.zeros(datasets[0].vocabulary.size, np.int64)
    for number, dataset in enumerate(datasets):
        wanted = min(len(dataset), int(np.ceil(share * len(dataset))))
        objective, settings = stored_objective(dataset.manifest)
        assert objective.restore is not None
        rows = permutation(len(dataset), key_for(seed, "unigram", source=number), 0, wanted)
        for start in range(0, wanted, _ROWS_AT_ONCE):
            columns = dataset.rows(rows[start : start + _ROWS_AT_ONCE])
            ids = objective.restore(columns, settings, dataset.vocabulary).ids
            counts += np.bincount(ids, minlength=len(counts))
    return counts * datasets[0].vocabulary.maskable


def save_unigrams(run: Path, counts: NDArray[np.int64]) -> None:
    """Write the counts into a run folder."""
    with atomic_file(run / FILE) as file:
        np.save(file, counts, allow_pickle=False)


def load_unigrams(run: Path) -> NDArray[np.int64]:
    """Read them back.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = run / FILE
    try:
        counts: NDArray[np.int64] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise CheckpointError(
            "the token counts are not readable",
            path=path,
            fix="Remove the file and count anew with lmprep pretrain --resume",
        ) from None
    return counts
