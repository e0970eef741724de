"""Embeddings that begin with word vectors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lmprep.errors import UsageError
from lmprep.models.construction import new_model
from lmprep.models.settings import model_settings
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training import checkpoints
from lmprep.training.embeddings import put_embeddings, read_token_vectors, token_words
from lmprep.training.pretraining import pretrain
from lmprep.training.vector_files import read_vectors, write_vectors
from tests.corpora import build_dataset, make_tokenizer, write_corpus

WIDTH = 128


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, quick_disk) -> Path:
    folder = tmp_path_factory.mktemp("embeddings")
    corpus = write_corpus(folder / "corpus.txt", documents=20)
    tokenizer = make_tokenizer(corpus, folder / "tok")
    return build_dataset(corpus, tokenizer, folder / "out", pairs="none")


@pytest.fixture
def vectors(dataset, tmp_path) -> tuple[Path, list[str]]:
    """A file of vectors for five words of the vocabulary and one that is not in it."""
    words = [word for word in token_words(dataset / "tokenizer") if word.isalpha()][:5]
    values = np.random.default_rng(0).normal(0, 3, (6, WIDTH)).astype(np.float32)
    write_vectors(tmp_path / "v.txt", [*words, "nonsense"], values)
    return tmp_path / "v.txt", words


def test_tokens_that_are_words_take_their_vectors_scaled_together(dataset, vectors):
    file, words = vectors
    ids = token_words(dataset / "tokenizer")
    model = new_model(model_settings("bert-tiny", vocabulary_size=120), seed=1)
    fresh = model.encoder.tokens.weight.detach().clone()
    theirs = read_vectors(file, words)[1]
    put_embeddings(model, read_token_vectors(file, dataset / "tokenizer", WIDTH))
    table = model.encoder.tokens.weight.detach()
    places = [ids[word] for word in words]
    others = [row for row in range(len(table)) if row not in places]

    assert torch.equal(table[others], fresh[others])
    ratio = table[places].numpy() / theirs
    assert ratio == pytest.approx(np.full_like(ratio, ratio[0, 0]), rel=1e-5)
    assert float(table[places].square().mean()) == pytest.approx(
        float(fresh[places].square().mean()), rel=1e-4
    )


def test_a_training_begins_from_them_and_goes_on_without_the_file(dataset, vectors, tmp_path):
    file, words = vectors
    usual = {"model": "bert-tiny", "batch_tokens": 96, "lr": 1e-9, "checkpoint_every": 1}
    settings = PretrainSettings(steps=1, init_embeddings=str(file), **usual)
    pretrain([dataset], tmp_path / "run", settings)
    found = checkpoints.load_newest(tmp_path / "run").model["encoder.tokens.weight"]
    ids = token_words(dataset / "tokenizer")
    theirs = torch.from_numpy(read_vectors(file, words)[1])
    file.unlink()
    pretrain([dataset], tmp_path / "run", settings, resume=True)

    near = torch.cosine_similarity(found[[ids[word] for word in words]], theirs)
    assert near.min() > 0.999


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no vectors in it"),
        ("2 3\nba 1 2 3\nke 1 2\n", "v.txt:3: 2 values where the lines before have 3"),
        ("ba 1 x 3\n", "v.txt:1: '1 x 3' are not all numbers"),
        ("ba 1 2 3\n", "its vectors have 3 values, the model's embeddings 128"),
        ("zzz" + " 1" * WIDTH + "\n", "none of its words is a token of the datasets"),
    ],
)
def test_files_that_cannot_serve_are_refused(dataset, tmp_path, content, complaint):
    (tmp_path / "v.txt").write_text(content)

    with pytest.raises(UsageError) as info:
        read_token_vectors(tmp_path / "v.txt", dataset / "tokenizer", WIDTH)
    assert complaint in str(info.value)


def test_a_file_that_is_not_there_is_refused(dataset, tmp_path):
    with pytest.raises(UsageError, match="there is no such file"):
        read_token_vectors(tmp_path / "none.txt", dataset / "tokenizer", WIDTH)


def test_files_come_back_as_they_were_with_and_without_the_first_line(tmp_path):
    values = np.array([[0.1, -1e-30, 3e20], [1 / 3, 0, -7]], np.float32)
    write_vectors(tmp_path / "v.txt", ["é", "b"], values)
    text = (tmp_path / "v.txt").read_bytes()
    (tmp_path / "glove.txt").write_bytes(text.split(b"\n", 1)[1])
    (tmp_path / "v.txt.gz").write_bytes(gzip.compress(text))

    for name in ("v.txt", "glove.txt", "v.txt.gz"):
        words, found = read_vectors(tmp_path / name, ["b", "é"])
        assert words == ["é", "b"]
        assert np.array_equal(found, values)
    assert read_vectors(tmp_path / "v.txt", [])[1].shape == (0, 3)


@pytest.mark.parametrize(
    ("family", "there", "absent"), [("bert", "ke", "##ke"), ("roberta", "ba", "Ġba")]
)
def test_words_of_every_kind_of_vocabulary_are_found(tmp_path, family, there, absent):
    corpus = write_corpus(tmp_path / "c.txt")
    folder = make_tokenizer(corpus, tmp_path / "tok", family=family)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    words = token_words(folder)

    assert absent not in words
    marked = f"Ġ{there}" if family == "roberta" else there
    assert words.get(there) == vocabulary.get(marked)
    assert there in words
