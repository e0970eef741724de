"""ELECTRA: generator and discriminator against transformers' classes and slow sums of our own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lmprep.batches import plain, ragged
from lmprep.evaluation import evaluate
from lmprep.evaluation.held_out import load_model
from lmprep.export import export
from lmprep.keyed_random import draw, key_for
from lmprep.models.cross_entropy import Projection
from lmprep.models.electra import ElectraModel, generator_alone
from lmprep.models.hf import to_hf, write_config
from lmprep.models.inputs import Inputs
from lmprep.models.losses import LOSSES, Losses
from lmprep.models.settings import ModelSettings
from lmprep.objectives.electra import replace_sampled
from lmprep.ragged import Ragged
from lmprep.shards.reader import Dataset
from lmprep.training.batch import Batch, make_batch
from lmprep.training.bins import one_row_each
from lmprep.training.data import TrainingData
from lmprep.training.generator_inputs import held_out_keys
from lmprep.training.metrics import read_metrics
from lmprep.training.preparation import prepare
from lmprep.training.replaced_scores import judged, no_replaced_scores
from lmprep.training.static_shapes import Counts, fill_up
from lmprep.training.steps import loss_weights, targets
from lmprep.training.tasks import task_of
from lmprep.training.throughput import Work, flops_of
from tests.corpora import build_dataset, make_tokenizer
from tests.finished_runs import lively_model
from tests.training.tiny_runs import LENGTH, make_folders, settings_of, train

transformers = pytest.importorskip("transformers")
ROWS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory, quick_disk) -> Path:
    folder = make_folders(tmp_path_factory.mktemp("electra"), "electra")
    shape = "layers = 2\nwidth = 32\nheads = 4\nembedding_width = 24\ngenerator_width = 16\n"
    (folder / "model.toml").write_text(f'base = "electra-tiny"\n{shape}max_length = 60\n')
    return folder


def settings_in(folder: Path) -> ModelSettings:
    return prepare([folder / "train"], settings_of(folder)).model


def first_rows(folder: Path, name: str = "valid") -> tuple[Batch, list[list[int]], list[int]]:
    """The first rows as a batch, and as they are stored: ids, tokens of the first segment."""
    dataset = Dataset(folder / name)
    task, rows = task_of(dataset.manifest, dataset.folder), np.arange(ROWS)
    columns = dataset.rows(rows, task.columns)
    batch = make_batch(columns, task, one_row_each(ROWS, LENGTH), keys=held_out_keys(rows))
    ids = ragged(columns, "input_ids")
    return (
        batch,
        [ids[i].tolist() for i in range(ROWS)],
        plain(columns, "first_segment_length").tolist(),
    )


def hugging_face(settings: ModelSettings, tensors: dict[str, Tensor], name: str, folder: Path):
    """The class of transformers with these weights of ours."""
    config = write_config(settings, name, Dataset(folder / "train").vocabulary)
    model = getattr(transformers, name)(transformers.ElectraConfig(**config))
    model.load_state_dict(to_hf(tensors, settings, name), strict=False)
    model.tie_weights()
    return model.eval()


def slow_draw(logits_V: Tensor, number: float) -> int:
    """Walk along the probabilities until their sum exceeds the number."""
    total = 0.0
    for id, share in enumerate(logits_V.double().softmax(-1).tolist()):
        total += share
        if total > number:
            return id
    return len(logits_V) - 1


def test_losses_and_draws_are_those_of_the_two_classes_of_transformers(folder):
    settings = settings_in(folder)
    model = lively_model(settings)
    batch, originals, firsts = first_rows(folder)
    generator = hugging_face(
        settings.generator(), generator_alone(model.state_dict()), "ElectraForMaskedLM", folder
    )
    discriminator = hugging_face(settings, model.state_dict(), "ElectraForPreTraining", folder)
    places = torch.stack((batch.inputs.scored_M // LENGTH, batch.inputs.scored_M % LENGTH), 1)
    expected, drawn, replaced = {"token_loss": 0.0, "replaced_loss": 0.0}, [], 0
    for row, original in enumerate(originals):
        shown = batch.inputs.ids_BL[row, : len(original)].tolist()
        types = torch.tensor([[int(i >= firsts[row]) for i in range(len(original))]])
        here = [i for i, (found, _) in enumerate(places.tolist()) if found == row]
        labels = torch.full((1, len(original)), -100)
        with torch.no_grad():
            logits = generator(torch.tensor([shown]), token_type_ids=types).logits[0]
            filled = list(shown)
            for i in here:
                place = int(places[i, 1])
                labels[0, place] = original[place]
                assert int(batch.labels.tokens_M[i]) == original[place]
                filled[place] = slow_draw(logits[place], float(batch.inputs.draws_M[i]))
                drawn.append(filled[place])
            mlm = generator(torch.tensor([shown]), token_type_ids=types, labels=labels)
            verdicts = torch.tensor([[int(a != b) for a, b in zip(filled, original, strict=True)]])
            judge = discriminator(torch.tensor([filled]), token_type_ids=types, labels=verdicts)
        expected["token_loss"] += float(mlm.loss) * len(here)
        expected["replaced_loss"] += float(judge.loss) * len(original)
        replaced += int(verdicts.sum())
    with torch.no_grad():
        sums = dict(zip(LOSSES, Losses(model)(batch.inputs, batch.labels).tolist(), strict=True))
        outputs = model(batch.inputs)

    assert outputs.drawn_M.tolist() == drawn
    assert 10 < replaced <= len(drawn)
    assert sums == {name: pytest.approx(expected.get(name, 0), rel=1e-4) for name in LOSSES}
    counts = dict(zip(LOSSES, targets([batch]), strict=True))
    assert counts["token_loss"] == len(drawn)
    assert counts["replaced_loss"] == sum(map(len, originals))


def test_the_loss_is_that_of_masked_tokens_and_fifty_times_that_of_all_tokens(folder):
    result = train(folder, folder / "weighted", steps=4)
    losses = result.losses

    assert dict(zip(LOSSES, loss_weights(settings_of(folder)), strict=True)) == {
        "token_loss": 1, "pair_loss": 1, "boundary_loss": 1, "replaced_loss": 50,
        "teacher_loss": 5, "cosine_loss": 1, "ngram_loss": 1, "ngram_information": 0,
    }  # fmt: skip
    assert set(losses) == {"loss", "token_loss", "replaced_loss", "grad_norm"}
    assert losses["loss"] == pytest.approx(losses["token_loss"] + 50 * losses["replaced_loss"])


def test_a_token_is_drawn_as_often_as_it_is_probable():
    logits_V = torch.tensor([0.5, -1.0, 2.0, 0.0, -30.0])
    draws = 40_000
    numbers = (torch.arange(draws) + 0.5) / draws
    projection = Projection(
        states_MD=torch.ones(draws, 1), matrix_VD=torch.cat((logits_V, torch.zeros(3)))[:, None],
        size=5,
    )  # fmt: skip
    shares = torch.bincount(projection.drawn(numbers), minlength=5) / draws

    assert torch.allclose(shares, logits_V.softmax(-1), atol=2 / draws)


def test_numbers_to_draw_by_are_of_the_row_alone(folder):
    """The specification in the objective's docstring, by hand."""
    batch, originals, _ = first_rows(folder)
    keys = held_out_keys(np.arange(ROWS))
    expected = [
        float(int(draw(keys[place // LENGTH], 3 * (place % LENGTH) + 2)) >> 40) / 2**24
        for place in batch.inputs.scored_M.tolist()
    ]

    assert batch.inputs.draws_M.tolist() == expected
    assert len(set(expected)) == len(expected)
    assert key_for(0, "held-out generator") != key_for(0, "generator")
    masked = Ragged(
        batch.inputs.scored_M.numpy() % LENGTH,
        np.searchsorted(batch.inputs.scored_M.numpy() // LENGTH, np.arange(ROWS + 1)),
    )
    flat = np.concatenate(originals).astype(np.int32)
    original = Ragged(flat, np.cumsum([0, *map(len, originals)]))
    ids, labels = replace_sampled(original, masked, np.full(len(masked.values), 7))
    assert labels.values.sum() == sum(
        original[int(p) // LENGTH][int(p) % LENGTH] != 7 for p in batch.inputs.scored_M
    )
    assert (ids.values == 7).sum() >= len(masked.values)


def test_embeddings_are_one_and_no_gradient_goes_through_the_draw(folder):
    settings = settings_in(folder)
    model = lively_model(settings)
    batch, _, _ = first_rows(folder)
    rows, narrow = settings.vocabulary_rows, settings.embedding_width
    tables = [name for name, p in model.named_parameters() if p.shape == (rows, narrow)]

    assert isinstance(model, ElectraModel)
    assert tables == ["encoder.tokens.weight"]
    for loss, moved in (("token_loss", True), ("replaced_loss", False)):
        model.zero_grad()
        Losses(model)(batch.inputs, batch.labels)[LOSSES.index(loss)].backward()
        of_generator = [
            p.grad is not None and bool(p.grad.any())
            for name, p in model.named_parameters()
            if name.startswith(("generator.", "masked_token_head."))
        ]
        assert all(of_generator) if moved else not any(of_generator)
        assert model.encoder.tokens.weight.grad.any()


def test_what_fills_a_batch_up_changes_nothing(folder):
    model = lively_model(settings_in(folder))
    batch, _, _ = first_rows(folder)
    counts = Counts(scored=2 * len(batch.labels.tokens_M), firsts=0, runs=0)
    inputs, labels, _ = fill_up(batch.inputs, batch.labels, batch.kinds_M, counts)
    with torch.no_grad():
        plain_sums = Losses(model)(batch.inputs, batch.labels)
        filled_sums = Losses(model)(inputs, labels)

    assert len(labels.tokens_M) == 2 * len(batch.labels.tokens_M)
    assert torch.allclose(plain_sums, filled_sums, rtol=1e-6)


@pytest.mark.parametrize("cut", [{"micro_rows": 3}, {"ranks": 2}])
def test_masks_and_draws_do_not_depend_on_how_a_step_is_cut(folder, cut):
    def drawn(**how) -> list[tuple[int, float]]:
        data = TrainingData(
            [folder / "train"], batch_tokens=8 * LENGTH, seed=3, static=False, packed=False
        )
        found = []
        for rank in range(how.get("ranks", 1)):
            for batch in data.step(8, rank, **how).batches:
                first = batch.row * LENGTH
                places = (batch.inputs.scored_M + first).tolist()
                found += zip(places, batch.inputs.draws_M.tolist(), strict=True)
        return sorted(found)

    assert drawn(**cut) == drawn()


@pytest.mark.parametrize("static", [False, True])
def test_every_epoch_draws_anew_unless_static(folder, static):
    data = TrainingData(
        [folder / "train"], batch_tokens=8 * LENGTH, seed=3, static=static, packed=False
    )
    rows = data.rows
    epochs = []
    for epoch in range(2):
        seen = {}
        for position in range(epoch * rows, (epoch + 1) * rows, 8):
            batch = data.step(position).batches[0]
            ids = batch.inputs.ids_BL.clone()
            masked = ids.clone()
            ids.flatten()[batch.inputs.scored_M] = batch.labels.tokens_M.int()
            for original, shown in zip(ids.tolist(), masked.tolist(), strict=True):
                seen[tuple(original)] = shown
        epochs.append(seen)
    same = [epochs[1][key] == shown for key, shown in epochs[0].items() if key in epochs[1]]

    assert len(same) > 20
    assert (np.mean(same) > 0.9) == static


def test_a_resumed_training_has_the_same_weights_and_losses(folder):
    usual = {"steps": 6, "checkpoint_every": 3, "log_every": 1, "lr": 3e-3}
    train(folder, folder / "whole", **usual)
    run = folder / "parted"
    train(folder, run, **usual)
    for step in (6,):
        for path in sorted((run / "checkpoints" / f"step-{step}").iterdir()):
            path.unlink()
        (run / "checkpoints" / f"step-{step}").rmdir()
    train(folder, run, resume=True, **usual)
    whole, parted = (load_model(folder / name)[0].state_dict() for name in ("whole", "parted"))

    assert whole.keys() == parted.keys()
    assert all(torch.equal(whole[name], parted[name]) for name in whole)
    lines = [
        [(line["step"], line["loss"], line["replaced_loss"]) for line in read_metrics(path)]
        for path in (folder / "whole", run)
    ]
    assert lines[0] == lines[1]


def test_the_area_under_the_curve_is_that_of_sklearn():
    metrics = pytest.importorskip("sklearn.metrics")
    generator = torch.Generator().manual_seed(1)
    replaced = torch.rand((9, 50), generator=generator) < 0.15
    logits = torch.randn((9, 50), generator=generator) + replaced
    logits[0, :20] = 0.25  # ties
    present = torch.rand((9, 50), generator=generator) < 0.8
    scores = no_replaced_scores()
    for rows in (slice(0, 4), slice(4, 9)):
        scores += judged(logits[rows], replaced[rows], present[rows])
    y, s = replaced[present].numpy(), logits[present].double()
    figures = scores.figures()
    share = y.mean()

    assert figures["tokens"] == len(y)
    assert figures["auc"] == pytest.approx(metrics.roc_auc_score(y, s), abs=2e-4)
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(y, s > 0))
    assert figures["cross_entropy"] == pytest.approx(metrics.log_loss(y, s.sigmoid()), rel=1e-6)
    assert figures["replaced_share"] == pytest.approx(share)
    assert figures["base_accuracy"] == pytest.approx(1 - share)
    assert figures["base_cross_entropy"] == pytest.approx(
        metrics.log_loss(y, np.full(len(y), share))
    )


def test_verdicts_without_any_replaced_token_are_worth_nothing():
    nothing = torch.zeros((2, 3), dtype=torch.bool)
    figures = judged(torch.randn(2, 3), nothing, ~nothing).figures()

    assert figures["auc"] == 0.5
    assert figures["base_cross_entropy"] == 0
    assert figures["base_accuracy"] == 1


@pytest.fixture(scope="module")
def trained(folder) -> Path:
    train(folder, folder / "run", steps=60, lr=5e-3, validation=folder / "valid")
    return folder


def test_it_learns_and_says_how_well_beside_the_base_rate(trained):
    lines = [line for line in read_metrics(trained / "run") if "loss" in line]
    first, second = (evaluate(trained / "run", trained / "valid", device="cpu") for _ in range(2))
    validation = [x for x in read_metrics(trained / "run") if "validation" in x][-1]["validation"]
    replaced = first["replaced"]

    assert lines[-1]["token_loss"] < lines[0]["token_loss"] - 0.5
    assert replaced["auc"] > 0.53
    assert replaced["cross_entropy"] < replaced["base_cross_entropy"]
    assert second == first
    assert validation["replaced_auc"] == pytest.approx(replaced["auc"], abs=1e-3)
    assert validation["replaced_loss"] == pytest.approx(replaced["cross_entropy"], abs=1e-4)
    assert validation["token_loss"] == pytest.approx(first["corrupted"]["cross_entropy"], abs=1e-4)
    tokens = Dataset(trained / "valid").manifest["totals"]["tokens"]
    assert replaced["tokens"] == tokens
    assert first["corrupted"]["tokens"] / tokens == pytest.approx(0.15, abs=0.02)
    assert replaced["replaced_share"] <= first["corrupted"]["tokens"] / tokens


def test_in_a_text_with_an_order_nearly_every_replaced_token_is_told(tmp_path):
    """Ten words in a circle; the generator, which learns nothing, draws any of the vocabulary."""
    words = ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu"]
    texts = [" ".join((words * 4)[start : start + 20]) + " ." for start in range(10)]
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(texts * 12) + "\n", encoding="utf-8")
    tokenizer = make_tokenizer(corpus, tmp_path / "tok", family="bert")
    build_dataset(
        corpus, tokenizer, tmp_path / "train", objective="electra", valid="0.2", length=LENGTH
    )
    (tmp_path / "model.toml").write_text(
        'base = "electra-tiny"\nlayers = 2\nwidth = 64\nheads = 2\nembedding_width = 64\n'
    )
    run = tmp_path / "run"
    train(tmp_path, run, steps=80, lr=3e-3, token_weight=0.0, batch_tokens=16 * LENGTH)
    replaced = evaluate(run, tmp_path / "valid", device="cpu")["replaced"]

    assert replaced["auc"] > 0.95
    assert replaced["accuracy"] > replaced["base_accuracy"] + 0.05


def test_both_parts_leave_as_classes_of_transformers_with_equal_outputs(trained):
    facts = export(trained / "run", trained / "out")
    model, _ = load_model(trained / "run")
    parts = []
    for part, name in (("", "ElectraForPreTraining"), ("generator", "ElectraForMaskedLM")):
        loaded, told = getattr(transformers, name).from_pretrained(
            trained / "out" / part, output_loading_info=True
        )
        assert not any(told[w] for w in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        parts.append(loaded.eval())
    discriminator, generator = parts
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained / "out")
    encoded = tokenizer(
        ["Bake lomi nura sote.", "Vizu ba ke lo."], padding=True, return_tensors="pt"
    )
    inside = encoded["attention_mask"].bool()
    inputs = Inputs(
        ids_BL=encoded["input_ids"],
        types_BL=encoded["token_type_ids"],
        lengths_B=inside.sum(1),
        scored_M=inside.flatten().nonzero().squeeze(1),
        draws_M=torch.full((int(inside.sum()),), -1.0),  # nothing is replaced
    )
    with torch.no_grad():
        ours = model.eval()(inputs)
        verdicts, logits = discriminator(**encoded).logits, generator(**encoded).logits

    assert facts.class_name == "ElectraForPreTraining"
    assert torch.allclose(ours.replaced_logits_BL[inside], verdicts[inside], atol=1e-5)
    assert torch.allclose(ours.logits_MV, logits[inside], atol=1e-5)
    card = (trained / "out" / "README.md").read_text()
    assert "AutoModelForPreTraining" in card
    assert "fill-mask" not in card


def test_an_electra_begins_from_an_encoder_and_an_encoder_from_an_electra(trained, caplog):
    settings = settings_of(trained, model="", init=str(trained / "run"), steps=1)
    again = prepare([trained / "train"], settings)
    assert again.model == settings_in(trained)

    (trained / "masked").mkdir()
    mlm = make_folders(trained / "masked", "mlm", pairs="none")
    setup = prepare([mlm / "train"], settings_of(mlm, model="", init=str(trained / "run"), steps=1))
    assert not setup.model.has_generator
    result = train(mlm, mlm / "run", model="", init=str(trained / "run"), steps=2)
    assert "no masked token head" in caplog.text
    assert set(result.losses) == {"loss", "token_loss", "grad_norm"}

    caplog.clear()
    result = train(trained, trained / "from-mlm", model="", init=str(mlm / "run"), steps=2)
    assert "no masked token head and replaced token head and generator" in caplog.text
    assert "replaced_loss" in result.losses


def test_the_generator_of_a_named_model_is_the_named_one(folder):
    setup = prepare([folder / "train"], settings_of(folder, model="electra-small"))
    generator = setup.model.generator()

    assert setup.model.generator_width == 64
    assert (generator.heads, generator.feed_forward, generator.embedding_width) == (1, 256, 128)
    assert (
        prepare([folder / "train"], settings_of(folder, model="bert-mini")).model.generator_width
        == 64
    )
    with pytest.raises(ValueError, match="generator_width 30: width 30 is not a multiple of 4"):
        ModelSettings(layers=1, width=32, heads=4, vocabulary_size=9, generator_width=30)


def test_flops_are_those_of_generator_discriminator_and_verdicts(folder):
    model = settings_in(folder)
    work = Work(tokens=100, squares=900, scored=15)
    discriminator = flops_of(replace(model, generator_width=0), replace(work, scored=0))
    apart = flops_of(model.generator(), work) + discriminator

    assert flops_of(model, work) == apart + 6 * 100 * (32 * 32 + 32)
