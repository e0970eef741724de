"""`--init`: weights of a run, of a folder, of the hub, into a model of ours."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lmprep.errors import CheckpointError, UsageError
from lmprep.evaluation.held_out import load_model
from lmprep.export import export
from lmprep.models.construction import new_model
from lmprep.models.inputs import Inputs
from lmprep.shards.reader import Dataset
from lmprep.tokenization.folder import load
from lmprep.training.initial import Initial, begin_from, initial_model
from lmprep.training.tasks import Task, task_of
from tests.corpora import make_tokenizer, write_corpus
from tests.finished_runs import LEARNT, lively_model, make_run, save_step

transformers = pytest.importorskip("transformers")

KINDS = ("bert-pairs", "roberta", "gpt2", "t5v1.1", "bart")


def task_and_tokenizer(folder: Path) -> tuple[Task, Path]:
    dataset = Dataset(folder / "train")
    return task_of(dataset.manifest, dataset.folder), dataset.folder / "tokenizer"


def begun(folder: Path, source: object, model: str = "") -> tuple[Initial, Any, list[str]]:
    """A model that begins from `source` to learn the dataset of `folder`; its fresh heads."""
    initial = initial_model(str(source), *task_and_tokenizer(folder), model)
    fresh_model = new_model(initial.settings, seed=3)
    return initial, fresh_model, begin_from(fresh_model, initial)


def logits_of(model: Any) -> Tensor:
    ids = torch.arange(5, 45).view(2, 20)
    decoder_ids = ids[:, :9] if model.settings.kind == "encoder-decoder" else None
    scored = torch.arange(18)
    with torch.no_grad():
        inputs = Inputs(ids_BL=ids, scored_M=scored, decoder_ids_BK=decoder_ids)
        return model.eval()(inputs).logits_MV


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `run`, its data, and its export `out`."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp(request.param)
    export(make_run(folder, request.param), folder / "out")
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for BERT on masks alone: without a head of pairs in the export."""
    folder = tmp_path_factory.mktemp("bert")
    export(make_run(folder, "bert"), folder / "out")
    return folder


def test_a_run_and_its_export_begin_with_the_weights_of_the_run(folder: Path, caplog):
    trained, _ = load_model(folder / "run")
    for source in ("run", "run/checkpoints/step-7", "out"):
        initial, model, fresh = begun(folder, folder / source)

        assert fresh == [], source
        assert str(folder) in initial.description
        state, there = model.state_dict(), trained.state_dict()
        # RoBERTa's class has no place for the pooler and the head that nothing was asked of.
        if source != "out" or model.settings.pooler or model.settings.kind != "encoder":
            assert state.keys() == there.keys(), source
        assert all(torch.equal(state[name], there[name]) for name in state), source
    assert caplog.messages == []


def test_the_newest_intact_checkpoint_of_a_run_or_the_one_named_is_taken(bert: Path, tmp_path):
    run = shutil.copytree(bert / "run", tmp_path / "run")
    trained, _ = load_model(run)
    for step in (9, 11):
        save_step(run, lively_model(trained.settings, seed=step), step)
    (run / "checkpoints" / "step-11" / "model.safetensors").write_bytes(b"torn")
    newest, named = begun(bert, run)[0], begun(bert, run / "checkpoints" / "step-7")[0]

    assert newest.description.endswith("checkpoints/step-9")
    assert named.description.endswith("checkpoints/step-7")
    assert not torch.equal(
        newest.tensors["encoder.tokens.weight"], named.tensors["encoder.tokens.weight"]
    )
    with pytest.raises(CheckpointError, match="step-8: there is no such checkpoint"):
        begun(bert, run / "checkpoints" / "step-8")
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UsageError, match="the run has no checkpoint yet"):
        begun(bert, run)


def test_a_sharded_half_precision_folder_of_transformers_is_read(folder: Path, tmp_path: Path):
    trained, _ = load_model(folder / "run")
    kind = trained.settings.kind
    auto = {
        "encoder": "AutoModelForPreTraining",
        "decoder": "AutoModelForCausalLM",
        "encoder-decoder": "AutoModelForSeq2SeqLM",
    }[kind]
    theirs = getattr(transformers, auto).from_pretrained(folder / "out")
    theirs.to(torch.bfloat16).save_pretrained(tmp_path / "there", max_shard_size="40kB")
    assert len(list((tmp_path / "there").glob("*.safetensors"))) > 1
    _, model, fresh = begun(folder, tmp_path / "there")

    assert fresh == []
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    rounded = lively_model(trained.settings)
    rounded.load_state_dict({k: v.bfloat16().float() for k, v in trained.state_dict().items()})
    torch.testing.assert_close(logits_of(model), logits_of(rounded), atol=1e-5, rtol=0)


def test_a_model_saved_without_heads_gets_fresh_ones_and_says_so(bert: Path, tmp_path, caplog):
    theirs = transformers.BertModel.from_pretrained(bert / "out", add_pooling_layer=False)
    theirs.save_pretrained(tmp_path / "bare")
    _, model, fresh = begun(bert, tmp_path / "bare")
    trained, _ = load_model(bert / "run")

    assert fresh == ["masked token head"]
    assert "bare: no masked token head; fresh weights there." in caplog.text
    for name, tensor in model.state_dict().items():
        same = torch.equal(tensor, trained.state_dict()[name])
        assert same == name.startswith("encoder."), name


def test_pairs_get_a_fresh_head_where_the_source_has_none(bert: Path, tmp_path: Path, caplog):
    task, tokenizer = task_and_tokenizer(bert)
    pairs = Task(objective="mlm", pairs="nsp", length=48, vocabulary=task.vocabulary)
    initial = initial_model(str(bert / "out"), pairs, tokenizer)

    assert initial.settings.pooler
    assert begin_from(new_model(initial.settings, 1), initial) == ["pooler", "pair head"]
    assert not initial_model(str(bert / "out"), task, tokenizer).settings.pooler


def test_heads_are_those_of_the_weights_whatever_the_configuration_says(tmp_path: Path):
    export(make_run(tmp_path, "bert-pairs"), tmp_path / "out")
    folder, out = tmp_path, tmp_path / "out"
    config = json.loads((out / "config.json").read_text())
    config["architectures"] = ["BertForMaskedLM"]  # as that of bert-base-uncased does
    (out / "config.json").write_text(json.dumps(config))
    initial, _, fresh = begun(folder, out)

    assert (initial.settings.pooler, fresh) == (True, [])
    alone = Task(objective="mlm", length=48, vocabulary=task_and_tokenizer(folder)[0].vocabulary)
    assert initial_model(str(out), alone, task_and_tokenizer(folder)[1]).settings.pooler


def test_a_span_boundary_head_stays_behind_unless_it_is_asked_for(tmp_path: Path, caplog):
    run = make_run(tmp_path, "bert", objective="span", span_boundary=5)
    task, tokenizer = task_and_tokenizer(tmp_path)
    kept = initial_model(str(run), task, tokenizer)
    assert kept.settings.span_boundary == 5
    assert begin_from(new_model(kept.settings, 1), kept) == []

    masked = Task(objective="mlm", length=48, vocabulary=task.vocabulary)
    left = initial_model(str(run), masked, tokenizer)
    assert left.settings.span_boundary == 0
    assert begin_from(new_model(left.settings, 1), left) == []
    assert "its span boundary head stays behind" in caplog.text


def test_tensors_that_are_missing_or_of_another_shape_are_refused(bert: Path):
    initial, model, _ = begun(bert, bert / "run")
    name = "encoder.blocks.1.contract.weight"
    lacking = {k: v for k, v in initial.tensors.items() if k != name}
    with pytest.raises(CheckpointError, match=f"has no {name}"):
        begin_from(model, initial._replace(tensors=lacking))
    with pytest.raises(CheckpointError, match=f"{name} has the shape"):
        begin_from(model, initial._replace(tensors=lacking | {name: torch.zeros(3, 3)}))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"objective": "clm"}, "the objective clm needs a model of kind decoder, not encoder"),
        ({"length": 61}, "sequences of 61 tokens do not fit the model's 60 positions"),
    ],
)
def test_another_kind_and_longer_rows_are_refused(bert: Path, changes, complaint):
    task, tokenizer = task_and_tokenizer(bert)
    usual: dict[str, Any] = {"objective": "mlm", "length": 48, "vocabulary": task.vocabulary}
    with pytest.raises(UsageError, match=complaint):
        initial_model(str(bert / "out"), Task(**usual | changes), tokenizer)


def test_a_smaller_vocabulary_is_refused_and_other_ids_are_warned_of(bert, tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus.txt", seed=5)
    for size in (130, 110):
        tokenizer = make_tokenizer(corpus, tmp_path / f"tok-{size}", size=size)
        other = Task(objective="mlm", length=48, vocabulary=load(tokenizer).vocabulary)
        if size > 120:
            with pytest.raises(UsageError, match="has 120 tokens, the datasets' tokenizer 130"):
                initial_model(str(bert / "out"), other, tokenizer)
            continue
        initial = initial_model(str(bert / "out"), other, tokenizer)
        assert initial.settings.vocabulary_size == 120
    assert "its tokenizer is not that of the datasets: " in caplog.text
    assert f"-t {bert / 'out'}" in caplog.text


@pytest.mark.parametrize("kept", ["tokenizer.json", "vocab.txt", "nothing"])
def test_tokenizers_are_compared_by_what_tells_their_ids(bert: Path, tmp_path, caplog, kept):
    out = shutil.copytree(bert / "out", tmp_path / "out")
    for name in ("tokenizer.json", "vocab.txt", "training.json"):
        if name != kept:
            (out / name).unlink()
    if kept == "tokenizer.json":  # of other bytes, and the same ids
        (out / kept).write_text(json.dumps(json.loads((out / kept).read_text())))
    begun(bert, out)

    assert ("no tokenizer there to compare" in caplog.text) == (kept == "nothing")
    assert "is not that of" not in caplog.text


def test_tokens_that_have_changed_places_are_counted(bert: Path, tmp_path, caplog):
    out = shutil.copytree(bert / "out", tmp_path / "out")
    (out / "tokenizer.json").unlink()
    tokens = (out / "vocab.txt").read_text().split("\n")
    tokens[50], tokens[60] = tokens[60], tokens[50]
    (out / "vocab.txt").write_text("\n".join(tokens))
    begun(bert, out)

    assert "2 of 120 tokens have other ids there" in caplog.text


def test_a_model_beside_it_must_have_its_shape_and_gives_its_dropout(bert: Path, tmp_path: Path):
    shape = 'base = "bert-tiny"\nlayers = 2\nwidth = 32\nheads = 4\nmax_length = 60\n'
    (tmp_path / "same.toml").write_text(shape + "dropout = 0.3\nspan_boundary = 9\n")
    (tmp_path / "other.toml").write_text(shape + "feed_forward = 77\n")
    initial, _, fresh = begun(bert, bert / "out", str(tmp_path / "same.toml"))

    assert (initial.settings.dropout, initial.settings.span_boundary, fresh) == (0.3, 0, [])
    with pytest.raises(UsageError, match="has feed_forward 77, the model to begin from 128"):
        begun(bert, bert / "out", str(tmp_path / "other.toml"))


def test_pickles_and_folders_that_hold_no_model_are_refused(bert: Path, tmp_path: Path):
    out = shutil.copytree(bert / "out", tmp_path / "out")
    (out / "model.safetensors").rename(out / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"pytorch_model\.bin is a pickle, which is not read"):
        begun(bert, out)
    (out / "pytorch_model.bin").unlink()
    with pytest.raises(UsageError, match=r"there is no model\.safetensors in it\. Write one"):
        begun(bert, out)
    (out / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        begun(bert, out)
    (out / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UsageError, match="model_type is 'llama'"):
        begun(bert, out)
    (out / "config.json").write_text("[")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        begun(bert, out)
    with pytest.raises(UsageError, match="neither a run folder nor a folder of Hugging Face's"):
        begun(bert, tmp_path)
    with pytest.raises(UsageError, match="this is a file"):
        begun(bert, out / "config.json")


def test_an_index_may_name_files_of_its_folder_only(bert: Path, tmp_path: Path):
    out = shutil.copytree(bert / "out", tmp_path / "out")
    (out / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    index = {"weight_map": {"x": "../elsewhere.safetensors"}}
    (out / "model.safetensors.index.json").write_text(json.dumps(index))

    with pytest.raises(CheckpointError, match=r"'\.\./elsewhere\.safetensors' is not a file name"):
        begun(bert, out)


def test_a_hub_name_is_downloaded_without_pickles(bert: Path, tmp_path, monkeypatch, caplog):
    import huggingface_hub

    asked: dict[str, Any] = {}

    def download(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(shutil.copytree(bert / "out", tmp_path / "snapshots" / "0f1e2d"))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    initial, _, fresh = begun(bert, "someone/some-bert")

    assert (asked["name"], fresh) == ("someone/some-bert", [])
    assert initial.description == "someone/some-bert at 0f1e2d"
    assert all(not pattern.endswith((".bin", ".py", "*")) for pattern in asked["allow_patterns"])
    with caplog.at_level(logging.WARNING):
        assert caplog.messages == []


def raises(error: Exception) -> Any:
    def download(name: str, **options: Any) -> str:
        raise error

    return download


def test_what_the_hub_refuses_is_told_with_what_to_do(bert: Path, tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub import errors

    monkeypatch.chdir(tmp_path)
    unknown = errors.RepositoryNotFoundError.__new__(errors.RepositoryNotFoundError)
    gated = errors.GatedRepoError.__new__(errors.GatedRepoError)
    offline = errors.OfflineModeIsEnabled("offline mode is enabled")
    for error, said in (
        (unknown, "no folder of this name here, and no public model on the Hugging Face hub"),
        (gated, "access to it must be asked for"),
        (offline, r"\(offline mode is enabled\)\. Check the network and HF_HUB_OFFLINE"),
        (TimeoutError(), r"\(TimeoutError\)"),
    ):
        monkeypatch.setattr(huggingface_hub, "snapshot_download", raises(error))
        with pytest.raises(UsageError, match=said):
            begun(bert, "someone/nothing")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", raises(AssertionError("asked")))
    with pytest.raises(UsageError, match="runs/2/old: there is no such folder"):
        begun(bert, "runs/2/old")


def test_every_kind_of_run_is_a_source():
    assert set(KINDS) <= set(LEARNT)
