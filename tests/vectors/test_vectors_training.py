"""Word vectors from text to files: the same bits, stopped or not, and what they know."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from safetensors.numpy import load_file

from lmprep.errors import Interrupted, UsageError
from lmprep.evaluation import evaluate
from lmprep.export import export
from lmprep.recipe import run_recipe
from lmprep.recipe_file import load_recipe
from lmprep.settings import CorpusSettings, VocabSettings
from lmprep.vectors.folder import words_and_vectors
from lmprep.vectors.model import without_components
from lmprep.vectors.scores import load_vectors
from lmprep.vectors.settings import MODELS, VectorSettings
from lmprep.vectors.training import train_vectors
from lmprep.vectors.work import Work
from lmprep.vocab import make_vocabulary
from tests.corpora import build_dataset

TOPICS = [["boat", "sea", "wave", "sail", "anchor"], ["oven", "bread", "flour", "yeast", "crust"]]
SMALL = {"word2vec": "word2vec-tiny", "cbow": "cbow-tiny", "glove": "glove-tiny"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, quick_disk) -> Path:
    """A corpus of two topics, its vocabulary, and a dataset with a held-out one for each model."""
    folder = tmp_path_factory.mktemp("vectors")
    rng = random.Random(3)
    texts = []
    for number in range(240):
        words = TOPICS[number % 2]
        lines = [" ".join([*rng.choices(words, [6, 4, 3, 2, 1], k=7), "the"]) for _ in range(4)]
        texts.append("\n".join(lines))
    corpus = folder / "corpus.txt"
    corpus.write_text("\n\n".join(texts) + "\n")
    settings = VocabSettings(algorithm="word", size=16)
    make_vocabulary([str(corpus)], folder / "tok", settings, CorpusSettings())
    for objective, own in {
        "skipgram": {"subsample": 0, "window": 3, "copies": 2},
        "cooccurrence": {"window": 4},
    }.items():
        build_dataset(
            corpus, folder / "tok", folder / objective / "train", objective=objective,
            valid=0.1, length=100, **own,
        )  # fmt: skip
    return folder


def dataset(folder: Path, family: str, part: str = "train") -> Path:
    return folder / ("cooccurrence" if family == "glove" else "skipgram") / part


def settings(family: str, **changes: object) -> VectorSettings:
    usual = {"epochs": 25, "width": 10, "seed": 1, "log_every": 3, "lr": 0.1}  # the text is short
    if family == "glove":  # the topics are too few to lose a component that they begin with
        usual |= {"epochs": 60, "lr": 0.05, "start": "random"}
    return VectorSettings(model=SMALL[family], **{**usual, **changes})


@pytest.fixture(scope="module", params=SMALL)
def trained(request, folder) -> tuple[str, Path]:
    family = request.param
    run = folder / f"run-{family}"
    train_vectors(
        dataset(folder, family), run, settings(family), validation=dataset(folder, family, "valid")
    )
    return family, run


def test_words_of_a_topic_are_near_one_another(trained):
    _, run = trained
    vectors = KeyedVectors.load_word2vec_format(str(run / "vectors.txt"))
    same = [vectors.similarity(t[0], word) for t in TOPICS for word in t[1:]]
    other = [vectors.similarity(word, TOPICS[1][0]) for word in TOPICS[0]]

    assert min(same) > max(other) + 0.2


def test_text_and_tensors_hold_the_same_vectors(trained, folder):
    _, run = trained
    vectors = KeyedVectors.load_word2vec_format(str(run / "vectors.txt"))
    tensor = load_file(run / "vectors.safetensors")["vectors"]
    vocabulary = json.loads((run / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]

    assert set(vectors.key_to_index) == {"the", *TOPICS[0], *TOPICS[1]}
    assert tensor.shape == (len(vocabulary), 10)
    for word in vectors.key_to_index:
        assert np.array_equal(vectors[word], tensor[vocabulary[word]])


def test_they_predict_held_out_text_better_than_frequencies(trained, folder):
    family, run = trained
    figures = evaluate(run, dataset(folder, family, "valid"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    validations = [line["validation"]["token_loss"] for line in lines if "validation" in line]

    assert figures["loss"] < 0.95 * figures["unigram_loss"]
    assert figures["loss"] == pytest.approx(validations[-1])
    assert validations[-1] < validations[0]
    assert figures["predictions"] > 50


def test_glove_gives_the_sum_of_both_vectors_less_what_they_share(folder, trained):
    family, run = trained
    found = load_file(run / "vectors.safetensors")["vectors"]
    vectors, _ = load_vectors(run)
    words, table = words_and_vectors(run, vectors)
    read = KeyedVectors.load_word2vec_format(str(run / "vectors.txt"))
    wanted = vectors.parameters["vectors"]
    if family == "glove":
        wanted = wanted + vectors.parameters["contexts"]
        wanted = wanted - wanted.mean(0)
        left, sizes, right = np.linalg.svd(wanted, full_matrices=False)
        sizes[0] = 0
        wanted = left * sizes @ right

    assert words == read.index_to_key
    assert np.array_equal(table, read.vectors)
    assert np.allclose(found, wanted, atol=1e-6)


def test_the_largest_components_are_those_taken_out():
    random = np.random.default_rng(0)
    small = random.normal(size=(50, 6)).astype(np.float32) * [0.1, 0.2, 5, 0.3, 3, 0.2]
    vectors = (small + np.array([7, 0, 0, -2, 0, 0])).astype(np.float32)

    assert without_components(vectors, 0) is vectors
    left = without_components(vectors, 2)
    assert left.dtype == np.float32
    assert np.abs(left.mean(0)).max() < 1e-5
    assert np.array_equal(left.std(0) > 0.05, [True, True, False, True, False, True])


@pytest.mark.parametrize("family", SMALL)
def test_a_run_that_was_stopped_ends_with_the_same_bits(folder, tmp_path, family):
    start = {"start": "spectral"} if family == "glove" else {}
    short = settings(family, epochs=4, log_every=1, **start)
    data = dataset(folder, family)
    blocks = Work(data, short).blocks
    stops = {1, 2 * blocks + 1}

    def interrupt(progress):
        if progress.step in stops:
            stops.remove(progress.step)
            os.kill(os.getpid(), signal.SIGINT)

    whole = train_vectors(data, tmp_path / "whole", short)
    for _ in range(2):
        with pytest.raises(Interrupted, match="everything is saved"):
            train_vectors(data, tmp_path / "cut", short, resume=True, on_progress=interrupt)
    train_vectors(data, tmp_path / "cut", short, resume=True)
    again = train_vectors(data, tmp_path / "cut", short, resume=True)

    for name in ("vectors.txt", "vectors.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert again.already_finished
    assert again.losses == whole.losses


def test_epochs_have_windows_and_an_order_of_their_own(folder):
    work = Work(dataset(folder, "word2vec"), settings("word2vec"))
    first, second = work.block(0), work.block(work.blocks)

    assert np.array_equal(first.centres, work.block(0).centres)
    assert first.centres.tolist() != second.centres.tolist()


@pytest.mark.parametrize("family", SMALL)
def test_two_threads_learn_as_well_but_not_the_same_bits_are_promised(folder, tmp_path, family):
    data, valid = dataset(folder, family), dataset(folder, family, "valid")
    run = tmp_path / "two"
    train_vectors(data, run, settings(family, threads=2))
    figures = evaluate(run, valid)

    assert figures["loss"] < 0.95 * figures["unigram_loss"]


def test_other_settings_are_refused_on_resume(folder, tmp_path):
    data = dataset(folder, "word2vec")
    train_vectors(data, tmp_path / "run", settings("word2vec", epochs=1))

    with pytest.raises(UsageError, match=r"pretrain.epochs is 1 there and 2 here"):
        train_vectors(data, tmp_path / "run", settings("word2vec", epochs=2), resume=True)


def test_a_run_of_vectors_is_no_model_to_export(trained, tmp_path):
    with pytest.raises(UsageError, match="holds word vectors"):
        export(trained[1], tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model": "bert-mini"}, "there is no model of word vectors 'bert-mini'"),
        ({"ceiling": 10.0}, "ceiling is for GloVe"),
        ({"removed": 32}, "removed 32 must be from 0 to 31"),
        ({"start": "random"}, "start is for GloVe"),
        ({"model": "glove-tiny", "start": "svd"}, "start is 'svd'; it must be one of spectral"),
        ({"epochs": -1}, "epochs -1 must be above 0"),
        ({"lr": 1.5}, "lr 1.5 must be below 1"),
        ({"threads": 0}, "threads 0 must be at least 1"),
    ],
)
def test_settings_check_themselves(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        VectorSettings(**{"model": "word2vec-tiny", **changes})


def test_a_model_needs_its_objective(folder):
    with pytest.raises(UsageError, match="glove-tiny learns from cooccurrence, not from skipgram"):
        Work(dataset(folder, "word2vec"), settings("glove"))
    for model in MODELS:
        VectorSettings(model=model)


def test_the_command_line_trains_and_shows(run, folder):
    data = dataset(folder, "word2vec")
    done = run(
        "pretrain", data, "-o", "run", "--model", "word2vec-tiny", "--epochs", 2, "--json",
        "--set", "threads=1", "--eval", data.with_name("valid"),
    )  # fmt: skip
    shown = run("evaluate", "run", data.with_name("valid"))

    again = run("pretrain", data, "-o", "run", "--resume")

    assert done.code == 0, done.err
    assert json.loads(done.out)["step"] > 0
    assert again.code == 0, again.err
    assert "already complete" in again.err
    assert "by frequency alone" in shown.out, shown.err


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--model", "word2vec-tiny", "--steps", "5"], "steps"),
        (["--model", "bert-mini"], "there is no model of word vectors 'bert-mini'"),
        ([], "--model is missing"),
        (["--model", "word2vec-tiny", "--dry-run"], "--dry-run does not go with word vectors"),
    ],
)
def test_what_vectors_do_not_know_is_refused(run, folder, flags, complaint):
    ended = run("pretrain", str(dataset(folder, "word2vec")), "-o", "out", *flags)

    assert ended.code == 2
    assert complaint in ended.err


def test_epochs_are_for_word_vectors_only(run, folder, tmp_path):
    build_dataset(folder / "corpus.txt", folder / "tok", tmp_path / "masked", pairs="none")
    ended = run("pretrain", "masked", "-o", "out", "--model", "bert-tiny", "--epochs", 2)

    assert ended.code == 2
    assert "--epochs is for word vectors. Give --steps" in ended.err


def test_a_recipe_goes_the_whole_road(folder, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(
        '[vocab]\nalgorithm = "word"\nsize = 16\n[build]\nobjective = "cooccurrence"\n'
        'valid = "20%"\n[pretrain]\nmodel = "glove-tiny"\nepochs = 2\n'
    )
    recipe = load_recipe(path, corpus=[str(folder / "corpus.txt")])
    steps = []
    figures = run_recipe(recipe, tmp_path / "out", workers=1, on_step=steps.append)
    again = []
    run_recipe(recipe, tmp_path / "out", workers=1, on_step=again.append)

    assert [step.name for step in steps] == ["vocab", "build", "pretrain", "evaluate"]
    assert all(step.skipped for step in again)
    assert figures["predictions"] > 0
    assert (tmp_path / "out" / "run" / "vectors.txt").exists()
