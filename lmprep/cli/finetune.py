"""`lmprep finetune`: a pretrained model learns a task from labelled examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmprep.cli.console import say, show_json, show_table
from lmprep.cli.options import PICTURE, RATE, Command, given, settled, with_options
from lmprep.finetuning.settings import (
    BAD_ANSWERS,
    BOUNDARIES,
    DECIDE,
    FORMATS,
    LABEL_SUBWORDS,
    LAYERS,
    SCHEDULES,
    SUMMARIES,
    TASKS,
)
from lmprep.pretrain_settings import DEVICES, PRECISIONS

if TYPE_CHECKING:
    from lmprep.finetuning.training import Epoch

_TITLES = {
    "classify": "A label for a text: sentiment, topic, kind of question.",
    "pair": "A label for two texts: entailment, paraphrase.",
    "choice": "Which of several answers follows a context.",
    "tag": "A label for every word: parts of speech, entities.",
    "span": "Labelled runs of words, each judged as a whole.",
    "qa": "The stretch of a context that answers a question.",
}
_INPUTS = {
    "classify": "Files are tsv, csv or jsonl with the columns text and label.",
    "pair": "Files are tsv, csv or jsonl with the columns sentence1, sentence2 and label.",
    "choice": "Files are jsonl with context, choices (a list) and label (the right one's number, "
    "from 0), or tables with columns choice1, choice2, ....",
    "tag": "Files are conll (a word a line, its label in the last column, an empty line after a "
    "sentence) or jsonl with words and tags.",
    "span": "Files are conll with labels B-X, I-X and O, or jsonl with words and spans, a list of "
    "[FIRST, LAST, LABEL] that counts words from 0.",
    "qa": "Files are SQuAD's JSON, version 1.1 or 2.0.",
}
_SUFFIXES = {"tag": "conll", "span": "conll", "qa": "json", "choice": "jsonl"}
_NOT_SETTINGS = (
    "run", "train", "dev", "test", "out", "resume", "force", "as_json", "confusion", "text_field",
    "second_field", "label_field",
)  # fmt: skip


@click.group(
    epilog="\b\nExamples:\n"
    "  lmprep finetune classify run --train train.tsv --dev dev.tsv -o sentiment\n"
    "  lmprep finetune tag run --train train.conll.gz --dev dev.conll --crf --seeds 5 -o ner",
)
def finetune() -> None:
    """Teach a pretrained model a task, and measure it.

    RUN is a run folder of `lmprep pretrain`, a folder of Hugging Face's layout, or a name on its
    hub. Each task has its own flags: lmprep finetune TASK --help.
    """


_PATH = click.Path(path_type=Path, dir_okay=False)
_files = with_options(
    click.argument("run"),
    click.option("--train", type=_PATH, required=True, help="What it learns from."),
    click.option("--dev", type=_PATH, required=True, help="What the best epoch is chosen on."),
    click.option("--test", type=_PATH, help="What is only measured."),
    click.option(
        "-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR",
        help="Folder to write: models, figures, predictions.",
    ),
    click.option("--format", type=click.Choice(FORMATS), help="[default: by the files' suffixes]"),
)  # fmt: skip
_training = with_options(
    click.option("--epochs", type=int, help="Passes over the training file.  [default: 3]"),
    click.option(
        "--patience", type=int, help="Stop after so many epochs without a better dev figure."
    ),
    click.option("--seeds", type=int, help="Trainings, for a mean and its spread.  [default: 1]"),
    click.option("--seed", type=int, help="Of the first training.  [default: 0]"),
    click.option("--batch-size", type=int, help="Examples in an update.  [default: 32]"),
    click.option(
        "--lr",
        type=float,
        help="Peak learning rate.  [default: 5e-5; narrower than 768 3e-4; frozen 1e-3]",
    ),
    click.option(
        "--layer-decay",
        type=float,
        help="Rate of a layer over that of the one above.  [default: 1]",
    ),
    click.option("--schedule", type=click.Choice(SCHEDULES), help="[default: linear]"),
    click.option("--warmup", type=RATE, help="Share with a rising rate.  [default: 0.1]"),
    click.option("--weight-decay", type=float, help="Of matrices.  [default: 0.01]"),
    click.option("--clip", type=float, help="Largest norm of gradients.  [default: 1]"),
    click.option("--dropout", type=float, help="[default: the model's]"),
    click.option("--length", type=int, help="Longest row, tokens.  [default: the model's, to 512]"),
    click.option("--precision", type=click.Choice(PRECISIONS), help="[default: auto]"),
    click.option("--device", type=click.Choice(DEVICES), help="[default: auto]"),
)
_freezing = with_options(
    click.option(
        "--frozen", is_flag=True, default=None, help="Keep the model, train on its features."
    ),
    click.option("--layers", type=click.Choice(LAYERS), help="Of a frozen model.  [default: last]"),
    click.option(
        "--bilstm", is_flag=True, default=None, help="A BiLSTM on the features of a frozen model."
    ),
    click.option("--unfreeze-last", type=int, metavar="N", help="Only the top N layers learn."),
    click.option(
        "--random-init",
        is_flag=True,
        default=None,
        help="Fresh weights in the same network: what is the pretraining worth?",
    ),
)
_ending = with_options(
    click.option("--resume", is_flag=True, help="Keep the seeds that DIR has, go on with others."),
    click.option("--force", is_flag=True, help="Replace an earlier fine-tuning in DIR."),
    click.option("--json", "as_json", is_flag=True, help="Figures as JSON on stdout."),
)
_confusion = click.option(
    "--confusion", type=PICTURE, metavar="FILE", help="Draw right against given labels (png, svg)."
)
_label_field = click.option("--label-field", help="Column of the label.  [default: label]")
_text_field = click.option("--text-field", help="Column of the text.")
_own: dict[str, tuple[Callable[[Command], Command], ...]] = {
    "classify": (_text_field, _label_field, _confusion),
    "pair": (
        click.option("--text-field", help="Column of the first text."),
        click.option("--second-field", help="Column of the second text."),
        _label_field,
        _confusion,
    ),
    "choice": (click.option("--text-field", help="Column of the context."), _label_field),
    "tag": (
        click.option(
            "--label-subwords",
            type=click.Choice(LABEL_SUBWORDS),
            help="Which sub-words of a word bear its label in training.  [default: all]",
        ),
        click.option(
            "--decide",
            type=click.Choice(DECIDE),
            help="What decides a word: its first sub-word, or mean or maximum.  [default: first]",
        ),
        click.option("--crf", is_flag=True, default=None, help="A linear chain over words."),
        _confusion,
    ),
    "span": (
        click.option("--max-width", type=int, help="Words in a span at most.  [default: 8]"),
        click.option(
            "--boundaries",
            type=click.Choice(BOUNDARIES),
            help="First and last word through a network, or raw.  [default: ffn]",
        ),
        click.option(
            "--summary", type=click.Choice(SUMMARIES), help="Of the words.  [default: mean]"
        ),
        click.option("--overlap", is_flag=True, default=None, help="Found spans may overlap."),
    ),
    "qa": (
        click.option("--max-answer", type=int, help="Tokens in an answer.  [default: 30]"),
        click.option("--max-question", type=int, help="Tokens of a question.  [default: 64]"),
        click.option("--stride", type=int, help="Tokens between windows.  [default: 128]"),
        click.option(
            "--bad-answers",
            type=click.Choice(BAD_ANSWERS),
            help="Questions whose answer is not in its context.  [default: fail]",
        ),
    ),
}


def _command(task: str) -> click.Command:
    """`lmprep finetune TASK`."""

    def callback(**options: Any) -> None:
        _finetune(task, options)

    callback.__doc__ = f"""{_TITLES[task]}

    {_INPUTS[task]} All may be compressed: gz, bz2, xz, zst.
    """
    decorate = with_options(_files, *_own[task], _training, _freezing, _ending)
    end = _SUFFIXES.get(task, "tsv")
    files = f"--train train.{end} --dev dev.{end}"
    examples = (
        f"  lmprep finetune {task} run {files} -o out\n"
        f"  lmprep finetune {task} run {files} --test test.{end} --seeds 5 -o out --json"
    )
    return click.command(epilog=f"\b\nExamples:\n{examples}", short_help=_TITLES[task])(
        decorate(callback)
    )


for _task in TASKS:
    finetune.add_command(_command(_task), _task)


def _finetune(task: str, options: dict[str, Any]) -> None:
    from lmprep.finetuning.settings import FinetuneSettings

    if options["resume"] and options["force"]:
        raise click.UsageError("--resume and --force exclude each other.")
    if options.get("crf") and options.get("label_subwords"):
        raise click.UsageError("--label-subwords is not for --crf: a chain is over whole words.")
    flags = given(options, *_NOT_SETTINGS)
    roles = {role: options.get(f"{role}_field") for role in ("text", "second", "label")}
    fields = {role: name for role, name in roles.items() if name}
    settings = settled(lambda: FinetuneSettings(task=task, fields=fields, **flags))
    if options.get("confusion"):
        from lmprep.report.confusion_plot import draw_confusion
    from lmprep.finetuning.finetune import finetune as train

    results = train(
        options["run"],
        settings,
        options["out"],
        train=options["train"],
        dev=options["dev"],
        test=options["test"],
        resume=options["resume"],
        force=options["force"],
        on_epoch=lambda epoch: _say_epoch(epoch, settings.epochs),
    )
    if options.get("confusion"):
        draw_confusion(results["confusion"], options["confusion"])
    _show(results, options["out"], options["as_json"])


def _say_epoch(epoch: Epoch, epochs: int) -> None:
    figures = ", ".join(f"{name} {value:.4f}" for name, value in epoch.dev.items())
    say(f"seed {epoch.seed}, epoch {epoch.number}/{epochs}: loss {epoch.loss:.4f}; dev: {figures}")


def _show(results: dict[str, Any], out: Path, as_json: bool) -> None:
    parts = [name for name in ("dev", "test") if name in results]
    if as_json:
        show_json({part: results[part] for part in parts})
        return
    count = len(results["seeds"])
    rows = [
        (figure, *(_cell(results[part][figure]) for part in parts)) for figure in results["dev"]
    ]
    trainings = "one training" if count == 1 else f"mean and deviation of {count} trainings"
    show_table(f"{out}: {trainings}, best on dev seed-{results['best_seed']}", ("", *parts), rows)


def _cell(figure: dict[str, float | None]) -> str:
    spread = "" if figure["sd"] is None else f" ± {figure['sd']:.4f}"
    return f"{figure['mean']:.4f}{spread}"
