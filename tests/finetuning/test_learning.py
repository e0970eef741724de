"""Small models learn the rules of small tasks; what is to stay as it is, does."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lmprep.finetuning.finetune import finetune
from lmprep.finetuning.folder import load_finetuned, read_json
from lmprep.finetuning.network import features, freeze
from lmprep.finetuning.rows import inputs_of, shuffled_groups, sorted_groups
from lmprep.finetuning.scores import main_figure
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.start import load_start, new_network
from lmprep.finetuning.tasks import task_for
from lmprep.finetuning.tokens import TextEncoder
from lmprep.finetuning.training import depth

LEARNABLE = [
    ("bert", "classify", {}),
    ("gpt2", "classify", {}),
    ("t5", "classify", {"epochs": 20, "lr": 5e-3}),
    ("bert", "pair", {}),
    ("bert", "choice", {}),
    ("bert", "tag", {"epochs": 6}),
    ("bert", "tag", {"epochs": 6, "crf": True, "decide": "mean"}),
    ("bert", "tag", {"epochs": 6, "label_subwords": "first", "decide": "first"}),
    ("bert", "span", {"epochs": 10, "max_width": 3}),
    ("bert", "span", {"epochs": 10, "max_width": 3, "boundaries": "raw", "summary": "attention"}),
    ("bert", "qa", {"epochs": 20}),
]


@pytest.mark.parametrize(
    ("name", "task", "settings"), LEARNABLE, ids=lambda value: str(value).replace("'", "")
)
def test_a_small_model_learns_the_rule_of_a_task(finetuned, tmp_path, name, task, settings):
    results = finetuned(name, task, examples=96, **{"epochs": 14, "dropout": 0.0} | settings)
    figure = main_figure(results["seeds"][0]["dev"])

    assert results["dev"][figure]["mean"] > 0.9
    best = max(results["seeds"][0]["epochs"], key=lambda epoch: epoch["dev"][figure])
    assert results["seeds"][0]["best_epoch"] == best["number"]
    # The weights that are kept are those of the best epoch.
    assert results["seeds"][0]["dev"] == best["dev"]


@pytest.mark.parametrize("layers", ["last", "sum-last-4", "concat-last-4", "learned-mix"])
@pytest.mark.parametrize("bilstm", [False, True])
def test_a_frozen_model_stays_and_its_features_serve_all_epochs_and_seeds(
    finetuned, model_folder, tmp_path, layers, bilstm
):
    settings = {"epochs": 5, "frozen": True, "layers": layers, "bilstm": bilstm, "seeds": 2}
    results = finetuned("bert", "tag", examples=96, lr=2e-2, **settings)
    start = load_start(str(model_folder("bert")))
    for seed in (0, 1):
        tensors = load_start(str(tmp_path / "out" / f"seed-{seed}")).tensors
        for name, tensor in tensors.items():
            assert torch.equal(tensor, start.tensors[name]), name
    first, second = (each["epochs"] for each in results["seeds"])

    assert first != second
    assert first[-1]["loss"] < first[0]["loss"] / 2
    assert not list((tmp_path / "out").glob(".*"))


def test_cached_features_give_what_the_model_gives(finetuned, tmp_path):
    finetuned("bert", "tag", frozen=True, layers="learned-mix", bilstm=True, epochs=2)
    seed = tmp_path / "out" / "seed-0"
    text = (seed / "predictions-dev.conll").read_text()
    sentences = [[line.split("\t") for line in part.splitlines()] for part in text.split("\n\n")]
    found = load_finetuned(seed, precision="fp32").predict(
        {"words": [row[0] for row in sentence]} for sentence in sentences
    )

    assert [each["tags"] for each in found] == [[row[2] for row in s] for s in sentences]


def network_of(folder, **settings):
    """A fresh network to classify with, its task and rows of three texts."""
    chosen = FinetuneSettings(task="classify", **settings)
    start = load_start(str(folder))
    task = task_for(chosen, start.settings, start.vocabulary)
    task.state["labels"] = ["a", "b"]
    network = new_network(start, task, chosen, seed=3)
    texts = [{"text": "bake lomi"}, {"text": "zu"}, {"text": "te vi zu bake nura."}]
    rows = task.rows([task.example(t) for t in texts], TextEncoder(start.tokenizer), 48)
    return network, start, rows


def test_only_the_last_layers_learn_when_told_so(model_folder):
    network, _, _ = network_of(model_folder("bert"), unfreeze_last=1)
    freeze(network, unfreeze_last=1, frozen=False)
    learning = {name for name, p in network.named_parameters() if p.requires_grad}

    assert learning
    assert all(name.startswith(("model.encoder.blocks.1.", "head.")) for name in learning)
    assert "head.dense.weight" in learning


def test_a_network_begins_with_the_pretrained_pooler_where_there_is_one(model_folder):
    network, start, _ = network_of(model_folder("bert"))
    fresh, bare, _ = network_of(model_folder("roberta"))

    assert torch.equal(network.head.dense.weight, start.tensors["encoder.pooler.weight"])
    assert "encoder.pooler.weight" not in bare.tensors
    assert float(fresh.head.dense.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_random_weights_are_others_and_depend_on_the_seed(model_folder):
    pretrained, _, _ = network_of(model_folder("bert"))
    random, _, _ = network_of(model_folder("bert"), random_init=True)
    again, _, _ = network_of(model_folder("bert"), random_init=True)
    name = "encoder.blocks.0.expand.weight"

    assert not torch.equal(random.model.state_dict()[name], pretrained.model.state_dict()[name])
    assert torch.equal(random.model.state_dict()[name], again.model.state_dict()[name])


@torch.no_grad()
@pytest.mark.parametrize("name", ["bert", "albert", "gpt2"])
def test_features_are_the_hidden_states_that_transformers_gives(model_folder, name):
    import transformers

    network, _, rows = network_of(model_folder(name))
    chosen = np.array([2])
    inputs, _ = inputs_of(rows, chosen, network.settings, 0, torch.device("cpu"))
    theirs = transformers.AutoModel.from_pretrained(model_folder(name)).eval()
    states = theirs(input_ids=inputs.ids_BL, output_hidden_states=True).hidden_states
    mixed = features(network.model, inputs, "learned-mix")

    assert mixed.shape[2] == 3
    # The lowest of ours are the embeddings as the first block sees them.
    torch.testing.assert_close(mixed[:, :, 1:], torch.stack(states[1:], 2), atol=2e-5, rtol=1e-4)
    if name != "albert":  # whose embeddings are narrower than its states
        torch.testing.assert_close(mixed[:, :, 0], states[0], atol=2e-5, rtol=1e-4)
    # This model has two layers, so the last four are these two.
    torch.testing.assert_close(
        features(network.model, inputs, "sum-last-4")[:, :, 0], mixed[:, :, 1:].sum(2)
    )
    torch.testing.assert_close(
        features(network.model, inputs, "concat-last-4")[:, :, 0], mixed[:, :, 1:].flatten(2)
    )
    torch.testing.assert_close(features(network.model, inputs, "last")[:, :, 0], mixed[:, :, 2])


def test_the_rate_decays_from_the_head_down(model_folder):
    network, _, _ = network_of(model_folder("bert"))
    below = {name: depth(name, network.settings) for name, _ in network.named_parameters()}

    assert below["head.output.weight"] == 0
    assert below["model.encoder.blocks.1.expand.weight"] == 1
    assert below["model.encoder.blocks.0.attention.qkv.bias"] == 2
    assert {below[f"model.encoder.{n}.weight"] for n in ("tokens", "positions", "norm")} == {3}
    encoder_decoder, _, _ = network_of(model_folder("t5"))
    below = {n: depth(n, encoder_decoder.settings) for n, _ in encoder_decoder.named_parameters()}
    assert below["model.decoder.blocks.1.expand.weight"] == 1
    assert below["model.encoder.blocks.1.expand.weight"] == 3
    assert below["model.encoder.tokens.weight"] == 5


def test_layers_far_below_the_head_move_less(finetuned, model_folder, tmp_path):
    finetuned("bert", "classify", layer_decay=0.1, warmup=0, dropout=0.0)
    before = load_start(str(model_folder("bert"))).tensors
    after = load_start(str(tmp_path / "out" / "seed-0")).tensors
    names = [f"encoder.blocks.{layer}.expand.weight" for layer in (1, 0)]
    top, bottom = (float((after[name] - before[name]).abs().mean()) for name in names)

    # Adam moves every weight by about the rate; small gradients a little less.
    assert 7 < top / bottom < 20


def test_training_ends_when_patience_does(finetuned):
    results = finetuned("bert", "classify", epochs=40, patience=2, lr=1e-9)

    assert len(results["seeds"][0]["epochs"]) == 3


def test_seeds_have_mean_and_deviation(finetuned):
    results = finetuned("bert", "classify", seeds=3, seed=5)
    values = [each["dev"]["accuracy"] for each in results["seeds"]]

    assert [each["seed"] for each in results["seeds"]] == [5, 6, 7]
    assert results["dev"]["accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert results["dev"]["accuracy"]["sd"] == pytest.approx(np.std(values, ddof=1))
    assert len({json.dumps(each["epochs"][0]["loss"]) for each in results["seeds"]}) == 3


def test_the_same_seed_gives_the_same_weights(finetuned, tmp_path):
    finetuned("bert", "classify")
    first = load_start(str(tmp_path / "out" / "seed-0")).tensors
    finetuned("bert", "classify")
    again = load_start(str(tmp_path / "out" / "seed-0")).tensors

    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_fine_tuned_model_can_be_fine_tuned_on(finetuned, task_file, tmp_path):
    finetuned("bert", "classify")
    results = finetune(
        str(tmp_path / "out" / "seed-0"),
        FinetuneSettings(task="tag", epochs=1, length=48),
        tmp_path / "next",
        train=task_file("tag"),
        dev=task_file("tag", 1, 16),
    )

    assert set(results["dev"]) == {"f1", "precision", "recall", "accuracy"}
    assert read_json(tmp_path / "next" / "seed-0" / "task.json")["task"] == "tag"


def test_batches_hold_every_example_once_and_rows_of_like_length(model_folder):
    _, _, rows = network_of(model_folder("bert"))
    for batches in (shuffled_groups(rows, 2, 0, 0), sorted_groups(rows, 2)):
        assert sorted(np.concatenate(batches).tolist()) == [0, 1, 2]
    assert sorted_groups(rows, 3)[0].tolist() == [2, 0, 1]
