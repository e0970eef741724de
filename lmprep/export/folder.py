"""The exported folder: configuration, weights, tokenizer and model card.

DIR/config.json              the class of transformers and its shape
DIR/generation_config.json   where a model can write: its special tokens
DIR/model.safetensors        float32, each tied tensor once
DIR/tokenizer.json ...       the run's tokenizer, with the model's longest input
DIR/README.md                the model card
DIR/generator/               of an ELECTRA, whose discriminator is what lies in DIR: its generator,
                             with the same files but the card
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from lmprep.errors import UsageError
from lmprep.evaluation.held_out import load_model
from lmprep.export.model_card import Facts, model_card
from lmprep.files import canonical_json, sync_folder, sync_tree
from lmprep.models.construction import count_parameters
from lmprep.models.electra import generator_alone
from lmprep.models.hf import hf_class, to_hf, write_config
from lmprep.models.settings import ModelSettings
from lmprep.shards.reader import vocabulary_from
from lmprep.tokenization.folder import FILES
from lmprep.training import run_folder
from lmprep.training.tasks import Task
from lmprep.vocabulary import Vocabulary

CONFIG, GENERATION, WEIGHTS, CARD = (
    "config.json", "generation_config.json", "model.safetensors", "README.md",
)  # fmt: skip
_TOKENIZER_CONFIG = "tokenizer_config.json"
_GENERATOR, _GENERATOR_CLASS = "generator", "ElectraForMaskedLM"
# Keys of a configuration that generation reads from a file of its own.
_GENERATION_KEYS = (
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "forced_eos_token_id",
    "pad_token_id",
)


def export(run: Path, folder: Path, *, step: int | None = None, force: bool = False) -> Facts:
    """Write the model of a run as a folder that transformers loads.

    Args:
        run: a run folder.
        folder: where; must not exist, unless `force`: then its files of the same names are
            replaced, and others stay.
        step: of the checkpoint; by default the newest intact one.

    Raises:
        UsageError: no run, an existing folder, or a model that no class of transformers is.
        CheckpointError: no such checkpoint, or a damaged one.
    """
    config = run_folder.read_config(run)
    settings = run_folder.read_model(run)
    vocabulary = vocabulary_from(config["vocabulary"])
    pairs = config["pairs"] != "none"
    _check_free(folder, force)
    try:
        class_name = hf_class(settings, pairs=pairs, pad=vocabulary.pad)
        described = write_config(settings, class_name, vocabulary, _start_token(config, settings))
        beside = _generator_config(settings, vocabulary)
    except ValueError as error:
        raise UsageError(
            str(error), path=run, fix="lmprep docs exporting says which models can be exported"
        ) from None
    model, found = load_model(run, step)
    facts = Facts(
        name=folder.resolve().name,
        class_name=class_name,
        model_type=described["model_type"],
        step=found,
        parameters=count_parameters(model),
        left_out=_left_out(settings, class_name, pairs),
    )
    tokenizer = _tokenizer_files(run, settings, config["length"])
    contents = {
        CARD: model_card(run, facts).encode(),
        **tokenizer,
        **_configurations(described, settings),
    }
    tensors = {WEIGHTS: to_hf(model.state_dict(), settings, class_name)}
    if beside is not None:
        files = {**tokenizer, **_configurations(beside, settings)}
        contents = {f"{_GENERATOR}/{name}": content for name, content in files.items()} | contents
        tensors[f"{_GENERATOR}/{WEIGHTS}"] = to_hf(
            generator_alone(model.state_dict()), settings.generator(), _GENERATOR_CLASS
        )
    _publish(folder, contents, tensors)
    return facts


def _generator_config(settings: ModelSettings, vocabulary: Vocabulary) -> dict[str, Any] | None:
    """config.json of the generator beside a discriminator, if there is one.

    Raises:
        ValueError: its class cannot be such a model.
    """
    if not settings.has_generator:
        return None
    return write_config(settings.generator(), _GENERATOR_CLASS, vocabulary)


def _check_free(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError("it is a file", path=folder, fix="Choose another -o")
    if folder.exists() and not force:
        raise UsageError(
            "the folder already exists",
            path=folder,
            fix="Choose another -o, or replace its files with --force",
        )


def _start_token(config: Mapping[str, Any], settings: ModelSettings) -> int | None:
    """What a decoder behind an encoder begins with."""
    if settings.kind != "encoder-decoder":
        return None
    vocabulary = vocabulary_from(config["vocabulary"])
    task = Task(objective=config["objective"], length=config["length"], vocabulary=vocabulary)
    return task.start_token


def _left_out(settings: ModelSettings, class_name: str, pairs: bool) -> tuple[str, ...]:
    """The heads that were trained and have no place in the class, in words."""
    boundaries = ["span-boundary head"] if settings.span_boundary else []
    judged = ["head of sentence pairs"] if pairs and "ForPreTraining" not in class_name else []
    return (*boundaries, *judged)


def _tokenizer_files(run: Path, settings: ModelSettings, length: int) -> dict[str, bytes]:
    """The run's tokenizer, which is told what the model takes.

    Args:
        length: tokens in the longest rows of the training.
    """
    folder = run / run_folder.TOKENIZER
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    # Types that a model cannot tell apart are not given to it; some classes would use them as ids.
    types = ["token_type_ids"] if settings.types > 1 else []
    described = json.loads(files.get(_TOKENIZER_CONFIG, b"{}")) | {
        "model_max_length": settings.length_limit or length,
        "model_input_names": ["input_ids", *types, "attention_mask"],
    }
    return {**files, _TOKENIZER_CONFIG: canonical_json(described)}


def _configurations(described: Mapping[str, Any], settings: ModelSettings) -> dict[str, bytes]:
    """config.json, last of all files; before it the one for generation, where there is any."""
    generation = {k: described[k] for k in _GENERATION_KEYS if described.get(k) is not None}
    config = canonical_json({**described, "dtype": "float32"})
    if settings.kind == "encoder":
        return {CONFIG: config}
    return {GENERATION: canonical_json(generation), CONFIG: config}


def _publish(
    folder: Path, contents: Mapping[str, bytes], tensors: Mapping[str, dict[str, Tensor]]
) -> None:
    """Write the folder under a temporary name, flush it to the disk, then give it its name.

    Args:
        contents: of the other files, by name.
        tensors: of the files of weights.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        for name, content in contents.items():
            (temporary / name).parent.mkdir(exist_ok=True)
            (temporary / name).write_bytes(content)
        for name, each in tensors.items():
            save_file(each, temporary / name, metadata={"format": "pt"})
            # safetensors lets nobody else read its file; these are no secrets.
            (temporary / name).chmod((temporary / CONFIG).stat().st_mode)
        sync_tree(temporary)
        if folder.exists():
            _replace_files(folder, temporary, [*tensors, *contents])
        else:
            temporary.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_files(folder: Path, new: Path, names: list[str]) -> None:
    """Put new files in the place of those of an earlier export.

    config.json goes first and comes back last, so that at no moment a mixture can be loaded.
    """
    for name in (CONFIG, GENERATION, *FILES):
        (folder / name).unlink(missing_ok=True)
        (folder / _GENERATOR / name).unlink(missing_ok=True)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (new / name).replace(folder / name)
    sync_folder(folder)
