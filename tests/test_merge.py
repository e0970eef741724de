"""Merged datasets hold the rows of all their parts, and pass every check."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lmprep
from lmprep.batches import DOCUMENT_SHIFT
from lmprep.checks.verify import verify
from lmprep.errors import DatasetError, UsageError
from lmprep.merge import merge
from lmprep.ragged import Ragged
from tests.corpora import build_dataset, make_tokenizer, tree, write_corpus

KINDS = {
    "pairs": {"objective": "mlm", "pairs": "nsp", "copies": 2},
    "packed": {"objective": "clm", "pairs": "none"},
    "t5": {"objective": "t5", "pairs": "none"},
    "dedup": {"objective": "clm", "pairs": "none", "dedup": "exact"},
}
FAMILY = {"pairs": "bert", "packed": "gpt2", "t5": "t5", "dedup": "gpt2"}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    return [write_corpus(folder / f"{n}.txt", documents=30 + 5 * n, seed=n) for n in range(3)]


@pytest.fixture(scope="module")
def tokenizers(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tok")
    return {f: make_tokenizer(corpora[0], folder / f, family=f) for f in set(FAMILY.values())}


@pytest.fixture(scope="module")
def parts(corpora, tokenizers, tmp_path_factory):
    """By kind, two datasets, of one and of two files."""
    folders = {}
    for kind, options in KINDS.items():
        here = tmp_path_factory.mktemp(kind)
        tokenizer = tokenizers[FAMILY[kind]]
        one = build_dataset(corpora[0], tokenizer, here / "one", **options)
        glob = corpora[1].with_name("[12].txt")
        folders[kind] = [one, build_dataset(glob, tokenizer, here / "two", **options)]
    return folders


def rows_of(folder, copy=0):
    dataset = lmprep.load(folder, copy)
    return dataset.rows(np.arange(len(dataset)))


def lists(column):
    return [row.tolist() for row in column] if isinstance(column, Ragged) else column.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_the_parts_in_order(parts, tmp_path, kind):
    out = tmp_path / "out"
    merge(parts[kind], out)
    first, second, merged = (rows_of(folder) for folder in (*parts[kind], out))
    sources = json.loads((parts[kind][0] / "manifest.json").read_bytes())["sources"]

    assert list(merged) == list(first)
    for name in merged:
        more = second[name]
        if name in ("document", "second_document"):
            more = more + (sources << DOCUMENT_SHIFT)
        assert lists(merged[name]) == lists(first[name]) + lists(more)
    assert not set(merged["document"][: len(first["document"])]) & set(
        merged["document"][len(first["document"]) :]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_passes_also_against_the_source(parts, corpora, tmp_path, kind):
    merge(parts[kind], tmp_path / "out")
    checks = verify(tmp_path / "out", [str(corpus) for corpus in corpora])

    assert [check for check in checks if not check.passed] == []
    assert any(check.name.startswith("source") for check in checks)


def test_totals_drops_and_documents_add_up(parts, tmp_path):
    out = tmp_path / "out"
    merge(parts["pairs"], out)
    first, second, merged = (
        json.loads((folder / "manifest.json").read_bytes()) for folder in (*parts["pairs"], out)
    )

    assert merged["totals"] == {k: v + second["totals"][k] for k, v in first["totals"].items()}
    for name in ("documents", "input_tokens", "sources"):
        assert merged[name] == first[name] + second[name]
    reasons = {*first["drops"], *second["drops"]}
    assert merged["drops"] == {
        r: first["drops"].get(r, 0) + second["drops"].get(r, 0) for r in reasons
    }
    assert merged["inputs"] == first["inputs"] + second["inputs"]
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".arrow") == [
        "README.md", "dataset_info.json", "manifest.json", "state.json", "tokenizer",
    ]  # fmt: skip


def test_a_copy_drawn_on_reading_is_that_of_the_parts(parts, tmp_path):
    merge(parts["pairs"], tmp_path / "out")
    first, second, merged = (rows_of(f, copy=3) for f in (*parts["pairs"], tmp_path / "out"))

    for name in ("input_ids", "masked_positions", "masked_labels"):
        assert lists(merged[name]) == lists(first[name]) + lists(second[name])


def test_merging_in_two_steps_is_merging_at_once(corpora, tokenizers, tmp_path):
    folders = [
        build_dataset(corpus, tokenizers["gpt2"], tmp_path / corpus.stem, **KINDS["packed"])
        for corpus in corpora
    ]
    merge(folders, tmp_path / "once")
    merge(folders[:2], tmp_path / "half")
    merge([tmp_path / "half", folders[2]], tmp_path / "twice")

    assert tree(tmp_path / "once") == tree(tmp_path / "twice")


def test_datasets_opens_it(parts, tmp_path):
    import datasets

    merge(parts["packed"], tmp_path / "out")
    found = datasets.load_from_disk(str(tmp_path / "out"))

    assert found["input_ids"][:] == lists(rows_of(tmp_path / "out")["input_ids"])
    del found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 40}, r"settings.sequences.length is 40 here and 48 in "),
        ({"seed": 1}, r"settings.seed is 1 here and 0 in "),
        ({"keep_order": True}, r"settings.keep_order is True here and False in "),
    ],
)
def test_settings_that_differ_are_named(parts, corpora, tokenizers, tmp_path, changes, message):
    options = {**KINDS["packed"], **changes}
    other = build_dataset(corpora[1], tokenizers["gpt2"], tmp_path / "other", **options)

    with pytest.raises(UsageError, match=message):
        merge([parts["packed"][0], other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_merged_is_refused(parts, corpora, tokenizers, tmp_path):
    skipgram = build_dataset(
        corpora[0], tokenizers["bert"], tmp_path / "skipgram", objective="skipgram"
    )
    one, two = parts["packed"]
    with pytest.raises(UsageError, match="depend on counts over the whole corpus"):
        merge([skipgram, skipgram], tmp_path / "out")
    with pytest.raises(UsageError, match="is the same dataset as"):
        merge([one, one], tmp_path / "out")
    with pytest.raises(UsageError, match="is one of the datasets"):
        merge([one, two], one, force=True)
    assert lmprep.load(one)  # still there


def test_a_damaged_part_leaves_nothing(corpora, tokenizers, tmp_path):
    folders = [
        build_dataset(corpus, tokenizers["gpt2"], tmp_path / corpus.stem, **KINDS["packed"])
        for corpus in corpora[:2]
    ]
    shard = sorted(folders[1].glob("*.arrow"))[-1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)

    with pytest.raises(DatasetError, match="its checksum is not the manifest's"):
        merge(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_refused_and_replaced_with_force(parts, lmprep, tmp_path):
    first = lmprep("merge", *parts["packed"], "-o", "out")
    again = lmprep("merge", *parts["packed"], "-o", "out")
    forced = lmprep("merge", *parts["packed"], "-o", "out", "--force", "--json")

    assert first.returncode == forced.returncode == 0, first.stderr + forced.stderr
    assert again.returncode == 2
    assert "already holds a complete dataset" in again.stderr
    assert json.loads(forced.stdout)["rows"] > 0
