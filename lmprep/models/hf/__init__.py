"""Our weights and settings as transformers' model classes have them, and back.

What transformers stores twice (tied embeddings, the decoder's bias) is stored once here and there.
"""

from lmprep.models.hf.classes import hf_class
from lmprep.models.hf.config import read_config, reading_class, write_config
from lmprep.models.hf.layouts import from_hf, to_hf

__all__ = ["from_hf", "hf_class", "read_config", "reading_class", "to_hf", "write_config"]
