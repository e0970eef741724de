"""A recipe: the whole road in one TOML file, run step by step, each step only if it must be.

    [corpus]     files (relative to the recipe) and how to read them
    [vocab]      a vocabulary                -> OUT/tokenizer
    [build]      examples, a part set aside  -> OUT/train, OUT/valid
    [pretrain]   a model                     -> OUT/run
    [evaluate]   held-out figures            -> OUT/evaluation.json

Keys are the flags of the commands, with underscores. A step whose result is there with the same
fingerprint is skipped, an unfinished one is resumed. A recipe without [pretrain] ends with the
examples, and sets none aside unless told to.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lmprep.build_settings import BuildSettings
from lmprep.corpus import expand
from lmprep.engines import job
from lmprep.errors import UsageError
from lmprep.evaluation import evaluate
from lmprep.files import json_sha256, write_json
from lmprep.models.settings import model_settings
from lmprep.objective_settings import FORMS
from lmprep.settings import (
    BUDGETS,
    CorpusSettings,
    PretrainSettings,
    VocabSettings,
    parse_duration,
    refuse_unknown,
    settings_from,
)
from lmprep.shards.manifest import read_manifest
from lmprep.training import checkpoints
from lmprep.training.fit import check_shape
from lmprep.training.loop import OnProgress
from lmprep.training.pretraining import pretrain
from lmprep.training.tasks import check_trainable
from lmprep.vocab import fingerprint, make_vocabulary

OnText = Callable[[int], object]
TextDisplay = Callable[[str], AbstractContextManager[OnText]]
TrainingDisplay = Callable[[], AbstractContextManager[OnProgress]]

_DEFAULT_VALID = "5%"
_TABLES = ("corpus", "vocab", "build", "pretrain", "evaluate")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A checked recipe.

    Args:
        name: the file's name without its suffix.
        corpus: input arguments, relative paths already joined to the recipe's folder.
        reading, vocab, build, pretrain: the settings of the steps; pretrain is None for a recipe
            that trains nothing.
    """

    name: str
    corpus: tuple[str, ...]
    reading: CorpusSettings
    vocab: VocabSettings
    build: BuildSettings
    pretrain: PretrainSettings | None


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that has ended.

    Args:
        name: `vocab`, `build`, `pretrain` or `evaluate`.
        skipped: its result was there already.
        result: what it is about: counts for vocab and build, figures for the others.
    """

    name: str
    skipped: bool
    result: dict[str, Any]


def load_recipe(path: Path, *, corpus: Sequence[str] = (), changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe and check all of it before anything runs.

    Args:
        path: a TOML file.
        corpus: inputs that take the place of the recipe's, relative to the current folder.
        changes: `table.key=value` texts that win over the file.

    Raises:
        UsageError: no such file, not TOML, an unknown key, or a value that does not fit.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("there is no such recipe", path=path, fix="Give a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not TOML: {error}", path=path, fix="Mend the file") from None
    try:
        _refuse_other_tables(tables)
        for change in changes:
            _change(tables, change)
        return _recipe(path, tables, corpus)
    except ValueError as error:
        raise UsageError(str(error), path=path, fix="Mend the recipe or --set") from None


def _refuse_other_tables(tables: Mapping[str, Any]) -> None:
    refuse_unknown("table", tables, _TABLES)
    if flat := [name for name, table in tables.items() if not isinstance(table, dict)]:
        raise ValueError(f"{flat[0]} is a value where a table [{flat[0]}] is needed")


def _change(tables: dict[str, Any], change: str) -> None:
    """Apply one `table.key=value`; the value is TOML, or else plain text."""
    name, equals, text = change.partition("=")
    table, dot, key = name.strip().partition(".")
    if not equals or not dot:
        raise ValueError(f"--set {change!r} is not of the form table.key=value")
    refuse_unknown("table", [table], _TABLES)
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    kept = tables.get(table, {})
    if table == "pretrain" and key in BUDGETS:  # one budget takes the place of another
        kept = {name: old for name, old in kept.items() if name not in BUDGETS}
    tables[table] = {**kept, key: value}


def _recipe(path: Path, tables: Mapping[str, Any], corpus: Sequence[str]) -> Recipe:
    given = {name: dict(tables.get(name, {})) for name in _TABLES}
    if given["evaluate"]:
        raise ValueError(
            f"[evaluate] has no settings yet; {min(given['evaluate'])} is one too many"
        )
    reading = settings_from(
        CorpusSettings, {k: v for k, v in given["corpus"].items() if k != "files"}
    )
    in_corpus = [f.name for f in fields(CorpusSettings) if f.name in given["build"]]
    if in_corpus:
        raise ValueError(f"{in_corpus[0]} belongs to [corpus], not to [build]")
    trains = "pretrain" in tables
    defaults = {"valid": _DEFAULT_VALID} if trains else {}
    build = BuildSettings.from_options({**defaults, **reading.as_dict(), **given["build"]})
    if trains and not build.valid:
        raise ValueError("valid is 0, but the last step needs held-out documents")
    vocab = settings_from(VocabSettings, given["vocab"])
    _check_family(vocab, build.objective)
    return Recipe(
        name=path.stem,
        corpus=tuple(corpus) or _files(path, given["corpus"].get("files", [])),
        reading=reading,
        vocab=vocab,
        build=build,
        pretrain=_pretrain_settings(path, given["pretrain"], build) if trains else None,
    )


def _check_family(vocab: VocabSettings, objective: str) -> None:
    """Raise `ValueError` unless a vocabulary will have the tokens that an objective needs."""
    families = FORMS[objective].families
    if vocab.family not in families:
        raise ValueError(
            f"objective {objective} needs a vocabulary of family {' or '.join(families)}, not "
            f"{vocab.family}; set family in [vocab], and an algorithm that goes with it"
        )


def _files(path: Path, files: Any) -> tuple[str, ...]:
    """The corpus a recipe names, from the recipe's folder."""
    listed = [files] if isinstance(files, str) else files
    if not isinstance(listed, list) or not all(isinstance(file, str) for file in listed):
        raise ValueError(f"files is {files!r}, not a list of texts")
    return tuple(_beside(path, file) for file in listed)


def _pretrain_settings(path: Path, given: dict[str, Any], build: BuildSettings) -> PretrainSettings:
    """The table [pretrain], with a model that is there and can learn from what is built."""
    check_trainable(build.objective, path)
    if isinstance(given.get("time"), str):
        given["time"] = parse_duration(given["time"])
    if str(given.get("model", "")).endswith(".toml"):
        given["model"] = _beside(path, given["model"])
    settings = settings_from(PretrainSettings, given)
    model = model_settings(settings.model, vocabulary_size=1)
    check_shape(model, build.objective, build.sequences.length, path)
    return settings


def _beside(path: Path, file: str) -> str:
    return file if file == "-" or "://" in file else str(path.parent / file)


def run_recipe(
    recipe: Recipe,
    out: Path,
    *,
    workers: int,
    on_step: Callable[[Step], object] = lambda _: None,
    text_display: TextDisplay = lambda _what: nullcontext(lambda _bytes: None),
    training_display: TrainingDisplay = lambda: nullcontext(lambda _progress: None),
) -> dict[str, Any]:
    """Run what is not done yet; return the figures of the evaluation, {} without a training.

    Args:
        out: the folder of all results.
        workers: processes of the build.
        on_step: called after each step.
        text_display: opened around vocab and build; gives what is called with bytes of text read.
        training_display: opened around the training; gives its progress callback.
    """
    if not recipe.corpus:
        raise UsageError("the recipe names no corpus", fix="Add files to [corpus], or --corpus")
    if "-" in recipe.corpus:
        raise UsageError(
            "a recipe reads its corpus twice, which stdin does not allow",
            fix="Write it to a file, or run vocab and build one by one",
        )
    out.mkdir(parents=True, exist_ok=True)
    with text_display("vocab") as on_text:
        step = _vocab(recipe, out / "tokenizer", on_text)
    on_step(step)
    with text_display("build") as on_text:
        step = _build(recipe, out, workers, on_text)
    on_step(step)
    if recipe.pretrain is None:
        return {}
    with training_display() as on_progress:
        step = _pretrain(recipe.pretrain, out, on_progress)
    on_step(step)
    step = _evaluate(out)
    on_step(step)
    return step.result


def _vocab(recipe: Recipe, folder: Path, on_text: OnText) -> Step:
    if not folder.exists():
        result = make_vocabulary(recipe.corpus, folder, recipe.vocab, recipe.reading, on_text)
        return Step(name="vocab", skipped=False, result=result)
    made = _read_json(folder / "training.json") or {}
    inputs = expand(recipe.corpus, format=recipe.reading.format)
    if made.get("fingerprint") != fingerprint(inputs, recipe.vocab, recipe.reading):
        raise UsageError(
            "this vocabulary was made with other settings or another corpus, or is damaged",
            path=folder,
            fix="Use the same recipe, another -o, or remove the folder",
        )
    return Step(name="vocab", skipped=True, result=made)


def _build(recipe: Recipe, out: Path, workers: int, on_text: OnText) -> Step:
    plan = job.make_plan(
        recipe.corpus, str(out / "tokenizer"), out / "train", recipe.build, valid=out / "valid"
    )
    built = job.run(
        plan,
        workers=workers,
        resume=True,
        force=False,
        on_receipt=lambda receipt: on_text(receipt["text_bytes"]),
    )
    result = {part: manifest["totals"] for part, manifest in built.manifests.items()}
    return Step(name="build", skipped=built.already_complete, result=result)


def _pretrain(settings: PretrainSettings, out: Path, on_progress: OnProgress) -> Step:
    result = pretrain(
        [out / "train"],
        out / "run",
        settings,
        validation=out / "valid",
        resume=True,
        on_progress=on_progress,
    )
    facts = {"step": result.step, "tokens": result.tokens, "seconds": result.seconds}
    return Step(name="pretrain", skipped=result.already_finished, result=facts | result.losses)


def _evaluate(out: Path) -> Step:
    """Evaluate the newest checkpoint, unless just this was evaluated before."""
    path, valid = out / "evaluation.json", out / "valid"
    recipe = (out / "run" / "recipe.toml").read_text(encoding="utf-8")
    newest = max(checkpoints.steps(out / "run"))
    now = json_sha256([recipe, newest, read_manifest(valid)["fingerprint"]])
    before = _read_json(path) or {}
    if before.get("fingerprint") == now:
        return Step(name="evaluate", skipped=True, result=before["figures"])
    figures = evaluate(out / "run", valid)
    write_json(path, {"fingerprint": now, "figures": figures})
    return Step(name="evaluate", skipped=False, result=figures)


def _read_json(path: Path) -> dict[str, Any] | None:
    """A file of ours; None when it is missing or cut short, so that it is made anew."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None
