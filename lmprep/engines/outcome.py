"""What came out of a corpus: refused where it is nothing to train on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lmprep.build_settings import BuildSettings
from lmprep.corpus.sources import InputFile, empty_corpus
from lmprep.errors import InputError

log = logging.getLogger("lmprep")


def refuse_documents_found(
    documents: int, inputs: Sequence[InputFile], settings: BuildSettings
) -> None:
    """Raise `InputError` for a corpus without documents, or with too few to set some aside."""
    if not documents:
        raise empty_corpus(inputs)
    if settings.valid and documents < 4:
        raise InputError(
            f"{documents} documents are too few to set some aside with --valid",
            fix="Leave --valid out, or part the documents by empty lines "
            "(--documents line or file for other layouts)",
        )


def refuse_nothing(accounts: Mapping[str, dict[str, Any]], settings: BuildSettings) -> None:
    """Raise `InputError` when there is nothing to train on; warn of an empty valid part.

    Args:
        accounts: by part, what its receipts add up to.
    """
    fix = _fix_of_nothing(settings)
    for part, found in accounts.items():
        if not _is_empty(found):
            continue
        what = _nothing_came(found)
        if part == "train":
            raise InputError(what, fix=fix)
        log.warning("%s for the held-out part. %s.", what, fix)


def _is_empty(found: dict[str, Any]) -> bool:
    """Whether there is no row, or no token in any row."""
    return not any(shard.get("tokens", 1) for shard in found["shards"])


def _nothing_came(found: dict[str, Any]) -> str:
    lost = ", ".join(f"{count} {reason}" for reason, count in found["drops"].items())
    dropped = f" (dropped: {lost})" if lost else ""
    return f"no example came out of {found['documents']} documents{dropped}"


def _fix_of_nothing(settings: BuildSettings) -> str:
    if settings.sequences.pairs != "none":
        return (
            "Pairs need several documents of several sentences: see --documents, --sentences and "
            "--pairs none"
        )
    if settings.objective == "skipgram":
        return "Give more text, or a larger --subsample (0 keeps every token)"
    return "Give documents of several words"
