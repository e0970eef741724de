"""The commands as functions: same settings, same names, same errors (`lmprep.errors`).

Settings are keywords with the flags' names, underscores for hyphens: `--mask-rate 0.2` is
`mask_rate=0.2`. Paths may be texts or `Path`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmprep.pretrain_settings import PretrainSettings
from lmprep.settings import CorpusSettings, VocabSettings, settings_from

if TYPE_CHECKING:
    from lmprep.checks.record import Check
    from lmprep.finetuning.folder import FineTuned
    from lmprep.training.pretraining import Result

PathLike = str | os.PathLike[str]


def train_vocabulary(
    corpus: PathLike | Sequence[PathLike], out: PathLike, *, workers: int = 1, **settings: Any
) -> dict[str, Any]:
    """Learn a vocabulary and write its folder, as `lmprep vocab`.

    Args:
        corpus: files or globs.
        out: the tokenizer folder, which must not exist.
        workers: processes that count words; what is learnt does not depend on it.
        settings: of `settings.VocabSettings` (`algorithm` is needed) and `CorpusSettings`.

    Returns:
        The content of `training.json`: sizes, settings, how well it fits.
    """
    from lmprep.engines.counting import Workers
    from lmprep.vocab import make_vocabulary

    reading, own = _parted(settings, CorpusSettings)
    return make_vocabulary(
        _texts(corpus),
        Path(out),
        settings_from(VocabSettings, own),
        settings_from(CorpusSettings, reading),
        engine=Workers(workers),
    )


class Encoder:
    """Encodes texts as `lmprep encode`: the ids of the `tokenizers` library, at memory speed.

    Args:
        tokenizer: a tokenizer folder or file.
        threads: that share the work.
    """

    def __init__(self, tokenizer: PathLike, *, threads: int = 1) -> None:
        from lmprep.tokenization import folder
        from lmprep.tokenization.encoder import Encoder as FastEncoder

        self._folder = folder.load(str(tokenizer))
        self._encoder = FastEncoder(self._folder, threads=threads)

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """The ids of each text, without special tokens: int32 each.

        Raises:
            ValueError: a text has a line end, which would part it.
        """
        if any("\n" in text for text in texts):
            raise ValueError("a text has a line end; encode its lines one by one")
        lines = self._encoder.encode_lines("".join(f"{text}\n" for text in texts).encode())
        return np.split(lines.ids, lines.offsets[1:-1]) if len(texts) else []

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as text, special tokens shown."""
        text: str = self._folder.tokenizer.decode(list(ids), skip_special_tokens=False)
        return text


def build_dataset(
    objective: str,
    corpus: PathLike | Sequence[PathLike],
    tokenizer: PathLike,
    out: PathLike,
    *,
    workers: int = 1,
    resume: bool = False,
    force: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Build a dataset, as `lmprep build`.

    Args:
        objective: such as "mlm".
        corpus: files or globs.
        tokenizer: a tokenizer folder or file.
        out: folder or URL.
        workers: processes; the bytes written do not depend on it.
        resume, force: continue, or replace, what is in `out`.
        settings: of the objective, its sequences, the corpus and the dataset: `length=128`,
            `valid="1%"`, ...

    Returns:
        The manifest of each part, `train` and, if asked for, `valid`.
    """
    from lmprep.build_settings import BuildSettings
    from lmprep.engines.job import make_plan, run
    from lmprep.remote import path_of

    chosen = BuildSettings.from_options({"objective": objective, **settings})
    plan = make_plan(_texts(corpus), str(tokenizer), path_of(str(out)), chosen)
    return run(plan, workers=workers, resume=resume, force=force).manifests


def verify(out: PathLike, source: PathLike | Sequence[PathLike] = ()) -> list[Check]:
    """Check a dataset, as `lmprep verify`; each check has `passed`.

    Args:
        source: the corpus, to be read again too.
    """
    from lmprep.checks.verify import verify as run_checks

    return run_checks(Path(out), _texts(source))


def merge_datasets(
    datasets: Sequence[PathLike], out: PathLike, *, force: bool = False
) -> dict[str, Any]:
    """Join datasets of equal settings, as `lmprep merge`; the new one's manifest.

    Args:
        datasets: at least two.
        out: the new folder.
        force: replace a dataset in its place.
    """
    from lmprep.merge import merge

    return merge([Path(folder) for folder in datasets], Path(out), force=force)


def pretrain(
    datasets: PathLike | Sequence[PathLike],
    run: PathLike,
    *,
    validation: PathLike | None = None,
    resume: bool = False,
    **settings: Any,
) -> Result:
    """Train a model, as `lmprep pretrain`.

    Args:
        datasets: of `build_dataset`.
        run: the run folder.
        validation: held-out dataset, scored at every checkpoint.
        resume: continue the run, if it is there.
        settings: of `pretrain_settings.PretrainSettings`, or, for word vectors, those of
            `vectors.settings`: `model`, `steps`, `lr`, ...

    Returns:
        Steps, tokens, seconds and last losses.
    """
    from lmprep.shards.manifest import read_manifest
    from lmprep.training import pretraining
    from lmprep.training.run_folder import refuse_existing
    from lmprep.vectors.settings import OBJECTIVES, VectorSettings
    from lmprep.vectors.training import train_vectors

    folders, folder = [Path(name) for name in _texts(datasets)], Path(run)
    held_out = None if validation is None else Path(validation)
    if not resume:
        refuse_existing(folder)
    if read_manifest(folders[0])["objective"] in OBJECTIVES:
        chosen = settings_from(VectorSettings, settings)
        return train_vectors(folders[0], folder, chosen, validation=held_out, resume=resume)
    own = settings_from(PretrainSettings, settings)
    return pretraining.pretrain(folders, folder, own, validation=held_out, resume=resume)


def evaluate(run: PathLike, dataset: PathLike, *, step: int | None = None) -> dict[str, Any]:
    """Score a run on held-out examples, as `lmprep evaluate`."""
    from lmprep.evaluation import evaluate as measure

    return measure(Path(run), Path(dataset), step=step)


def export_model(run: PathLike, folder: PathLike, *, force: bool = False) -> Path:
    """Write a run's model as a folder that `transformers` loads, as `lmprep export`."""
    from lmprep.export import export

    export(Path(run), Path(folder), force=force)
    return Path(folder)


def finetune(
    task: str,
    model: PathLike,
    out: PathLike,
    *,
    train: PathLike,
    dev: PathLike,
    test: PathLike | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Teach a model a task, as `lmprep finetune`.

    Args:
        task: one of `finetuning.settings.TASKS`.
        model: a run, a folder of Hugging Face's layout or a name on its hub.
        settings: of `finetuning.settings.FinetuneSettings`.

    Returns:
        What `results.json` holds.
    """
    from lmprep.finetuning.finetune import finetune as teach
    from lmprep.finetuning.settings import FinetuneSettings

    chosen = settings_from(FinetuneSettings, {"task": task, **settings})
    return teach(
        str(model),
        chosen,
        Path(out),
        train=Path(train),
        dev=Path(dev),
        test=None if test is None else Path(test),
    )


def load_finetuned(folder: PathLike) -> FineTuned:
    """A model of `finetune`, whose `predict` takes and gives dictionaries."""
    from lmprep.finetuning import folder as finetuned

    return finetuned.load_finetuned(str(folder))


def _texts(paths: PathLike | Sequence[PathLike]) -> list[str]:
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    return [str(path) for path in paths]


def _parted(settings: dict[str, Any], kind: type[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of a kind, and the rest."""
    names = kind.__dataclass_fields__
    own = {name: value for name, value in settings.items() if name in names}
    return own, {name: value for name, value in settings.items() if name not in names}
