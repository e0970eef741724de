"""Which family a tokenizer belongs to, and which ids have which role: the same way for every one.

The template is read off what the post-processor does to two made-up sentences; roles come from
the template and the model's own unknown token, then from the configuration files, then from the
family's usual names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tokenizers import Tokenizer
from tokenizers.models import Unigram, WordLevel

from lmprep.tokenization.components import model_of
from lmprep.tokenization.families import MODES, ROLES, TABLE
from lmprep.vocabulary import Vocabulary

_SENTINEL = re.compile(r"<extra_id_([0-9]+)>")
_CONFIG_NAMES = {
    "pad": ("pad_token",),
    "unk": ("unk_token",),
    "cls": ("cls_token", "bos_token"),
    "sep": ("sep_token", "eos_token"),
    "mask": ("mask_token",),
}
_REQUIRED = {
    "bert": ("cls", "sep"),
    "roberta": ("cls", "sep"),
    "gpt2": ("sep",),
    "t5": ("sep",),
    "ul2": ("sep",),
}


def vocabulary_of(tokenizer: Tokenizer, family: str, config: Mapping[str, object]) -> Vocabulary:
    """The special tokens of a tokenizer that is used as one of this family.

    Args:
        tokenizer: any.
        family: one of `settings.FAMILIES`.
        config: `tokenizer_config.json` and `special_tokens_map.json`, as far as there are any.

    Raises:
        ValueError: a token that the family cannot do without is missing.
    """
    ids = tokenizer.get_vocab()
    roles = {role: _id_of(role, family, config, ids) for role in ROLES if _has(family, role)}
    opening, _, closing = template_of(tokenizer)
    if opening and "cls" in roles:
        roles["cls"] = opening[0]
    if closing:
        roles["sep"] = closing[-1]
    unknown = _unknown_of(tokenizer)
    if unknown is not None and "unk" in roles:
        roles["unk"] = unknown
    for role in _REQUIRED[family]:
        if roles.get(role) is None:
            raise ValueError(f"there is no {TABLE[family].roles[role]}, which {family} needs")
    if family == "ul2" and (without := [mode for mode in MODES if mode not in ids]):
        raise ValueError(f"there is no {without[0]}, which {family} needs")
    sentinels = _sentinels(ids)
    added = [i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special]
    modes = [ids[mode] for mode in MODES if family == "ul2"]
    special = {*added, *sentinels, *modes, *(i for i in roles.values() if i is not None)}
    return Vocabulary(
        family=family,
        size=max(ids.values()) + 1,
        special=tuple(sorted(special)),
        sentinels=sentinels if family in ("t5", "ul2") else (),
        modes=tuple(modes),
        **roles,
    )


def family_of(tokenizer: Tokenizer) -> str | None:
    """The family whose template the post-processor has, if it has one."""
    opening, middle, closing = template_of(tokenizer)
    ids = tokenizer.get_vocab()
    if len(opening) == len(closing) == 1:
        return {1: "bert", 2: "roberta"}.get(len(middle))
    if opening or len(closing) != 1:
        return None
    if closing[0] == ids.get("<|endoftext|>"):
        return "gpt2"
    if _sentinels(ids):
        return "ul2" if set(MODES) <= set(ids) else "t5"
    return None


def template_of(tokenizer: Tokenizer) -> tuple[list[int], list[int], list[int]]:
    """The ids before, between and after the two texts of a pair.

    All three are empty where the post-processor adds nothing to a single text.
    """
    if tokenizer.post_processor is None:
        return [], [], []
    plain = Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    plain.post_processor = tokenizer.post_processor
    single = plain.encode("a").special_tokens_mask
    pair = plain.encode("a", "a")
    words = [i for i, special in enumerate(pair.special_tokens_mask) if not special]
    if not words or sum(single) == 0:
        return [], [], []
    gaps = [i for i in range(words[0], words[-1]) if pair.special_tokens_mask[i]]
    return pair.ids[: words[0]], [pair.ids[i] for i in gaps], pair.ids[words[-1] + 1 :]


def _unknown_of(tokenizer: Tokenizer) -> int | None:
    """The id that the model gives to what it does not know, if it has one."""
    if isinstance(tokenizer.model, Unigram):
        unknown: int | None = model_of(tokenizer)["unk_id"]
        return unknown
    return tokenizer.token_to_id(tokenizer.model.unk_token or "")


def _has(family: str, role: str) -> bool:
    return role in TABLE[family].roles


def _id_of(
    role: str, family: str, config: Mapping[str, object], ids: Mapping[str, int]
) -> int | None:
    """The id of a role from the configuration, else from the family's own name for it."""
    for name in _CONFIG_NAMES[role]:
        token = config.get(name)
        content = token.get("content") if isinstance(token, dict) else token
        if isinstance(content, str) and content in ids:
            return ids[content]
    return ids.get(TABLE[family].roles[role])


def _sentinels(ids: Mapping[str, int]) -> tuple[int, ...]:
    """The ids of <extra_id_0>, <extra_id_1>, ..."""
    found = [(int(m[1]), i) for token, i in ids.items() if (m := _SENTINEL.fullmatch(token))]
    return tuple(i for _, i in sorted(found))
