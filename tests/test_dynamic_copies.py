"""What is drawn anew while reading is, column for column, what a build would have stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lmprep
from lmprep.batches import Columns
from lmprep.dynamic import Redrawn
from lmprep.objective_settings import FORMS, NOISES
from lmprep.objectives import OBJECTIVES
from lmprep.ragged import Ragged
from lmprep.settings import FAMILIES
from lmprep.shards.reader import Dataset
from tests.corpora import build_dataset, make_tokenizer, write_corpus

pytestmark = pytest.mark.usefixtures("quick_disk")

NO_WAY_BACK = {"skipgram"}
DRAWING = [name for name, row in OBJECTIVES.items() if row.draws and name not in NO_WAY_BACK]
CELLS = [
    (objective, sequences, pairs)
    for objective in DRAWING
    for sequences, pairs in [
        *((sequences, "none") for sequences in FORMS[objective].sequences),
        *(("document", pairs) for pairs in FORMS[objective].pairs if pairs != "none"),
    ]
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt", documents=30)


@pytest.fixture(scope="module")
def tokenizers(corpus) -> dict[str, Path]:
    """A vocabulary of each family."""
    return {
        family: make_tokenizer(corpus, corpus.parent / family, family=family) for family in FAMILIES
    }


def all_rows(dataset) -> Columns:
    return dataset.rows(np.arange(len(dataset)))


def plain(columns: Columns) -> dict[str, tuple[str, list]]:
    """Type and rows of each column."""
    return {
        name: (str(column.values.dtype), [row.tolist() for row in column])
        if isinstance(column, Ragged)
        else (str(column.dtype), column.tolist())
        for name, column in columns.items()
    }


def check_copies(corpus, tokenizer, folder, **options) -> None:
    """A build of one copy, read as the second and third, is the build of three copies."""
    single = build_dataset(corpus, tokenizer, folder / "single", **options)
    several = build_dataset(corpus, tokenizer, folder / "several", copies=3, **options)
    copies = [plain(all_rows(lmprep.load(several, copy))) for copy in range(3)]

    assert [plain(all_rows(lmprep.load(single, copy))) for copy in range(3)] == copies
    assert copies[0] != copies[1] != copies[2] != copies[0]
    few = np.array([4, 0, 4, 2])
    assert plain(lmprep.load(single, 2).rows(few)) == plain(lmprep.load(several, 2).rows(few))


@pytest.mark.parametrize(("objective", "sequences", "pairs"), CELLS)
def test_a_copy_drawn_anew_is_the_copy_a_build_stores(
    corpus, tokenizers, tmp_path, objective, sequences, pairs
):
    tokenizer = tokenizers[FORMS[objective].families[0]]
    options = {"objective": objective, "sequences": sequences, "pairs": pairs, "valid": "1/5"}
    check_copies(corpus, tokenizer, tmp_path, **options)


@pytest.mark.parametrize("noise", [noise for noise in NOISES if noise != "random-spans"])
def test_so_it_is_for_each_of_t5s_noises(corpus, tokenizers, tmp_path, noise):
    check_copies(corpus, tokenizers["t5"], tmp_path, objective="t5", noise=noise)


def test_so_it_is_in_unshuffled_shards(corpus, tokenizers, tmp_path):
    check_copies(corpus, tokenizers["bert"], tmp_path, objective="mlm", keep_order=True)
    documents = all_rows(lmprep.load(tmp_path / "single"))["document"].tolist()

    assert documents == sorted(documents)


def test_so_it_is_for_the_held_out_part(corpus, tokenizers, tmp_path):
    for name, copies in (("single", 1), ("several", 2)):
        options = {"objective": "mlm", "valid": "1/3", "copies": copies}
        build_dataset(corpus, tokenizers["bert"], tmp_path / name, **options)
    single, several = tmp_path / "single-valid", tmp_path / "several-valid"

    assert plain(all_rows(lmprep.load(single, 1))) == plain(all_rows(lmprep.load(several, 1)))


@pytest.mark.parametrize("objective", [n for n, row in OBJECTIVES.items() if not row.draws])
def test_where_nothing_is_drawn_every_copy_is_the_stored_one(
    corpus, tokenizers, tmp_path, objective
):
    tokenizer = tokenizers[FORMS[objective].families[0]]
    out = build_dataset(corpus, tokenizer, tmp_path / "out", objective=objective)
    stored = plain(all_rows(Dataset(out)))

    assert plain(all_rows(lmprep.load(out, 7))) == stored
    assert plain(all_rows(Redrawn(Dataset(out), 0))) == stored


@pytest.mark.parametrize("objective", sorted(NO_WAY_BACK))
def test_where_too_little_is_stored_it_is_said(corpus, tokenizers, tmp_path, objective):
    tokenizer = tokenizers[FORMS[objective].families[0]]
    out = build_dataset(corpus, tokenizer, tmp_path / "out", objective=objective, copies=2)

    assert len(lmprep.load(out, 1))
    with pytest.raises(ValueError, match=f"{objective} keeps too little.*holds 2.*--copies"):
        lmprep.load(out, 2)


def test_every_objective_is_one_of_the_three():
    for name, row in OBJECTIVES.items():
        assert (row.restore is None) == (name in NO_WAY_BACK or row.second_stage == "sums")
