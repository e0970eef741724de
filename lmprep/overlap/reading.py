"""Corpora and datasets as documents of units: words of text or, beside a dataset, tokens.

The documents of a dataset are its rows, as they were before corruption. Its special and unknown
tokens are unit 0: nothing reaches across them. Text beside a dataset is encoded with the dataset's
tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.corpus.formats import Partition, read_partitions
from lmprep.corpus.plan import plan_sources
from lmprep.corpus.sentences import split_sentences
from lmprep.corpus.sources import STDIN, InputFile, expand
from lmprep.errors import UsageError
from lmprep.objectives import stored_objective
from lmprep.overlap.words import words_of
from lmprep.ragged import Ragged
from lmprep.settings import CorpusSettings
from lmprep.shards.manifest import MANIFEST
from lmprep.shards.reader import Dataset
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization.encoder import Encoder
from lmprep.tokenization.folder import TokenizerFolder
from lmprep.vocabulary import Vocabulary

# Text, and rows, that are in memory at a time.
_PARTITION_BYTES = 16_000_000
_ROWS = 4096

Corpus = Callable[[], Iterator[Ragged]]
"""Read from its beginning with every call: a row of units for each document, uint64."""


def open_corpora(
    train: Sequence[str],
    evaluation: Sequence[str],
    settings: CorpusSettings,
    on_bytes: Callable[[int], object] = lambda _: None,
) -> tuple[Corpus, Corpus, str]:
    """Both sides, and what their units are: `words` or `tokens`.

    Args:
        train, evaluation: files, globs, and dataset folders.
        settings: how text is read.
        on_bytes: called with the bytes of text, or tokens, that were read.

    Raises:
        UsageError: an input does not exist, or cannot be compared.
        DatasetError: a dataset is unfinished or damaged.
    """
    sides = [_Side(arguments, settings, on_bytes) for arguments in (train, evaluation)]
    datasets = [dataset for side in sides for dataset in side.datasets]
    if not datasets:
        return sides[0].words, sides[1].words, "words"
    tokenizer = _common_tokenizer(datasets)
    first, second = (side.tokens_with(tokenizer) for side in sides)
    return first, second, "tokens"


class _Side:
    """TRAIN or EVAL: text files, datasets, or both."""

    def __init__(
        self,
        arguments: Sequence[str],
        settings: CorpusSettings,
        on_bytes: Callable[[int], object],
    ) -> None:
        if STDIN in arguments:
            raise UsageError("standard input cannot be read twice", fix="Name a file")
        folders = [each for each in arguments if (Path(each) / MANIFEST).exists()]
        texts = [each for each in arguments if each not in folders]
        self.datasets = [_opened(Path(folder)) for folder in folders]
        self._inputs: list[InputFile] = expand(texts, format=settings.format)
        self._settings, self._on_bytes = settings, on_bytes

    def _partitions(self) -> Iterator[Partition]:
        for source in plan_sources(self._inputs, self._settings, _PARTITION_BYTES):
            for partition in read_partitions(source, self._settings, _PARTITION_BYTES):
                yield partition
                self._on_bytes(len(partition.text))

    def words(self) -> Iterator[Ragged]:
        """The words of the text files."""
        for partition in self._partitions():
            yield words_of(partition.text, partition.document_offsets)

    def tokens_with(self, tokenizer: TokenizerFolder) -> Corpus:
        """The tokens of text files and datasets."""

        def read() -> Iterator[Ragged]:
            encoder = Encoder(tokenizer)
            for partition in self._partitions():
                documents, _ = split_sentences(partition, self._settings)
                tokens = encoder.encode(documents)
                offsets = tokens.sentence_offsets[tokens.document_offsets]
                yield Ragged(_units(tokens.ids, tokenizer.vocabulary), offsets)
            for dataset in self.datasets:
                for rows in _rows_of(dataset):
                    yield rows
                    self._on_bytes(4 * len(rows.values))

        return read


def _opened(folder: Path) -> Dataset:
    dataset = Dataset(folder)
    objective, _ = stored_objective(dataset.manifest)
    if objective.restore is None:
        name = dataset.manifest["objective"]
        what = f"rows of {name} do not hold the text they were made of"
        raise UsageError(what, path=folder, fix="Give the corpus itself")
    return dataset


def _common_tokenizer(datasets: Sequence[Dataset]) -> TokenizerFolder:
    first = datasets[0]
    for dataset in datasets:
        if dataset.manifest["tokenizer_sha256"] != first.manifest["tokenizer_sha256"]:
            what = f"was made with another tokenizer than {first.folder}"
            raise UsageError(what, path=dataset.folder, fix="Compare the corpora themselves")
    return tokenizer_folder.load(first.folder / "tokenizer", first.vocabulary.family)


def _rows_of(dataset: Dataset) -> Iterator[Ragged]:
    """The rows of the first copy, restored."""
    objective, settings = stored_objective(dataset.manifest)
    restore: Callable[..., Any] = objective.restore  # type: ignore[assignment]  # see _opened
    for start in range(0, len(dataset), _ROWS):
        rows = dataset.rows(np.arange(start, min(start + _ROWS, len(dataset))))
        sequences = restore(rows, settings, dataset.vocabulary)
        yield Ragged(_units(sequences.ids, dataset.vocabulary), sequences.offsets)


def _units(ids: NDArray[np.int32], vocabulary: Vocabulary) -> NDArray[np.uint64]:
    """Tokens as units; 0 for those that say nothing."""
    known = vocabulary.maskable.copy()
    if vocabulary.unk is not None:
        known[vocabulary.unk] = False
    # Spread over 64 bits, as hashes of words are.
    codes = np.arange(1, len(known) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    codes[~known] = 0
    found: NDArray[np.uint64] = codes[ids]
    return found
