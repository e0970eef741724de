"""Losses and updates of the kernels equal slow, direct computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmprep.objectives.cooccurrence import fit_weights
from lmprep.vectors import kernels
from tests.vectors import slow_vectors

V, D, N, RATE = 12, 7, 3, 0.1


@pytest.fixture
def tables() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    return tuple(random.normal(0, 0.7, (V, D)).astype(np.float32) for _ in range(2))


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, V, shape).astype(np.int32)


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.allclose(found, expected, rtol=1e-4, atol=1e-5))


def test_skipgram_learns_as_the_slow_twin(tables):
    inputs, outputs = tables
    slow_inputs, slow_outputs = (table.astype(np.float64) for table in tables)
    centres, contexts, negatives = drawn(40), drawn(40)[::-1].copy(), drawn(40, N)
    first, slope = RATE, -0.002
    expected = 0.0
    for p in range(40):
        words = [contexts[p], *negatives[p]]
        loss, move = slow_vectors.predict(
            slow_inputs[centres[p]], words, first + p * slope, slow_outputs
        )
        slow_inputs[centres[p]] += move
        expected += loss

    found = kernels.skipgram(centres, contexts, negatives, (first, slope), inputs, outputs)

    assert found == pytest.approx(expected, rel=1e-5)
    assert close(inputs, slow_inputs)
    assert close(outputs, slow_outputs)


def test_cbow_learns_as_the_slow_twin(tables):
    inputs, outputs = tables
    slow_inputs, slow_outputs = (table.astype(np.float64) for table in tables)
    centres, negatives = drawn(20), drawn(20, N)
    offsets = np.concatenate([[0], np.cumsum(1 + np.arange(20) % 4)])
    around = drawn(int(offsets[-1]), 1).ravel()
    expected = 0.0
    for c in range(20):
        words = around[offsets[c] : offsets[c + 1]]
        mean = slow_inputs[words].mean(0)
        loss, move = slow_vectors.predict(mean, [centres[c], *negatives[c]], RATE, slow_outputs)
        for word in words:
            slow_inputs[word] += move / len(words)
        expected += loss

    found = kernels.cbow(centres, (around, offsets), negatives, (RATE, 0.0), inputs, outputs)

    assert found == pytest.approx(expected, rel=1e-5)
    assert close(inputs, slow_inputs)
    assert close(outputs, slow_outputs)


def test_an_update_of_skipgram_is_the_gradient_of_its_loss(tables):
    inputs, outputs = tables
    words = np.array([3, 1, 8, 5], np.int32)
    vector = torch.tensor(inputs[2], dtype=torch.float64, requires_grad=True)
    rows = torch.tensor(outputs[words], dtype=torch.float64, requires_grad=True)
    loss = slow_vectors.sampling_loss(vector, rows)
    loss.backward()
    before = inputs[2].copy(), outputs[words]

    one = np.array([2], np.int32)
    found = kernels.skipgram(one, words[:1], words[None, 1:], (RATE, 0.0), inputs, outputs)

    assert found == pytest.approx(loss.item(), rel=1e-5)
    assert close(inputs[2], before[0] - RATE * vector.grad.numpy())
    assert close(outputs[words], before[1] - RATE * rows.grad.numpy())


def test_an_update_of_cbow_is_the_gradient_of_its_loss(tables):
    inputs, outputs = tables
    around, words = np.array([2, 4, 7], np.int32), np.array([3, 1, 8, 5], np.int32)
    vectors = torch.tensor(inputs[around], dtype=torch.float64, requires_grad=True)
    rows = torch.tensor(outputs[words], dtype=torch.float64, requires_grad=True)
    loss = slow_vectors.sampling_loss(vectors.mean(0), rows)
    loss.backward()
    before = inputs[around], outputs[words]

    window = (around, np.array([0, 3]))
    found = kernels.cbow(words[:1], window, words[None, 1:], (RATE, 0.0), inputs, outputs)

    assert found == pytest.approx(loss.item(), rel=1e-5)
    assert close(inputs[around], before[0] - RATE * vectors.grad.numpy())
    assert close(outputs[words], before[1] - RATE * rows.grad.numpy())


def test_glove_learns_by_adagrad_on_half_the_gradient_of_its_loss(tables):
    inputs, outputs = tables
    biases = np.linspace(-1, 1, V).astype(np.float32), np.linspace(1, -2, V).astype(np.float32)
    parameters = (inputs, outputs, *biases)
    squares = tuple(np.full_like(p, 1.5) for p in parameters)
    i, j, count = 3, 8, 50.0
    weight = float(fit_weights(np.array([count]))[0])
    w, c = (
        torch.tensor(t, dtype=torch.float64, requires_grad=True) for t in (inputs[i], outputs[j])
    )
    b = torch.tensor([biases[0][i], biases[1][j]], dtype=torch.float64, requires_grad=True)
    loss = slow_vectors.count_loss(w, c, b, count, weight)
    loss.backward()
    slopes = [g.grad.numpy() / 2 for g in (w, c, b)]
    before = inputs[i].copy(), outputs[j].copy(), np.array([biases[0][i], biases[1][j]])

    found = kernels.glove(
        np.array([i], np.int32), np.array([j], np.int32), np.log([count]), np.array([weight]),
        RATE, parameters, squares,
    )  # fmt: skip

    assert weight == pytest.approx(0.5946, abs=1e-4)
    assert found == pytest.approx(loss.item(), rel=1e-5)
    after = inputs[i], outputs[j], np.array([biases[0][i], biases[1][j]])
    for now, then, slope in zip(after, before, slopes, strict=True):
        assert close(now, then - RATE * slope / np.sqrt(1.5))
    assert close(squares[0][i], 1.5 + slopes[0] ** 2)
    assert close(squares[1][j], 1.5 + slopes[1] ** 2)
    assert close(np.array([squares[2][i], squares[3][j]]), 1.5 + slopes[2] ** 2)
    untouched = [row for row in range(V) if row != i]
    assert np.all(squares[0][untouched] == 1.5)


def test_a_rate_of_nothing_changes_nothing(tables):
    inputs, outputs = tables
    before = inputs.copy(), outputs.copy()
    loss = kernels.skipgram(drawn(9), drawn(9), drawn(9, N), (0.0, 0.0), inputs, outputs)

    assert loss > 0
    assert np.array_equal(inputs, before[0])
    assert np.array_equal(outputs, before[1])


def test_scores_of_any_size_give_a_finite_loss():
    inputs, outputs = (np.full((2, 4), s, np.float32) for s in (1e3, -1e3))
    ids = np.zeros(500, np.int32)
    loss = kernels.skipgram(ids, ids, np.ones((500, N), np.int32), (0.0, 0.0), inputs, outputs)

    assert np.isfinite(loss)
