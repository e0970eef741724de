"""`lmprep vocab`: text -> a tokenizer folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lmprep.cli.console import progress, say, show_json, show_table
from lmprep.cli.options import corpus_options, default_workers, family_option, given, settled
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
    help="WordPiece: how pieces are chosen; see `lmprep docs vocabularies`.  [default: frequency]",
)
@click.option("--cased", is_flag=True, default=None, help="WordPiece and word: keep capitals.")
@click.option("--sentinels", type=int, help="t5 and ul2: number of <extra_id_i>.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=default_workers,
    show_default="cores",
    help="Processes that count words, for a small text threads; the vocabulary does not depend on "
    "it.",
)
@click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout.")
def vocab(**options: Any) -> None:
    """Learn a vocabulary from CORPUS (files, globs, or - for stdin).

    Prints how well it fits, measured on the beginning of each input (16 MB in all at most): tokens
    per word, words that are one token, unknown tokens. The same for every input, however many, is
    in training.json.
    """
    from lmprep.ahead import before_vocab

    flags = given(options, "corpus", "out", "workers", "as_json")
    learning = {name: value for name, value in flags.items() if name in _VOCAB_FLAGS}
    reading = {name: value for name, value in flags.items() if name not in _VOCAB_FLAGS}
    settings = settled(lambda: settings_from(VocabSettings, learning))
    corpus = settled(lambda: settings_from(CorpusSettings, reading))
    before_vocab(settings)

    # Imported while those processes are at work.
    from lmprep.engines.counting import Workers
    from lmprep.vocab import make_vocabulary

    with progress("vocab") as advance:
        training = make_vocabulary(
            options["corpus"],
            options["out"],
            settings,
            corpus,
            advance,
            engine=Workers(options["workers"]),
        )
    if options["as_json"]:
        show_json(training)
        return
    say(
        f"{options['out']}: {training['vocabulary_size']} ids from {training['sentences']} "
        f"sentences ({training['text_bytes'] / 1e6:.1f} MB)"
    )
    _show_figures(training["sample"])


def _show_figures(sample: dict[str, Any]) -> None:
    """How well the vocabulary fits its text: in all, and the first inputs."""
    from lmprep.report.tables import VOCABULARY, vocabulary_rows

    size = sample["all"]["text_bytes"] / 1e6
    title = f"measured on the first text of each input, {size:.2f} MB"
    show_table(title, VOCABULARY, vocabulary_rows(sample))
