"""A fine-tuned network as a folder that this library, and where it can be transformers, loads."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from lmprep import __version__
from lmprep.files import canonical_json, sync_folder, sync_tree
from lmprep.finetuning.folder import CONFIG, HEAD, TASK, WEIGHTS
from lmprep.finetuning.hf_heads import HeadClass, head_class
from lmprep.finetuning.network import Network
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.start import Start
from lmprep.finetuning.tasks.base import Task
from lmprep.finetuning.tasks.text_to_text import start_token
from lmprep.models.hf import to_hf, write_config
from lmprep.models.hf.classes import CLASSES
from lmprep.tokenization import folder as tokenizer_folder

_TOKENIZER_CONFIG = "tokenizer_config.json"
_MODEL = "model."


def save_seed(
    folder: Path,
    network: Network,
    task: Task[Any],
    start: Start,
    settings: FinetuneSettings,
    contents: Mapping[str, bytes],
) -> None:
    """Write the folder of one seed, whole or not at all; see `folder`.

    Args:
        contents: further files.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        tokenizer_folder.copy(start.tokenizer, temporary)
        tensors, config, hf_name = _model_files(network, task, start, settings)
        state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
        head = {name: v for name, v in state.items() if not name.startswith(_MODEL)}
        _save(tensors, temporary / WEIGHTS)
        if head:
            _save(head, temporary / HEAD)
        described = {
            "lmprep": __version__,
            "task": settings.task,
            "labels": task.labels,
            "settings": settings.as_dict(),
            "state": task.state,
            "vocabulary": asdict(start.vocabulary),
            "model_type": start.model_type,
            "length": start.length(settings),
            "hf_class": hf_name,
            "source": start.description,
        }
        _tell_tokenizer(temporary, network, start.length(settings))
        for name, content in {**contents, TASK: canonical_json(described)}.items():
            (temporary / name).write_bytes(content)
        (temporary / CONFIG).write_bytes(canonical_json(config))
        for name in (WEIGHTS, HEAD):  # safetensors lets nobody else read its files
            if (temporary / name).exists():
                (temporary / name).chmod((temporary / CONFIG).stat().st_mode)
        sync_tree(temporary)
        temporary.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _model_files(
    network: Network, task: Task[Any], start: Start, settings: FinetuneSettings
) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Weights, configuration, and the class of transformers that has the head too, if any."""
    model = network.model
    state = {k: v.detach().cpu() for k, v in model.state_dict().items()}
    if not start.class_name:
        ours = {"model": model.settings.as_dict(), "vocabulary": asdict(start.vocabulary)}
        return {name: tensor.contiguous() for name, tensor in state.items()}, ours, ""
    begins = start_token(start.vocabulary) if model.settings.kind == "encoder-decoder" else None
    config = write_config(model.settings, start.class_name, start.vocabulary, begins)
    tensors = to_hf(state, model.settings, start.class_name)
    config["dtype"] = "float32"
    if model.settings.kind == "encoder-decoder":
        return tensors, config, start.class_name
    found = head_class(settings, start.model_type, crf=settings.crf)
    if found is None:
        return tensors, config, ""
    prefix = CLASSES[start.class_name].layout(model.settings).prefix
    kept = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return kept | _head_tensors(network, found), config | _head_config(task, found), found.name


def _head_tensors(network: Network, found: HeadClass) -> dict[str, Tensor]:
    ours = {k: v.detach().cpu().contiguous() for k, v in network.head.state_dict().items()}
    return {
        f"{theirs}.{name.rpartition('.')[2]}": tensor
        for name, tensor in ours.items()
        if (theirs := found.names.get(name.rpartition(".")[0]))
    }


def _head_config(task: Task[Any], found: HeadClass) -> dict[str, Any]:
    numbers = task.numbers()
    by_number = {str(number): label for label, number in numbers.items()}
    labels = {"id2label": by_number, "label2id": numbers} if numbers else {}
    return {"architectures": [found.name], **labels}


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    save_file(dict(tensors), path, metadata={"format": "pt"})


def _tell_tokenizer(folder: Path, network: Network, length: int) -> None:
    """Tell the tokenizer's configuration what the model takes."""
    path = folder / _TOKENIZER_CONFIG
    described = json.loads(path.read_bytes()) if path.exists() else {}
    types = ["token_type_ids"] if network.settings.types > 1 else []
    described |= {
        "model_max_length": network.settings.length_limit or length,
        "model_input_names": ["input_ids", *types, "attention_mask"],
    }
    path.write_bytes(canonical_json(described))
