"""A recipe: the whole road in one TOML file, run step by step, each step only if it must be.

    [corpus]     files (relative to the recipe) and how to read them
    [vocab]      a vocabulary                -> OUT/tokenizer
    [build]      examples, a part set aside  -> OUT/train, OUT/valid
    [teacher]    a model for it to learn from -> OUT/teacher, unless [pretrain] names one
    [pretrain]   a model                     -> OUT/run; with [[pretrain.stage]] tables, a length
                                                each, the examples are OUT/train-LENGTH
    [evaluate]   held-out figures            -> OUT/evaluation.json

Keys are the flags of the commands, with underscores. A step whose result is there with the same
fingerprint is skipped, an unfinished one is resumed. A recipe without [pretrain] ends with the
examples, and sets none aside unless told to.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmprep.corpus import expand
from lmprep.engines import job
from lmprep.engines.counting import Workers
from lmprep.errors import UsageError
from lmprep.evaluation import evaluate
from lmprep.files import json_sha256, write_json
from lmprep.pretrain_settings import PretrainSettings
from lmprep.recipe_file import Recipe
from lmprep.shards.manifest import read_manifest
from lmprep.training import checkpoints
from lmprep.training.loop import OnProgress
from lmprep.training.pretraining import pretrain
from lmprep.vectors.settings import VectorSettings
from lmprep.vectors.training import train_vectors
from lmprep.vocab import fingerprint, make_vocabulary

OnText = Callable[[int], object]
TextDisplay = Callable[[str], AbstractContextManager[OnText]]
TrainingDisplay = Callable[[], AbstractContextManager[OnProgress]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that has ended.

    Args:
        name: `vocab`, `build`, `teacher`, `pretrain` or `evaluate`.
        skipped: its result was there already.
        result: what it is about: counts for vocab and build, figures for the others.
    """

    name: str
    skipped: bool
    result: dict[str, Any]


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
        workers: processes of vocab and build.
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
        step = _vocab(recipe, out / "tokenizer", workers, on_text)
    on_step(step)
    with text_display("build") as on_text:
        step = _build(recipe, out, workers, on_text)
    on_step(step)
    if recipe.pretrain is None:
        return {}
    settings = recipe.pretrain
    if recipe.teacher is not None and isinstance(settings, PretrainSettings):
        with training_display() as on_progress:
            step = _pretrain("teacher", recipe, recipe.teacher, out, on_progress)
        on_step(step)
        settings = replace(settings, teacher=str(out / "teacher"))
    with training_display() as on_progress:
        step = _pretrain("pretrain", recipe, settings, out, on_progress)
    on_step(step)
    step = _evaluate(out, out / f"valid{recipe.last}")
    on_step(step)
    return step.result


def _vocab(recipe: Recipe, folder: Path, workers: int, on_text: OnText) -> Step:
    if not folder.exists():
        result = make_vocabulary(
            recipe.corpus,
            folder,
            recipe.vocab,
            recipe.reading,
            on_text,
            engine=Workers(workers),
        )
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
    totals: dict[str, Any] = {}
    skipped = True
    for name, settings in recipe.builds.items():
        train, valid = out / f"train{name}", out / f"valid{name}"
        plan = job.make_plan(recipe.corpus, str(out / "tokenizer"), train, settings, valid=valid)
        built = job.run(
            plan,
            workers=workers,
            resume=True,
            force=False,
            on_receipt=lambda receipt: on_text(receipt["text_bytes"]),
        )
        skipped &= built.already_complete
        totals |= {f"{part}{name}": made["totals"] for part, made in built.manifests.items()}
    return Step(name="build", skipped=skipped, result=totals)


def _pretrain(
    name: str,
    recipe: Recipe,
    settings: PretrainSettings | VectorSettings,
    out: Path,
    on_progress: OnProgress,
) -> Step:
    datasets = [out / f"train{length}" for length in recipe.builds]
    run, valid = out / ("run" if name == "pretrain" else name), out / f"valid{recipe.last}"
    if isinstance(settings, VectorSettings):
        result = train_vectors(
            datasets[0], run, settings, validation=valid, resume=True, on_progress=on_progress
        )
    else:
        result = pretrain(
            datasets, run, settings, validation=valid, resume=True, on_progress=on_progress
        )
    facts = {"step": result.step, "tokens": result.tokens, "seconds": result.seconds}
    return Step(name=name, skipped=result.already_finished, result=facts | result.losses)


def _evaluate(out: Path, valid: Path) -> Step:
    """Evaluate the newest checkpoint, unless just this was evaluated before."""
    path = out / "evaluation.json"
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
