"""The figures of a dataset folder: how many, how long, how much of it masked, what was dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmprep.checks.figures import EXPONENT, Figures, count
from lmprep.checks.histogram import Counts
from lmprep.objective_settings import Ul2Settings
from lmprep.shards.manifest import read_manifest, refuse_dense
from lmprep.shards.reader import vocabulary_from


def dataset_stats(folder: Path) -> dict[str, Any]:
    """The figures of a dataset folder, all copies together, as plain data.

    Raises:
        DatasetError: the folder is unfinished, damaged, dense, or not ours.
    """
    manifest = read_manifest(folder)
    refuse_dense(folder, manifest)
    return _report(manifest, count(folder, manifest))


def _report(manifest: dict[str, Any], figures: Figures) -> dict[str, Any]:
    settings = manifest["settings"]
    sequences = settings["sequences"]
    vocabulary = vocabulary_from(manifest["vocabulary"])
    totals = manifest["totals"]
    report: dict[str, Any] = {
        "objective": manifest["objective"],
        "settings": settings["objective_settings"],
        "sequences": sequences["sequences"],
        "pairs": sequences["pairs"],
        "length": sequences["length"],
        "copies": settings["copies"],
        "shards": len(manifest["shards"]),
        **{name: totals[name] for name in ("bytes", "rows", "tokens", "scored_tokens")},
        "documents": {"read": manifest["documents"]},
        "lengths": figures.lengths.summary(),
        "padding_share": _padding(figures.lengths, sequences["length"]),
        "drops": manifest["drops"],
    }
    if figures.lengths.total:
        report["documents"]["in_rows"] = figures.documents
    if figures.targets.total:
        report["target_lengths"] = figures.targets.summary()
        report["noise_rate"] = figures.noise / totals["tokens"]
    if figures.weights.total:
        counts = figures.weights.histogram()
        by_weight = {2.0 ** (e - 1 - EXPONENT): count for e, count in counts.items()}
        report["weights"] = {"sum": figures.weight, "histogram": by_weight}
    if masked := figures.treatments.total:
        report["masking"] = {
            "rate": masked / figures.lengths.sum,
            "wanted": figures.wanted,
            "shortfall": figures.wanted - masked,
            "masked": _share(figures.treatments, 0),
            "random": _share(figures.treatments, 1),
            "kept": _share(figures.treatments, 2),
        }
    if figures.spans.total:
        report["spans"] = figures.spans.summary()
    if figures.sentinels.total:
        available = {"available": len(vocabulary.sentinels)}
        report["sentinels"] = figures.sentinels.summary() | available
    if figures.labels:
        report["labels"] = {name: _shares(counts) for name, counts in figures.labels.items()}
    if figures.denoisers.total:
        report["denoisers"] = _denoisers(figures.denoisers, settings["objective_settings"])
    return report


def _padding(lengths: Counts, length: int) -> float:
    """Share of a padded batch that is padding."""
    return 1 - lengths.sum / max(1, lengths.total * length)


def _share(counts: Counts, value: int) -> float:
    return int(counts.table[value]) / counts.total if value < len(counts.table) else 0.0


def _shares(counts: Counts) -> dict[int, float]:
    return {value: found / counts.total for value, found in counts.histogram().items()}


def _denoisers(counts: Counts, settings: dict[str, Any]) -> list[dict[str, float]]:
    """The share of each denoiser, beside the one its weight asks for."""
    weights = Ul2Settings(weights=settings["weights"]).shares
    total = sum(weights)
    return [
        {"share": _share(counts, number), "wanted": float(weight / total)}
        for number, weight in enumerate(weights)
    ]
