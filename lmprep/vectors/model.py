"""Word vectors in training: what is learnt, how a block teaches it, and what comes out.

V vocabulary, D width of the vectors.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.keyed_random import key_for
from lmprep.objectives.cbow import Windows
from lmprep.objectives.skipgram import Pairs
from lmprep.vectors import kernels
from lmprep.vectors.settings import VectorSettings

Floats = NDArray[np.float32]
Rates = tuple[float, float]
"""The learning rate of the first prediction of a block, and what each further one adds to it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedCounts:
    """Counts to be fitted.

    Args:
        words, contexts: int32 [P].
        logs: float64 [P], of the counts.
        weights: float64 [P], what each counts in the loss.
    """

    words: NDArray[np.int32]
    contexts: NDArray[np.int32]
    logs: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.words)


Block = Pairs | Windows | WeightedCounts


class WordVectors:
    """Vectors of words and of contexts, with biases for GloVe.

    Args:
        settings: of the training.
        vocabulary_size: V.

    Attributes:
        parameters: float32, `vectors` and `contexts` [V, D]; for GloVe also `biases` and
            `context_biases` [V].
        squares: AdaGrad's sums of squares, of the same names and shapes; empty but for GloVe.
    """

    def __init__(self, settings: VectorSettings, vocabulary_size: int) -> None:
        self.glove = settings.family == "glove"
        self._removed = settings.removed or 0
        shape = (vocabulary_size, settings.width)
        random = np.random.default_rng(int(key_for(settings.seed, "vectors")))

        def drawn(*shape: int) -> Floats:
            scale = settings.width + 1 if self.glove else settings.width
            return ((random.random(shape, np.float32) - np.float32(0.5)) / scale).astype(np.float32)

        self.parameters = {"vectors": drawn(*shape)}
        if self.glove:
            self.parameters["contexts"] = drawn(*shape)
            self.parameters["biases"] = drawn(vocabulary_size)
            self.parameters["context_biases"] = drawn(vocabulary_size)
        else:
            self.parameters["contexts"] = np.zeros(shape, np.float32)
        self.squares = (
            {name: np.ones_like(value) for name, value in self.parameters.items()}
            if self.glove
            else {}
        )

    def start_from(self, vectors: Floats, contexts: Floats, biases: Floats) -> None:
        """Add to GloVe's first, small vectors and biases others, which may have fewer values.

        Args:
            vectors, contexts: float32 [V, at most D].
            biases: float32 [V], of words and of contexts.
        """
        known = vectors.shape[1]
        self.parameters["vectors"][:, :known] += vectors
        self.parameters["contexts"][:, :known] += contexts
        self.parameters["biases"] += biases
        self.parameters["context_biases"] += biases

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parameters and AdaGrad's sums, in the same memory."""
        return _as_tensors(self.parameters), _as_tensors(self.squares)

    def load(self, parameters: dict[str, Tensor], squares: dict[str, Tensor]) -> None:
        """The way back from `tensors`."""
        for there, values in ((self.parameters, parameters), (self.squares, squares)):
            for name, value in values.items():
                there[name][:] = value.numpy()

    def result(self) -> Floats:
        """The vectors to use, [V, D]: of GloVe the sum of both (section 4.2), else the first; less
        their mean and largest components."""
        vectors, contexts = self.parameters["vectors"], self.parameters["contexts"]
        return without_components(vectors + contexts if self.glove else vectors, self._removed)

    def learn(self, block: Block, rates: Rates, pool: ThreadPoolExecutor | None = None) -> float:
        """Learn from a block, in as many parts as `pool` has threads; the sum of the losses."""
        if pool is None:
            return self._learn(block, rates, 0, len(block))
        parts = pool._max_workers
        bounds = [len(block) * part // parts for part in range(parts + 1)]
        works = [
            pool.submit(self._learn, block, rates, first, stop) for first, stop in pairwise(bounds)
        ]
        return sum(work.result() for work in works)

    def loss(self, block: Block) -> float:
        """The sum of the losses; nothing is learnt."""
        squares = self.squares
        self.squares = {name: np.ones_like(value) for name, value in squares.items()}
        try:
            return self._learn(block, (0.0, 0.0), 0, len(block))
        finally:
            self.squares = squares

    def _learn(self, block: Block, rates: Rates, first: int, stop: int) -> float:
        """Learn from items first to stop - 1 of a block."""
        inputs, outputs = self.parameters["vectors"], self.parameters["contexts"]
        rate, slope = rates
        rates = (rate + first * slope, slope)
        cut = slice(first, stop)
        if isinstance(block, WeightedCounts):
            return kernels.glove(
                block.words[cut],
                block.contexts[cut],
                block.logs[cut],
                block.weights[cut],
                rate,
                _four(self.parameters),
                _four(self.squares),
            )
        if isinstance(block, Pairs):
            return kernels.skipgram(
                block.centres[cut],
                block.contexts[cut],
                block.negatives[cut],
                rates,
                inputs,
                outputs,
            )
        return kernels.cbow(
            block.centres[cut],
            (block.around.values, block.around.offsets[first : stop + 1]),
            block.negatives[cut],
            rates,
            inputs,
            outputs,
        )


def without_components(vectors: Floats, count: int) -> Floats:
    """Vectors less their mean and their `count` largest principal components; as they are for 0.

    Args:
        vectors: float32 [V, D].
        count: below D.
    """
    if not count:
        return vectors
    centred = vectors - vectors.mean(0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)  # the largest comes last
    largest = directions[:, -count:]
    left: Floats = (centred - (centred @ largest) @ largest.T).astype(np.float32)
    return left


def _four(arrays: dict[str, Floats]) -> tuple[Floats, Floats, Floats, Floats]:
    """GloVe's parameters, or their sums, as its kernel takes them."""
    return (
        arrays["vectors"], arrays["contexts"], arrays["biases"], arrays["context_biases"]
    )  # fmt: skip


def _as_tensors(arrays: dict[str, Floats]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
