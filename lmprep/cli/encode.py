"""`lmprep encode`: lines or records of text -> token ids."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from lmprep.cli.console import say
from lmprep.cli.options import default_workers, family_option, given, settled
from lmprep.cli.output import output, progress_beside
from lmprep.settings import FORMATS, CorpusSettings, settings_from

_FORMS = ("text", "jsonl", "npz", "arrow")
_READING = ("format", "text_field")


@click.command(
    epilog="\b\nExamples:\n"
    "  echo 'The kitten climbed.' | lmprep encode -t tok\n"
    "  zcat books.jsonl.gz | lmprep encode -t tok - --format jsonl --to jsonl | head\n"
    "  lmprep encode -t tok corpus/*.txt -o ids.arrow",
)
@click.argument("file", nargs=-1)
@click.option("-t", "--tokenizer", required=True, help="Tokenizer folder or tokenizer.json.")
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="Format of the input; by default told by the suffix, and txt for stdin.",
)
@click.option("--text-field", help="Field of a record that holds the text.  [default: text]")
@click.option(
    "--to",
    type=click.Choice(_FORMS),
    help='text: a line of numbers; jsonl: {"ids": [...]}; npz: NumPy arrays ids, offsets and '
    "word_start (held in memory until the end); arrow: an IPC stream with the columns input_ids "
    "and word_start.  [default: by the suffix of -o, else text]",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Write this file, whole or not at all.  [default: stdout]",
)
@family_option("Family of a foreign tokenizer that does not tell it.")
def encode(file: tuple[str, ...], **options: Any) -> None:
    """Turn each line or record of FILE... (or of stdin) into token ids, without special tokens.

    One row for each line, empty ones too. A line ends at \\n or \\r\\n. Of JSON lines, each record
    is a row, and a newline in its text is part of it.
    """
    from lmprep.ahead import before_encoding
    from lmprep.tokenization import load

    folder = load(options["tokenizer"], options["family"])
    before_encoding(folder)

    # Imported while those processes are at work.
    from lmprep.corpus import expand
    from lmprep.corpus.plan import refuse_idle_settings
    from lmprep.encoding.encode import encode_files

    arguments, out = file or ("-",), options["out"]
    reading = {name: value for name, value in given(options).items() if name in _READING}
    corpus = settled(lambda: settings_from(CorpusSettings, reading))
    inputs = expand(arguments, format=corpus.format)
    refuse_idle_settings(inputs, corpus)
    to = options["to"] or _form_of(out)
    if "-" in arguments and sys.stdin.isatty():
        say("Reading the text from the terminal; Ctrl-D ends it.")
    paths, binary = [f.path for f in inputs], to in ("npz", "arrow")
    known = all(f.seekable and f.format == "txt" for f in inputs)
    total = sum(f.bytes for f in inputs) if known else None
    with (
        output(out, paths, binary=binary) as sink,
        progress_beside(out, "encode", total) as advance,
    ):
        totals = encode_files(
            inputs,
            folder,
            sink,
            to=to,
            text_field=corpus.text_field,
            threads=default_workers(),
            on_text=advance,
        )
    if out is not None:
        say(f"{out}: {totals.rows:,} rows, {totals.tokens:,} tokens")


def _form_of(out: Path | None) -> str:
    """The form that the name of the output says, else text."""
    suffix = out.suffix.lower().removeprefix(".") if out else ""
    return suffix if suffix in _FORMS else "text"
