"""Hidden n-grams of a batch, each a short text of its own, and who is a candidate for whom.

    [CLS] the [MASK] [MASK] on the mat [SEP]        context
    [CLS] cat sat [SEP]                             its n-gram

The candidates of a context are its own n-gram and those of the other rows of the batch; not those
from the same document, nor the same tokens from elsewhere, which are no wrong answers.

N rows, P of them with an n-gram, K tokens of the longest n-gram with its special tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.batches import Columns, plain, ragged
from lmprep.models.inputs import Ngrams
from lmprep.ragged import Ragged, offsets_of
from lmprep.shards.dense import padding_id
from lmprep.training.layout import values
from lmprep.vocabulary import Vocabulary

_MULTIPLE = 8  # of K: few shapes


def hidden_ngrams(
    columns: Columns, vocabulary: Vocabulary, flat_N: NDArray[np.int64]
) -> tuple[Ngrams, Tensor] | None:
    """The n-grams, and which of them is whose: int64 [P]. None where no row has one.

    Args:
        flat_N: where rows begin in the batch.
    """
    starts, lengths = ragged(columns, "span_starts"), ragged(columns, "span_lengths")
    rows = np.flatnonzero(starts.lengths)
    if len(rows) == 0:
        return None
    ngrams = _tokens(columns, rows, values(starts), values(lengths))
    ids_PK = _framed(ngrams, vocabulary)
    number = np.arange(len(rows))
    document = plain(columns, "document")[rows]
    _, same = np.unique(ids_PK, axis=0, return_inverse=True)
    same = same.reshape(-1)
    excluded_PP = (document[:, None] == document) | (same[:, None] == same)
    excluded_PP[number, number] = False
    found = Ngrams(
        ids_PK=torch.from_numpy(ids_PK),
        lengths_P=torch.from_numpy(ngrams.lengths + 2),
        contexts_P=torch.from_numpy(flat_N[rows]),
        excluded_PP=torch.from_numpy(excluded_PP),
    )
    return found, torch.from_numpy(number)


def _tokens(
    columns: Columns, rows: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Ragged:
    """The tokens of each n-gram: labels of the masked positions within it, which all are."""
    positions = ragged(columns, "masked_positions").take(rows)
    labels = ragged(columns, "masked_labels").take(rows)
    row = np.repeat(np.arange(len(rows)), positions.lengths)
    place = values(positions) - starts[row]
    inside = (place >= 0) & (place < lengths[row])
    return Ragged(values(labels)[inside], offsets_of(lengths))


def _framed(ngrams: Ragged, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Between the special tokens of a text, padded: [P, K]."""
    assert vocabulary.cls is not None
    assert vocabulary.sep is not None
    width = -(-(int(ngrams.lengths.max()) + 2) // _MULTIPLE) * _MULTIPLE
    ids_PK = np.full((len(ngrams), width), padding_id(vocabulary), np.int64)
    inner = ngrams.padded(width - 1, padding_id(vocabulary), np.int64)
    ids_PK[:, 0], ids_PK[:, 1:] = vocabulary.cls, inner
    ids_PK[np.arange(len(ngrams)), ngrams.lengths + 1] = vocabulary.sep
    return ids_PK
