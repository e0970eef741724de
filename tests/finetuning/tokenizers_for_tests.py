"""Tokenizers made in a moment: of single characters, or learnt from made-up words."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from lmprep.finetuning.tokens import TextEncoder
from lmprep.tokenization import folder as tokenizer_folder

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def wordpiece(pieces: list[str], folder: Path, *, lowercase: bool = False) -> Path:
    """A BERT tokenizer of these pieces, as a folder that only has tokenizer.json."""
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(SPECIALS + pieces))}
    model = WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=1000)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.add_special_tokens(SPECIALS)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def encoder_of(folder: Path) -> TextEncoder:
    """The encoder of a tokenizer folder."""
    return TextEncoder(tokenizer_folder.load(folder))


def of_characters(texts: list[str], folder: Path) -> TextEncoder:
    """A token for every character that is not space."""
    letters = sorted({letter for text in texts for letter in text if not letter.isspace()})
    return encoder_of(wordpiece([*letters, *(f"##{letter}" for letter in letters)], folder))
