"""The run folder: everything a run needs to be understood, continued and evaluated.

RUN/recipe.toml     every setting, the model's shape, the datasets
RUN/config.json     model, vocabulary and versions, for programs
RUN/tokenizer/      the tokenizer of the datasets
RUN/unigram.npy     token counts of the training rows
RUN/metrics.jsonl   RUN/tensorboard/   RUN/checkpoints/      as training goes on
RUN/.lock           held by the process that trains here
"""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lmprep import __version__
from lmprep.errors import CheckpointError, UsageError
from lmprep.files import json_sha256, sync_folder, sync_tree, write_json
from lmprep.locks import Lock
from lmprep.models.settings import ModelSettings
from lmprep.pretrain_settings import BUDGETS, PretrainSettings
from lmprep.settings import settings_from
from lmprep.shards.reader import Dataset
from lmprep.training import unigram
from lmprep.training.fit import traits
from lmprep.training.stages import Stages

RECIPE, CONFIG, TOKENIZER, LOCK = "recipe.toml", "config.json", "tokenizer", ".lock"
# Settings that may change from sitting to sitting. Of the model its shape decides, not its name; of
# a teacher its weights.
_UNDECISIVE = (
    "model",
    "teacher",
    "micro_tokens",
    "device",
    "compile",
    "sharding",
    "skips",
    "checkpoint_every",
    "keep_last",
    "keep_every",
    "log_every",
)


def describe_run(
    settings: PretrainSettings,
    model: ModelSettings,
    stages: Stages,
    validation: Dataset | None,
    teacher_sha256: str | None = None,
) -> dict[str, Any]:
    """Everything a run is continued from, as the tables of its recipe."""
    held_out = {}
    taught = {} if teacher_sha256 is None else {"teacher": {"sha256": teacher_sha256}}
    if validation is not None:
        held_out = {"validation": {"folder": str(validation.folder.absolute())}}
    return {
        "pretrain": _without_none(settings.as_dict()),
        "model": model.as_dict(),
        "datasets": [
            {"folder": str(dataset.folder), "sha256": dataset.manifest["manifest_sha256"]}
            for dataset in stages.datasets
        ],
        **held_out,
        **taught,
    }


def fingerprint(description: Mapping[str, Any]) -> str:
    """SHA-256 over what decides a run."""
    return json_sha256(_decisive(description))


def _decisive(tables: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run, as `table.name`; where the datasets lie does not."""
    flat = {f"pretrain.{k}": v for k, v in tables["pretrain"].items() if k not in _UNDECISIVE}
    flat |= {f"model.{k}": v for k, v in tables["model"].items()}
    flat |= {f"teacher.{k}": v for k, v in tables.get("teacher", {}).items()}
    return flat | {f"datasets.{i}.sha256": d["sha256"] for i, d in enumerate(tables["datasets"], 1)}


def create(run: Path, description: Mapping[str, Any], stages: Stages) -> None:
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
        first = stages.datasets[0]
        (temporary / RECIPE).write_text(to_toml(description), encoding="utf-8")
        write_json(temporary / CONFIG, _config(description, stages))
        shutil.copytree(first.folder / "tokenizer", temporary / TOKENIZER)
        count_tokens(temporary, stages, description["pretrain"]["seed"])
        sync_tree(temporary)
        temporary.rename(run)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(run.parent)


def count_tokens(run: Path, stages: Stages, seed: int) -> None:
    """Write the token counts of the training rows, unless they are there."""
    if not (run / unigram.FILE).exists():
        unigram.save_unigrams(run, unigram.count_unigrams(stages.datasets, seed))


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Keep other trainings out of a run folder; the system unlocks it if this process dies.

    Raises:
        UsageError: another one is at work.
    """
    lock = Lock(run / LOCK)
    if not lock.take():
        raise UsageError(
            "another training is running here", path=run, fix="Wait for it, or stop it"
        )
    try:
        yield
    finally:
        lock.free()


def refuse_existing(run: Path) -> None:
    """Raise `UsageError` when the folder exists."""
    if run.exists():
        what = "the folder already holds a run" if (run / RECIPE).exists() else "it already exists"
        raise UsageError(what, path=run, fix="Continue a run with --resume, or choose another -o")


def _config(description: Mapping[str, Any], stages: Stages) -> dict[str, Any]:
    first = stages.datasets[0]
    return {
        "lmprep": __version__,
        "model": description["model"],
        "vocabulary": asdict(first.vocabulary),
        **traits(first.manifest),
        "length": stages.task.length,
    }


_MEND = "Put the file back as it was, or begin a new run with another -o"


def read_config(run: Path) -> dict[str, Any]:
    """config.json of a run folder.

    Raises:
        UsageError: this is not a run folder.
        CheckpointError: the file is damaged.
    """
    _require_run(run)
    path = run / CONFIG
    try:
        return dict(json.loads(path.read_bytes()))
    except ValueError as error:
        raise CheckpointError(f"not valid JSON ({error})", path=path, fix=_MEND) from None


def read_model(run: Path) -> ModelSettings:
    """The shape of a run's model.

    Raises:
        UsageError: this is not a run folder, or one of word vectors.
        CheckpointError: config.json is damaged.
    """
    model = read_config(run)["model"]
    if model["kind"] == "vectors":
        raise UsageError(
            "the run holds word vectors, not a model of texts",
            path=run,
            fix=f"Its vectors lie in {run / 'vectors.txt'}; --init-embeddings begins from them",
        )
    return settings_from(ModelSettings, model)


def _require_run(run: Path) -> None:
    if not all((run / name).is_file() for name in (RECIPE, CONFIG)):
        raise UsageError(
            "this is not a run folder", path=run, fix="Give the RUN folder of `lmprep pretrain`"
        )


def read_recipe(run: Path) -> dict[str, Any]:
    """recipe.toml of a run folder.

    Raises:
        UsageError: this is not a run folder.
        CheckpointError: the file is damaged.
    """
    _require_run(run)
    path = run / RECIPE
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"not valid TOML ({error})", path=path, fix=_MEND) from None
    if missing := {"pretrain", "model", "datasets"} - set(tables):
        raise CheckpointError(f"the table {min(missing)} is missing", path=path, fix=_MEND)
    return tables


def recorded_model(run: Path, name: str) -> ModelSettings | None:
    """The shape a run was begun with, if the same name or file is given for it again.

    So a model file is read once only, and need not lie there any more.
    """
    recipe = read_recipe(run)
    if recipe["pretrain"].get("model") != name:
        return None
    try:
        return settings_from(ModelSettings, recipe["model"])
    except ValueError as error:
        raise CheckpointError(
            f"table model: {error}",
            path=run / RECIPE,
            fix="Put the file back as the run wrote it; --restart begins the run anew",
        ) from None


def recorded_validation(run: Path) -> Path | None:
    """The held-out dataset a run was begun with."""
    folder = read_recipe(run).get("validation", {}).get("folder")
    return None if folder is None else Path(folder)


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
    there, here = _decisive(read_recipe(run)), _decisive(description)
    for name in [*there, *(name for name in here if name not in there)]:
        if there.get(name) != here.get(name):
            raise UsageError(
                f"the run was begun with other settings: {name} is {there.get(name)} there "
                f"and {here.get(name)} here",
                path=run,
                fix="Leave the flag out, or begin a new run with another -o",
            )


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
