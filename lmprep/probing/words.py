"""Vectors of words: in their sentence, and without one.

E width of the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lmprep.finetuning.network import features
from lmprep.finetuning.rows import inputs_of, ranges, rows_of, sorted_groups
from lmprep.inference.pretrained import Asked
from lmprep.models.bi_lstm import BiLstmModel
from lmprep.models.decoder import DecoderModel
from lmprep.models.stacks import Stack
from lmprep.training.devices import computing_in

Floats = NDArray[np.float32]
_LONGEST = 512
_BATCH = 64


@torch.no_grad()
def in_context(
    asked: Asked, sentences: Sequence[Sequence[str]], places: Sequence[int], layers: str
) -> tuple[Floats, NDArray[np.bool_]]:
    """The vector of one word in each sentence: the mean of its tokens' hidden states.

    Args:
        places: of the words, counted from 0.
        layers: one of `inference.embedding.POOLED_LAYERS`.

    Returns:
        float32 [N, E]; bool [N], False where the word stands behind what the model takes of a
        sentence: its vector is 0.
    """
    ids, word_of_token = asked.encoder.words(sentences)
    length = min(_LONGEST, asked.limit() or _LONGEST)
    rows = rows_of(ids, None, asked.vocabulary, length)
    wanted = np.repeat(np.asarray(places), ids.lengths) == word_of_token
    model, pad = asked.model, asked.vocabulary.pad or 0
    found: list[Floats] = []
    inside: list[NDArray[np.bool_]] = []
    order = sorted_groups(rows, _BATCH)
    for chosen in order:
        inputs, _ = inputs_of(rows, chosen, model.settings, pad, model.device)
        with computing_in(asked.precision, model.device):
            x_BLE = features(model, inputs, layers)[:, :, 0].float().cpu()
        word_BL = np.zeros(x_BLE.shape[:2], np.bool_)
        for row, number in enumerate(chosen.tolist()):
            first = int(rows.first_places[number])
            kept = int(rows.lengths[number]) - first - 1  # without the end of the row
            start = ids.offsets[number]
            marks = wanted[start : start + max(0, min(kept, int(ids.lengths[number])))]
            word_BL[row, first : first + len(marks)] = marks
        weight_BL1 = torch.from_numpy(word_BL).float()[:, :, None]
        counts_B1 = weight_BL1.sum(1)
        found.append(((x_BLE * weight_BL1).sum(1) / counts_B1.clamp(min=1)).numpy())
        inside.append((counts_B1[:, 0] > 0).numpy())
    vectors = np.empty((len(sentences), found[0].shape[1]), np.float32)
    known = np.empty(len(sentences), np.bool_)
    vectors[np.concatenate(order)] = np.concatenate(found)
    known[np.concatenate(order)] = np.concatenate(inside)
    return vectors, known


def alone(asked: Asked, words: Sequence[str]) -> Floats:
    """The input embedding of each word, the mean of its tokens': float32 [N, E]."""
    table = embeddings_of(asked)
    ids, _ = asked.encoder.words([[word] for word in words])
    sums = np.zeros((len(words), table.shape[1]), np.float32)
    rows = np.repeat(np.arange(len(words)), ids.lengths)
    np.add.at(sums, rows, table[ids.values[ranges(ids.offsets[:-1], ids.lengths)]])
    return np.asarray(sums / np.maximum(ids.lengths, 1)[:, None], np.float32)


@torch.no_grad()
def embeddings_of(asked: Asked) -> Floats:
    """The input embeddings of all tokens: float32 [V, E]."""
    model = asked.model
    if isinstance(model, BiLstmModel):
        ids_V = torch.arange(model.settings.vocabulary_size, device=model.device)
        table = getattr(model, "spelled", None) or model.tokens
        return np.asarray(table(ids_V[None])[0].float().cpu().numpy(), np.float32)
    stack = model.decoder if isinstance(model, DecoderModel) else model.encoder
    assert isinstance(stack, Stack)
    return np.asarray(stack.tokens.weight.float().cpu().numpy(), np.float32)


def unit(vectors: Floats) -> Floats:
    """Vectors of length 1; those of 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
