"""Families of vocabularies: which special tokens there are, where they stand, and the template.

    family   first ids                        last ids                           template
    bert     [PAD] [UNK] [CLS] [SEP] [MASK]                                      [CLS] A [SEP]
    roberta  <s> <pad> </s> <unk> <mask>                                         <s> A </s>
    gpt2                                      <|endoftext|>                      A <|endoftext|>
    t5       <pad> </s> <unk>                 <extra_id_99> ... <extra_id_0>     A </s>
    ul2      <pad> </s> <unk>                 [R] [S] [X], then as t5, from 255  A </s>

Special tokens at the end are added to a tokenizer beside its model, so that the model itself can
never produce them; those at the front are part of the model's vocabulary, and each algorithm sees
to it that no text leads to them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import AddedToken, Tokenizer
from tokenizers.processors import TemplateProcessing

from lmprep.settings import VocabSettings

ROLES = ("pad", "unk", "cls", "sep", "mask")
MODES = ("[R]", "[S]", "[X]")


@dataclass(frozen=True, kw_only=True)
class Family:
    """One row of the table above.

    Args:
        front: special tokens with the ids 0, 1, ...
        roles: token by role, for the `ROLES` the family has.
        single, pair: the templates, in the notation of `tokenizers`.
        end: special tokens after the vocabulary, before the sentinels.
        sentinels: number of `<extra_id_i>` unless the settings say otherwise.
        max_length: what `transformers` is told as the longest input, in tokens.
        token_types: whether its models tell the two texts of a pair apart by segment ids.
    """

    front: tuple[str, ...]
    roles: dict[str, str]
    single: str
    pair: str
    end: tuple[str, ...] = ()
    sentinels: int = 0
    max_length: int = 512
    token_types: bool = False


_T5_ROLES = {"pad": "<pad>", "unk": "<unk>", "sep": "</s>"}

TABLE = {
    "bert": Family(
        front=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        roles={r: f"[{r.upper()}]" for r in ROLES},
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        token_types=True,
    ),
    "roberta": Family(
        front=("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
        roles={"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"},
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B:0 </s>",
    ),
    "gpt2": Family(
        front=(),
        roles={"sep": "<|endoftext|>"},
        single="$A <|endoftext|>",
        pair="$A <|endoftext|> $B:0 <|endoftext|>",
        end=("<|endoftext|>",),
        max_length=1024,
    ),
    "t5": Family(
        front=("<pad>", "</s>", "<unk>"),
        roles=_T5_ROLES,
        single="$A </s>",
        pair="$A </s> $B:0 </s>",
        sentinels=100,
    ),
    "ul2": Family(
        front=("<pad>", "</s>", "<unk>"),
        roles=_T5_ROLES,
        single="$A </s>",
        pair="$A </s> $B:0 </s>",
        end=MODES,
        sentinels=256,
    ),
}


def front_tokens(settings: VocabSettings) -> tuple[str, ...]:
    """Special tokens that stand before the vocabulary, by ascending id."""
    return TABLE[settings.family].front


def end_tokens(settings: VocabSettings) -> tuple[str, ...]:
    """Special tokens that stand after the vocabulary, by ascending id: <extra_id_0> comes last."""
    family = TABLE[settings.family]
    count = (settings.sentinels or family.sentinels) if family.sentinels else 0
    return family.end + tuple(f"<extra_id_{i}>" for i in reversed(range(count)))


def special_tokens(settings: VocabSettings) -> tuple[str, ...]:
    """All special tokens by ascending id."""
    return front_tokens(settings) + end_tokens(settings)


def pieces_that_fit(settings: VocabSettings, alphabet: int) -> int:
    """How many ids the settings leave beside the special tokens.

    Args:
        settings: their `size` counts special tokens.
        alphabet: pieces the vocabulary cannot do without.

    Raises:
        ValueError: fewer are left than `alphabet`; says the least size that would do.
    """
    special = len(special_tokens(settings))
    if settings.size < special + alphabet:
        raise ValueError(
            f"size {settings.size} is too small for this text: {special} special tokens and "
            f"{alphabet} characters need a size of at least {special + alphabet}"
        )
    return settings.size - special


def finish(tokenizer: Tokenizer, settings: VocabSettings) -> Tokenizer:
    """Add the family's special tokens and template to a tokenizer that has a model.

    The model's vocabulary must begin with `front_tokens`.
    """
    special = special_tokens(settings)
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    family = TABLE[settings.family]
    in_template = [(t, tokenizer.token_to_id(t)) for t in special if t in family.pair.split()]
    in_template += [(t, tokenizer.token_to_id(t)) for t in special if f"{t}:0" in family.pair]
    tokenizer.post_processor = TemplateProcessing(
        single=family.single, pair=family.pair, special_tokens=in_template
    )
    return tokenizer
