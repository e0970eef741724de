"""The whole command: read the files, train once for each seed, write the folder, sum up."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from lmprep import __version__
from lmprep.allocator import keep_freed_memory
from lmprep.errors import UsageError
from lmprep.files import canonical_json, file_sha256, write_json
from lmprep.finetuning.features import CachedFeatures
from lmprep.finetuning.folder import RESULT, RESULTS, SETTINGS, read_json
from lmprep.finetuning.network import Network
from lmprep.finetuning.saving import save_seed
from lmprep.finetuning.scores import Figures, main_figure
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.start import Start, load_start, new_network
from lmprep.finetuning.tasks import task_for
from lmprep.finetuning.tasks.base import Task
from lmprep.finetuning.tokens import TextEncoder
from lmprep.finetuning.training import Epoch, FineTuning, OnEpoch, Part, Reader
from lmprep.training.devices import choose_device, choose_precision

_log = logging.getLogger("lmprep")
# Settings that may change when a folder is continued: none of them changes a seed's result.
_UNDECISIVE = ("seeds", "device")


def finetune(
    source: str,
    settings: FinetuneSettings,
    folder: Path,
    *,
    train: Path,
    dev: Path,
    test: Path | None = None,
    resume: bool = False,
    force: bool = False,
    on_epoch: OnEpoch = lambda _: None,
) -> dict[str, Any]:
    """Fine-tune a model, once for each seed.

    Args:
        source: a run, one of its checkpoints, a folder of Hugging Face's layout, or a hub name.
        settings: what is to be learnt, and how.
        folder: where it goes; see `finetuning.folder`.
        train, dev, test: files. The best epoch is chosen on dev.
        resume: keep the seeds that are there, if they were made with the same settings.
        force: replace a folder that this wrote before.
        on_epoch: called after each epoch.

    Returns:
        What results.json holds: `dev` and `test`, each `{figure: {"mean", "sd"}}` (the sample's
        standard deviation, null of a single seed), `seeds` one by one, `best_seed`, `confusion`.

    Raises:
        UsageError: the model, the settings or a file do not go together.
        InputError: a file has a fault.
    """
    _check_folder(folder, resume=resume, force=force)
    files = {"train": train, "dev": dev, **({"test": test} if test else {})}
    job = _Job(source, settings, files)
    _begin_folder(folder, job.description(), resume=resume, force=force)
    results = []
    with tempfile.TemporaryDirectory(prefix=".features-", dir=folder) as scratch:
        for seed in range(settings.seed, settings.seed + settings.seeds):
            done = folder / f"seed-{seed}"
            if not (done / RESULT).is_file():
                job.run(seed, done, Path(scratch), on_epoch)
            results.append(read_json(done / RESULT))
    summary = _summary(results, job.description())
    write_json(folder / RESULTS, summary)
    return summary


class _Job:
    """A model and the files, ready for any number of trainings."""

    def __init__(self, source: str, settings: FinetuneSettings, files: Mapping[str, Path]) -> None:
        self.settings, self.files = settings, files
        self.start: Start = load_start(source)
        self.length = self.start.length(settings)
        self.task: Task[Any] = task_for(settings, self.start.settings, self.start.vocabulary)
        self.parts = self._read()
        self._hashes = {name: file_sha256(path) for name, path in files.items()}
        self._features: dict[str, CachedFeatures] = {}
        keep_freed_memory()

    def _read(self) -> dict[str, Part]:
        """The files' examples and their rows."""
        train = self.files["train"]
        read = {name: self.task.read(path) for name, path in self.files.items()}
        self.task.learn(read["train"], train)
        for name in read.keys() - {"train"}:
            self.task.check(read[name], self.files[name], train)
        encoder = TextEncoder(self.start.tokenizer)
        parts = {}
        for name, examples in read.items():
            rows = self.task.rows(examples, encoder, self.length)
            for note, count in rows.notes.items():
                _log.warning("%s: %d %s.", self.files[name], count, note)
            parts[name] = Part(path=self.files[name], examples=examples, rows=rows)
        return parts

    def description(self) -> dict[str, Any]:
        """What decides the results."""
        files = {name: {"name": p.name, "sha256": self._hashes[name]} for name, p in
                 self.files.items()}  # fmt: skip
        return {
            "lmprep": __version__,
            "source": self.start.description,
            "settings": self.settings.as_dict(),
            "files": files,
        }

    def run(self, seed: int, folder: Path, scratch: Path, on_epoch: OnEpoch) -> None:
        """One training, and its folder."""
        settings, task = self.settings, self.task
        network = new_network(self.start, task, settings, seed)
        network.to(choose_device(settings.device))
        readers = {name: self._reader(name, network, scratch) for name in self.parts}
        training = FineTuning(
            network,
            task,
            settings,
            (self.parts["train"], readers["train"]),
            (self.parts["dev"], readers["dev"]),
            seed,
        )
        best = training.run(on_epoch)
        result, contents = self._judge(network, readers, best, training.epochs)
        contents[RESULT] = canonical_json(result)
        save_seed(folder, network, task, self.start, settings, contents)

    def _reader(self, name: str, network: Network, scratch: Path) -> Reader:
        rows, pad = self.parts[name].rows, self.start.vocabulary.pad or 0
        if not self.settings.frozen:
            return Reader(rows, network, pad)
        if name not in self._features or self.settings.random_init:  # else of all seeds
            self._features[name] = CachedFeatures(
                network.model,
                rows,
                scratch / name,
                layers=self.settings.layers,
                pad=pad,
                precision=choose_precision(self.settings.precision, network.device),
            )
        return Reader(rows, network, pad, self._features[name])

    def _judge(
        self,
        network: Network,
        readers: Mapping[str, Reader],
        best: Epoch,
        epochs: Sequence[Epoch],
    ) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The figures of the trained network, and its files of predictions."""
        precision = choose_precision(self.settings.precision, network.device)
        contents: dict[str, bytes] = {}
        result: dict[str, Any] = {
            "seed": best.seed,
            "best_epoch": best.number,
            "epochs": [asdict(epoch) for epoch in epochs],
        }
        for name in self.parts.keys() - {"train"}:
            part = self.parts[name]
            outputs = readers[name].outputs(self.task, 2 * self.settings.batch_size, precision)
            answers = self.task.answers(outputs, part.rows, part.examples)
            result[name] = self.task.figures(answers, part.examples)
            text = self.task.predictions(answers, part.examples)
            contents[f"predictions-{name}{self.task.suffix}"] = text.encode()
            if name == ("test" if "test" in self.parts else "dev"):
                result["confusion"] = self._confusion(name, answers, part.examples)
        return result, contents

    def _confusion(
        self, name: str, answers: Sequence[Any], examples: Sequence[Any]
    ) -> dict[str, Any] | None:
        """Counts of given labels (columns) for right ones (rows)."""
        from sklearn.metrics import confusion_matrix

        pairs = self.task.confusion(answers, examples)
        if pairs is None:
            return None
        counts = confusion_matrix(*pairs, labels=self.task.labels)
        return {"part": name, "labels": self.task.labels, "counts": counts.tolist()}


def _summary(results: Sequence[dict[str, Any]], description: Mapping[str, Any]) -> dict[str, Any]:
    best = max(results, key=lambda result: result["dev"][main_figure(result["dev"])])
    parts = [name for name in ("dev", "test") if name in best]
    return {
        **description,
        **{name: _spread([result[name] for result in results]) for name in parts},
        "seeds": list(results),
        "best_seed": best["seed"],
        "confusion": best["confusion"],
    }


def _spread(figures: Sequence[Figures]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation of each figure over seeds."""
    return {
        name: {
            "mean": fmean(values := [each[name] for each in figures]),
            "sd": stdev(values) if len(values) > 1 else None,
        }
        for name in figures[0]
    }


def _check_folder(folder: Path, *, resume: bool, force: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError("it is a file", path=folder, fix="Choose another -o")
    ours = (folder / SETTINGS).is_file()
    if not ours and any(folder.iterdir()):
        raise UsageError(
            "it is there already, and not of lmprep finetune", path=folder, fix="Choose another -o"
        )
    if ours and not resume and not force:
        raise UsageError(
            "it is there already",
            path=folder,
            fix="Continue it with --resume, replace it with --force, or choose another -o",
        )


def _begin_folder(
    folder: Path, description: Mapping[str, Any], *, resume: bool, force: bool
) -> None:
    """Write the settings, or compare them with those that are there."""
    path = folder / SETTINGS
    if path.exists() and force:
        for name in (SETTINGS, RESULTS):
            (folder / name).unlink(missing_ok=True)
        for seed in folder.glob("seed-*"):
            if (seed / RESULT).is_file():
                shutil.rmtree(seed)
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists() and resume:
        _compare(read_json(path), description, folder)
    write_json(path, description)


def _compare(there: Mapping[str, Any], here: Mapping[str, Any], folder: Path) -> None:
    """Raise `UsageError` naming the first thing that differs from what a folder was begun with."""
    for name, value in _flat(here).items():
        if name not in _UNDECISIVE and (before := _flat(there).get(name)) != value:
            raise UsageError(
                f"it was begun with {name} {before}, not {value}",
                path=folder,
                fix="Leave the flag as it was, or choose another -o",
            )


def _flat(description: Mapping[str, Any]) -> dict[str, Any]:
    files = {f"{name} file": entry["sha256"] for name, entry in description["files"].items()}
    return {"source": description["source"], **files, **description["settings"]}
