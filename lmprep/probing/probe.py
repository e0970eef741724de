"""All that a model may be asked beside its held-out loss, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmprep.errors import UsageError
from lmprep.inference.pretrained import ask
from lmprep.probing.likelihood import minimal_pair_figures, text_figures
from lmprep.probing.senses import sense_figures
from lmprep.probing.similarity import (
    WordTable,
    analogy_figures,
    similarity_figures,
    table_of_model,
    table_of_words,
)
from lmprep.training import run_folder
from lmprep.vectors.folder import KIND, words_and_vectors
from lmprep.vectors.scores import load_vectors


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Files with questions; each may be left out.

    Args:
        texts: lines of text, whose perplexity is measured.
        minimal_pairs: see `likelihood.minimal_pair_figures`.
        senses: see `senses.sense_figures`.
        similarity, analogies: see `similarity`.
        most: lines of a text, and pairs of each kind, at most; None for all.
        layers: whose states are a word's vector in context.
    """

    texts: Sequence[Path] = ()
    minimal_pairs: Sequence[Path] = ()
    senses: Sequence[Path] = ()
    similarity: Sequence[Path] = ()
    analogies: Sequence[Path] = ()
    most: int | None = None
    layers: str = "sum-last-4"

    def __bool__(self) -> bool:
        """Is anything asked?"""
        return any((self.texts, self.minimal_pairs, self.senses, self.similarity, self.analogies))


def probe(
    source: str,
    probes: Probes,
    *,
    device: str = "auto",
    precision: str = "fp32",
    on_texts: Callable[[int, int], object] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Ask a model all that is wanted.

    Args:
        source: a run, a folder of Hugging Face's layout or a name on its hub; of word vectors a
            run, which knows `similarity` and `analogies` alone.

    Returns:
        For each file its figures, with `file` and `model`.

    Raises:
        UsageError: the model cannot be asked that.
        InputError: a file has a fault.
    """
    if is_vectors(source):
        return _of_vectors(Path(source), probes)
    asked = ask(source, device=device, precision=precision, head=bool(probes.texts))
    found: list[tuple[Path, dict[str, Any]]] = []
    for path in probes.texts:
        found.append((path, text_figures(asked, path, probes.most, on_texts)))
    for path in probes.minimal_pairs:
        found.append((path, minimal_pair_figures(asked, path, probes.most, on_texts)))
    found += [(path, sense_figures(asked, path, probes.layers)) for path in probes.senses]
    if probes.similarity or probes.analogies:
        found += _of_words(table_of_model(asked), probes)
    return [{"model": asked.description, "file": str(path), **each} for path, each in found]


def is_vectors(source: str) -> bool:
    """Is it a run of word vectors?"""
    folder = Path(source)
    if not (folder / run_folder.RECIPE).is_file():
        return False
    return bool(run_folder.read_config(folder)["model"]["kind"] == KIND)


def _of_vectors(run: Path, probes: Probes) -> list[dict[str, Any]]:
    if probes.texts or probes.minimal_pairs or probes.senses:
        raise UsageError(
            "word vectors know words alone, no texts",
            path=run,
            fix="Ask them with --similarity and --analogies",
        )
    vectors, step = load_vectors(run)
    table = table_of_words(*words_and_vectors(run, vectors))
    name = f"{run}, step {step}"
    return [{"model": name, "file": str(path), **each} for path, each in _of_words(table, probes)]


def _of_words(table: WordTable, probes: Probes) -> list[tuple[Path, dict[str, Any]]]:
    found = [(path, similarity_figures(table, path)) for path in probes.similarity]
    return found + [(path, analogy_figures(table, path)) for path in probes.analogies]
