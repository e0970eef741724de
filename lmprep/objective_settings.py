"""The objectives as a command line sees them: names, settings, defaults, what they take.

Standard library only. How each works is in `lmprep.objectives`, one file each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from lmprep.settings import FAMILIES, PAIRS, Number, Settings, choice, decimal, parse_number

NOISES = (
    "random-spans", "replace-spans", "drop-tokens", "bert-style", "mass", "deshuffle", "prefix-lm",
)  # fmt: skip
"""The rows of T5's table of objectives (arXiv:1910.10683, table 3)."""

LONGEST_SPAN = 1000
"""Tokens in a span of T5's noise, on average, at most."""

DENOISERS = (
    ("R", 3, Fraction(15, 100)),
    ("R", 8, Fraction(15, 100)),
    ("S", 0, Fraction(25, 100)),
    ("X", 3, Fraction(5, 10)),
    ("X", 8, Fraction(5, 10)),
    ("X", 64, Fraction(15, 100)),
    ("X", 64, Fraction(5, 10)),
)
"""UL2's seven (arXiv:2205.05131, table 1): mode, mean span length, noise density; S has one span
that ends the row."""


def about(text: str, choices: tuple[str, ...] = ()) -> dict[str, Any]:
    """What `--help` says of a field's flag, and the values it takes where they are few."""
    return {"about": text, "choices": choices}


@dataclass(frozen=True, kw_only=True)
class MlmSettings(Settings):
    """Masked language modelling (BERT, arXiv:1810.04805, section 3.1).

    Args:
        mask_rate: share of a sequence's tokens (special tokens counted) that are predicted.
        mask_share: share of the predicted that become the mask token.
        random_share: share that become a random token; the rest stays as it is.
    """

    mask_rate: Fraction = field(
        default=Fraction(15, 100), metadata=about("Share of tokens to predict.")
    )
    mask_share: Fraction = field(
        default=Fraction(8, 10), metadata=about("Share of those that are masked.")
    )
    random_share: Fraction = field(
        default=Fraction(1, 10), metadata=about("Share of those made a random token.")
    )

    def __post_init__(self) -> None:
        if not 0 < self.mask_rate <= 1:
            raise ValueError(f"mask_rate {decimal(self.mask_rate)} must be above 0 and at most 1")
        if math.lcm(self.mask_share.denominator, self.random_share.denominator) >= 2**31:
            raise ValueError("mask_share and random_share have too many decimals")
        if self.mask_share < 0 or self.random_share < 0 or self.mask_share + self.random_share > 1:
            raise ValueError(
                f"mask_share {decimal(self.mask_share)} and random_share "
                f"{decimal(self.random_share)} must not be negative and add up to at most 1"
            )


@dataclass(frozen=True, kw_only=True)
class WholeWordSettings(MlmSettings):
    """Whole-word masking: as masked language modelling, chosen and treated word by word."""


@dataclass(frozen=True, kw_only=True)
class NgramSettings(MlmSettings):
    """N-gram masking (ALBERT, arXiv:1909.11942, section 4.1).

    Args:
        ngram_max: words in an n-gram at most; n is drawn with probability proportional to 1/n.
    """

    ngram_max: int = field(
        default=3, metadata=about("Words in an n-gram at most; P(n) is proportional to 1/n.")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.ngram_max <= 20:
            raise ValueError(f"ngram_max {self.ngram_max} must be from 1 to 20 words")


@dataclass(frozen=True, kw_only=True)
class SpanSettings(MlmSettings):
    """Span masking (SpanBERT, arXiv:1907.10529, section 3.1).

    Args:
        span_p: of the geometric law of span lengths in words, truncated and renormalised.
        span_max: words in a span at most.
    """

    span_p: Fraction = field(
        default=Fraction(2, 10), metadata=about("P of the geometric law of span lengths in words.")
    )
    span_max: int = field(default=10, metadata=about("Words in a span at most."))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.span_p < 1:
            raise ValueError(f"span_p {decimal(self.span_p)} must be between 0 and 1")
        if not 1 <= self.span_max <= 100:
            raise ValueError(f"span_max {self.span_max} must be from 1 to 100 words")


@dataclass(frozen=True, kw_only=True)
class InfoWordSettings(MlmSettings):
    """InfoWord (arXiv:1910.08350, section 4): an n-gram hidden whole, the rest as in BERT.

    The paper does not give the law of n; here it is uniform.

    Args:
        ngram_max: words in the n-gram at most; every n up to it is equally likely.
    """

    ngram_max: int = field(
        default=5, metadata=about("Words in the n-gram at most; each n is equally likely.")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.ngram_max <= 20:
            raise ValueError(f"ngram_max {self.ngram_max} must be from 1 to 20 words")


@dataclass(frozen=True, kw_only=True)
class ClmSettings(Settings):
    """Next-word prediction (GPT): nothing to set."""


@dataclass(frozen=True, kw_only=True)
class ElectraSettings(Settings):
    """ELECTRA (arXiv:2003.10555): rows are stored whole, masking happens in training."""


@dataclass(frozen=True, kw_only=True)
class BilmSettings(Settings):
    """ELMo's forward and backward language models (arXiv:1802.05365): nothing to set."""


@dataclass(frozen=True, kw_only=True)
class T5Settings(Settings):
    """The unsupervised objectives of T5 (arXiv:1910.10683, section 3.3).

    Args:
        noise: a name of `NOISES`.
        noise_density: share of the raw tokens that are noise: 0.15 unless given. prefix-lm: of
            the raw tokens that are to be predicted, on average, 0.5 unless given. Deshuffling
            has none: everything is.
        mean_span_length: random-spans: raw tokens in a span of noise, on average.
        final_sentinel: random-spans and replace-spans: close the targets with one more sentinel,
            as the paper's table does and its code does not.
    """

    noise: str = field(default="random-spans", metadata=about("Which of T5's objectives.", NOISES))
    noise_density: Fraction | None = field(
        default=None, metadata=about("Share of noise.  [default: 0.15; prefix-lm 0.5]")
    )
    mean_span_length: int = field(
        default=3, metadata=about("random-spans: tokens in a span, on average.")
    )
    final_sentinel: bool = field(
        default=False,
        metadata=about("random-spans, replace-spans: close the targets with a sentinel."),
    )

    def __post_init__(self) -> None:
        choice("noise", self.noise, NOISES)
        if self.noise == "deshuffle":
            if self.noise_density not in (None, 1):
                raise ValueError("noise_density does not apply to noise deshuffle")
            object.__setattr__(self, "noise_density", Fraction(1))
        elif self.noise_density is None:
            default = Fraction(5, 10) if self.noise == "prefix-lm" else Fraction(15, 100)
            object.__setattr__(self, "noise_density", default)
        elif not 0 < self.noise_density < 1:
            raise ValueError(f"noise_density {decimal(self.noise_density)} must be between 0 and 1")
        if not 1 <= self.mean_span_length <= LONGEST_SPAN:
            raise ValueError(
                f"mean_span_length {self.mean_span_length} must be from 1 to {LONGEST_SPAN}"
            )
        if self.noise != "random-spans" and self.mean_span_length != 3:
            raise ValueError(f"mean_span_length does not apply to noise {self.noise}")
        if self.final_sentinel and self.noise not in ("random-spans", "replace-spans"):
            raise ValueError(f"final_sentinel does not apply to noise {self.noise}")

    @property
    def density(self) -> Fraction:
        """`noise_density`, which is always set once the record is made."""
        assert self.noise_density is not None
        return self.noise_density


_BART_RATES = (
    "infill_rate", "permute_rate", "delete_rate", "mask_rate", "insert_rate", "rotate_rate",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BartSettings(Settings):
    """BART (arXiv:1910.13461, section 2.2). Each transformation has its rate; 0 leaves it out.

    Args:
        infill_rate: share of the words covered by spans that one mask token replaces.
        poisson_lambda: mean words in such a span; spans of no word insert a mask token.
        permute_rate: share of the sentences that change places.
        delete_rate: share of the tokens that vanish.
        mask_rate: share of the tokens that become the mask token, one each.
        random_share: share of all mask tokens that become a random token instead.
        insert_rate: random tokens added, as a share of the tokens.
        rotate_rate: share of the rows that begin at a random token.
    """

    infill_rate: Fraction = field(
        default=Fraction(3, 10), metadata=about("Share of words replaced by masked spans.")
    )
    poisson_lambda: Number = field(
        default=Fraction(3), metadata=about("Mean words in a masked span.")
    )
    permute_rate: Fraction = field(
        default=Fraction(1), metadata=about("Share of sentences that change places.")
    )
    delete_rate: Fraction = field(default=Fraction(0), metadata=about("Share of tokens deleted."))
    mask_rate: Fraction = field(
        default=Fraction(0), metadata=about("Share of tokens masked one by one.")
    )
    random_share: Fraction = field(
        default=Fraction(0), metadata=about("Share of masks made a random token.")
    )
    insert_rate: Fraction = field(
        default=Fraction(0), metadata=about("Random tokens inserted, as a share.")
    )
    rotate_rate: Fraction = field(
        default=Fraction(0), metadata=about("Share of rows that begin at a random token.")
    )

    def __post_init__(self) -> None:
        # Below 0.1 hardly any draw has a word: a row of some words would take thousands of draws.
        mean = self.poisson_lambda
        if not Fraction(1, 10) <= mean <= 30 or mean.denominator >= 2**31:
            raise ValueError(f"poisson_lambda {decimal(mean)} must be from 0.1 to 30 words")
        for name in ("infill_rate", "delete_rate", "mask_rate"):
            if not 0 <= (rate := getattr(self, name)) < 1:
                raise ValueError(f"{name} {decimal(rate)} must be from 0 to below 1")
        for name in ("permute_rate", "random_share", "insert_rate", "rotate_rate"):
            if not 0 <= (rate := getattr(self, name)) <= 1:
                raise ValueError(f"{name} {decimal(rate)} must be from 0 to 1")
        if self.random_share and not (self.infill_rate or self.mask_rate):
            raise ValueError(
                f"random_share {decimal(self.random_share)} has no mask tokens to replace; "
                "infill_rate 0.3 makes some"
            )
        if not any(getattr(self, name) for name in _BART_RATES):
            raise ValueError("every rate is 0, so nothing would change; infill_rate 0.3 is BART's")


@dataclass(frozen=True, kw_only=True)
class Ul2Settings(Settings):
    """The mixture of denoisers of UL2 (arXiv:2205.05131, section 3.1).

    Args:
        weights: one for each of `DENOISERS`, in their order, parted by commas.
    """

    weights: str = field(
        default="1,1,1,1,1,1,1", metadata=about("Weight of each of the seven denoisers.")
    )

    def __post_init__(self) -> None:
        shares = self.shares
        if len(shares) != len(DENOISERS):
            raise ValueError(
                f"weights {self.weights!r} are {len(shares)} numbers; there are "
                f"{len(DENOISERS)} denoisers, such as 1,1,1,1,1,1,1"
            )
        if sum(shares) == 0:
            raise ValueError(
                f"weights {self.weights!r} sum to nothing; give at least one of them a value "
                "above 0, such as 1,1,1,1,1,1,1"
            )
        if sum(self.whole_weights) >= 2**31:
            raise ValueError(f"weights {self.weights!r} have too many decimals")

    @property
    def shares(self) -> tuple[Fraction, ...]:
        """The weights as numbers."""
        return tuple(parse_number(text) for text in self.weights.split(","))

    @property
    def whole_weights(self) -> tuple[int, ...]:
        """The weights as whole numbers in the same proportions."""
        common = math.lcm(*(share.denominator for share in self.shares))
        return tuple(int(share * common) for share in self.shares)


@dataclass(frozen=True, kw_only=True)
class SkipgramSettings(Settings):
    """Skip-gram with negative sampling (word2vec, arXiv:1310.4546, sections 2.2 and 2.3).

    Args:
        subsample: t: a token of frequency f is kept with probability min(1, sqrt(t / f)); 0 keeps
            all.
        window: tokens to either side of a centre at most; each centre draws 1 to that many.
        negatives: noise tokens drawn for each pair, in proportion to their count to the 3/4.
    """

    subsample: Fraction = field(
        default=Fraction(1, 100_000), metadata=about("Frequency above which tokens are thinned.")
    )
    window: int = field(default=5, metadata=about("Tokens to either side of a centre at most."))
    negatives: int = field(default=5, metadata=about("Noise tokens drawn for each pair."))

    def __post_init__(self) -> None:
        if not 1 <= self.window <= 100:
            raise ValueError(f"window {self.window} must be from 1 to 100 tokens")
        if not 1 <= self.negatives <= 100:
            raise ValueError(f"negatives {self.negatives} must be from 1 to 100")


@dataclass(frozen=True, kw_only=True)
class CooccurrenceSettings(Settings):
    """Co-occurrence counts (GloVe, Pennington et al. 2014, section 4.2).

    Args:
        window: tokens to either side; a pair d tokens apart counts 1/d.
    """

    window: int = field(
        default=10, metadata=about("Tokens to either side; a pair d tokens apart counts 1/d.")
    )

    def __post_init__(self) -> None:
        if not 1 <= self.window <= 100:
            raise ValueError(f"window {self.window} must be from 1 to 100 tokens")


@dataclass(frozen=True, kw_only=True)
class Form:
    """What an objective takes.

    Args:
        title: one line for a list.
        settings: the class of its settings.
        families: of vocabularies that have the tokens it needs.
        sequences: the kinds it takes, its default first.
        pairs: the kinds it takes, its default first.
        length: of its sequences, unless given.
        short: share of sequences that aim at a random shorter length, unless given.
    """

    title: str
    settings: type[Settings]
    families: tuple[str, ...] = ("bert", "roberta")
    sequences: tuple[str, ...] = ("document", "packed")
    pairs: tuple[str, ...] = ("none",)
    length: int = 128
    short: Fraction = Fraction(0)


FORMS: dict[str, Form] = {
    "mlm": Form(
        title="masked language modelling (BERT, RoBERTa)", settings=MlmSettings, pairs=PAIRS
    ),
    "whole-word": Form(title="whole-word masking", settings=WholeWordSettings, pairs=PAIRS),
    "ngram": Form(title="n-gram masking (ALBERT)", settings=NgramSettings, pairs=PAIRS),
    "span": Form(title="span masking (SpanBERT)", settings=SpanSettings, pairs=PAIRS),
    "clm": Form(
        title="next-word prediction (GPT)",
        settings=ClmSettings,
        families=FAMILIES,
        sequences=("packed", "document"),
        length=1024,
    ),
    "t5": Form(
        title="T5's seven denoising objectives",
        settings=T5Settings,
        families=("t5", "ul2"),
        sequences=("packed", "document"),
        length=512,
    ),
    "bart": Form(
        title="BART's noise",
        settings=BartSettings,
        families=("roberta",),
        sequences=("packed", "document"),
        length=512,
    ),
    "ul2": Form(
        title="UL2's mixture of denoisers",
        settings=Ul2Settings,
        families=("ul2",),
        sequences=("packed", "document"),
        length=512,
    ),
    "electra": Form(
        title="replaced-token detection (ELECTRA); masking happens in training",
        settings=ElectraSettings,
        sequences=("document",),
        short=Fraction(5, 100),
    ),
    "bilm": Form(title="forward and backward language models (ELMo)", settings=BilmSettings),
    "infoword": Form(title="n-gram against context (InfoWord)", settings=InfoWordSettings),
    "skipgram": Form(
        title="skip-gram with negative sampling (word2vec)",
        settings=SkipgramSettings,
        families=FAMILIES,
        sequences=("document",),
        length=1000,
    ),
    "cooccurrence": Form(
        title="co-occurrence counts (GloVe)",
        settings=CooccurrenceSettings,
        families=FAMILIES,
        sequences=("document",),
        length=1000,
    ),
}


def default_sequences(objective: str, settings: Settings) -> str:
    """The kind of sequences an objective is given unless told otherwise.

    T5's prefix-lm and deshuffle keep to one document: what is predicted shall belong to what is
    seen.
    """
    if isinstance(settings, T5Settings) and settings.noise in ("prefix-lm", "deshuffle"):
        return "document"
    return FORMS[objective].sequences[0]
