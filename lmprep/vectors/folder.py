"""The run folder of word vectors: begun, continued, and what it holds in the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from lmprep import __version__
from lmprep.files import sync_folder, sync_tree, write_json
from lmprep.settings import settings_from
from lmprep.training import checkpoints, run_folder
from lmprep.training.fit import traits
from lmprep.training.tensor_files import write_tensors
from lmprep.training.unigram import load_unigrams, save_unigrams
from lmprep.training.vector_files import write_vectors
from lmprep.vectors.model import Floats, WordVectors
from lmprep.vectors.settings import VectorSettings
from lmprep.vectors.work import Work

KIND = "vectors"
"""`model.kind` in config.json of such a run."""
TEXT, TENSORS = "vectors.txt", "vectors.safetensors"


def settings_for(run: Path, given: Mapping[str, Any], *, resume: bool) -> VectorSettings:
    """The settings given, completed by the run's own when one is continued."""
    if resume and run.exists():
        given = {**run_folder.read_recipe(run)["pretrain"], **given}
    return settings_from(VectorSettings, given)


def recorded_settings(run: Path) -> VectorSettings:
    """The settings of a run."""
    return settings_from(VectorSettings, run_folder.read_recipe(run)["pretrain"])


@contextmanager
def opened(run: Path, work: Work, validation: Path | None, *, resume: bool) -> Iterator[None]:
    """The run folder, made or found to be the same, kept from other trainings.

    Raises:
        UsageError: it exists and is not to be continued, or was begun with other settings.
    """
    description = _description(work, validation)
    if resume and run.exists():
        run_folder.check_same(run, description)
    else:
        _create(run, description, work)
    with run_folder.locked(run):
        checkpoints.clear_temporaries(run)
        yield


def _description(work: Work, validation: Path | None) -> dict[str, Any]:
    settings = work.settings
    held_out = {}
    if validation is not None:
        held_out = {"validation": {"folder": str(validation.absolute())}}
    return {
        "pretrain": settings.as_dict(),
        "model": {
            "kind": KIND,
            "family": settings.family,
            "width": settings.width,
            "vocabulary_size": work.dataset.vocabulary.size,
        },
        "datasets": [
            {"folder": str(work.dataset.folder), "sha256": work.dataset.manifest["manifest_sha256"]}
        ],
        **held_out,
    }


def _create(run: Path, description: Mapping[str, Any], work: Work) -> None:
    """Make a run folder, whole or not at all."""
    run_folder.refuse_existing(run)
    run.parent.mkdir(parents=True, exist_ok=True)
    temporary = run.with_name(f".{run.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        toml = run_folder.to_toml(description)
        (temporary / run_folder.RECIPE).write_text(toml, encoding="utf-8")
        write_json(temporary / run_folder.CONFIG, _config(description, work))
        shutil.copytree(work.dataset.folder / "tokenizer", temporary / run_folder.TOKENIZER)
        save_unigrams(temporary, work.counts)
        sync_tree(temporary)
        temporary.rename(run)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(run.parent)


def _config(description: Mapping[str, Any], work: Work) -> dict[str, Any]:
    manifest = work.dataset.manifest
    return {
        "lmprep": __version__,
        "model": description["model"],
        "vocabulary": asdict(work.dataset.vocabulary),
        **traits(manifest),
        "length": int(manifest["settings"]["sequences"]["length"]),
    }


def write_result(run: Path, vectors: WordVectors) -> None:
    """Write the vectors as text and as tensors, unless they are there."""
    if (run / TEXT).exists() and (run / TENSORS).exists():
        return
    temporary = run / f".{TENSORS}.tmp"
    write_tensors(temporary, {"vectors": torch.from_numpy(vectors.result())})
    temporary.replace(run / TENSORS)
    write_vectors(run / TEXT, *words_and_vectors(run, vectors))
    sync_folder(run)


def words_and_vectors(run: Path, vectors: WordVectors) -> tuple[list[str], Floats]:
    """The words that occur in the training text, and their vectors: what similarity is asked of.

    Args:
        vectors: of the run, see `lmprep.vectors.scores.load_vectors`.

    Returns:
        N words; float32 [N, D].
    """
    tokens = Tokenizer.from_file(str(run / run_folder.TOKENIZER / "tokenizer.json"))
    ids = np.flatnonzero(load_unigrams(run) > 0)
    words = [str(tokens.id_to_token(id)) for id in ids.tolist()]
    return words, vectors.result()[ids]
