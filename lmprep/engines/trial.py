"""What a build would make of a text, with nothing written: its sequences and their corruption."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lmprep.batches import Columns, Drops
from lmprep.build_settings import BuildSettings
from lmprep.corpus import empty_corpus, read_partitions, split_sentences
from lmprep.engines.job import make_plan
from lmprep.errors import InputError
from lmprep.examples import Place, corrupted, sequences_of
from lmprep.objectives import OBJECTIVES
from lmprep.tokenization.encoder import Encoder
from lmprep.tokenization.folder import TokenizerFolder


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """The examples of a text.

    Args:
        columns: as they would be stored, rows in the order of the text.
        rows: how many there are.
        drops: what was dropped, counted by reason.
        whole: whether this is all of the text; else it is its first partition.
        tokenizer: the tokenizer used.
    """

    columns: Columns
    rows: int
    drops: Drops
    whole: bool
    tokenizer: TokenizerFolder


def try_text(
    file: str, tokenizer: str, settings: BuildSettings, *, copy: int = 0, family: str | None = None
) -> Trial:
    """Make the examples of a text's first partition.

    Args:
        file: a file, or `-`.
        tokenizer: a tokenizer folder or file, of `family` if it does not tell itself.
        settings: as for a build.
        copy: which copy of the corruption.

    Raises:
        UsageError: file, settings and tokenizer do not go together.
        InputError: the text cannot be read, or nothing comes out of it.
    """
    plan = make_plan([file], tokenizer, Path(), settings, family=family)
    folder = plan.job.tokenizer
    partition = next(read_partitions(plan.sources[0], settings.corpus, settings.partition_bytes))
    documents, drops = split_sentences(partition, settings.corpus)
    if not len(documents):
        raise empty_corpus(plan.inputs)
    place = Place("train", partition.source, partition.ordinal)
    tokens = Encoder(folder).encode(documents)
    sequences, lost = sequences_of(tokens, settings, folder.vocabulary, place)
    drops = Counter(partition.drops) + drops + lost
    if not len(sequences):
        raise _too_short("no example comes out of this text", drops, settings)
    columns = corrupted(sequences, settings, folder.vocabulary, place, copy)
    if not OBJECTIVES[settings.objective].scored(columns):
        raise _too_short("nothing is to be predicted in this text", drops, settings)
    return Trial(
        columns=columns,
        rows=len(next(iter(columns.values()))),
        drops=drops,
        whole=partition.last and len(plan.sources) == 1,
        tokenizer=folder,
    )


def _too_short(what: str, drops: Drops, settings: BuildSettings) -> InputError:
    lost = ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items()))
    dropped = f" (dropped: {lost})" if lost else ""
    pairs = settings.sequences.pairs
    return InputError(
        f"{what}: it is too short for {settings.objective}"
        f"{f' with pairs {pairs}' if pairs != 'none' else ''}{dropped}",
        fix="Give a longer text, or --subsample 0"
        if settings.objective == "skipgram"
        else _LONGER[pairs],
    )


_LONGER = {
    "none": "Give a longer text",
    "sop": "Give two sentences at least, one a line, or add --sentences icu",
    "nsp": "Give two documents at least, parted by an empty line, of two sentences each, one a "
    "line, or add --sentences icu",
}
