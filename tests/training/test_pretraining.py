"""A training leaves a run behind that explains itself, and goes on exactly where it stopped."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import make_folders, settings_of, train

from lmprep.errors import CheckpointError, Interrupted, Terminated, TrainingError, UsageError
from lmprep.evaluation.held_out import load_model
from lmprep.models.construction import count_parameters
from lmprep.pretrain_settings import PretrainSettings
from lmprep.settings import settings_from
from lmprep.shards.reader import Dataset
from lmprep.training import checkpoints, run_folder
from lmprep.training.batch import Batch, make_batch
from lmprep.training.bins import one_row_each
from lmprep.training.estimates import estimate
from lmprep.training.metrics import read_metrics
from lmprep.training.preparation import prepare
from lmprep.training.pretraining import pretrain
from lmprep.training.tasks import task_of
from tests.corpora import build_dataset, make_tokenizer, write_corpus

STEPS = 26  # 8 rows each: past the end of an epoch of about 80 rows, twice


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_folders(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def whole(folder) -> Path:
    """A run that was never interrupted."""
    train(folder, folder / "whole", steps=STEPS)
    return folder / "whole"


class StopAt:
    """Sends this process a signal when the training reports a step."""

    def __init__(self, step: int, number: signal.Signals = signal.SIGINT) -> None:
        self.step, self.number = step, number

    def __call__(self, progress) -> None:
        if progress.step == self.step:
            os.kill(os.getpid(), self.number)


def tensors_of(run: Path, step: int) -> dict[str, torch.Tensor]:
    parts = (run / "checkpoints" / f"step-{step}").glob("*.safetensors")
    return {name: t for path in parts for name, t in load_file(path).items()}


def lines_of(run: Path) -> list[dict]:
    """Lines of the metrics without what depends on the clock."""
    clock = ("elapsed", "tokens_per_second", "utilisation")
    return [{k: v for k, v in line.items() if k not in clock} for line in read_metrics(run)]


def assert_same_run(run: Path, whole: Path) -> None:
    resumed, uninterrupted = tensors_of(run, STEPS), tensors_of(whole, STEPS)
    assert set(resumed) == set(uninterrupted)
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in resumed)
    assert lines_of(run) == lines_of(whole)


@pytest.fixture(scope="module")
def uninterrupted(folder, whole, tmp_path_factory):
    """The folders of an objective, and a run over them that was never interrupted."""
    known = {"mlm": (folder, whole)}

    def of(objective: str) -> tuple[Path, Path]:
        if objective not in known:
            made = make_folders(tmp_path_factory.mktemp(objective), objective)
            train(made, made / "whole", steps=STEPS)
            known[objective] = made, made / "whole"
        return known[objective]

    return of


@pytest.mark.parametrize(
    ("objective", "number"),
    [
        ("mlm", signal.SIGINT),
        ("mlm", signal.SIGTERM),
        ("span", signal.SIGINT),
        ("clm", signal.SIGTERM),
        ("t5", signal.SIGINT),
        ("bart", signal.SIGTERM),
    ],
)
def test_an_interrupted_run_goes_on_bit_for_bit(uninterrupted, tmp_path, objective, number):
    folder, whole = uninterrupted(objective)
    run = tmp_path / "run"
    for step in (8, 20):  # in the first epoch and in the second
        kind = Interrupted if number == signal.SIGINT else Terminated
        with pytest.raises(kind, match=rf"after step {step}.*lmprep pretrain .* --resume") as info:
            train(folder, run, resume=step > 8, steps=STEPS, on_progress=StopAt(step, number))
        assert info.value.exit_code == 128 + number
    train(folder, run, resume=True, steps=STEPS)

    assert_same_run(run, whole)


def test_a_checkpoint_between_two_reports_keeps_the_losses_since_the_last(folder, whole, tmp_path):
    run = tmp_path / "run"

    def die(progress) -> None:
        if progress.step == 20:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(folder, run, steps=STEPS, checkpoint_every=9, on_progress=die)
    kept = [path.name for path in (run / "checkpoints").iterdir()]
    train(folder, run, resume=True, steps=STEPS, checkpoint_every=9)

    assert sorted(kept) == ["step-18", "step-9"]
    assert_same_run(run, whole)


@pytest.mark.parametrize("objective", ["mlm", "clm", "t5"])
def test_bf16_goes_on_bit_for_bit_too(uninterrupted, tmp_path, objective):
    folder, _ = uninterrupted(objective)
    for name, stops in (("whole", []), ("stopped", [4])):
        for step in stops:
            with pytest.raises(Interrupted):
                train(folder, tmp_path / name, precision="bf16", on_progress=StopAt(step))
        train(folder, tmp_path / name, precision="bf16", resume=True)

    stopped, whole = (tensors_of(tmp_path / n, 6) for n in ("stopped", "whole"))
    assert all(torch.equal(stopped[name], whole[name]) for name in whole)


def test_a_run_learns(folder, tmp_path):
    train(folder, tmp_path / "run", steps=120, lr=5e-3, log_every=20)
    losses = [line["token_loss"] for line in read_metrics(tmp_path / "run")]

    assert losses[-1] < losses[0] - 0.3


def test_another_seed_gives_another_run(folder, whole, tmp_path):
    train(folder, tmp_path / "run", steps=STEPS, seed=1)

    assert lines_of(tmp_path / "run") != lines_of(whole)


def test_a_run_folder_explains_itself(folder, whole):
    recipe = tomllib.loads((whole / "recipe.toml").read_text())
    config = json.loads((whole / "config.json").read_text())
    manifest = json.loads((folder / "train" / "manifest.json").read_text())

    assert settings_from(PretrainSettings, recipe["pretrain"]) == settings_of(folder, steps=STEPS)
    assert recipe["pretrain"]["warmup"] == "0.1"
    assert recipe["datasets"][0]["sha256"] == manifest["manifest_sha256"]
    assert config["model"] == recipe["model"]
    assert config["vocabulary"] == manifest["vocabulary"]
    assert (whole / "tokenizer" / "tokenizer.json").read_bytes() == (
        folder / "tok" / "tokenizer.json"
    ).read_bytes()
    assert np.load(whole / "unigram.npy").shape == (manifest["vocabulary"]["size"],)
    assert list((whole / "tensorboard").glob("events.*"))


def test_the_loss_is_the_weighted_sum_of_both(folder, tmp_path):
    train(folder, tmp_path / "run", token_weight=2.0, pair_weight=0.5)

    for line in read_metrics(tmp_path / "run"):
        assert line["loss"] == pytest.approx(2 * line["token_loss"] + 0.5 * line["pair_loss"])


def test_lines_count_steps_and_tokens_without_padding(folder, whole):
    lines = read_metrics(whole)

    assert [line["step"] for line in lines] == [4, 8, 12, 16, 20, 24, 26]
    assert all(0 < line["tokens"] < line["step"] * 8 * 48 for line in lines)
    manifest = json.loads((folder / "train" / "manifest.json").read_text())["totals"]
    assert lines[-1]["tokens"] / lines[-1]["epoch"] == pytest.approx(manifest["tokens"], rel=0.03)


def test_validation_is_done_at_every_checkpoint(folder, tmp_path):
    result = train(
        folder, tmp_path / "run", checkpoint_every=3, steps=6, validation=folder / "valid"
    )
    lines = [line for line in read_metrics(tmp_path / "run") if "validation" in line]

    assert [line["step"] for line in lines] == [3, 6]
    assert lines[-1]["validation"] == result.validation
    assert set(result.validation) == {"token_loss", "token_accuracy", "pair_loss", "pair_accuracy"}


def test_a_token_budget_ends_with_the_step_that_spends_it(folder, tmp_path):
    result = train(folder, tmp_path / "run", tokens=1500, log_every=1)
    lines = read_metrics(tmp_path / "run")

    assert lines[-2]["tokens"] < 1500 <= lines[-1]["tokens"] == result.tokens


def test_a_time_budget_counts_earlier_sittings(folder, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        train(folder, run, time=3600.0, log_every=1, on_progress=StopAt(3))
    checkpoint = checkpoints.load(run, 3)
    assert checkpoint.state["seconds"] > 0
    checkpoint.state["seconds"] = 3599.9
    checkpoints.save(run, checkpoint)
    result = train(folder, run, time=3600.0, log_every=1, resume=True)

    assert result.step > 3
    assert 3600 <= result.seconds < 3700
    assert read_metrics(run)[-1]["lr"] < 1e-3 * 0.001  # the schedule follows the clock


def test_static_reads_stored_copies_in_turn(folder, tmp_path):
    twice = build_dataset(folder / "corpus.txt", folder / "tok", tmp_path / "twice", copies=2)
    stored = [rows_in(copy_of_all_rows(twice, copy)) for copy in (0, 1)]
    static, redrawn = (one_epoch_a_step(folder, twice, static=how) for how in (True, False))

    assert stored[0] != stored[1]
    assert static == [*stored, *stored]
    assert redrawn[:2] == stored
    assert not any(epoch in stored for epoch in redrawn[2:])


def one_epoch_a_step(folder: Path, dataset: Path, *, static: bool) -> list[list[list[int]]]:
    """The rows of the first four epochs."""
    tokens = 48 * len(Dataset(dataset))
    settings = settings_of(folder, static=static, batch_tokens=tokens, packed=False)
    data = prepare([dataset], settings).stages.all[0].data
    return [rows_in(data.step(epoch * data.rows).batches[0]) for epoch in range(4)]


def copy_of_all_rows(dataset: Path, copy: int) -> Batch:
    opened = Dataset(dataset, copy=copy)
    task = task_of(opened.manifest, dataset)
    rows = opened.rows(np.arange(len(opened)))
    return make_batch(rows, task, one_row_each(len(opened), task.length))


def rows_in(batch: Batch) -> list[list[int]]:
    """Ids of each row, masks and padding included; sorted, since epochs have orders."""
    return sorted(batch.inputs.ids_BL.tolist())


def test_a_finished_run_has_nothing_left_to_do(folder, whole):
    before = (whole / "metrics.jsonl").read_bytes()
    result = train(folder, whole, resume=True, steps=STEPS)

    assert result.already_finished
    assert result.step == STEPS
    assert result.losses["loss"] == read_metrics(whole)[-1]["loss"]
    assert (whole / "metrics.jsonl").read_bytes() == before


def test_an_existing_folder_is_refused(folder, whole, tmp_path):
    with pytest.raises(UsageError, match=r"already holds a run.*--resume"):
        train(folder, whole)
    with pytest.raises(UsageError, match="not a run folder"):
        train(folder, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"lr": 0.5}, r"pretrain\.lr is 0\.001 there and 0\.5 here"),
        ({"steps": STEPS + 1}, "pretrain.steps is 26 there and 27 here"),
        ({"dropout": 0.0}, "model.dropout is 0.1 there and 0.0 here"),
        ({"seed": 3}, "pretrain.seed is 0 there and 3 here"),
    ],
)
def test_other_settings_are_refused_by_name(folder, whole, change, complaint):
    with pytest.raises(UsageError, match=complaint):
        train(folder, whole, resume=True, **{"steps": STEPS, **change})


def test_another_dataset_is_refused_and_a_moved_one_is_not(folder, whole, tmp_path):
    moved = shutil.copytree(folder / "train", tmp_path / "moved")
    settings = settings_of(folder, steps=STEPS)

    assert pretrain([moved], whole, settings, resume=True).already_finished
    with pytest.raises(UsageError, match=r"datasets\.1\.sha256 is"):
        pretrain([folder / "valid"], whole, settings, resume=True)


def test_resuming_needs_no_settings_and_completes_those_given(folder, whole):
    assert run_folder.settings_for(whole, {}, resume=True) == settings_of(folder, steps=STEPS)
    changed = run_folder.settings_for(whole, {"tokens": 5, "seed": 4}, resume=True)
    assert (changed.steps, changed.tokens, changed.seed) == (None, 5, 4)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(folder, whole, tmp_path, caplog):
    run = tmp_path / "run"
    train(folder, run, steps=STEPS, checkpoint_every=9)
    damaged = run / "checkpoints" / f"step-{STEPS}" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING, "lmprep"):
        train(folder, run, steps=STEPS, checkpoint_every=9, resume=True)

    assert f"step-{STEPS}/model.safetensors: the file is damaged" in caplog.text
    assert_same_run(run, whole)


def test_a_run_without_an_intact_checkpoint_is_refused(folder, whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    for path in (run / "checkpoints").glob("*/state.json"):
        path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(CheckpointError, match="no checkpoint of this run is intact"):
        train(folder, run, steps=STEPS, resume=True)


def test_a_run_killed_before_its_first_checkpoint_begins_again(folder, whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    train(folder, run, steps=STEPS, resume=True)

    assert_same_run(run, whole)


def test_losses_that_are_no_numbers_stop_the_training(folder, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        train(folder, run, steps=STEPS, on_progress=StopAt(4))
    checkpoint = checkpoints.load(run, 4)
    checkpoint.model["pair_head.bias"][0] = float("nan")
    checkpoints.save(run, checkpoint)

    with pytest.raises(
        TrainingError,
        match=r"3 steps in a row, up to step 7.*nan.*last good checkpoint is .*step-4",
    ):
        train(folder, run, steps=STEPS, resume=True, skips=3)
    assert checkpoints.steps(run) == [4]


def test_several_datasets_are_trained_on_as_one(folder, tmp_path):
    data = prepare([folder / "train", folder / "valid"], settings_of(folder)).stages.all[0].data
    parts = [
        prepare([folder / name], settings_of(folder)).stages.all[0].data
        for name in ("train", "valid")
    ]

    assert data.rows == sum(part.rows for part in parts)
    result = pretrain([folder / "train", folder / "valid"], tmp_path / "run", settings_of(folder))
    assert result.step == 6


def test_datasets_that_do_not_go_together_are_refused(folder, tmp_path):
    corpus = write_corpus(tmp_path / "corpus.txt", seed=4)
    other = build_dataset(corpus, make_tokenizer(corpus, tmp_path / "tok"), tmp_path / "other")
    single = build_dataset(folder / "corpus.txt", folder / "tok", tmp_path / "single", pairs="none")

    with pytest.raises(UsageError, match=r"other: its tokenizer is .*, that of .*train is"):
        prepare([folder / "train", other], settings_of(folder))
    with pytest.raises(UsageError, match="its kind of pairs is none"):
        prepare([folder / "train", single], settings_of(folder))
    with pytest.raises(UsageError, match="its tokenizer is"):
        prepare([folder / "train"], settings_of(folder), other)


@pytest.mark.parametrize("sequences", ["document", "packed"])
def test_rows_without_pairs_are_trained_on_without_a_pair_loss(folder, tmp_path, sequences):
    out = build_dataset(
        folder / "corpus.txt", folder / "tok", tmp_path / "out", pairs="none", sequences=sequences
    )
    result = pretrain([out], tmp_path / "run", settings_of(folder), validation=out)

    assert "pair_loss" not in result.losses
    assert set(result.validation) == {"token_loss", "token_accuracy"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"batch_tokens": 40}, "--batch-tokens 40 holds no sequence of 48 tokens"),
        ({"model": "bert-midi"}, "there is no model 'bert-midi'"),
        pytest.param(
            {"device": "cuda"},
            "torch finds no CUDA device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    folder, tmp_path, change, complaint
):
    with pytest.raises(UsageError, match=complaint):
        train(folder, tmp_path / "run", **change)
    assert not (tmp_path / "run").exists()


def test_too_long_sequences_are_refused(folder, tmp_path):
    short = tmp_path / "short.toml"
    short.write_text("layers = 1\nwidth = 8\nheads = 1\nmax_length = 40\n")

    with pytest.raises(UsageError, match=r"sequences of 48 tokens do not fit .* 40 positions"):
        prepare([folder / "train"], settings_of(folder, model=str(short)))


@pytest.mark.parametrize("objective", ["mlm", "span", "clm", "bart"])
def test_an_estimate_counts_what_a_run_would_do(uninterrupted, objective):
    folder, whole = uninterrupted(objective)
    result = estimate(prepare([folder / "train"], settings_of(folder, steps=STEPS)))
    last = read_metrics(whole)[-1]

    assert result.parameters == count_parameters(load_model(whole)[0])
    assert result.steps == STEPS
    assert result.rows_per_step >= 8  # some share a bin
    assert result.tokens_per_step == pytest.approx(last["tokens"] / STEPS, rel=0.1)
    assert result.epochs == pytest.approx(last["epoch"], rel=0.1)
    assert result.memory_bytes > 16 * result.parameters
    assert 0 < result.seconds_per_step < result.seconds
    assert result.precision == "fp32"


def test_an_estimate_turns_tokens_and_time_into_steps(folder):
    tokens = estimate(prepare([folder / "train"], settings_of(folder, tokens=100_000)))
    seconds = estimate(prepare([folder / "train"], settings_of(folder, time=60.0)))

    assert tokens.steps == round(100_000 / tokens.tokens_per_step)
    assert seconds.seconds == pytest.approx(60, rel=0.1)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("objective", ["mlm", "span", "clm", "t5", "bart"])
def test_training_runs_on_cuda(uninterrupted, tmp_path, objective):
    folder, _ = uninterrupted(objective)
    ways = {"one": "auto", "two": "auto", "eager": "off"}
    for name, compiled in ways.items():
        train(folder, tmp_path / name, device="cuda", precision="auto", steps=10, compile=compiled)
    last = {name: read_metrics(tmp_path / name)[-1] for name in ways}

    for name in ("one", "two"):
        assert last[name]["loss"] == pytest.approx(last["eager"]["loss"], rel=1e-2)
        assert last[name]["grad_norm"] == pytest.approx(last["eager"]["grad_norm"], rel=0.2)


def test_a_checkpoint_of_other_settings_is_refused(folder, whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 0", "seed = 1"))

    with pytest.raises(CheckpointError, match="not made with the settings in the run's recipe"):
        train(folder, run, steps=STEPS, seed=1, resume=True)


def test_a_tensor_that_does_not_belong_is_noticed(folder, whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    path = run / "checkpoints" / f"step-{STEPS}" / "optimizer.safetensors"
    save_file(load_file(path), path, metadata={"made": "elsewhere"})

    with pytest.raises(CheckpointError, match="the file is damaged"):
        checkpoints.load(run, STEPS)
