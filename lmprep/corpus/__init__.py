"""Text in: files to sources, sources to partitions of documents, documents to sentences."""

from lmprep.corpus.formats import read_partitions
from lmprep.corpus.partitions import Partition
from lmprep.corpus.plan import Source, plan_sources
from lmprep.corpus.sentences import icu_version, split_sentences
from lmprep.corpus.sources import InputFile, Part, empty_corpus, expand
from lmprep.settings import CorpusSettings

__all__ = [
    "CorpusSettings",
    "InputFile",
    "Part",
    "Partition",
    "Source",
    "empty_corpus",
    "expand",
    "icu_version",
    "plan_sources",
    "read_partitions",
    "split_sentences",
]
