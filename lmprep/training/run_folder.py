"""The run folder: everything a run needs to be understood, continued and evaluated.

RUN/recipe.toml     every setting, the model's shape, the datasets
RUN/config.json     model, vocabulary and versions, for programs
RUN/tokenizer/      the tokenizer of the datasets
RUN/unigram.npy     token counts of the training rows
RUN/metrics.jsonl   RUN/tensorboard/   RUN/checkpoints/      as training goes on
"""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lmprep import __version__
from lmprep.errors import CheckpointError, UsageError
from lmprep.files import json_sha256, sync_folder, write_json
from lmprep.models.settings import ModelSettings
from lmprep.settings import BUDGETS, PretrainSettings, settings_from
from lmprep.training.data import TrainingData
from lmprep.training.unigram import count_unigrams, save_unigrams

RECIPE, CONFIG, TOKENIZER = "recipe.toml", "config.json", "tokenizer"


def describe_run(
    settings: PretrainSettings, model: ModelSettings, data: TrainingData
) -> dict[str, Any]:
    """Everything that decides a run, as the tables of its recipe."""
    return {
        "pretrain": _without_none(settings.as_dict()),
        "model": model.as_dict(),
        "datasets": [
            {"folder": str(dataset.folder), "sha256": dataset.manifest["manifest_sha256"]}
            for dataset in data.datasets
        ],
    }


def fingerprint(description: Mapping[str, Any]) -> str:
    """SHA-256 over what decides a run; where the datasets lie does not."""
    datasets = [dataset["sha256"] for dataset in description["datasets"]]
    return json_sha256({**description, "datasets": datasets})


def create(run: Path, description: Mapping[str, Any], data: TrainingData) -> None:
    """Make a run folder, whole or not at all.

    Raises:
        UsageError: the folder exists.
    """
    refuse_existing(run)
    run.parent.mkdir(parents=True, exist_ok=True)
    temporary = run.with_name(f".{run.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        first = data.datasets[0]
        (temporary / RECIPE).write_text(to_toml(description))
        write_json(temporary / CONFIG, _config(description, data))
        shutil.copytree(first.folder / "tokenizer", temporary / TOKENIZER)
        save_unigrams(temporary, count_unigrams(data.datasets, description["pretrain"]["seed"]))
        temporary.rename(run)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(run.parent)


def refuse_existing(run: Path) -> None:
    """Raise `UsageError` when the folder exists."""
    if run.exists():
        what = "the folder already holds a run" if (run / RECIPE).exists() else "it already exists"
        raise UsageError(what, path=run, fix="Continue a run with --resume, or choose another -o")


def _config(description: Mapping[str, Any], data: TrainingData) -> dict[str, Any]:
    first = data.datasets[0]
    return {
        "lmprep": __version__,
        "model": description["model"],
        "vocabulary": asdict(first.vocabulary),
        "tokenizer_sha256": first.manifest["tokenizer_sha256"],
        "objective": first.manifest["objective"],
        "pairs": first.manifest["settings"]["sequences"]["pairs"],
        "length": data.length,
    }


def read_config(run: Path) -> dict[str, Any]:
    """config.json of a run folder.

    Raises:
        UsageError: this is not a run folder.
        CheckpointError: the file is damaged.
    """
    path = run / CONFIG
    if not path.is_file() or not (run / RECIPE).is_file():
        raise UsageError(
            "this is not a run folder", path=run, fix="Give the RUN folder of `lmprep pretrain`"
        )
    try:
        return dict(json.loads(path.read_bytes()))
    except ValueError as error:
        raise CheckpointError(f"not valid JSON ({error})", path=path) from None


def read_recipe(run: Path) -> dict[str, Any]:
    """recipe.toml of a run folder."""
    path = run / RECIPE
    if not path.is_file():
        raise UsageError(
            "this is not a run folder", path=run, fix="Give the RUN folder of `lmprep pretrain`"
        )
    try:
        return tomllib.loads(path.read_text())
    except ValueError as error:
        raise CheckpointError(f"not valid TOML ({error})", path=path) from None


def settings_for(run: Path, given: Mapping[str, Any], *, resume: bool) -> PretrainSettings:
    """The settings given, completed by the run's own when one is continued.

    So `--resume` needs none of the flags again; `check_same` refuses those that differ.
    """
    if resume and run.exists():
        recorded = read_recipe(run)["pretrain"]
        if any(budget in given for budget in BUDGETS):
            recorded = {k: v for k, v in recorded.items() if k not in BUDGETS}
        given = {**recorded, **given}
    return settings_from(PretrainSettings, given)


def check_same(run: Path, description: Mapping[str, Any]) -> None:
    """Raise `UsageError` naming the first setting in which a run differs from `description`."""
    there, here = _flat(read_recipe(run)), _flat(description)
    for name in [*there, *(name for name in here if name not in there)]:
        if name.endswith(".folder") or there.get(name) == here.get(name):
            continue
        raise UsageError(
            f"the run was begun with other settings: {name} is {there.get(name)} there "
            f"and {here.get(name)} here",
            path=run,
            fix="Leave the flag out, or begin a new run with another -o",
        )


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    datasets = {f"datasets.{i}": entry for i, entry in enumerate(tables["datasets"], 1)}
    records = {**{k: v for k, v in tables.items() if k != "datasets"}, **datasets}
    return {f"{k}.{name}": value for k, record in records.items() for name, value in record.items()}


def to_toml(tables: Mapping[str, Any]) -> str:
    """Tables of plain values, and lists of such tables, as TOML."""
    lines: list[str] = []
    for name, content in tables.items():
        several = isinstance(content, list)
        for table in content if several else [content]:
            lines += [f"[[{name}]]" if several else f"[{name}]"]
            # JSON's strings, numbers and booleans are TOML's too.
            lines += [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in table.items()]
            lines += [""]
    return "\n".join(lines)


def _without_none(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}
