"""`lmprep evaluate`: how well a run predicts a held-out dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from lmprep.cli.console import counting, show_json, show_table
from lmprep.cli.options import DATASET, PICTURE, computing_options


class _Checkpoint(click.ParamType[Any]):
    """The step of a checkpoint, or `all`."""

    name = "step"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "all" or isinstance(value, int):
            return value
        if not value.isdecimal():
            self.fail(f"{value!r} is neither a step nor 'all'", param, ctx)
        return int(value)


_PROBES = ("texts", "minimal_pairs", "senses", "similarity", "analogies")
_FILE = click.Path(path_type=Path, dir_okay=False)


def _probe_option(flag: str, name: str, help: str) -> Callable[[Any], Any]:
    return click.option(flag, name, type=_FILE, multiple=True, help=help)


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep evaluate run shards-valid\n"
    "  lmprep evaluate run shards-valid --checkpoint all --json\n"
    "  lmprep evaluate run --text held-out.txt --minimal-pairs blimp.jsonl\n"
    "  lmprep evaluate run --senses senses.tsv --word bank --plot bank.svg",
)
@click.argument("run")
@click.argument("datasets", nargs=-1, type=DATASET, metavar="[OUT...]")
@click.option(
    "--checkpoint", type=_Checkpoint(), help="Step of a checkpoint, or all.  [default: the newest]"
)
@_probe_option("--text", "texts", "Lines of text: perplexity, bits a byte and a word.")
@_probe_option("--minimal-pairs", "minimal_pairs", "JSON lines of sentence_good, sentence_bad.")
@_probe_option("--senses", "senses", "Table of words in sentences with their senses, or of pairs.")
@_probe_option("--similarity", "similarity", "Lines WORD WORD SCORE.")
@_probe_option("--analogies", "analogies", "Lines of four words: a is to b as c is to d.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    help="Lines of --text, and pairs of each kind of --minimal-pairs, at most.  [default: all]",
)
@click.option(
    "--layers",
    type=click.Choice(("last", "sum-last-4", "concat-last-4")),
    default="sum-last-4",
    show_default=True,
    help="Of --senses: whose states are a word's vector.",
)
@click.option("--word", help="Of --senses: draw the uses of this lemma into --plot.")
@click.option("--plot", type=PICTURE, help="Picture of --word (png, svg).")
@computing_options
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Figures as JSON on stdout: a list, one entry for each table.",
)
def evaluate(run: str, datasets: tuple[Path, ...], **options: Any) -> None:
    """Score the model of RUN: on the held-out datasets OUT..., on texts, pairs and words.

    Beside the figures of a dataset stand those of guessing by token frequency on the same tokens.
    Tokens that a denoising model need only copy, and sentinels, starts and ends, are counted by
    themselves. Texts, pairs and words may be asked of folders of Hugging Face's layout too.
    """
    probes = {name: options.pop(name) for name in (*_PROBES, "most", "layers")}
    if not datasets and not any(probes[name] for name in _PROBES):
        raise click.UsageError(
            "Missing argument 'OUT...', or something to ask such as --text FILE."
        )
    if (options["word"] is None) != (options["plot"] is None):
        raise click.UsageError("--word and --plot go together")
    if options["word"] is not None and not probes["senses"]:
        raise click.UsageError("--word needs --senses")
    figures = _held_out(Path(run), datasets, options)
    asked = _asked(run, probes, options)
    if options["as_json"]:
        show_json([*figures, *asked])
        return
    for one in figures:
        show_figures(one, f"{one['dataset']}: step {one['step']} of {one['run']}")
    for one in asked:
        from lmprep.report.tables import probe_table

        show_table(f"{Path(one['file']).name} by {one['model']}", *probe_table(one))


def _held_out(
    run: Path, datasets: Sequence[Path], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if not datasets:
        return []
    from lmprep.evaluation import evaluate as measure
    from lmprep.training import checkpoints

    chosen: Sequence[int | None] = [None]
    if options["checkpoint"] == "all":
        chosen = checkpoints.steps(run) or chosen
    elif isinstance(options["checkpoint"], int):
        chosen = [options["checkpoint"]]
    ways = {name: options[name] for name in ("precision", "device")}
    return [measure(run, dataset, step=step, **ways) for dataset in datasets for step in chosen]


def _asked(run: str, probes: Mapping[str, Any], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not any(probes[name] for name in _PROBES):
        return []
    from lmprep.probing.probe import Probes, probe

    ways = {name: options[name] for name in ("precision", "device")}
    chosen = options["checkpoint"]
    if chosen == "all":
        raise click.UsageError("--checkpoint all is for held-out datasets")
    source = run if chosen is None else str(Path(run) / "checkpoints" / f"step-{chosen}")
    if options["word"] is not None:
        from lmprep.inference.pretrained import ask
        from lmprep.probing.senses import sense_map
        from lmprep.report.senses_plot import draw_senses

        model = ask(source, head=False, **ways)
        uses = sense_map(model, probes["senses"][0], options["word"], probes["layers"])
        draw_senses(uses, options["word"], options["plot"])
    with counting("evaluate", "texts") as report:
        return probe(source, Probes(**probes), on_texts=report, **ways)


def show_figures(figures: Mapping[str, Any], title: str) -> None:
    """A table of one evaluation."""
    from lmprep.report.tables import evaluation_table

    show_table(title, *evaluation_table(figures))
