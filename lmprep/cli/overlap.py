"""`lmprep overlap`: what of an evaluation corpus occurs in the training corpus."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lmprep.cli.console import progress, show_json, show_table
from lmprep.cli.options import given, reading_options, settled
from lmprep.settings import CorpusSettings, settings_from

if TYPE_CHECKING:
    from lmprep.overlap import Overlap


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep overlap corpus/*.txt test.jsonl\n"
    "  lmprep overlap shards shards-valid --json",
)
@click.argument("train", nargs=-1, required=True, metavar="TRAIN...")
@click.argument("evaluation", metavar="EVAL")
@click.option(
    "--ngram",
    type=click.IntRange(1),
    default=13,
    show_default=True,
    help="Words, or tokens, in a row that must be the same.",
)
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON on stdout.")
def overlap(
    train: tuple[str, ...], evaluation: str, ngram: int, as_json: bool, **options: Any
) -> None:
    """Count the documents and the 13-grams of EVAL that TRAIN holds too.

    Both are files and globs, or folders of lmprep build. Texts are compared by their words,
    whatever their case and punctuation; a dataset by its tokens, row by row, also with a text.
    EVAL is the last argument; a pattern of several files goes in quotes.
    """
    from lmprep.overlap import compare, open_corpora

    settings = settled(lambda: settings_from(CorpusSettings, given(options)))
    with progress("overlap") as advance:
        first, second, unit = open_corpora(train, [evaluation], settings, advance)
        found = compare(first, second, ngram)
    if as_json:
        show_json({"unit": unit, **asdict(found)})
        return
    show_table("overlap", _HEADER, _rows(found, unit))


_HEADER = ("what", "in EVAL", "also in TRAIN", "share")


def _rows(found: Overlap, unit: str) -> list[tuple[str, str, str, str]]:
    counts = (
        ("documents, whole", found.documents, found.shared_documents),
        (f"documents with {found.n} {unit} in a row", found.documents, found.touched_documents),
        (f"{found.n}-grams of {unit}", found.ngrams, found.shared_ngrams),
    )
    return [
        (what, f"{total:,}", f"{shared:,}", f"{shared / total:.2%}" if total else "-")
        for what, total, shared in counts
    ]
