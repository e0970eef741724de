"""`lmprep prompt`: a task told in words, with no or few examples."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from lmprep.cli.console import counting, show_json, show_table
from lmprep.cli.options import PICTURE, computing_options, given
from lmprep.finetuning.settings import FORMATS

_FILE = click.Path(path_type=Path, dir_okay=False)
_SETTINGS = ("seeds", "seed", "label_field", "format", "most")
log = logging.getLogger("lmprep")


class _Counts(click.ParamType[tuple[int, ...]]):
    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Numbers parted by commas."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 0,1,4,8", param, ctx)


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep prompt gpt-run sentiment.toml --test dev.tsv --shots 0\n"
    "  lmprep prompt gpt2 trec.toml --train train.tsv --test test.tsv --shots 0,1,4,16 "
    "--plot shots.png",
)
@click.argument("model")
@click.argument("task", type=_FILE)
@click.option("--test", type=_FILE, required=True, help="What is asked: tsv, csv or jsonl.")
@click.option("--train", type=_FILE, help="What examples in the prompt are drawn from.")
@click.option(
    "--shots",
    type=_Counts(),
    help="Numbers of examples in the prompt.  [default: 0,1,4,8; without --train 0]",
)
@click.option("--seeds", type=int, help="Draws of the examples.  [default: 3]")
@click.option("--seed", type=int, help="Of the first draw.  [default: 0]")
@click.option("--most", type=int, help="Ask only the first so many.  [default: all]")
@click.option("--label-field", help="Column of the label.  [default: label]")
@click.option(
    "--format",
    type=click.Choice([f for f in FORMATS if f in ("tsv", "csv", "jsonl")]),
    help="[default: by the files' suffixes]",
)
@click.option("--plot", type=PICTURE, help="Draw accuracy by the number of examples (png, svg).")
@computing_options
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON on stdout.")  # fmt: skip
def prompt(model: str, task: Path, **options: Any) -> None:
    """Measure MODEL on a task that it is only told about, with no, one or few examples.

    TASK is a TOML file that has the task in words: a description, a template with slots for the
    columns of the files, and what is written for each label; see `lmprep docs prompting`. The label
    is chosen whose tokens the model finds likeliest on average. No weight changes.

    MODEL is a decoder or a T5: a run folder, a folder of Hugging Face's layout, a name on its hub.
    """
    from lmprep.prompting.prompt import PromptSettings
    from lmprep.prompting.prompt import prompt as measure

    shots = options["shots"] or ((0,) if options["train"] is None else (0, 1, 4, 8))
    chosen = {n: v for n, v in given(options).items() if n in _SETTINGS and v is not None}
    try:
        settings = PromptSettings(shots=shots, **chosen)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with counting("prompt", "questions") as report:
        results = measure(
            model, task, options["test"], settings, train=options["train"],
            device=options["device"], precision=options["precision"], on_questions=report,
        )  # fmt: skip
    for count, found in results["shots"].items():
        if found["shortened"]:
            log.warning(
                "%s shots: %.0f %% of the prompts have fewer examples, for want of room.",
                count, 100 * found["shortened"],
            )  # fmt: skip
    if options["plot"] is not None:
        from lmprep.report.shots_plot import draw_shots

        draw_shots(results, options["plot"], task.stem)
    if options["as_json"]:
        show_json(results)
        return
    rows = [
        (count, *(_spread(found[name]) for name in ("accuracy", "f1_macro")))
        for count, found in results["shots"].items()
    ]
    majority = results["majority"]
    rows.append(("majority", *(f"{majority[name]:.3f}" for name in ("accuracy", "f1_macro"))))
    title = f"{task.stem}: {results['examples']} examples by {results['model']}"
    show_table(title, ("shots", "accuracy", "F1 (macro)"), rows)


def _spread(figure: dict[str, float | None]) -> str:
    sd = "" if figure["sd"] is None else f" ± {figure['sd']:.3f}"
    return f"{figure['mean']:.3f}{sd}"
