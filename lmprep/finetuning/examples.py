"""Examples of each task, from records, sentences or dictionaries; every fault with its line."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lmprep.errors import InputError, UsageError
from lmprep.finetuning.reading import Record, Sentence, format_of, read_records, read_sentences
from lmprep.finetuning.settings import FinetuneSettings

_log = logging.getLogger("lmprep")
_TEXT = ("text", "sentence", "context")
_PAIRS = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("text1", "text2"), ("text", "second"),
    ("question", "sentence"),
)  # fmt: skip
_LABELS = ("label", "labels", "answer")
_WORDS = ("words", "tokens")
_TAGS = ("tags", "labels", "ner_tags")


@dataclass(frozen=True, kw_only=True)
class TextExample:
    """A text, or two, with their label; None where it is not known."""

    texts: tuple[str, ...]
    label: str | None = None
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class ChoiceExample:
    """A context, its possible answers, and which of them is right, from 0."""

    context: str
    choices: tuple[str, ...]
    label: int | None = None
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class WordsExample:
    """Words, each with its label."""

    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SpanExample:
    """Words, and labelled runs of them: first word, last word, label."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, int, str], ...] | None = None
    lines: tuple[int, ...] = ()


def read_texts(path: Path, settings: FinetuneSettings) -> list[TextExample]:
    """Examples of classify (one text) or pair (two)."""
    records = _records(path, settings)
    if not records:
        return []
    names = _text_columns(records[0], settings, path)
    label = _column(records[0], "label", _LABELS, settings, path)
    return [
        TextExample(
            texts=tuple(_string(record, name, path) for name in names),
            label=_scalar(record, label, path),
            line=record.line,
        )
        for record in records
    ]


def _text_columns(record: Record, settings: FinetuneSettings, path: Path) -> tuple[str, ...]:
    if settings.task == "classify":
        return (_column(record, "text", _TEXT, settings, path),)
    if not settings.fields.keys() & {"text", "second"}:
        for pair in _PAIRS:
            if all(name in record.values for name in pair):
                return pair
    first = _column(record, "text", [first for first, _ in _PAIRS], settings, path)
    return first, _column(record, "second", [second for _, second in _PAIRS], settings, path)


def read_choices(path: Path, settings: FinetuneSettings) -> list[ChoiceExample]:
    """Examples of choice: `choices` is a list, or the columns that begin with `choice`."""
    records = _records(path, settings)
    if not records:
        return []
    text = _column(records[0], "text", ("context", *_TEXT), settings, path)
    label = _column(records[0], "label", _LABELS, settings, path)
    return [_choice_example(record, text, label, path) for record in records]


def _choice_example(record: Record, text: str, label: str, path: Path) -> ChoiceExample:
    choices = record.values.get("choices")
    if choices is None:
        choices = [v for k, v in record.values.items() if k.startswith("choice") and v != ""]
    if not isinstance(choices, list) or len(choices) < 2 or not _all_strings(choices):
        _fault("has no list of two or more choices", path, record.line, 'Give "choices": ["a", ..]')
    written = _scalar(record, label, path)
    if not written.isdecimal() or int(written) >= len(choices):
        what = f"has the label {written!r}, which is the number of none of {len(choices)} choices"
        _fault(what, path, record.line, "Count choices from 0")
    return ChoiceExample(
        context=_string(record, text, path),
        choices=tuple(choices),
        label=int(written),
        line=record.line,
    )


def read_words(path: Path, settings: FinetuneSettings) -> list[WordsExample]:
    """Examples of tag."""
    if format_of(path, settings.format) == "conll":
        return [_tagged(sentence, path) for sentence in read_sentences(path)]
    examples = []
    for record in _records(path, settings):
        words = _strings(record, _WORDS, path)
        tags = _strings(record, _TAGS, path)
        if len(words) != len(tags):
            what = f"has {len(words)} words and {len(tags)} tags"
            _fault(what, path, record.line, "Give a tag for each word")
        examples.append(WordsExample(words=words, tags=tags, lines=(record.line,) * len(words)))
    return examples


def _tagged(sentence: Sentence, path: Path) -> WordsExample:
    if sentence.labels is None:
        _fault("has no column of labels", path, sentence.lines[0], "Give WORD<TAB>LABEL")
    return WordsExample(words=sentence.words, tags=sentence.labels, lines=sentence.lines)


def read_spans(path: Path, settings: FinetuneSettings) -> list[SpanExample]:
    """Examples of span: a file of BIO labels, or JSON lines with `words` and `spans`."""
    if format_of(path, settings.format) == "conll":
        tagged = [_tagged(sentence, path) for sentence in read_sentences(path)]
        return [
            SpanExample(words=e.words, spans=spans_of_tags(e.tags or (), e, path), lines=e.lines)
            for e in tagged
        ]
    examples = []
    for record in _records(path, settings):
        words = _strings(record, _WORDS, path)
        spans = record.values.get("spans")
        if not isinstance(spans, list) or not all(_is_span(span, len(words)) for span in spans):
            what = f"has no list of spans [FIRST, LAST, LABEL] within its {len(words)} words"
            _fault(what, path, record.line, "Count words from 0; the last is part of the span")
        examples.append(
            SpanExample(
                words=words,
                spans=tuple((first, last, label) for first, last, label in spans),
                lines=(record.line,) * len(words),
            )
        )
    return examples


def _is_span(span: Any, words: int) -> bool:
    return (
        isinstance(span, list)
        and [type(part) for part in span] == [int, int, str]
        and 0 <= span[0] <= span[1] < words
    )


def spans_of_tags(
    tags: Sequence[str], example: WordsExample, path: Path
) -> tuple[tuple[int, int, str], ...]:
    """The spans of labels B-X, I-X and O; an I-X that nothing begins, begins a span."""
    spans: list[tuple[int, int, str]] = []
    for place, tag in enumerate(tags):
        if tag == "O":
            continue
        kind, dash, label = tag.partition("-")
        if not dash or kind not in ("B", "I") or not label:
            what = f"has the label {tag!r}, which is none of B-X, I-X and O"
            _fault(what, path, example.lines[place], "Give BIO labels, or JSON lines with spans")
        goes_on = kind == "I" and spans and spans[-1][1:] == (place - 1, label)
        if goes_on:
            spans[-1] = (spans[-1][0], place, label)
        else:
            spans.append((place, place, label))
    return tuple(spans)


def is_bio(labels: Iterable[str]) -> bool:
    """Whether all labels are O, B-X or I-X, with an inside among them."""
    kinds = {label if label == "O" else label[:2] for label in labels}
    return kinds <= {"O", "B-", "I-"} and "I-" in kinds


def check_labels(
    found: Iterable[tuple[str, int]], known: Iterable[str], path: Path, train: Path
) -> None:
    """Raise `InputError` for a label, given with its line, that the training file does not have."""
    known = set(known)
    for label, line in found:
        if label not in known:
            what = f"has the label {label!r}, which {train} does not have"
            _fault(what, path, line, "Add examples of it there, or correct it")


def _records(path: Path, settings: FinetuneSettings) -> list[Record]:
    format = format_of(path, settings.format)
    if format not in ("tsv", "csv", "jsonl"):
        raise UsageError(
            f"a file in the format {format} holds no examples of {settings.task}",
            path=path,
            fix="Give tsv, csv or jsonl",
        )
    return read_records(path, format)


def _column(
    record: Record, role: str, usual: Iterable[str], settings: FinetuneSettings, path: Path
) -> str:
    """The name of the column with a role."""
    stated = settings.fields.get(role)
    for name in [stated] if stated else usual:
        if name in record.values:
            return name
    there = ", ".join(record.values)
    looked_for = stated or " or ".join(dict.fromkeys(usual))
    raise InputError(
        f"has no {looked_for} among {there}", path=path, line=1, fix=f"Name it with --{role}-field"
    )


def _string(record: Record, name: str, path: Path) -> str:
    value = record.values.get(name)
    if not isinstance(value, str):
        _fault(f"has no text under {name!r}", path, record.line, "Give a text there")
    return value


def _scalar(record: Record, name: str, path: Path) -> str:
    """A label: a text or a number, written as a text."""
    value = record.values.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        _fault(f"has no label under {name!r}", path, record.line, "Give one, or leave the row out")
    return str(value)


def _strings(record: Record, names: Sequence[str], path: Path) -> tuple[str, ...]:
    for name in names:
        value = record.values.get(name)
        if isinstance(value, list) and value and _all_strings(value):
            return tuple(value)
    _fault(f"has no list of texts under {' or '.join(names)}", path, record.line, "Give one")


def _all_strings(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _fault(what: str, path: Path, line: int, fix: str) -> NoReturn:
    raise InputError(what, path=path, line=line, fix=fix)


def asked(example: Mapping[str, Any], name: str) -> str:
    """A text of a dictionary that `predict` was given.

    Raises:
        UsageError: it is not there.
    """
    value = example.get(name)
    if not isinstance(value, str):
        raise UsageError(
            f"an example has no text under {name!r}: {dict(example)}",
            fix=f'Give dictionaries like {{"{name}": "some text"}}',
        )
    return value


def asked_words(example: Mapping[str, Any]) -> tuple[str, ...]:
    """The words of such a dictionary, or its text cut at spaces."""
    words = example.get("words")
    if words is None:
        words = asked(example, "text").split()
    if not words or not all(isinstance(word, str) and word for word in words):
        raise UsageError(
            f"an example has no words: {dict(example)}",
            fix='Give dictionaries like {"words": ["some", "words"]} or {"text": "some words"}',
        )
    return tuple(words)
