"""Our weights under the names of transformers' model classes, and back.

What transformers stores twice (tied embeddings, the decoder's bias) is stored once here and
written twice there.
"""

from lmprep.models.hf.layouts import from_hf, hf_class, to_hf

__all__ = ["from_hf", "hf_class", "to_hf"]
