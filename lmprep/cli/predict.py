"""`lmprep predict`: what a model makes of each line of a text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmprep.cli.console import say
from lmprep.cli.options import computing_options, given, with_options
from lmprep.cli.output import output
from lmprep.finetuning.settings import TASKS

if TYPE_CHECKING:
    from lmprep.inference.pretrained import Asked

_POOLING = ("mean", "first", "last")
_LAYERS = ("last", "sum-last-4", "concat-last-4")
_ANSWERS = {
    "classify": "A label, a tab and its probability for each line.",
    "pair": "The same for two texts parted by a tab.",
    "choice": "The number of the right one of several answers, from 0, and its probability, for "
    'each JSON line {"text": ..., "choices": [...]}.',
    "tag": "The words of each line, one a line with its label; an empty line after each text.",
    "span": "Labels and words of the spans in each line, parted by tabs.",
    "qa": "The answer to each line QUESTION, tab, CONTEXT; an empty line where there is none.",
}
_INPUT = {
    "pair": "printf 'A man sleeps.\\tNobody is awake.\\n'",
    "choice": """echo '{"text": "It rained, so", "choices": ["we stayed in", "we swam"]}'""",
    "qa": "printf 'Who wrote it?\\tAnn wrote the letter.\\n'",
}
_OUTPUT = {"choice": "answers", "tag": "conll"}


@click.group(
    epilog="\b\nExamples:\n"
    "  echo 'I saw a [MASK] cat.' | lmprep predict fill run\n"
    "  echo 'Once upon a time' | lmprep predict generate run --sample --top-p 0.9\n"
    "  lmprep predict classify sentiment reviews.txt > labels.tsv",
)
def predict() -> None:
    """Ask a model something about each line of FILE, or of stdin.

    MODEL is, for fill, generate and embed, a run folder of `lmprep pretrain`, a folder of Hugging
    Face's layout or a name on its hub; for the others a folder of `lmprep finetune`. Lines go in
    and out in the same order, so commands can stand in a pipe.
    """


_io = with_options(
    click.argument("model"),
    click.argument("file", default="-"),
    click.option(
        "-o", "--out", type=click.Path(path_type=Path),
        help="Write this file, whole or not at all.  [default: stdout]",
    ),
    computing_options,
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="A JSON object for each line.")


@predict.command(
    epilog="\b\nExamples:\n"
    "  echo 'I saw a [MASK] cat.' | lmprep predict fill run --top 3\n"
    "  echo 'The <extra_id_0> barked.' | lmprep predict fill t5-run --json"
)
@_io
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True,
              help="Tokens shown for each mask.")  # fmt: skip
@_json
def fill(model: str, file: str, top: int, as_json: bool, **options: Any) -> None:
    """Fill the gaps in each line: [MASK] or <mask>, of T5 <extra_id_0> and so on.

    For each mask a line of its likeliest tokens with their probabilities, then the filled text.
    Each mask is judged while the others are hidden. T5 and BART write what is missing.
    """
    from lmprep.inference.faults import naming_lines
    from lmprep.inference.filling import filled

    asked = _ask(model, options)
    _refuse_more(top, asked)
    with _answers(file, options["out"]) as (batches, write):
        for batch in batches:
            with naming_lines([line for line, _ in batch], file):
                answers = filled(asked, [text for _, text in batch], top=top)
            for found in answers:
                fills = found.pop("fills", [])
                if as_json:
                    found["fills"] = [
                        dict(zip(each.tokens, each.probabilities, strict=True)) for each in fills
                    ]
                    write(json.dumps(found, ensure_ascii=False))
                    continue
                for each in fills:
                    pairs = zip(each.tokens, each.probabilities, strict=True)
                    write("  ".join(f"{token} {chance:.3f}" for token, chance in pairs))
                write(found["text"])


@predict.command(
    epilog="\b\nExamples:\n"
    "  echo 'Once upon a time' | lmprep predict generate run --tokens 30\n"
    "  lmprep predict generate run prompts.txt --sample --temperature 0.8 --top-k 50 --seed 1"
)
@_io
@click.option("--tokens", type=int, help="New tokens at most.  [default: 50]")
@click.option("--sample", is_flag=True, help="Draw tokens; else the likeliest are taken.")
@click.option("--temperature", type=float, help="Of the draws; below 1 bolder.  [default: 1]")
@click.option("--top-k", type=int, help="Draw from so many of the likeliest tokens.")
@click.option("--top-p", type=float, help="Draw from the likeliest tokens of this probability.")
@click.option("--beams", type=int, help="Follow so many texts at once.  [default: 1]")
@click.option("--length-penalty", type=float,
              help="Above 1 favours longer beams, below 1 shorter ones.  [default: 1]")  # fmt: skip
@click.option("--seed", type=int, help="Of the draws.  [default: 0]")
@_json
def generate(model: str, file: str, as_json: bool, **options: Any) -> None:
    """Write on from each line; an encoder-decoder writes an answer to it.

    A decoder's line is shown with what it writes; --json tells them apart. A masked model fills
    --tokens masks behind the line, from the left. What is drawn depends on --seed and the line's
    number alone.
    """
    from lmprep.inference.faults import naming_lines
    from lmprep.inference.filling import masks_written
    from lmprep.inference.writers import prompt_ids
    from lmprep.inference.writing import WritingSettings, written

    names = ("tokens", "sample", "temperature", "top_k", "top_p", "beams", "length_penalty", "seed")
    try:
        settings = WritingSettings(**{n: v for n, v in given(options).items() if n in names})
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not settings.sample and any(
        options[n] is not None for n in ("temperature", "top_k", "top_p")
    ):
        raise click.UsageError("--temperature, --top-k and --top-p need --sample")
    asked = _ask(model, options)
    with _answers(file, options["out"]) as (batches, write):
        for batch in batches:
            texts, first = [text for _, text in batch], batch[0][0]
            with naming_lines([line for line, _ in batch], file):
                if asked.kind == "encoder":
                    ids = masks_written(asked, texts, settings, first)
                else:
                    ids = written(asked, prompt_ids(asked, texts), settings, first)
            for text, new in zip(texts, ids, strict=True):
                said = asked.said(text, new)
                if as_json:
                    found = {"prompt": text, "text": said}
                    write(json.dumps(found, ensure_ascii=False))
                else:
                    write(said if asked.kind == "encoder-decoder" else text + said)


@predict.command(
    epilog="\b\nExamples:\n"
    "  lmprep predict embed run sentences.txt -o vectors.npy\n"
    "  lmprep predict embed gpt-run sentences.txt --pooling last -o vectors.arrow"
)
@_io
@click.option("--pooling", type=click.Choice(_POOLING), default="mean", show_default=True,
              help="Over the tokens of a line: their mean, or the first or last one.")  # fmt: skip
@click.option("--layers", type=click.Choice(_LAYERS), default="last", show_default=True,
              help="Whose states are pooled.")  # fmt: skip
@click.option("--to", type=click.Choice(("npy", "arrow")),
              help="[default: by the suffix of -o, else npy]")  # fmt: skip
def embed(model: str, file: str, pooling: str, layers: str, to: str | None, **options: Any) -> None:
    """A vector for each line: a float32 array in NumPy's format, or an Arrow stream with the
    columns text and vector."""
    from lmprep.inference.embedding import write_embedded

    out = options["out"]
    form = to or ("arrow" if out is not None and out.suffix == ".arrow" else "npy")
    asked = _ask(model, options, head=False)
    with output(out, [file], binary=True) as sink:
        write_embedded(asked, _lines(file), sink, form=form, pooling=pooling, layers=layers)


def _task_command(task: str) -> click.Command:
    """The command of a task that `lmprep finetune` teaches."""

    def answer(model: str, file: str, as_json: bool, **options: Any) -> None:
        from lmprep.finetuning.folder import load_finetuned
        from lmprep.inference.lines import as_text, example_of

        found = load_finetuned(model, device=options["device"], precision=options["precision"])
        if found.task != task:
            raise click.UsageError(f"{model} was fine-tuned for {found.task}, not for {task}")
        with _answers(file, options["out"]) as (batches, write):
            for batch in batches:
                examples = [example_of(task, text, number, file) for number, text in batch]
                for one in found.predict(examples):
                    write(json.dumps(one, ensure_ascii=False) if as_json else as_text(task, one))

    answer.__doc__ = f"{_ANSWERS[task]}\n\nMODEL is a folder of `lmprep finetune {task}`."
    asking = _INPUT.get(task, "echo 'A fine, quiet film.'")
    command = click.command(
        task,
        epilog=f"\b\nExamples:\n  {asking} | lmprep predict {task} out\n"
        f"  lmprep predict {task} out lines.txt --json > {_OUTPUT.get(task, 'answers')}.jsonl",
    )
    return command(_io(_json(answer)))


for _task in TASKS:
    predict.add_command(_task_command(_task))


def _ask(model: str, options: dict[str, Any], *, head: bool = True) -> Asked:
    from lmprep.inference.pretrained import ask

    return ask(model, device=options["device"], precision=options["precision"], head=head)


def _refuse_more(top: int, asked: Asked) -> None:
    if top > asked.vocabulary.size:
        raise click.UsageError(f"--top {top}: the vocabulary has {asked.vocabulary.size} tokens")


def _lines(file: str) -> Iterator[list[tuple[int, str]]]:
    from lmprep.inference.lines import read_lines

    if file == "-" and sys.stdin.isatty():
        say("Reading lines from the terminal; Ctrl-D ends them.")
    return read_lines(file)


@contextmanager
def _answers(
    file: str, out: Path | None
) -> Iterator[tuple[Iterator[list[tuple[int, str]]], Callable[[str], object]]]:
    """The lines of a file, and a function that writes a line."""
    batches = _lines(file)
    with output(out, [file], binary=False) as sink:
        yield batches, lambda line: sink.write(f"{line}\n".encode())
