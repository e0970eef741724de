"""What an exported folder holds, and that transformers reads in it what we wrote.

B texts, L positions, V vocabulary.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import lmprep
from lmprep.errors import CheckpointError, UsageError
from lmprep.evaluation.held_out import load_model
from lmprep.export import export
from lmprep.models.inputs import Inputs
from lmprep.models.language_model import LanguageModel
from tests.finished_runs import LEARNT, lively_model, make_run, save_step

transformers = pytest.importorskip("transformers")

TEXTS = ["Bake lomi nura sote.", "Vizu ba ke lo mi nu ra so te vi zu bake loba, mike!"]
CLASSES = {
    "bert": "BertForMaskedLM",
    "bert-pairs": "BertForPreTraining",
    "roberta": "RobertaForMaskedLM",
    "albert-pairs": "AlbertForPreTraining",
    "albert": "AlbertForMaskedLM",
    "distilbert": "DistilBertForMaskedLM",
    "electra": "ElectraForMaskedLM",
    "gpt": "OpenAIGPTLMHeadModel",
    "gpt2": "GPT2LMHeadModel",
    "t5": "T5ForConditionalGeneration",
    "t5v1.1": "T5ForConditionalGeneration",
    "bart": "BartForConditionalGeneration",
}
# T5's relative positions have no end: what it was trained on is its longest input.
LONGEST = {"t5": 48, "t5v1.1": 48}
AUTO = {"clm": "AutoModelForCausalLM", "mlm": "AutoModelForMaskedLM"}


@pytest.fixture(scope="module", params=LEARNT)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory, quick_disk: None) -> Path:
    """A run `run` and its export `out`."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp(kind)
    export(make_run(folder, kind), folder / "out")
    return folder


def loaded(folder: Path, kind: str, auto: str = "") -> Any:
    """The model that transformers reads, which must find all it wants and nothing else."""
    name = auto or CLASSES[kind]
    model, told = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    assert type(model).__name__ == CLASSES[kind] or auto
    assert not any(told[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def encoded(folder: Path) -> tuple[Any, Tensor]:
    """Texts through the exported tokenizer, padded, and which positions are tokens [B, L]."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    return inputs, inputs["attention_mask"].bool()


def our_logits(model: LanguageModel, encoded: Any, inside_BL: Tensor) -> tuple[Tensor, Any]:
    """Logits of all tokens [number of them, V], and of the pairs."""
    decoder = model.settings.kind == "encoder-decoder"
    is_encoder = model.settings.kind == "encoder"
    rows, length = inside_BL.shape
    inputs = Inputs(
        ids_BL=encoded["input_ids"],
        types_BL=encoded.get("token_type_ids"),
        lengths_B=inside_BL.sum(1),
        scored_M=inside_BL.flatten().nonzero().squeeze(1),
        decoder_ids_BK=encoded["input_ids"] if decoder else None,
        firsts_P=torch.arange(rows) * length if is_encoder and model.settings.pooler else None,
    )
    with torch.no_grad():
        outputs = model(inputs)
    return outputs.logits_MV, outputs.pair_logits_P2


def test_the_class_it_loads_into_gives_our_logits(folder: Path, kind: str):
    theirs, (inputs, inside_BL) = loaded(folder / "out", kind), encoded(folder / "out")
    model, step = load_model(folder / "run")
    logits, pairs = our_logits(model.eval(), inputs, inside_BL)
    if model.settings.kind == "encoder-decoder":
        inputs["decoder_input_ids"] = inputs["input_ids"]
    with torch.no_grad():
        expected = theirs(**inputs)

    assert step == 7
    dense = expected.prediction_logits if "PreTraining" in CLASSES[kind] else expected.logits
    assert dense.std() > 0.05
    torch.testing.assert_close(dense[inside_BL], logits, atol=1e-5, rtol=0)
    if "PreTraining" in CLASSES[kind]:
        order = expected.get("seq_relationship_logits", expected.get("sop_logits"))
        torch.testing.assert_close(order, pairs, atol=1e-5, rtol=0)


def test_the_auto_class_and_the_tokenizer_load(folder: Path, kind: str):
    objective = LEARNT[kind][0]
    auto = AUTO.get(objective, "AutoModelForSeq2SeqLM")
    if "PreTraining" in CLASSES[kind]:  # whose head of pairs a model for masks leaves unread
        auto = "AutoModelForPreTraining"
    model = loaded(folder / "out", kind, auto)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "out")

    assert type(model).__name__ == CLASSES[kind]
    assert len(tokenizer) == model.config.vocab_size
    assert tokenizer.model_max_length == LONGEST.get(kind, 60)
    assert model.dtype == torch.float32


def test_every_tensor_is_stored_once_in_the_format_of_transformers(folder: Path):
    with safe_open(folder / "out" / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        tensors = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
    contents = [tensor.numpy().tobytes() for tensor in tensors if tensor.any()]

    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    assert len(set(contents)) == len(contents)


def test_a_model_that_writes_knows_its_special_tokens(folder: Path, kind: str):
    path = folder / "out" / "generation_config.json"
    if LEARNT[kind][0] == "mlm":
        assert not path.exists()
        return
    model = loaded(folder / "out", kind)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "out")
    inputs = tokenizer(TEXTS[:1], return_tensors="pt", add_special_tokens=kind in ("t5", "bart"))
    written = model.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)

    assert json.loads(path.read_bytes())["eos_token_id"] == tokenizer.eos_token_id
    assert written.shape[1] > 3
    if not kind.startswith("gpt"):  # as in training: </s> for BART, padding for T5
        begin = tokenizer.eos_token_id if kind == "bart" else tokenizer.pad_token_id
        assert written[0, 0] == begin


def test_only_models_with_token_types_are_given_any(folder: Path, kind: str):
    inputs, _ = encoded(folder / "out")
    with_types = kind in ("bert", "bert-pairs", "albert", "albert-pairs", "electra")

    assert ("token_type_ids" in inputs) == with_types


def test_the_page_on_exporting_names_the_classes():
    page = (Path(lmprep.__file__).parent / "docs" / "exporting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\S+-\.\.\.`.*) \| (.*) \|$", page, flags=re.MULTILINE)
    said = {
        family: re.findall(r"`(\w+)`", classes)
        for families, classes in rows
        for family in re.findall(r"`(\S+)-\.\.\.`", families)
    }
    expected: dict[str, list[str]] = {}
    for kind, name in CLASSES.items():
        expected.setdefault(kind.removesuffix("-pairs"), []).append(name)

    assert {family: sorted(names) for family, names in said.items()} == {
        family: sorted(names) for family, names in expected.items()
    }


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory, quick_disk: None) -> Path:
    """A run of BERT with pairs."""
    return make_run(tmp_path_factory.mktemp("bert"), "bert-pairs")


def test_the_checkpoint_asked_for_is_exported(bert: Path, tmp_path: Path):
    run = shutil.copytree(bert, tmp_path / "run")
    model, _ = load_model(run)
    save_step(run, lively_model(model.settings, seed=2), 9)
    assert export(run, tmp_path / "new").step == 9
    assert export(run, tmp_path / "old", step=7).step == 7
    files = [tmp_path / name / "model.safetensors" for name in ("new", "old")]

    assert files[0].read_bytes() != files[1].read_bytes()
    with pytest.raises(CheckpointError, match="step-8: there is no such checkpoint"):
        export(run, tmp_path / "none", step=8)


def test_an_existing_folder_is_refused_and_force_leaves_other_files(bert: Path, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UsageError, match=r"already exists\. .* --force"):
        export(bert, out)
    for name in ("notes.txt", "generation_config.json", "merges.txt", "config.json"):
        (out / name).write_text("old")
    export(bert, out, force=True)

    assert (out / "notes.txt").read_text() == "old"
    assert not (out / "generation_config.json").exists()
    assert not (out / "merges.txt").exists()
    loaded(out, "bert-pairs")
    with pytest.raises(UsageError, match="it is a file"):
        export(bert, out / "notes.txt", force=True)


def test_a_failure_leaves_nothing_behind_and_nothing_that_could_be_loaded(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(path: Path, _: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            export(bert, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []

    export(bert, tmp_path / "out")
    replaced: list[str] = []

    def stop_at_second(self: Path, target: Path) -> Path:
        replaced.append(target.name)
        if len(replaced) == 2:
            raise OSError(5, "Input/output error", str(target))
        os.replace(self, target)
        return target

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop_at_second)
        with pytest.raises(OSError, match="Input/output"):
            export(bert, tmp_path / "out", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"norm": "rms", "bias": False}, "no class of transformers is such a model.*norm 'layer'"),
        ({"positions": "rotary"}, "positions 'learned', not 'rotary'"),
    ],
)
def test_a_shape_of_no_class_is_refused_with_the_difference(tmp_path, changes, said):
    run = make_run(tmp_path, "bert", **changes)
    with pytest.raises(UsageError, match=said):
        export(run, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_heads_without_a_place_are_named(tmp_path: Path):
    run = make_run(tmp_path, "bert", objective="span", span_boundary=5)
    facts = export(run, tmp_path / "out")

    assert facts.left_out == ("span-boundary head",)
    assert facts.class_name == "BertForMaskedLM"
    loaded(tmp_path / "out", "bert")


def test_a_run_without_a_checkpoint_and_no_run_are_refused(bert: Path, tmp_path: Path):
    run = shutil.copytree(bert, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(CheckpointError, match="the run has no checkpoint yet"):
        export(run, tmp_path / "out")
    with pytest.raises(UsageError, match="this is not a run folder"):
        export(tmp_path, tmp_path / "out")
