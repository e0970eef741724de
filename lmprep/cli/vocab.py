"""`lmprep vocab`: text -> a tokenizer folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lmprep.cli.console import progress, say, show_json
from lmprep.cli.options import corpus_options, family_option, given, settled
from lmprep.settings import ALGORITHMS, CRITERIA, CorpusSettings, VocabSettings, settings_from

_VOCAB_FLAGS = ("algorithm", "size", "family", "criterion", "cased", "sentinels")


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep vocab corpus/*.txt -o tok --algorithm wordpiece --size 30000\n"
    "  lmprep vocab books.jsonl.gz -o tok --algorithm unigram --size 32000 --text-field body"
)
@corpus_options
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option("--algorithm", required=True, type=click.Choice(ALGORITHMS), help="What to learn.")
@click.option("--size", required=True, type=int, help="Number of ids, special tokens included.")
@family_option("Family of special tokens; by default the one that goes with the algorithm.")
@click.option(
    "--criterion",
    type=click.Choice(CRITERIA),
    help="WordPiece: what a merge maximises.  [default: frequency]",
)
@click.option("--cased", is_flag=True, default=None, help="WordPiece and word: keep capitals.")
@click.option("--sentinels", type=int, help="t5 and ul2: number of <extra_id_i>.")
@click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout.")
def vocab(**options: Any) -> None:
    """Learn a vocabulary from CORPUS (files, globs, or - for stdin)."""
    from lmprep.vocab import make_vocabulary

    flags = given(options, "corpus", "out", "as_json")
    learning = {name: value for name, value in flags.items() if name in _VOCAB_FLAGS}
    reading = {name: value for name, value in flags.items() if name not in _VOCAB_FLAGS}
    settings = settled(lambda: settings_from(VocabSettings, learning))
    corpus = settled(lambda: settings_from(CorpusSettings, reading))
    with progress("vocab") as advance:
        training = make_vocabulary(options["corpus"], options["out"], settings, corpus, advance)
    if options["as_json"]:
        show_json(training)
        return
    say(
        f"{options['out']}: {training['vocabulary_size']} ids from {training['sentences']} "
        f"sentences ({training['text_bytes'] / 1e6:.1f} MB)"
    )
