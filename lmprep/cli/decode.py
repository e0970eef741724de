"""`lmprep decode`: token ids -> text."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from lmprep.cli.console import say
from lmprep.cli.output import output, progress_beside

_FORMS = ("text", "jsonl")
log = logging.getLogger("lmprep")


@click.command(
    epilog="\b\nExamples:\n"
    "  echo '12 7 300' | lmprep decode -t tok\n"
    "  lmprep encode -t tok notes.txt --to jsonl | lmprep decode -t tok\n"
    "  lmprep decode -t tok ids.jsonl.gz --to jsonl -o texts.jsonl",
)
@click.argument("file", default="-")
@click.option("-t", "--tokenizer", required=True, help="Tokenizer folder or tokenizer.json.")
@click.option(
    "--format",
    type=click.Choice(_FORMS),
    help='text: lines of numbers; jsonl: {"ids": [...]}.  [default: told by the first character]',
)
@click.option(
    "--to",
    type=click.Choice(_FORMS),
    default="text",
    show_default=True,
    help='text: a line for each row, newlines within it as they are; jsonl: {"text": ...}.',
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Write this file, whole or not at all.  [default: stdout]",
)
def decode(file: str, tokenizer: str, format: str | None, to: str, out: Path | None) -> None:
    """Turn each row of token ids in FILE (or stdin) back into text; special tokens are shown.

    Byte-level BPE gives the text back byte for byte; other vocabularies without what they lost.
    """
    from lmprep.corpus import expand
    from lmprep.encoding.decode import decode_file
    from lmprep.tokenization.folder import load_tokenizer

    # Whatever the file is called: its suffix tells no more than whether it is compressed.
    (source,) = expand([file], format="txt")
    model = load_tokenizer(tokenizer)
    if file == "-" and sys.stdin.isatty():
        say("Reading ids from the terminal; Ctrl-D ends them.")
    total = source.bytes if source.seekable else None
    with (
        output(out, [source.path], binary=False) as sink,
        progress_beside(out, "decode", total) as advance,
    ):
        done = decode_file(source, model, sink, format=format, to=to, on_text=advance)
    if done.broken and to == "text":
        log.warning(
            "%d of %d rows hold newlines and are several lines each; --to jsonl keeps them apart",
            done.broken,
            done.rows,
        )
    if out is not None:
        say(f"{out}: {done.rows:,} rows")
