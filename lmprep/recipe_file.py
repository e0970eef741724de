"""Recipe files: TOML tables into checked settings, before anything runs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from lmprep.build_settings import BuildSettings
from lmprep.errors import UsageError
from lmprep.models.settings import MODELS, model_settings
from lmprep.objective_settings import FORMS
from lmprep.pretrain_settings import BUDGETS, PretrainSettings
from lmprep.settings import (
    CorpusSettings,
    VocabSettings,
    parse_assignment,
    parse_duration,
    refuse_unknown,
    settings_from,
)
from lmprep.training.fit import check_shape
from lmprep.vectors.settings import OBJECTIVES, VectorSettings

_DEFAULT_VALID = "5%"
_TABLES = ("corpus", "vocab", "build", "teacher", "pretrain", "evaluate")
# What a teacher does not inherit from its student's training.
_OF_STUDENTS = (
    "model", "init", "teacher", "temperature", "token_weight", "teacher_weight", "cosine_weight",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A checked recipe.

    Args:
        name: the file's name without its suffix.
        corpus: input arguments, relative paths already joined to the recipe's folder.
        reading, vocab, pretrain: the settings of the steps; pretrain is None for a recipe that
            trains nothing.
        teacher: how the model is trained that `pretrain` distils; None where it is there already,
            or none is wanted.
        builds: the settings of the examples by what follows `train` and `valid` in the names of
            their folders: one for each length of the stages (`-128`), or one (``).
    """

    name: str
    corpus: tuple[str, ...]
    reading: CorpusSettings
    vocab: VocabSettings
    builds: dict[str, BuildSettings]
    pretrain: PretrainSettings | VectorSettings | None
    teacher: PretrainSettings | None = None

    @property
    def build(self) -> BuildSettings:
        """Of the last stage."""
        return self.builds[self.last]

    @property
    def last(self) -> str:
        """The key of the last stage's settings in `builds`."""
        return list(self.builds)[-1]


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
    if "." not in change.partition("=")[0] or "=" not in change:
        raise ValueError(f"--set {change!r} is not of the form table.key=value")
    name, value = parse_assignment(change)
    table, _, key = name.partition(".")
    refuse_unknown("table", [table], _TABLES)
    kept = tables.get(table, {})
    if table in ("teacher", "pretrain") and key in BUDGETS:  # one budget takes the place of another
        kept = {name: old for name, old in kept.items() if name not in BUDGETS}
    if (table, key) == ("build", "length"):  # one length for all of the training
        tables.get("pretrain", {}).pop("stage", None)
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
    stages = _stages(given["pretrain"])
    options = {**defaults, **reading.as_dict(), **given["build"]}
    builds = (
        {"": options}
        if not stages
        else {f"-{length}": {**options, "length": length} for length in stages}
    )
    made = {name: BuildSettings.from_options(each) for name, each in builds.items()}
    vocab = settings_from(VocabSettings, given["vocab"])
    for build in made.values():
        if trains and not build.valid:
            raise ValueError("valid is 0, but the last step needs held-out documents")
        _check_family(vocab, build.objective)
    return Recipe(
        name=path.stem,
        corpus=tuple(corpus) or _files(path, given["corpus"].get("files", [])),
        reading=reading,
        vocab=vocab,
        builds=made,
        pretrain=_pretrain_settings(path, given["pretrain"], list(made.values()))
        if trains
        else None,
        teacher=_teacher_settings(path, given, list(made.values()))
        if "teacher" in tables
        else None,
    )


def _stages(table: dict[str, Any]) -> list[int]:
    """The lengths of `[[pretrain.stage]]`; their shares go into the table as a setting.

    A stage has a `length` and a `share` of the training, or a number of `steps`.
    """
    written = table.pop("stage", [])
    if not isinstance(written, list) or not all(isinstance(each, dict) for each in written):
        raise ValueError("stage is to be written as [[pretrain.stage]], once for each")
    for stage in written:
        refuse_unknown("key of a stage", stage, ("length", "share", "steps"))
        if "length" not in stage or len(stage) != 2:
            raise ValueError(f"stage {stage} needs a length and either a share or steps")
        for key in {"length", "steps"} & stage.keys():
            if type(stage[key]) is not int or stage[key] < 1:
                raise ValueError(f"{key} of a stage is {stage[key]!r}, not a whole number above 0")
    shares = [stage.get("share") for stage in written]
    if None in shares:
        if not all("steps" in stage for stage in written):
            raise ValueError("either all stages have steps or all have a share")
        steps = [stage["steps"] for stage in written]
        if not any(budget in table for budget in BUDGETS):
            table["steps"] = sum(steps)
        shares = [Fraction(each, sum(steps)) for each in steps]
    lengths = [stage["length"] for stage in written]
    if lengths:
        table["stages"] = [f"{n}:{share}" for n, share in zip(lengths, shares, strict=True)]
    return lengths


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


def _pretrain_settings(
    path: Path, given: dict[str, Any], builds: Sequence[BuildSettings]
) -> PretrainSettings | VectorSettings:
    """The table [pretrain], with a model that is there and can learn from what is built."""
    if builds[0].objective in OBJECTIVES:
        vectors = settings_from(VectorSettings, given)
        vectors.check_objective(builds[0].objective)
        return vectors
    if isinstance(given.get("time"), str):
        given["time"] = parse_duration(given["time"])
    if str(given.get("model", "")).endswith(".toml"):
        given["model"] = _beside(path, given["model"])
    settings = settings_from(PretrainSettings, given)
    if settings.model:
        model = model_settings(settings.model, vocabulary_size=1)
        for build in builds:
            check_shape(model, build.objective, build.sequences.length, path)
    return settings


def _teacher_settings(
    path: Path, given: Mapping[str, dict[str, Any]], builds: Sequence[BuildSettings]
) -> PretrainSettings | None:
    """The table [teacher]: what it does not say is as in [pretrain], the model a BERT of its size.

    None when [pretrain] names a teacher that is there already.
    """
    student, stated = given["pretrain"], given["teacher"]
    budgets = BUDGETS if any(budget in stated for budget in BUDGETS) else ()
    left_out = (*_OF_STUDENTS, *budgets)
    table = {k: v for k, v in student.items() if k not in left_out} | stated
    size = str(student.get("model", "")).rpartition("-")[2]
    table.setdefault("model", f"bert-{size}")
    if table["model"] not in MODELS and not str(table["model"]).endswith(".toml"):
        raise ValueError(
            f"a teacher of the size of {student.get('model')!r} has no name; give [teacher] a model"
        )
    settings = _pretrain_settings(path, table, builds)
    assert isinstance(settings, PretrainSettings), "teachers are encoders"
    return None if student.get("teacher") else settings


def _beside(path: Path, file: str) -> str:
    return file if file == "-" or "://" in file else str(path.parent / file)
