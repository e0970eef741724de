"""Stochastic gradient descent on word vectors: one update for each pair, window or count.

Skip-gram and CBOW with negative sampling (word2vec, arXiv:1310.4546, section 2.2): for an input
vector v, the output vector u of the true word and those of the negatives n

    loss = -log s(u v) - sum over n of log s(-n v)        s(x) = 1 / (1 + exp(-x))

v is the centre's own vector (skip-gram), or the mean of those around it (CBOW, where each of them
gets its share of the gradient; word2vec's code gives each the whole of it). The words of one
prediction are taken one after another, as in word2vec's code: a word that is drawn twice sees the
first update at the second.

GloVe (Pennington et al. 2014, section 3), for a count x of the words i and j

    loss = f(x) (w_i w~_j + b_i + b~_j - log x)^2

with AdaGrad, as in its code, on half of this loss; the sum of squares of each parameter begins at
1, and is added to after the update.

V vocabulary, D width of the vectors, P pairs, C windows, W words around all of them, N negatives.
All parameters are float32 and are changed in place.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import float_kernel, inline_kernel

Floats = NDArray[np.float32]
Ids = NDArray[np.int32]

# No sigmoid overflows, and the product of many stays a number: exp(-30) is 1e-13.
_LARGEST = 30.0
_SMALLEST = 1e-200


@inline_kernel
def _towards(label: float, score: float, rate: float, probability: float) -> tuple[float, float]:
    """How far to go along the other vector, and the probability of all labels so far."""
    score = min(max(score, -_LARGEST), _LARGEST)
    true = 1.0 / (1.0 + math.exp(-score))
    return rate * (label - true), probability * (true if label else 1.0 - true)


@float_kernel
def skipgram(
    centres: Ids,
    contexts: Ids,
    negatives: Ids,
    rates: tuple[float, float],
    inputs: Floats,
    outputs: Floats,
) -> float:
    """Learn from pairs: the sum of their losses, each before its update.

    Args:
        centres, contexts, negatives: int32 [P], [P] and [P, N].
        rates: learning rate of the first pair and what each further one adds to it.
        inputs, outputs: float32 [V, D].
    """
    width = inputs.shape[1]
    first, slope = rates
    gradient = np.empty(width, np.float32)
    loss, probability = 0.0, 1.0
    for pair in range(len(centres)):
        rate = first + pair * slope
        centre = centres[pair]
        for d in range(width):
            gradient[d] = 0
        for n in range(-1, negatives.shape[1]):
            word = contexts[pair] if n < 0 else negatives[pair, n]
            score = np.float32(0)
            for d in range(width):
                score += inputs[centre, d] * outputs[word, d]
            far, probability = _towards(1.0 if n < 0 else 0.0, float(score), rate, probability)
            step = np.float32(far)
            for d in range(width):
                gradient[d] += step * outputs[word, d]
                outputs[word, d] += step * inputs[centre, d]
        for d in range(width):
            inputs[centre, d] += gradient[d]
        if probability < _SMALLEST:
            loss -= math.log(probability)
            probability = 1.0
    return loss - math.log(probability)


@float_kernel
def cbow(
    centres: Ids,
    around: tuple[Ids, NDArray[np.int64]],
    negatives: Ids,
    rates: tuple[float, float],
    inputs: Floats,
    outputs: Floats,
) -> float:
    """Learn from windows: the sum of their losses, each before its update.

    Args:
        centres, negatives: int32 [C] and [C, N].
        around: the words, int32 [W], and where those of each window begin, int64 [C + 1].
        rates: learning rate of the first window and what each further one adds to it.
        inputs, outputs: float32 [V, D].
    """
    width = inputs.shape[1]
    first, slope = rates
    words, offsets = around
    mean, gradient = np.empty(width, np.float32), np.empty(width, np.float32)
    loss, probability = 0.0, 1.0
    for centre in range(len(centres)):
        rate = first + centre * slope
        begin, end = offsets[centre], offsets[centre + 1]
        share = np.float32(1.0 / (end - begin))
        for d in range(width):
            mean[d] = gradient[d] = 0
        for place in range(begin, end):
            word = words[place]
            for d in range(width):
                mean[d] += share * inputs[word, d]
        for n in range(-1, negatives.shape[1]):
            word = centres[centre] if n < 0 else negatives[centre, n]
            score = np.float32(0)
            for d in range(width):
                score += mean[d] * outputs[word, d]
            far, probability = _towards(1.0 if n < 0 else 0.0, float(score), rate, probability)
            step = np.float32(far)
            for d in range(width):
                gradient[d] += step * outputs[word, d]
                outputs[word, d] += step * mean[d]
        for place in range(begin, end):
            word = words[place]
            for d in range(width):
                inputs[word, d] += share * gradient[d]
        if probability < _SMALLEST:
            loss -= math.log(probability)
            probability = 1.0
    return loss - math.log(probability)


@float_kernel
def glove(
    words: Ids,
    contexts: Ids,
    logs: NDArray[np.float64],
    weights: NDArray[np.float64],
    rate: float,
    parameters: tuple[Floats, Floats, Floats, Floats],
    squares: tuple[Floats, Floats, Floats, Floats],
) -> float:
    """Learn from counts: the sum of their losses, each before its update.

    Args:
        words, contexts: int32 [P].
        logs: float64 [P], of the counts.
        weights: float64 [P], f of the counts.
        rate: learning rate.
        parameters: vectors of words and of contexts, float32 [V, D]; biases of both, float32 [V].
        squares: AdaGrad's sums, one for each parameter.
    """
    inputs, outputs, input_biases, output_biases = parameters
    input_squares, output_squares, input_bias_squares, output_bias_squares = squares
    width = inputs.shape[1]
    loss = 0.0
    for pair in range(len(words)):
        i, j = words[pair], contexts[pair]
        score = np.float32(0)
        for d in range(width):
            score += inputs[i, d] * outputs[j, d]
        error = score + input_biases[i] + output_biases[j] - logs[pair]
        loss += weights[pair] * error * error
        slope = np.float32(weights[pair] * error)
        step = np.float32(rate)
        for d in range(width):
            of_input, of_output = slope * outputs[j, d], slope * inputs[i, d]
            inputs[i, d] -= step * of_input / np.sqrt(input_squares[i, d])
            outputs[j, d] -= step * of_output / np.sqrt(output_squares[j, d])
            input_squares[i, d] += of_input * of_input
            output_squares[j, d] += of_output * of_output
        input_biases[i] -= step * slope / np.sqrt(input_bias_squares[i])
        output_biases[j] -= step * slope / np.sqrt(output_bias_squares[j])
        input_bias_squares[i] += slope * slope
        output_bias_squares[j] += slope * slope
    return loss


@float_kernel
def add_information(
    words: Ids,
    contexts: Ids,
    logs: NDArray[np.float64],
    biases: NDArray[np.float64],
    factor: Floats,
    product: Floats,
) -> None:
    """Add to a product what some counts contribute: their positive PMI times rows of a factor.

    Args:
        words, contexts: int32 [P].
        logs: float64 [P], of the counts.
        biases: float64 [V], log x_i - log(x) / 2 (see `spectral`).
        factor, product: float32 [V, K].
    """
    width = factor.shape[1]
    for pair in range(len(words)):
        i, j = words[pair], contexts[pair]
        information = np.float32(logs[pair] - biases[i] - biases[j])
        if information > 0:
            for k in range(width):
                product[i, k] += information * factor[j, k]
