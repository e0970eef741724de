"""Settings: frozen records that check themselves, and the notations they are written in.

Rates are exact decimals (`0.15` is 15/100, never the float beside it), sizes are powers of ten.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, TypeVar

FAMILIES = ("bert", "roberta", "gpt2", "t5", "ul2")
PAIRS = ("none", "nsp", "sop")
SEQUENCES = ("packed", "document")
FORMATS = ("txt", "jsonl", "parquet", "arrow")
ENCODING_ERRORS = ("error", "replace", "skip")
ON_ERROR = ("stop", "skip")
DOCUMENTS = ("blank", "line", "file")
SENTENCES = ("line", "icu", "none")
DEDUP = ("none", "exact")

Number = Fraction
"""A field of this type is any exact number; one that is annotated as Fraction is a rate."""

_SIZE_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_TIME_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_rate(text: object) -> Fraction:
    """`0.15`, `15%` or `3/20` as an exact fraction from 0 to 1."""
    written = str(text).strip()
    try:
        rate = Fraction(written[:-1]) / 100 if written.endswith("%") else Fraction(written)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{written!r} is not a rate such as 0.15 or 15%") from None
    if not 0 <= rate <= 1:
        raise ValueError(f"rate {written} is not between 0 and 1")
    if rate.denominator >= 2**31:
        raise ValueError(f"rate {written} has too many decimals")
    return rate


def parse_number(text: object) -> Fraction:
    """`3`, `3.5` or `7/2` as an exact fraction, not negative."""
    written = str(text).strip()
    try:
        number = Fraction(written)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{written!r} is not a number such as 3 or 3.5") from None
    if number < 0:
        raise ValueError(f"number {written} is negative")
    return number


def parse_size(text: object) -> int:
    """`64MB`, `500 kB` or plain bytes as a number of bytes (powers of ten)."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", str(text))
    if not found or found[2].lower() not in _SIZE_UNITS:
        raise ValueError(f"{text!r} is not a size such as 64MB, 500kB or 1GB")
    return int(Fraction(found[1]) * _SIZE_UNITS[found[2].lower()])


def parse_duration(text: object) -> float:
    """`90s`, `10m`, `1.5h` or plain seconds as seconds."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", str(text))
    if not found or found[2] not in _TIME_UNITS:
        raise ValueError(f"{text!r} is not a duration such as 90s, 10m or 1.5h")
    return float(Fraction(found[1]) * _TIME_UNITS[found[2]])


def parse_stage(text: str) -> tuple[int, Fraction]:
    """`512:0.1` as a length and a share."""
    length, colon, share = text.partition(":")
    if not colon or not length.strip().isdecimal() or not 0 < parse_rate(share) <= 1:
        raise ValueError(f"stage {text!r} is not of the form LENGTH:SHARE, such as 512:0.1")
    return int(length), parse_rate(share)


def parse_assignment(text: str) -> tuple[str, Any]:
    """`key=value` as the key and the value: TOML's, or else plain text."""
    key, equals, written = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"--set {text!r} is not of the form key=value")
    try:
        return key.strip(), tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), written.strip()


def decimal(rate: Fraction) -> str:
    """A rate as the shortest exact text: `0.15`, or `1/3` where no decimal is exact."""
    value = float(rate)
    return repr(value) if Fraction(repr(value)) == rate else str(rate)


def choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ValueError` unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


class Settings:
    """What the records below share: a plain form for manifests and fingerprints."""

    def as_dict(self) -> dict[str, Any]:
        """Every setting by name, rates as decimal text, nested records as dictionaries."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]


SettingsType = TypeVar("SettingsType", bound=Settings)


def settings_from(kind: type[SettingsType], written: Mapping[str, Any]) -> SettingsType:
    """The way back from `as_dict`: rates are read from their text.

    Raises:
        ValueError: an unknown name, a missing one, or a value that does not fit.
    """
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    refuse_unknown("setting", written, tuple(known))
    for name, f in known.items():
        if name not in written and f.default is MISSING and f.default_factory is MISSING:
            raise ValueError(f"{name} is missing")
    check_types(kind, written)
    return kind(**{name: _parsed(str(known[name].type), value) for name, value in written.items()})


def _parsed(annotation: str, value: Any) -> Any:
    """A value as its field has it: rates and numbers are read from their text."""
    if annotation.startswith("tuple["):
        return tuple(_parsed(annotation[6:].partition(",")[0], each) for each in value)
    parse = {"Fraction": parse_rate, "Number": parse_number}.get(annotation.split(" | ")[0])
    return value if parse is None or value is None else parse(value)


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "None": (type(None),),
}


_WANTED = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}


def check_types(kind: type[Settings], written: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless values of a plain type have it; true and false are no numbers."""
    annotations = {f.name: str(f.type).split(" | ") for f in fields(kind)}  # type: ignore[arg-type]
    for name, value in written.items():
        names = annotations[name]
        if not all(plain in _TYPES for plain in names):
            continue
        allowed = tuple(plain for each in names for plain in _TYPES[each])
        if not isinstance(value, allowed) or (isinstance(value, bool) and "bool" not in names):
            raise ValueError(f"{name} is {value!r}, not {_WANTED[names[0]]}")


def refuse_unknown(what: str, found: Iterable[str], known: Sequence[str]) -> None:
    """Raise `ValueError` for the first name that is not known, with the nearest one that is."""
    for name in found:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"unknown {what} {name!r}; {hint}")


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.as_dict()
    if isinstance(value, Fraction):
        return decimal(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


@dataclass(frozen=True, kw_only=True)
class CorpusSettings(Settings):
    """How input files become documents and sentences.

    Args:
        format: one of `FORMATS`, or None: by the suffix of each file.
        documents: text files: a document ends at an empty line (`blank`), at every line end
            (`line`), or with its file (`file`).
        text_field: records and tables: the field or column that holds the text.
        encoding_errors: text that is not UTF-8 is refused (`error`), each malformed sequence
            becomes U+FFFD (`replace`), or the line is left out and counted (`skip`).
        on_error: records without a text are refused (`stop`), or left out and counted (`skip`).
        sentences: one of `SENTENCES`; empty means `line` for text files and `icu` for records.
        language: whose sentence rules and abbreviations ICU uses, such as `en` or `pt_BR`.
    """

    format: str | None = None
    documents: str = "blank"
    text_field: str = "text"
    encoding_errors: str = "error"
    on_error: str = "stop"
    sentences: str = ""
    language: str = "en"

    def __post_init__(self) -> None:
        if self.format is not None:
            choice("format", self.format, FORMATS)
        choice("documents", self.documents, DOCUMENTS)
        choice("encoding_errors", self.encoding_errors, ENCODING_ERRORS)
        choice("on_error", self.on_error, ON_ERROR)
        if self.sentences:
            choice("sentences", self.sentences, SENTENCES)
        if not re.fullmatch(r"[a-z]{2,3}([_-][A-Za-z0-9]{2,8})*", self.language):
            raise ValueError(f"language {self.language!r} is not a language such as en or pt_BR")


@dataclass(frozen=True, kw_only=True)
class SequenceSettings(Settings):
    """How documents are cut into sequences.

    Args:
        length: tokens in a sequence at most, special tokens included.
        sequences: `document` (windows never cross a document) or `packed`; not with pairs.
        pairs: `none`, `nsp` or `sop`.
        short_sequence_probability: share that aims at a random shorter length: of chunks for
            pairs (BERT's code: 0.1), of windows without (ELECTRA's code: 0.05).
    """

    length: int = 128
    sequences: str = "document"
    pairs: str = "none"
    short_sequence_probability: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        choice("sequences", self.sequences, SEQUENCES)
        choice("pairs", self.pairs, PAIRS)
        # Three special tokens and one token a segment; below 8 nothing is left to learn from.
        if not 8 <= self.length <= 65_535:
            raise ValueError(f"length {self.length} must be from 8 to 65535 tokens")
        short = self.short_sequence_probability
        if not 0 <= short <= 1 or short.denominator >= 2**31:
            raise ValueError(f"short_sequence_probability {short} must be a rate from 0 to 1")
        if self.pairs != "none" and self.sequences != "document":
            raise ValueError(
                f"sequences {self.sequences} does not go with pairs {self.pairs}; document does"
            )


PAIRS_SHORT = Fraction(1, 10)
"""Share of pairs that aim at a shorter length unless given (BERT's code)."""

ALGORITHMS = ("wordpiece", "bpe", "byte-bpe", "unigram", "word")
CRITERIA = ("frequency", "likelihood", "top-down")
_FAMILY_OF = {
    "wordpiece": "bert",
    "word": "bert",
    "bpe": "roberta",
    "byte-bpe": "roberta",
    "unigram": "t5",
}


@dataclass(frozen=True, kw_only=True)
class VocabSettings(Settings):
    """How a vocabulary is learnt.

    Args:
        algorithm: one of `ALGORITHMS`.
        size: number of ids, special tokens and sentinels included.
        family: one of `FAMILIES`; by default the one that goes with the algorithm.
        criterion: WordPiece: which pieces are chosen, one of `CRITERIA`.
        cased: keep capitals and accents (WordPiece and word; the others always do).
        sentinels: t5 and ul2: number of `<extra_id_i>`; 0 means the family's own (100, 256).
    """

    algorithm: str
    size: int
    family: str = ""
    criterion: str = "frequency"
    cased: bool = False
    sentinels: int = 0

    def __post_init__(self) -> None:
        choice("algorithm", self.algorithm, ALGORITHMS)
        choice("criterion", self.criterion, CRITERIA)
        if not self.family:
            object.__setattr__(self, "family", _FAMILY_OF[self.algorithm])
        choice("family", self.family, FAMILIES)
        if self.family == "gpt2" and self.algorithm != "byte-bpe":
            raise ValueError(f"family gpt2 needs algorithm byte-bpe, not {self.algorithm}")
        if self.size < 1 or self.size >= 2**31:
            raise ValueError(f"size {self.size} is not a vocabulary size")
        if self.sentinels < 0:
            raise ValueError(f"sentinels {self.sentinels} is negative")
        if self.sentinels and self.family not in ("t5", "ul2"):
            raise ValueError(f"sentinels apply to the families t5 and ul2, not to {self.family}")
        if self.criterion != "frequency" and self.algorithm != "wordpiece":
            raise ValueError(
                f"criterion {self.criterion} applies to wordpiece, not to {self.algorithm}"
            )
        if self.cased and self.algorithm not in ("wordpiece", "word"):
            raise ValueError(f"cased applies to wordpiece and word; {self.algorithm} always is")
