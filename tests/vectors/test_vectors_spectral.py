"""GloVe's spectral start is what dense linear algebra finds, and a start worth having."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gensim.models import KeyedVectors

from lmprep.settings import CorpusSettings, VocabSettings
from lmprep.vectors.settings import VectorSettings
from lmprep.vectors.spectral import spectral_start
from lmprep.vectors.training import train_vectors
from lmprep.vectors.work import Work
from lmprep.vocab import make_vocabulary
from tests.corpora import build_dataset

WIDTH = 8


@pytest.fixture(scope="module")
def counts(tmp_path_factory, quick_disk):
    """Counts of a text of 60 words, near ones in the alphabet near one another; special tokens
    never occur in it."""
    folder = tmp_path_factory.mktemp("spectral")
    random = np.random.default_rng(5)
    words = [f"{a}{b}" for a in "abcdef" for b in "ghijklmnop"]
    starts = random.integers(0, len(words), 400)
    rows = [[words[(s + d) % len(words)] for d in random.integers(0, 9, 30)] for s in starts]
    corpus = folder / "corpus.txt"
    corpus.write_text("\n\n".join(" ".join(row) for row in rows) + "\n")
    settings = VocabSettings(algorithm="word", size=len(words) + 5)
    make_vocabulary([str(corpus)], folder / "tok", settings, CorpusSettings())
    build_dataset(
        corpus, folder / "tok", folder / "counts", objective="cooccurrence", window=5, length=100
    )
    return folder / "counts"


def work_of(counts, width: int = WIDTH) -> Work:
    return Work(counts, VectorSettings(model="glove-tiny", width=width))


def dense(work: Work):
    """The counts as a matrix, and the positive PMI."""
    size = work.dataset.vocabulary.size
    counts = np.zeros((size, size))
    for number in range(work.blocks):
        block = work.in_order(number)
        counts[block.words, block.contexts] = np.exp(block.logs)
    own = counts.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(counts * counts.sum() / np.outer(own, own))
    return counts, np.where(counts > 0, np.maximum(information, 0), 0)


def test_it_is_the_best_factorisation_of_positive_pmi(counts):
    work = work_of(counts)
    table, information = dense(work)
    values, directions = np.linalg.eigh(information)
    best = np.argsort(-np.abs(values))[:WIDTH]
    wanted = directions[:, best] * values[best] @ directions[:, best].T

    vectors, contexts, biases = spectral_start(work)

    assert vectors.shape == contexts.shape == (len(information), WIDTH)
    assert np.allclose(vectors @ contexts.T, wanted, atol=0.02 * np.abs(information).max())
    occurs = table.sum(1) > 0
    assert 60 == occurs.sum() < len(occurs)
    assert np.allclose(
        biases[occurs], np.log(table.sum(1)[occurs]) - np.log(table.sum()) / 2, atol=1e-5
    )
    assert not biases[~occurs].any()
    assert np.abs(vectors[~occurs]).max() < 1e-6


def test_with_as_many_values_as_words_nothing_is_left_to_fit(counts):
    work = work_of(counts, width=100)
    table, information = dense(work)

    vectors, contexts, biases = spectral_start(work)

    assert vectors.shape == (len(information), len(information))  # it has no more eigenvectors
    assert np.allclose(vectors @ contexts.T, information, atol=1e-3)
    fitted = vectors @ contexts.T + biases[:, None] + biases
    positive = information > 0
    assert np.allclose(fitted[positive], np.log(table[positive]), atol=1e-3)


def test_the_same_seed_gives_the_same_bits(counts):
    first, again = spectral_start(work_of(counts)), spectral_start(work_of(counts))

    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_loss_begins_where_a_random_start_gets_late(counts, tmp_path):
    losses = {}
    for start in ("spectral", "random"):
        settings = VectorSettings(model="glove-tiny", epochs=3, start=start, log_every=1)
        train_vectors(counts, tmp_path / start, settings)
        lines = (tmp_path / start / "metrics.jsonl").read_text().splitlines()
        losses[start] = [json.loads(line)["loss"] for line in lines]

    assert losses["spectral"][0] < losses["random"][-1]


def test_words_that_stand_near_one_another_come_near(counts, tmp_path):
    train_vectors(counts, tmp_path / "run", VectorSettings(model="glove-tiny"))
    vectors = KeyedVectors.load_word2vec_format(str(tmp_path / "run" / "vectors.txt"))
    words = sorted(vectors.key_to_index)
    near = [vectors.similarity(words[n], words[n + 1]) for n in range(59)]
    far = [vectors.similarity(words[n], words[(n + 30) % 60]) for n in range(60)]

    assert len(words) == 60
    assert min(near) > max(far) + 0.2
