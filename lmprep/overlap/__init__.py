"""What of one corpus occurs in another: documents, and n-grams of their words or tokens."""

from lmprep.overlap.comparison import Overlap, compare
from lmprep.overlap.reading import open_corpora

__all__ = ["Overlap", "compare", "open_corpora"]
