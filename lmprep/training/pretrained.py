"""Models that are there already: in a run folder, in a folder of Hugging Face's layout, on its hub.

Weights are read from safetensors files only: a `.bin` file is a pickle, and loading one runs what
code it holds.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lmprep.errors import CheckpointError, UsageError
from lmprep.models.hf import from_hf, read_config
from lmprep.models.hf.config import reading_class
from lmprep.models.settings import ModelSettings
from lmprep.training import checkpoints, run_folder

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_FETCH_AGAIN = "Fetch or write the folder again"
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_CHECKPOINT = re.compile(r"step-(\d+)")


@dataclass(frozen=True, kw_only=True, eq=False)
class Pretrained:
    """A model with its weights.

    Args:
        settings: its shape; the pooler is part of it if its weights are there.
        tensors: by the names of our parameters, in the precision of their file; heads may be
            missing.
        tokenizer: the folder whose tokenizer its ids are of; there may be none in it.
        description: where it is from, for messages and the run's papers.
    """

    settings: ModelSettings
    tensors: dict[str, Tensor]
    tokenizer: Path
    description: str


def find_pretrained(source: str) -> Pretrained:
    """A model by a run folder, RUN/checkpoints/step-N, a Hugging Face folder or a hub name.

    Raises:
        UsageError: there is no such thing, or no model that we have.
        CheckpointError: its files are damaged.
    """
    path = Path(source)
    if path.is_file():
        raise UsageError("this is a file, not a folder", path=path, fix="Give the folder it is in")
    run, step = _run_and_step(path)
    if (run / run_folder.RECIPE).is_file():
        return _from_run(run, step)
    if not path.is_dir():
        return _from_hub(source)
    if (path / "config.json").is_file():
        return _from_folder(path, str(path))
    raise UsageError(
        "neither a run folder nor a folder of Hugging Face's layout, which has a config.json",
        path=path,
        fix="Give the RUN folder of `lmprep pretrain`, or one that save_pretrained has written",
    )


def _run_and_step(path: Path) -> tuple[Path, int | None]:
    """A run folder, and the step if it is given as RUN/checkpoints/step-N."""
    path = path.resolve()
    found = _CHECKPOINT.fullmatch(path.name)
    if found and path.parent.name == checkpoints.FOLDER:
        return path.parents[1], int(found[1])
    return path, None


def _from_run(run: Path, step: int | None) -> Pretrained:
    settings = run_folder.read_model(run)
    if step is None:
        checkpoint = checkpoints.load_newest(run, model_only=True)
    else:
        checkpoint = checkpoints.load(run, step, model_only=True)
    if checkpoint is None:
        raise UsageError(
            "the run has no checkpoint yet", path=run, fix="Go on with lmprep pretrain --resume"
        )
    return Pretrained(
        settings=settings,
        tensors=checkpoint.model,
        tokenizer=run / run_folder.TOKENIZER,
        description=str(checkpoints.folder_of(run, checkpoint.state["step"])),
    )


def _from_folder(folder: Path, description: str) -> Pretrained:
    path = folder / "config.json"
    config = _read_json(path)
    try:
        settings, class_name = read_config(config), reading_class(config)
    except ValueError as error:
        raise UsageError(
            str(error), path=path, fix="See `lmprep docs exporting` for the classes that fit"
        ) from None
    try:
        ours = from_hf(_read_weights(folder), settings, class_name)
    except ValueError as error:
        raise CheckpointError(
            str(error), path=folder, fix="Take weights and config.json of the same model"
        ) from None
    pooled = "encoder.pooler.weight" in ours
    return Pretrained(
        settings=replace(settings, pooler=pooled) if settings.kind == "encoder" else settings,
        tensors=ours,
        tokenizer=folder,
        description=description,
    )


def _read_weights(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in _weight_files(folder):
        try:
            tensors |= load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"not a readable safetensors file ({error})", path=path, fix=_FETCH_AGAIN
            ) from None
    return tensors


def _weight_files(folder: Path) -> list[Path]:
    """The one file, or those that the index lists."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    if (folder / _INDEX).is_file():
        names = sorted(set(_read_json(folder / _INDEX).get("weight_map", {}).values()))
        if strange := [name for name in names if Path(name).name != name]:
            raise CheckpointError(
                f"{strange[0]!r} is not a file name", path=folder / _INDEX, fix=_FETCH_AGAIN
            )
        return [folder / name for name in names]
    pickled = [path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt"))]
    what = f"; {pickled[0]} is a pickle, which is not read: it can run code" if pickled else ""
    raise UsageError(
        f"there is no {_WEIGHTS} in it{what}",
        path=folder,
        fix="Write one with transformers: AutoModelForPreTraining.from_pretrained(...)"
        ".save_pretrained(...)",
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"not valid JSON ({error})", path=path, fix=_FETCH_AGAIN) from None
    if not isinstance(content, dict):
        raise CheckpointError("not a JSON object", path=path, fix=_FETCH_AGAIN)
    return content


def was_on_hub(name: str) -> bool:
    """Whether weights of this name were taken from the hub: then its cache here has them."""
    from huggingface_hub import try_to_load_from_cache

    if Path(name).exists() or not _HUB_NAME.fullmatch(name):
        return False
    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def _from_hub(name: str) -> Pretrained:
    if not _HUB_NAME.fullmatch(name):
        raise UsageError(
            "there is no such folder",
            path=name,
            fix="Give a run, an exported folder, or a name of the Hugging Face hub",
        )
    folder = _download(name)
    return _from_folder(folder, f"{name} at {folder.name}")


def _download(name: str) -> Path:
    """The model of a hub name in the local cache: configuration, tokenizer and safetensors only."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    patterns = ["*.json", "*.safetensors", "vocab.txt", "merges.txt"]
    try:
        folder = snapshot_download(name, allow_patterns=patterns, ignore_patterns=["*/*"])
    except GatedRepoError:
        what, fix = "access to it must be asked for", "Ask on its page, then log in: hf auth login"
    except RepositoryNotFoundError:
        what = "there is no folder of this name here, and no public model on the Hugging Face hub"
        fix = "Check the name; for a private one log in: hf auth login"
    except Exception as error:  # of the network's libraries, which have no common class
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = (
            "there is no folder of this name here, and it cannot be had from the Hugging Face "
            f"hub ({reason.rstrip('.')})"
        )
        fix = "Check the network and HF_HUB_OFFLINE, or give a local folder"
    else:
        return Path(folder)
    raise UsageError(what, path=name, fix=fix)
