"""A tokenizer folder as a part of the page: its pieces, how it was made, how it cuts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from lmprep.checks.inspect import Pieces
from lmprep.report.bars import panel_figure
from lmprep.report.dataset_panels import Histogram, NamedCounts, Panel
from lmprep.report.elements import details, element, facts, section, shown, table
from lmprep.report.tables import VOCABULARY, vocabulary_rows
from lmprep.tokenization import TokenizerFolder
from lmprep.tokenization import folder as tokenizer_folder

_LONGEST = 20
_MOST_TEXTS, _MOST_CHARACTERS = 20, 400
_MARKS = ("##", "▁", "Ġ")
# Written for this page; the same whatever the vocabulary, so that several can be compared.
SAMPLE_TEXTS = (
    "The small ferry leaves the harbour early in the morning.",
    "Unbelievably, the hyperparameters were mistranscribed in 2019!",
    "Die Schifffahrtsgesellschaft verlängerte ihre Frühjahrsfahrpläne.",
    "Les pêcheurs réparaient leurs filets à l'aube.",
    "Рыбаки чинили сети.",
    "渔民在黎明时修补渔网。 🙂",
    "def mean(xs): return sum(xs) / len(xs)",
)


def vocabulary_section(
    name: str, path: Path, id_: str, texts: Sequence[str] = ()
) -> tuple[Element, dict[str, Any]]:
    """The part of one tokenizer, and the splits that it shows.

    Args:
        texts: whose splits are shown; by default `SAMPLE_TEXTS`.

    Raises:
        UsageError: there is no such tokenizer, or its family is not known.
    """
    folder = tokenizer_folder.load(path)
    training = _training(folder)
    pieces = Pieces(folder.tokenizer)
    special = frozenset(folder.vocabulary.special)
    own = {i: pieces[i] for i in range(folder.vocabulary.size) if i not in special}
    lengths = Counter(len(_bare(text)) for text in own.values())
    panels: list[Panel] = [
        NamedCounts(title="kinds of pieces", counts=_kinds(folder, own)),
    ]
    if own:
        title = "characters in a piece"
        panels.append(Histogram(title=title, counts=dict(lengths), unit="characters"))
    longest = sorted(own.items(), key=lambda item: (-len(_bare(item[1])), item[0]))[:_LONGEST]
    rows = [(text, str(i), str(len(_bare(text)))) for i, text in longest]
    parts = [
        facts(_facts(folder, training), "how it was made"),
        section("Pieces", element("div", *map(panel_figure, panels), class_="figures"), level=3),
        details("longest pieces", table("", ("piece", "id", "characters"), rows)),
        section("Coverage", *_coverage(training), level=3),
        section("Splits", element("div", data_splits=id_), level=3),
    ]
    splits = _splits(folder, pieces, texts or SAMPLE_TEXTS)
    return section(f"Vocabulary {name}", *parts, id_=id_), splits


def _training(folder: TokenizerFolder) -> dict[str, Any]:
    """How it was made, if lmprep made it."""
    for file in folder.files:
        if file.name == "training.json":
            return dict(json.loads(file.read_bytes()))
    return {}


def _bare(text: str) -> str:
    """A piece without the mark of its place in a word."""
    for mark in _MARKS:
        if text.startswith(mark) and text != mark:
            return text.removeprefix(mark)
    return text


def _kinds(folder: TokenizerFolder, own: Mapping[int, str]) -> dict[str, int]:
    vocabulary = folder.vocabulary
    single = sum(len(_bare(text)) == 1 for text in own.values())
    kinds = {
        "special tokens": len(vocabulary.special) - len(vocabulary.sentinels),
        "sentinels": len(vocabulary.sentinels),
        "single characters": single,
        "longer pieces": len(own) - single,
    }
    return {kind: count for kind, count in kinds.items() if count}


# Facts of training.json that a criterion or a learner leaves, with what they mean.
_MEANINGS = {
    "min_pair_frequency": "least count of a joined pair (criterion likelihood)",
    "threshold": "least count of a kept substring (criterion top-down)",
    "occurrences_scaled_to": "words that sentencepiece was given, scaled down to",
    "fingerprint": "fingerprint",
}
_ELSEWHERE = ("settings", "corpus", "inputs", "sample", "family")


def _facts(folder: TokenizerFolder, training: Mapping[str, Any]) -> list[tuple[str, str]]:
    settings = training.get("settings", {})
    lines = [("ids", f"{folder.vocabulary.size:,}"), ("family", folder.vocabulary.family)]
    lines += [
        (name, str(value)) for name, value in settings.items() if name not in ("family", "size")
    ]
    lines += [
        (_MEANINGS.get(name, name.replace("_", " ")), _written(value))
        for name, value in training.items()
        if name not in _ELSEWHERE and name != "vocabulary_size"
    ]
    lines.append(("sha256 of tokenizer.json", folder.sha256))
    return lines


def _written(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _coverage(training: Mapping[str, Any]) -> list[Element]:
    if "sample" not in training:
        return [element("p", "Not known: this tokenizer was not made by lmprep vocab.")]
    sample = training["sample"]
    what = (
        f"Measured on the first text of each input, {sample['all']['text_bytes'] / 1e6:.2f} MB: "
        f"{sample['all']['words']:,} words, {sample['all']['unknown']:,} unknown tokens."
    )
    return [element("p", what), table("coverage", VOCABULARY, vocabulary_rows(sample))]


def _splits(folder: TokenizerFolder, pieces: Pieces, texts: Sequence[str]) -> dict[str, Any]:
    """How texts are cut, as the data of the page."""
    rows = []
    found: dict[int, str] = {}
    unknown = folder.vocabulary.unk
    for text in texts[:_MOST_TEXTS]:
        cut = text[:_MOST_CHARACTERS]
        ids = folder.tokenizer.encode(cut, add_special_tokens=False).ids
        found |= {i: shown(pieces[i], 100) for i in ids}
        roles = "".join("u" if i == unknown else "t" for i in ids)
        rows.append({"text": shown(cut), "inputs": {"ids": ids, "roles": roles}})
    return {"pieces": found, "rows": rows}
