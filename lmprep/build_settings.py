"""The settings of a build: everything that decides what a dataset holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any

from lmprep.objective_settings import FORMS, MlmSettings, default_sequences
from lmprep.objectives import OBJECTIVES
from lmprep.settings import (
    DEDUP,
    PAIRS_SHORT,
    CorpusSettings,
    SequenceSettings,
    Settings,
    check_types,
    choice,
    parse_rate,
    parse_size,
    refuse_unknown,
    settings_from,
)
from lmprep.shards.dense import OBJECTIVES as DENSE_FORMS


@dataclass(frozen=True, kw_only=True)
class BuildSettings(Settings):
    """Everything that decides what a dataset holds, but for the text and the tokenizer.

    Args:
        objective: a name of `objectives.OBJECTIVES`.
        objective_settings: the settings record of that objective.
        sequences: how documents are cut into sequences.
        corpus: how files are read as documents and sentences.
        seed: every draw depends on it.
        copies: how often each sequence is corrupted, each time anew.
        valid: share of documents set aside for the second folder; 0 makes none.
        partition_bytes: decompressed text in a partition, about.
        keep_order: keep the rows of a shard in the order of the text.
        dedup: `exact` drops every document whose text came before; `none` keeps them.
        dense: store padded columns as Hugging Face models take them, instead of compact ones.
    """

    objective: str = "mlm"
    objective_settings: Settings = field(default_factory=MlmSettings)
    sequences: SequenceSettings = field(default_factory=SequenceSettings)
    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    seed: int = 0
    copies: int = 1
    valid: Fraction = Fraction(0)
    partition_bytes: int = 64_000_000
    keep_order: bool = False
    dedup: str = "none"
    dense: bool = False

    def __post_init__(self) -> None:
        choice("objective", self.objective, tuple(OBJECTIVES))
        choice("dedup", self.dedup, DEDUP)
        self._refuse_idle()
        pairs, sentences = self.sequences.pairs, self.corpus.sentences
        if pairs != "none" and sentences == "none":
            raise ValueError(
                f"pairs {pairs} are made of sentences, and sentences none makes each document one; "
                "sentences line or icu would do"
            )
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed} must be from 0 to 2^63 - 1")
        if not 1 <= self.copies <= 100:
            raise ValueError(f"copies {self.copies} must be from 1 to 100")
        if not 0 <= self.valid <= Fraction(1, 2):
            raise ValueError(f"valid {float(self.valid)} must be from 0 to 0.5")
        # A column of a shard holds fewer than 2^31 values, with pairs borrowed text among them.
        if not 10**3 <= self.partition_bytes <= 10**9:
            raise ValueError(f"partition size {self.partition_bytes} must be from 1kB to 1GB")

    def _refuse_idle(self) -> None:
        """Raise for a setting that would do nothing."""
        row = OBJECTIVES[self.objective]
        if self.dense and self.objective not in DENSE_FORMS:
            raise ValueError(
                f"dense does not apply to {self.objective}, whose rows no Hugging Face model takes"
            )
        short = self.sequences.short_sequence_probability
        if short and self.sequences.pairs == "none" and self.sequences.sequences == "packed":
            raise ValueError("short_sequence_probability does not apply to packed sequences")
        # What ELECTRA leaves to the trainer is drawn for dense rows.
        draws = row.draws or (self.dense and self.objective == "electra")
        if self.copies > 1 and not draws:
            raise ValueError(
                f"copies {self.copies} would all be alike: {self.objective} draws nothing; "
                "copies 1 would do"
            )
        if short and row.second_stage == "sums":
            raise ValueError(
                f"short_sequence_probability does not apply to {self.objective}, which loses the "
                "contexts between windows; 0 would do"
            )
        if self.keep_order and row.second_stage == "sums":
            raise ValueError(
                f"keep_order does not apply to {self.objective}, whose rows are always sorted"
            )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> BuildSettings:
        """Settings from flags or the keys of a recipe: flat names, values parsed or as text.

        Raises:
            ValueError: an unknown name or a value that does not fit.
        """
        rest = {name: value for name, value in options.items() if name != "objective"}
        objective = options.get("objective", cls.objective)
        choice("objective", objective, tuple(OBJECTIVES))
        records = {
            "objective_settings": FORMS[objective].settings,
            "sequences": SequenceSettings,
            "corpus": CorpusSettings,
        }
        written = {n: _pop(rest, {f.name for f in fields(kind)}) for n, kind in records.items()}
        own: dict[str, Any] = {
            "objective_settings": settings_from(
                FORMS[objective].settings, written["objective_settings"]
            ),
            "corpus": settings_from(CorpusSettings, written["corpus"]),
        }
        own["sequences"] = settings_from(
            SequenceSettings,
            _sequence_defaults(objective, own["objective_settings"], written["sequences"])
            | written["sequences"],
        )
        if "partition_size" in rest:
            own["partition_bytes"] = parse_size(rest.pop("partition_size"))
        if "valid" in rest:
            own["valid"] = parse_rate(rest.pop("valid"))
        names = {"seed", "copies", "keep_order", "dedup", "dense"}
        plain = _pop(rest, names)
        check_types(cls, plain)
        known = {f.name for kind in records.values() for f in fields(kind)} | names
        refuse_unknown("setting", rest, sorted(known | {"partition_size", "valid"}))
        return cls(objective=objective, **own, **plain)


def _sequence_defaults(
    objective: str, settings: Settings, given: Mapping[str, Any]
) -> dict[str, Any]:
    """How an objective's sequences are made as far as nobody says."""
    form = FORMS[objective]
    if given.get("pairs", form.pairs[0]) != "none":
        return {"length": form.length, "short_sequence_probability": PAIRS_SHORT}
    sequences = given.get("sequences", default_sequences(objective, settings))
    return {
        "length": form.length,
        "sequences": sequences,
        "short_sequence_probability": Fraction(0) if sequences == "packed" else form.short,
    }


def _pop(options: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Take the options with these names out."""
    return {name: options.pop(name) for name in sorted(names & options.keys())}
