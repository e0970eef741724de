"""`lmprep run`: a recipe from text to the summary table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmprep.cli.console import progress, say, show_json
from lmprep.cli.evaluate import show_figures
from lmprep.cli.live import display
from lmprep.cli.options import completing, default_workers

if TYPE_CHECKING:
    from lmprep.recipe import Step


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep run samples/bert-tiny.toml\n"
    "  lmprep run bert --corpus 'books/*.txt' -o out --set pretrain.model=bert-mini"
)
@click.argument("recipe", shell_complete=completing("recipes", ".toml"))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="[default: runs/NAME]")
@click.option("--corpus", multiple=True, help="Input in place of the recipe's; may be repeated.")
@click.option("--set", "changes", multiple=True, help="table.key=value, wins over the recipe.")
@click.option(
    "--workers", type=click.IntRange(1), default=default_workers, show_default="cores",
    help="Processes of vocab and build.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON on stdout.")
def run(
    recipe: str,
    out: Path | None,
    corpus: tuple[str, ...],
    changes: tuple[str, ...],
    workers: int,
    as_json: bool,
) -> None:
    """Run a recipe: vocabulary, examples, model, figures.

    RECIPE is a TOML file, or a name that lmprep recipes lists.
    Steps that are complete are skipped, unfinished ones resumed.
    """
    from lmprep.ahead import before_vocab
    from lmprep.recipe import run_recipe
    from lmprep.recipe_file import load_recipe
    from lmprep.shipped import find_recipe

    loaded = load_recipe(find_recipe(recipe), corpus=corpus, changes=changes)
    folder = out or Path("runs") / loaded.name
    if not folder.exists():
        before_vocab(loaded.vocab)
    figures = run_recipe(
        loaded,
        folder,
        workers=workers,
        on_step=_report,
        text_display=progress,
        training_display=display,
    )
    if loaded.pretrain is None:
        say(f"{loaded.name} has no [pretrain]: it ends with its examples, in {folder / 'train'}.")
    if as_json:
        show_json(figures)
    elif figures:
        show_figures(figures, f"{loaded.name}: {folder}")


def _report(step: Step) -> None:
    """A line when a step has ended."""
    say(f"{step.name}: {'already complete' if step.skipped else _said(step.name, step.result)}")


def _said(name: str, result: dict[str, Any]) -> str:
    if name == "vocab":
        return f"{result['vocabulary_size']} ids from {result['sentences']} sentences"
    if name == "build":
        parts = (f"{totals['rows']} examples for {part}" for part, totals in result.items())
        return ", ".join(parts)
    if name in ("teacher", "pretrain"):
        return f"{result['step']} steps, {result['tokens']} tokens, {result['seconds']:.0f} s"
    return f"{result['rows']} examples"
