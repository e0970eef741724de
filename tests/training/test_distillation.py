"""DistilBERT: losses against transformers' classes and plain formulas; the student's beginning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lmprep.errors import UsageError
from lmprep.evaluation.held_out import load_model
from lmprep.export import export
from lmprep.models.construction import count_parameters, outline
from lmprep.models.losses import LOSSES, Losses
from lmprep.models.settings import ModelSettings, model_settings
from lmprep.recipe import Step, run_recipe
from lmprep.recipe_file import load_recipe
from lmprep.shards.reader import Dataset
from lmprep.shipped import find_recipe
from lmprep.training.batch import make_batch
from lmprep.training.bins import one_row_each
from lmprep.training.estimates import estimate
from lmprep.training.preparation import prepare
from lmprep.training.pretraining import _new_model
from lmprep.training.steps import LOSSES as REPORTED
from lmprep.training.steps import targets
from lmprep.training.teaching import find_teacher
from tests.finished_runs import lively_model, write_run
from tests.training.tiny_runs import LENGTH, make_folders, settings_of, train

transformers = pytest.importorskip("transformers")
CPU = torch.device("cpu")
SHAPE = {"width": 32, "heads": 2, "max_length": 60}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, quick_disk) -> Path:
    """Data, a teacher of four layers as a run and as a folder, a student of two in a file."""
    folder = make_folders(tmp_path_factory.mktemp("distilled"), pairs="none")
    write_run(folder / "teacher", folder / "train", "bert-tiny", layers=4, pooler=False, **SHAPE)
    export(folder / "teacher", folder / "teacher-hf")
    (folder / "model.toml").write_text(
        'base = "distilbert-tiny"\nlayers = 2\nwidth = 32\nheads = 2\nmax_length = 60\n'
    )
    return folder


def prepared(folder: Path, **changes: object):
    settings = settings_of(folder, teacher=str(folder / "teacher"), **changes)
    return prepare([folder / "train"], settings)


@pytest.mark.parametrize("source", ["teacher", "teacher-hf"])
def test_losses_are_those_of_transformers_logits_and_states(folder, source):
    setup = prepare([folder / "train"], settings_of(folder, teacher=str(folder / source)))
    assert setup.teacher is not None
    student = lively_model(setup.model)
    dataset = Dataset(folder / "train")
    task = setup.stages.all[0].data.task
    rows = np.arange(5)
    columns = dataset.rows(rows, task.columns)
    batch = make_batch(columns, task, one_row_each(len(rows), LENGTH))
    losses = Losses(student, setup.teacher.model(CPU), temperature=3.0)
    with torch.no_grad():
        found = dict(zip(LOSSES, losses(batch.inputs, batch.labels).tolist(), strict=True))

    theirs = transformers.BertForMaskedLM.from_pretrained(folder / "teacher-hf").eval()
    run = write_run(
        folder / f"for-{source}", folder / "train", "distilbert-tiny", layers=2, **SHAPE
    )
    export(run, folder / f"of-{source}")
    ours = transformers.DistilBertForMaskedLM.from_pretrained(folder / f"of-{source}").eval()
    soft, cosine, tokens = 0.0, 0.0, 0
    for row, length in enumerate(np.diff(columns["input_ids"].offsets).tolist()):
        ids = batch.inputs.ids_BL[row : row + 1, :length].long()
        with torch.no_grad():
            taught = theirs(ids, output_hidden_states=True)
            told = ours(ids, output_hidden_states=True)
        shares = (taught.logits[0].double() / 3).softmax(-1)
        soft -= 9 * float((shares * (told.logits[0].double() / 3).log_softmax(-1)).sum())
        cosine += float(F.cosine_embedding_loss(
            told.hidden_states[-1][0], taught.hidden_states[-1][0], torch.ones(length),
            reduction="sum",
        ))  # fmt: skip
        tokens += length

    assert found["teacher_loss"] == pytest.approx(soft, rel=1e-5)
    assert found["cosine_loss"] == pytest.approx(cosine, rel=1e-4)
    counts = dict(zip(LOSSES, targets([batch]), strict=True))
    assert counts["teacher_loss"] == counts["cosine_loss"] == tokens
    assert counts["token_loss"] == len(batch.labels.tokens_M)


def test_a_student_begins_with_every_second_layer(folder):
    setup = prepared(folder)
    student = _new_model(setup).state_dict()
    teacher = find_teacher(
        str(folder / "teacher"), setup.stages.task, folder / "train" / "tokenizer"
    ).model(CPU).state_dict()  # fmt: skip

    for name, tensor in student.items():
        if name == "encoder.positions.weight":
            tensor = tensor - teacher["encoder.types.weight"][0]
            assert torch.allclose(tensor, teacher[name], atol=1e-6)
            continue
        there = name.replace("blocks.1.", "blocks.2.")
        assert torch.equal(tensor, teacher[there]), name
    assert (setup.model.layers, setup.model.types) == (2, 0)


def test_a_student_as_deep_as_its_teacher_predicts_as_it_does(folder):
    setup = prepared(folder)
    assert setup.teacher is not None
    settings = replace(setup.model, layers=4)
    deep = replace(setup, model=settings)
    from lmprep.training.teaching import student_start

    student = _new_model(replace(deep, initial=student_start(setup.teacher, settings)))
    data = setup.stages.all[0].data
    batch = data.step(0).batches[0]
    with torch.no_grad():
        expected = setup.teacher.model(CPU)(batch.inputs).logits_MV
        found = student(batch.inputs).logits_MV
        cosine = Losses(student, setup.teacher.model(CPU))(batch.inputs, batch.labels)

    assert torch.allclose(found, expected, atol=1e-4)
    assert cosine[LOSSES.index("cosine_loss")] < 1e-3


def test_another_width_begins_fresh_and_needs_a_loss_without_cosine(folder, caplog):
    narrow = folder / "narrow.toml"
    narrow.write_text(
        'base = "distilbert-tiny"\nlayers = 1\nwidth = 16\nheads = 2\nmax_length = 60\n'
    )
    with pytest.raises(UsageError, match=r"16 wide, its teacher 32.*--set cosine_weight=0"):
        prepared(folder, model=str(narrow))
    setup = prepared(folder, model=str(narrow), cosine_weight=0.0)

    assert setup.initial is None
    assert "its width is 32, the student's 16; the student begins with fresh weights" in caplog.text
    result = train(
        folder, folder / "narrow", model=str(narrow), cosine_weight=0.0, steps=2,
        teacher=str(folder / "teacher"),
    )  # fmt: skip
    assert result.losses["cosine_loss"] == 0
    assert result.losses["teacher_loss"] > 0


def test_a_training_goes_down_in_all_three_losses_and_resumes_to_the_same_weights(folder):
    usual = {
        "steps": 12, "checkpoint_every": 6, "log_every": 2, "lr": 3e-3, "token_weight": 2.0,
        "teacher": str(folder / "teacher"), "validation": folder / "valid",
    }  # fmt: skip
    result = train(folder, folder / "whole", **usual)
    lines = [json.loads(x) for x in (folder / "whole" / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "loss" in line]

    assert set(result.losses) == {"loss", "token_loss", "teacher_loss", "cosine_loss", "grad_norm"}
    assert set(result.losses) < set(REPORTED)
    assert result.losses["loss"] == pytest.approx(
        2 * result.losses["token_loss"] + 5 * result.losses["teacher_loss"]
        + result.losses["cosine_loss"]
    )  # fmt: skip
    for name in ("loss", "teacher_loss", "cosine_loss"):
        assert lines[-1][name] < lines[0][name]
    assert set(result.validation) == {"token_loss", "token_accuracy"}

    parted = folder / "parted"
    train(folder, parted, **usual)
    last = parted / "checkpoints" / "step-12"
    for path in last.iterdir():
        path.unlink()
    last.rmdir()
    (folder / "teacher").rename(folder / "moved")
    try:  # the teacher may lie elsewhere, as long as it is the same
        train(folder, parted, resume=True, **{**usual, "teacher": str(folder / "moved")})
    finally:
        (folder / "moved").rename(folder / "teacher")
    one, two = (load_model(path)[0].state_dict() for path in (folder / "whole", parted))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_model_card_names_the_teacher(folder):
    train(folder, folder / "carded", steps=1, teacher=str(folder / "teacher"))
    export(folder / "carded", folder / "card")

    card = (folder / "card" / "README.md").read_text(encoding="utf-8")
    assert f"distilled from `{folder / 'teacher'}` on the objective `mlm`" in card


def test_an_estimate_asks_the_teacher_too(folder):
    found = estimate(prepared(folder))

    assert found.steps == 6
    assert found.parameters == count_parameters(outline(prepared(folder).model))


def test_another_teacher_does_not_continue_a_run(folder):
    run = folder / "stubborn"
    train(folder, run, steps=2, teacher=str(folder / "teacher"))
    other = folder / "other-teacher"
    write_run(other, folder / "train", "bert-tiny", layers=2, pooler=False, **SHAPE)

    with pytest.raises(UsageError, match=r"teacher\.sha256 is"):
        train(folder, run, resume=True, steps=2, teacher=str(other))


def test_what_cannot_teach_is_refused_before_any_work(folder, tmp_path):
    with pytest.raises(UsageError, match="neither a run folder nor a folder of Hugging Face"):
        prepare([folder / "train"], settings_of(folder, teacher=str(tmp_path)))
    gpt = make_folders(tmp_path, "clm")
    with pytest.raises(UsageError, match="--teacher does not go with the objective clm"):
        prepare([gpt / "train"], settings_of(gpt, teacher=str(folder / "teacher")))
    headless = tmp_path / "headless"
    headless.mkdir()
    model = transformers.BertModel.from_pretrained(folder / "teacher-hf")
    model.save_pretrained(headless)
    with pytest.raises(UsageError, match="a teacher needs a head of masked tokens"):
        prepare([folder / "train"], settings_of(folder, teacher=str(headless)))


CHANGES = [
    "vocab.size=120", "build.length=32", "build.valid=20%", "pretrain.model=distilbert-tiny",
    "pretrain.steps=3", "pretrain.batch_tokens=128", "pretrain.precision=fp32",
]  # fmt: skip


def test_the_recipe_trains_a_teacher_of_the_students_size_and_steps(folder, tmp_path):
    corpus = [str(folder / "corpus.txt")]
    recipe = load_recipe(find_recipe("distilbert"), corpus=corpus, changes=CHANGES)
    steps: list[Step] = []
    run_recipe(recipe, tmp_path / "out", workers=1, on_step=steps.append)
    again: list[Step] = []
    run_recipe(recipe, tmp_path / "out", workers=1, on_step=again.append)

    assert recipe.teacher is not None
    assert (recipe.teacher.model, recipe.teacher.steps, recipe.teacher.lr) == ("bert-tiny", 3, 1e-4)
    assert recipe.teacher.batch_tokens == 128
    assert recipe.teacher.token_weight == 1
    assert [step.name for step in steps] == ["vocab", "build", "teacher", "pretrain", "evaluate"]
    assert all(step.skipped for step in again)
    teacher, _ = load_model(tmp_path / "out" / "teacher")
    student, _ = load_model(tmp_path / "out" / "run")
    assert (teacher.settings.layers, student.settings.layers) == (2, 1)


def test_a_teacher_that_is_there_is_taken_and_none_trained(folder, tmp_path):
    teacher = f"pretrain.teacher={folder / 'teacher'}"
    recipe = load_recipe(find_recipe("distilbert"), corpus=["x"], changes=[*CHANGES, teacher])
    own = [*CHANGES, "teacher.model=bert-mini", "teacher.tokens=5000"]
    stated = load_recipe(find_recipe("distilbert"), corpus=["x"], changes=own).teacher

    assert recipe.teacher is None
    assert recipe.pretrain is not None
    assert recipe.pretrain.teacher == str(folder / "teacher")
    assert stated is not None
    assert (stated.model, stated.steps, stated.tokens) == ("bert-mini", None, 5000)


@pytest.mark.parametrize("size", ["tiny", "mini", "base"])
def test_a_distilbert_is_half_a_bert_of_its_size(size):
    def shape(family: str) -> ModelSettings:
        return model_settings(f"{family}-{size}", vocabulary_size=99)

    assert 2 * shape("distilbert").layers == shape("bert").layers
    assert shape("distilbert").width == shape("bert").width
