"""What a manifest must look like before anything it says is used.

A manifest may come from anywhere, and its own hash proves nothing about who wrote it. So every
value that a reader uses is checked here: types, ranges, names. What settings mean is checked by
their records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

from lmprep.objective_settings import FORMS
from lmprep.settings import DEDUP, CorpusSettings, SequenceSettings, parse_rate, settings_from
from lmprep.vocabulary import Vocabulary

SHARD_NAME = re.compile(r"data-(\d{5,12})-(\d{5,12})-(\d{2})\.arrow", re.ASCII)

# Tables of this many entries are made while rows are read.
_MOST_IDS = 1 << 24
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ROLES = ("pad", "unk", "cls", "sep", "mask")

Rule = Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_count(count) for count in value.values())


def _is_rate(value: Any) -> bool:
    try:
        return isinstance(value, str) and parse_rate(value) is not None
    except ValueError:
        return False


_PAPER: dict[str, Rule] = {
    "objective": lambda value: isinstance(value, str) and value in FORMS,
    "part": lambda value: value in ("train", "valid"),
    "settings": lambda value: isinstance(value, dict),
    "vocabulary": lambda value: isinstance(value, dict),
    "shards": lambda value: isinstance(value, list),
    "inputs": lambda value: isinstance(value, list),
    "fingerprint": _is_hash,
    "tokenizer_sha256": _is_hash,
    "documents": _is_count,
    "input_tokens": _is_count,
    "drops": _are_counts,
    "totals": _are_counts,
}
_SETTINGS: dict[str, Rule] = {
    "objective_settings": lambda value: isinstance(value, dict),
    "sequences": lambda value: isinstance(value, dict),
    "copies": lambda value: type(value) is int and 1 <= value <= 100,
    "seed": lambda value: _is_count(value) or (type(value) is int and 0 <= value < 1 << 63),
    "keep_order": _is_flag,
    "dedup": lambda value: value in DEDUP,
}
_MORE_SETTINGS: dict[str, Rule] = {
    "corpus": lambda value: isinstance(value, dict),
    "partition_bytes": lambda value: _is_count(value) and value > 0,
    "valid": _is_rate,
    "dense": _is_flag,
}
_SHARD: dict[str, Rule] = {"file": _is_text, "rows": _is_count, "bytes": _is_count,
                           "sha256": _is_hash}  # fmt: skip
_MORE_OF_A_SHARD: dict[str, Rule] = {
    **dict.fromkeys(("tokens", "scored_tokens", "text_bytes", "words", "drawn_as"), _is_count),
    "text_sha256": _is_hash,
}
_INPUT: dict[str, Rule] = {"name": _is_text, "bytes": _is_count}
_COUNTS_FILE: dict[str, Rule] = {"file": _is_text, "bytes": _is_count, "sha256": _is_hash}
_MERGED: dict[str, Rule] = {"inputs": _is_count, "sources": _is_count}
_TEXT: dict[str, Rule] = {"source": _is_count, "partition": _is_count, "text_sha256": _is_hash}


def check_form(manifest: Mapping[str, Any]) -> None:
    """Raise `ValueError`, with the name of the entry, unless a manifest has the form of ours."""
    _check(manifest, _PAPER, "")
    _check(manifest, {"sources": _is_count}, "", optional=True)
    settings = manifest["settings"]
    _check(settings, _SETTINGS, "settings.")
    _check(settings, _MORE_SETTINGS, "settings.", optional=True)
    settings_from(FORMS[manifest["objective"]].settings, settings["objective_settings"])
    settings_from(SequenceSettings, settings["sequences"])
    settings_from(CorpusSettings, settings.get("corpus", {}))
    _check_vocabulary(manifest["vocabulary"])
    _check_all(manifest["inputs"], _INPUT, "inputs")
    for name, rules in (("merged", _MERGED), ("texts", _TEXT)):
        if name in manifest:
            _check_all(manifest[name], rules, name)
    if ("word_counts" in manifest) != (manifest["objective"] == "skipgram"):
        raise ValueError("word_counts belong to skipgram, and to nothing else")
    if "word_counts" in manifest:
        _check_all([manifest["word_counts"]], _COUNTS_FILE, "word_counts")
    _check_shards(manifest["shards"])


def _check(
    entry: Mapping[str, Any], rules: Mapping[str, Rule], where: str, *, optional: bool = False
) -> None:
    for name, rule in rules.items():
        if name not in entry:
            if optional:
                continue
            raise ValueError(f"{where}{name} is missing")
        if not rule(entry[name]):
            raise ValueError(f"{where}{name} is {_shown(entry[name])}, which it cannot be")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_all(entries: Any, rules: Mapping[str, Rule], name: str) -> None:
    if not isinstance(entries, list):
        raise ValueError(f"{name} is not a list")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f"{name}[{number}] is not an object")
        _check(entry, rules, f"{name}[{number}].")


def _check_shards(shards: list[Any]) -> None:
    _check_all(shards, _SHARD, "shards")
    for number, shard in enumerate(shards):
        where = f"shards[{number}]."
        if not SHARD_NAME.fullmatch(shard["file"]):
            raise ValueError(f"{_shown(shard['file'])} is not the name of a shard")
        _check(shard, _MORE_OF_A_SHARD, where, optional=True)
        _check({"batch_offsets": None, **shard}, {"batch_offsets": _are_rising}, where)
        if shard["batch_offsets"][-1] >= shard["bytes"]:
            raise ValueError(f"{where}batch_offsets reach beyond the file")
        if shard["rows"] > shard["bytes"]:
            raise ValueError(f"{where}rows are {shard['rows']}, more than the file has bytes")
        if shard["rows"] < len(shard["batch_offsets"]):
            raise ValueError(f"{where}rows are fewer than its record batches")
    names = [shard["file"] for shard in shards]
    if len(set(names)) < len(names):
        raise ValueError("a shard is listed twice")


def _are_rising(value: Any) -> bool:
    """Whether it is a list of counts, at least one, each larger than the one before."""
    if not isinstance(value, list) or not value or not all(map(_is_count, value)):
        return False
    return all(a < b for a, b in pairwise(value))


def _check_vocabulary(entry: Mapping[str, Any]) -> None:
    size = entry.get("size")
    if type(size) is not int or not 1 <= size <= _MOST_IDS:
        raise ValueError(f"vocabulary.size is {_shown(size)}; it must be from 1 to {_MOST_IDS}")
    for name in ("special", "sentinels", "modes"):
        _check_ids(entry.get(name, []), size, f"vocabulary.{name}")
    _check_ids([entry[r] for r in _ROLES if entry.get(r) is not None], size, "vocabulary's roles")
    try:
        made: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in entry.items()}
        Vocabulary(**made)
    except TypeError as error:
        raise ValueError(f"vocabulary: {error}") from None


def _check_ids(ids: Any, size: int, name: str) -> None:
    if not isinstance(ids, list) or not all(type(i) is int for i in ids):
        raise ValueError(f"{name} are not a list of ids")
    outside: Iterable[int] = (i for i in ids if not 0 <= i < size)
    if (first := next(iter(outside), None)) is not None:
        raise ValueError(f"{name}: id {first} is outside a vocabulary of {size}")
