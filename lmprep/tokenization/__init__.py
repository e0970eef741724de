"""Text to token ids: learn a vocabulary, keep it in a folder, encode documents.

Knows no objectives and no files of text. `learn` makes a tokenizer, `folder` writes and reads it in
the Hugging Face layout, `Encoder` turns `Documents` into `Tokens`.
"""

from lmprep.tokenization.encoder import Encoder
from lmprep.tokenization.folder import TokenizerFolder, copy, load, save
from lmprep.tokenization.learning import learn

__all__ = ["Encoder", "TokenizerFolder", "copy", "learn", "load", "save"]
