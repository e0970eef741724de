"""Hugging Face models train on our rows as they are, and on the labels those rows mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lmprep.shards.collate import Collator
from lmprep.shards.reader import Dataset
from tests.corpora import build_dataset, make_tokenizer, write_corpus
from tests.shards.hugging_face import CASES, loss_by_hand, model_for

ROWS = 9

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset for each model, compact and dense."""
    folder = tmp_path_factory.mktemp("hugging-face")
    corpus = write_corpus(folder / "corpus.txt", documents=20)

    def build(name: str, *, dense: bool = False) -> Path:
        case, out = CASES[name], folder / f"{name}-{dense}"
        tokenizer = folder / case.family
        if not tokenizer.exists():
            make_tokenizer(corpus, tokenizer, family=case.family)
        if not out.exists():
            build_dataset(corpus, tokenizer, out, **case.build, dense=dense)
        return out

    return build


def rows_of(dataset: Dataset, batch: dict[str, torch.Tensor]) -> list[dict]:
    """The first rows as lists, with what ELECTRA's stand-in generator replaced."""
    columns = dataset.rows(np.arange(ROWS))
    rows = [
        {name: np.asarray(column[i]).tolist() for name, column in columns.items()}
        for i in range(ROWS)
    ]
    if dataset.manifest["objective"] == "electra":
        for i, row in enumerate(rows):
            shown = batch["input_ids"][i].tolist()
            row["replaced"] = [a != b for a, b in zip(shown, row["input_ids"], strict=False)]
    return rows


def dense_batch(folder: Path) -> dict[str, torch.Tensor]:
    """The first rows as the data collator of a `transformers.Trainer` has them."""
    import datasets
    from transformers import default_data_collator

    rows = datasets.load_from_disk(str(folder)).with_format("torch")
    return default_data_collator([rows[i] for i in range(ROWS)])


def train_once(model, batch) -> tuple[float, float]:
    """The loss before and after one step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(2):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[1]


@pytest.mark.parametrize("dense", [False, True], ids=["collated", "dense"])
@pytest.mark.parametrize("name", CASES)
def test_a_model_learns_the_labels_that_its_rows_mean(made, name, dense):
    dataset = Dataset(made(name))
    collated = Collator(dataset)(dataset.rows(np.arange(ROWS)))
    batch = dense_batch(made(name, dense=True)) if dense else collated
    model = model_for(name, dataset.vocabulary.size)
    by_hand = loss_by_hand(name, model, rows_of(dataset, batch), batch)
    before, after = train_once(model, batch)

    assert len({len(row) for row in dataset.rows(np.arange(ROWS))["input_ids"]}) > 1, "no padding"
    assert before == pytest.approx(by_hand, rel=1e-4)
    assert after < before


@pytest.mark.parametrize("name", CASES)
def test_dense_rows_are_collated_ones_padded_to_the_same_width_everywhere(made, name):
    import datasets

    dataset, dense = Dataset(made(name)), datasets.load_from_disk(str(made(name, dense=True)))
    whole = dataset.rows(np.arange(len(dataset)))
    collated = Collator(dataset)(whole)
    found = dense.with_format("numpy")[:]

    assert len(dense) == len(dataset)
    assert set(found) == set(collated)
    for column, tensor in collated.items():
        array = np.stack(list(found[column]))
        width = tensor.shape[1] if tensor.ndim == 2 else None
        assert array.shape[1:] in {(), (48,)} or column == "labels"
        if width is None:
            assert np.array_equal(array, tensor.numpy())
            continue
        assert np.array_equal(array[:, :width], tensor.numpy())
        assert np.all(array[:, width:] == array[:, -1:])  # nothing but padding behind it
    kinds = (getattr(feature, "feature", feature).dtype for feature in dense.features.values())
    assert set(kinds) == {"int32"}


@pytest.mark.parametrize("name", ["T5ForConditionalGeneration", "BartForConditionalGeneration"])
def test_dense_targets_are_as_wide_as_the_longest_that_the_settings_allow(made, name):
    import datasets

    dense = datasets.load_from_disk(str(made(name, dense=True)))
    # For T5 52 raw tokens give inputs of 48: 8 are noise, in 3 spans; and an end token.
    width = {"T5ForConditionalGeneration": 12, "BartForConditionalGeneration": 48}[name]

    assert {len(row) for row in dense["labels"]} == {width}


def test_dense_targets_of_no_fixed_number_are_equally_wide_in_every_shard(made, tmp_path):
    import datasets

    folder = made("T5ForConditionalGeneration").parent
    settings = {"objective": "t5", "noise": "replace-spans", "noise_density": "0.4"}
    settings["partition_bytes"] = 1000
    corpus, tokenizer = folder / "corpus.txt", folder / "t5"
    out = build_dataset(corpus, tokenizer, tmp_path / "dense", dense=True, **settings)
    compact = Dataset(build_dataset(corpus, tokenizer, tmp_path / "compact", **settings))
    longest = {
        max(map(len, compact.shard(i).rows(np.arange(shard["rows"]))["labels"]))
        for i, shard in enumerate(compact.shards)
    }
    # Of 47 raw tokens 19 are noise, each behind a sentinel of its own at most, and an end token.
    assert {len(row) for row in datasets.load_from_disk(str(out))["labels"]} == {39}
    assert max(longest) < 39


def test_bart_labels_open_with_the_token_that_opens_a_text(made):
    dataset = Dataset(made("BartForConditionalGeneration"))
    batch = Collator(dataset)(dataset.rows(np.arange(ROWS)))

    assert set(batch["labels"][:, 0].tolist()) == {dataset.vocabulary.cls}
    assert "decoder_input_ids" not in batch


def test_gpt2_is_padded_with_the_separator_under_the_attention_mask(made):
    dataset = Dataset(made("GPT2LMHeadModel"))
    batch = Collator(dataset)(dataset.rows(np.arange(ROWS)))
    padding = batch["attention_mask"] == 0

    assert dataset.vocabulary.pad is None
    assert set(batch["input_ids"][padding].tolist()) == {dataset.vocabulary.sep}
    assert torch.equal(batch["labels"] == -100, padding)
    assert torch.equal(batch["labels"][~padding], batch["input_ids"][~padding])


def test_electra_labels_every_token_and_leaves_padding_to_the_attention_mask(made):
    dataset = Dataset(made("ElectraForPreTraining"))
    rows = dataset.rows(np.arange(ROWS))
    batch = Collator(dataset)(rows)
    for i, original in enumerate(rows["input_ids"]):
        n = len(original)
        changed = batch["input_ids"][i, :n].numpy() != original
        assert batch["labels"][i, :n].tolist() == changed.tolist()
        assert batch["labels"][i, n:].sum() == 0
        assert batch["attention_mask"][i].sum() == n
    assert 0.1 < batch["labels"].sum() / batch["attention_mask"].sum() < 0.16
