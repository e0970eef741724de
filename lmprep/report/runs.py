"""Run folders as parts of the page: what they are, their curves over each other, their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from lmprep.errors import UsageError
from lmprep.report.attention import attention
from lmprep.report.curve_panels import CurvePanel, axis_unit, curve_panels
from lmprep.report.curve_pictures import Drawn, curves, key
from lmprep.report.curves import AXES, Curve, Line, reach, skips, smoothed
from lmprep.report.elements import details, element, facts, section, table
from lmprep.report.results import EVALUATION, Results, read_results, spread
from lmprep.report.tables import evaluation_table
from lmprep.training.metrics import METRICS, read_metrics
from lmprep.training.run_folder import read_config, read_recipe

_POINTS = 60_000  # on a page, of all curves
_MOST_POINTS = 600  # of one curve


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder tells.

    Args:
        name: among the runs of the page.
        config, recipe: the files of these names.
        lines: of its metrics.
    """

    name: str
    config: Mapping[str, Any]
    recipe: Mapping[str, Any]
    lines: Sequence[Line]


def read_run(folder: Path, name: str) -> Run:
    """A run that has trained for some steps.

    Raises:
        UsageError: it has not, or this is no run folder.
    """
    config, recipe, lines = read_config(folder), read_recipe(folder), read_metrics(folder)
    if all("validation" in line for line in lines):
        what = f"no metrics are written yet to {METRICS}"
        raise UsageError(what, path=folder, fix="Wait for its first steps, or leave it out")
    return Run(name=name, config=config, recipe=recipe, lines=lines)


def beside(folder: Path) -> list[Results]:
    """The evaluation that a recipe leaves beside its run, if there is one."""
    path = folder.parent / EVALUATION
    return [read_results(path, f"{folder.parent.name}/{EVALUATION}")] if path.is_file() else []


def run_sections(runs: Sequence[Run]) -> list[Element]:
    """What runs are, their curves, and what their attention sees."""
    return [
        section("Runs", overview(runs), *map(_settings, runs), id_="runs"),
        section("Curves", *_curves(runs), id_="curves"),
        section("Attention", *attention({run.name: run.recipe for run in runs}), id_="attention"),
    ]


def overview(runs: Sequence[Run]) -> Element:
    """A table with a row for each run."""
    header = (
        "run", "model", "objective", "steps", "tokens", "seconds", "loss at the end", "optimizer",
        "lr", "schedule", "batch tokens", "seed",
    )  # fmt: skip
    return table("runs", header, [_row(run) for run in runs])


def _row(run: Run) -> tuple[str, ...]:
    trained = [line for line in run.lines if "validation" not in line]
    last = trained[-1]
    losses = [line["loss"] for line in trained if "loss" in line]
    settings = run.recipe["pretrain"]
    names = ("optimizer", "lr", "schedule", "batch_tokens", "seed")
    # A rate that was left to its default hangs on the model: the log has it.
    reached = {"lr": max((line["lr"] for line in trained if "lr" in line), default=None)}
    written = (
        reached.get(name) if settings.get(name) is None else settings[name] for name in names
    )
    return (
        run.name,
        str(settings.get("model", "")),
        str(run.config.get("objective", "")),
        f"{last['step']:,}",
        f"{last['tokens']:,}" if "tokens" in last else "",
        f"{last['elapsed']:.0f}" if "elapsed" in last else "",
        f"{losses[-1]:.4f}" if losses else "",
        *("" if value is None else str(value) for value in written),
    )


def _settings(run: Run) -> Element:
    lines = [
        (f"{table_name}.{name}", str(value))
        for table_name in ("pretrain", "model")
        for name, value in run.recipe[table_name].items()
    ]
    folders = [("dataset", one["folder"]) for one in run.recipe["datasets"]]
    return details(f"settings of {run.name}", facts(folders + lines, f"settings of {run.name}"))


def _curves(runs: Sequence[Run]) -> list[Element]:
    """All panels over steps, tokens and time; a choice shows one of the three."""
    lines = {run.name: run.lines for run in runs}
    shown = [axis for axis in AXES if _has_axis(runs, axis)]
    panels = {axis: curve_panels(list(lines.values()), axis) for axis in shown}
    drawn = 2 * len(runs) * sum(map(len, panels.values()))
    most = max(20, min(_MOST_POINTS, _POINTS // max(1, drawn)))
    choice = element(
        "fieldset",
        element("legend", "over"),
        *(
            element(
                "label",
                element("input", type="radio", name="axis", value=axis, checked=axis == shown[0]),
                f" {axis}",
            )
            for axis in shown
        ),
        class_="axes",
    )
    groups = []
    for axis in shown:
        unit, per_unit = axis_unit(axis, lines.values())
        pictures = []
        for panel in panels[axis]:
            over = [
                drawn_curve
                for look, (name, found) in enumerate(lines.items())
                for drawn_curve in _drawn(panel, found, look, name, per_unit, axis)
            ]
            pictures.append(curves(panel.title, over, unit, panel.unit, most))
        hidden = axis != shown[0]
        groups.append(element("div", *pictures, class_="figures", data_axis=axis, hidden=hidden))
    legend = [element("li", key(look), f" {name}") for look, name in enumerate(lines)]
    notes = ["Crosses at the bottom: steps that were skipped."] if _any_skips(runs) else []
    if any(reach(len(run.lines)) for run in runs):
        notes.append("Faint: as logged; strong: the mean around each point.")
    return [
        element("ul", *legend, class_="legend"),
        choice,
        *(element("p", note) for note in notes),
        *groups,
    ]


def _has_axis(runs: Sequence[Run], axis: str) -> bool:
    return any(
        AXES[axis] in line and "validation" not in line for run in runs for line in run.lines
    )


def _any_skips(runs: Sequence[Run]) -> bool:
    return any(len(skips(run.lines, "steps")) for run in runs)


def _drawn(
    panel: CurvePanel, lines: Sequence[Line], look: int, name: str, per_unit: float, axis: str
) -> list[Drawn]:
    """A run's curve, and behind a smoothed one the values themselves."""
    found = panel.curve(lines)
    curve = Curve(x=found.x / per_unit, y=found.y)
    crosses: Sequence[float] = ()
    if panel.noisy and panel.unit == "":
        crosses = (skips(lines, axis) / per_unit).tolist()
    if panel.noisy and reach(len(curve.y)):
        strong = Curve(x=curve.x, y=smoothed(curve.y))
        return [
            Drawn(curve=curve, look=look, name=name, faint=True),
            Drawn(curve=strong, look=look, name=name, crosses=crosses),
        ]
    return [Drawn(curve=curve, look=look, name=name, marked=panel.points, crosses=crosses)]


def figure_sections(runs: Sequence[Run], results: Sequence[Results]) -> list[Element]:
    """What was measured: on held-out text while training, in evaluations, in fine-tunings."""
    made = []
    validated = [run for run in runs if any("validation" in line for line in run.lines)]
    evaluations = [one for found in results for one in found.evaluations]
    if validated or evaluations:
        tables = [_validations(validated)] if validated else []
        tables += [
            table(f"{one.get('dataset', '')}: step {one['step']} of {one.get('run', '')}",
                  *evaluation_table(one))
            for one in evaluations
        ]  # fmt: skip
        made.append(section("Held-out figures", *tables, id_="held-out"))
    finetuned = [one for one in results if one.finetuned is not None]
    if finetuned:
        tables = [_finetuned(one) for one in finetuned]
        made.append(section("Fine-tuning", *tables, id_="finetuning"))
    return made


def _validations(runs: Sequence[Run]) -> Element:
    """Last and best of each figure."""
    rows = []
    for run in runs:
        lines = [line for line in run.lines if "validation" in line]
        for name in dict.fromkeys(name for line in lines for name in line["validation"]):
            found = [
                (line["validation"][name], line["step"])
                for line in lines
                if name in line["validation"]
            ]
            sign = 1 if name.endswith("_loss") else -1
            best = min(found, key=lambda point: sign * point[0])
            cells = [
                cell for value, at in (found[-1], best) for cell in (f"{value:.4f}", f"{at:,}")
            ]
            rows.append((run.name, name.replace("_", " "), *cells))
    header = ("run", "figure", "last", "at step", "best", "at step")
    return table("held out, while training", header, rows)


def _finetuned(results: Results) -> Element:
    splits = results.finetuned or {}
    metrics = dict.fromkeys(metric for found in splits.values() for metric in found)
    rows = []
    for metric in metrics:
        cells = [spread(found[metric]) if metric in found else "" for found in splits.values()]
        rows.append((metric.replace("_", " "), *cells))
    return table(f"{results.name}: mean ± standard deviation over seeds", ("metric", *splits), rows)
