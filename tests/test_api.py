"""The commands as functions do what the commands do."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lmprep
from lmprep.errors import UsageError
from tests.corpora import make_tokenizer, tree, write_corpus


def test_importing_lmprep_is_light():
    code = "import sys, lmprep; print(sorted({'numpy', 'torch', 'pyarrow'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout == "[]\n"


def test_a_dataset_is_the_one_of_the_command(tmp_path, lmprep):
    corpus = write_corpus(tmp_path / "c.txt", documents=12)
    tokenizer = make_tokenizer(corpus, tmp_path / "tok")
    done = lmprep("build", "mlm", corpus, "-t", tokenizer, "-o", tmp_path / "a", "--length", 32,
                  "--mask-rate", 0.2, "--valid", "20%")  # fmt: skip
    assert done.returncode == 0, done.stderr

    from lmprep.api import build_dataset

    manifests = build_dataset(
        "mlm", corpus, tokenizer, tmp_path / "b", length=32, mask_rate=0.2, valid="20%"
    )
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert tree(tmp_path / "a-valid") == tree(tmp_path / "b-valid")
    assert manifests.keys() == {"train", "valid"}


def test_datasets_are_merged_as_by_the_command(tmp_path, lmprep):
    corpora = [write_corpus(tmp_path / f"{i}.txt", documents=12, seed=i) for i in (0, 1)]
    tokenizer = make_tokenizer(corpora[0], tmp_path / "tok")

    from lmprep import build_dataset, merge_datasets

    for name, corpus in zip("ab", corpora, strict=True):
        build_dataset("clm", corpus, tokenizer, tmp_path / name, length=32)
    manifest = merge_datasets([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    done = lmprep("merge", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "again")

    assert done.returncode == 0, done.stderr
    assert manifest["documents"] == 24
    assert tree(tmp_path / "both") == tree(tmp_path / "again")


def test_every_public_name_stands_on_the_page_and_says_what_it_does():
    page = (Path(lmprep.__file__).parent / "docs" / "python.md").read_text(encoding="utf-8")
    names = [name for name in lmprep.__all__ if not name.startswith("_")]

    for name in names:
        assert f"| `{name}(" in page, name
        assert inspect.getdoc(getattr(lmprep, name)), name


def test_texts_are_encoded_one_by_one(tmp_path):
    corpus = write_corpus(tmp_path / "c.txt", documents=12)
    written = lmprep.train_vocabulary([corpus], tmp_path / "tok", algorithm="wordpiece", size=150)
    encoder = lmprep.Encoder(tmp_path / "tok")
    texts = [*corpus.read_text().split("\n")[:5], "", "a"]
    found = encoder.encode(texts)

    assert written["vocabulary_size"] == 150
    assert [len(ids) == 0 for ids in found] == [text == "" for text in texts]
    for text, ids in zip(texts, found, strict=True):
        np.testing.assert_array_equal(ids, encoder.encode([text])[0])
    assert encoder.encode([]) == []
    with pytest.raises(ValueError, match="a text has a line end"):
        encoder.encode(["a\nb"])


def test_what_cannot_be_is_an_error_of_lmprep(tmp_path):
    with pytest.raises(UsageError, match=r"none\.txt"):
        lmprep.train_vocabulary(tmp_path / "none.txt", tmp_path / "tok", algorithm="word", size=9)
    with pytest.raises(ValueError, match="did you mean size"):
        lmprep.train_vocabulary(tmp_path / "c.txt", tmp_path / "tok", algorithm="word", siz=9)
