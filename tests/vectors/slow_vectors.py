"""Slow, direct computations of what the kernels of word vectors do, in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lmprep.keyed_random import integer_below
from lmprep.objectives.skipgram import noise_id

Floats = NDArray[np.float64]


def sampling_loss(vector: Tensor, outputs: Tensor) -> Tensor:
    """Negative sampling: the first row of the outputs is the true word's, the others are not."""
    scores = outputs @ vector
    return -F.logsigmoid(scores[0]) - F.logsigmoid(-scores[1:]).sum()


def count_loss(w: Tensor, c: Tensor, biases: Tensor, count: float, weight: float) -> Tensor:
    """GloVe's loss of one count."""
    return weight * (w @ c + biases.sum() - math.log(count)) ** 2


def predict(vector: Floats, words: list[int], rate: float, outputs: Floats) -> tuple[float, Floats]:
    """One prediction, word after word: the loss, and what the vector is to move by.

    Args:
        words: the true one, then the negatives.
        outputs: [V, D], changed in place.
    """
    loss, move = 0.0, np.zeros_like(vector)
    for n, word in enumerate(words):
        true = 1 / (1 + math.exp(-float(vector @ outputs[word])))
        loss -= math.log(true if n == 0 else 1 - true)
        step = rate * ((n == 0) - true)
        move += step * outputs[word]
        outputs[word] += step * vector
    return loss, move


def windows(row: list[int], window: int, negatives: int, noise: Any, key: np.uint64) -> list[Any]:
    """(centre, what stands around it, negatives) of one row."""
    found = []
    for i, centre in enumerate(row if len(row) > 1 else []):
        counter = (1 + negatives) * i
        reach = 1 + integer_below(window, key, counter)
        around = row[max(0, i - reach) : i] + row[i + 1 : i + 1 + reach]
        law = (noise.bounds, noise.guide, noise.shift)
        drawn = [noise_id(law, key, counter + 1 + n) for n in range(negatives)]
        found.append((centre, around, drawn))
    return found
