"""Results as rows of text, as commands and pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmprep.checks.record import Check

Rows = list[tuple[str, ...]]

CHECKS = ("", "check", "expected", "found", "tolerance", "detail")
VOCABULARY = (
    "input", "tokens per word", "whole words", "unknown tokens", "bytes per token",
    "tokens per sentence",
)  # fmt: skip
_EVALUATION = ("", "cross-entropy (nats)", "perplexity", "accuracy", "over")
_VECTORS = ("", "loss", "over")
_MOST_INPUTS = 20


def check_rows(checks: Sequence[Check]) -> Rows:
    """The outcome of `checks.verify.verify`; columns are `CHECKS`."""
    return [
        ("ok" if c.passed else "FAILED", c.name, c.expected, c.found, c.tolerance, c.detail)
        for c in checks
    ]


def evaluation_table(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], Rows]:
    """The figures of one evaluation: header and rows."""
    if "unigram_loss" in figures:
        return _VECTORS, _losses(figures)
    names = {
        "corrupted": _CORRUPTED.get(figures["objective"], "corrupted tokens"),
        "backward": "tokens before",
        "unigram": "by frequency alone",
        "copied": "copied tokens",
        "marks": "sentinels, starts and ends",
        "boundary": "from span boundaries alone",
    }
    rows: Rows = [
        (label, *_metrics(figures[name])) for name, label in names.items() if name in figures
    ]
    if text := figures.get("text"):
        cost, over = f"{text['bits_per_byte']:.4f} bits", f"{text['bytes']} bytes"
        rows.append(("bits per byte of text", cost, "", "", over))
    if pairs := figures.get("pairs"):
        accuracy, over = f"{pairs['accuracy']:.2%}", f"{pairs['rows']} rows"
        rows.append(("sentence pairs", f"{pairs['cross_entropy']:.4f}", "", accuracy, over))
        rows.append(("always the same label", "", "", f"{pairs['majority']:.2%}", over))
    if replaced := figures.get("replaced"):
        rows += _replaced(replaced)
    if ngrams := figures.get("ngrams"):
        rows += _ngrams(ngrams)
    return _EVALUATION, rows


def _ngrams(metrics: Mapping[str, float]) -> Rows:
    """N-grams among candidates, and a blind choice."""
    loss = metrics["cross_entropy"]
    blind = f"{loss + metrics['information']:.4f}"
    right, often = (f"{metrics[name]:.2%}" for name in ("accuracy", "chance"))
    over = f"{metrics['contexts']} texts, {metrics['candidates']:.1f} candidates"
    gained = f"{metrics['information']:.4f} nats"
    return [
        ("n-grams by their contexts", f"{loss:.4f}", gained, right, over),
        ("by blind choice", blind, "0 nats", often, over),
    ]


def _replaced(metrics: Mapping[str, float]) -> Rows:
    """The verdicts on replaced tokens, and those by their share alone."""
    loss, base = (f"{metrics[name]:.4f}" for name in ("cross_entropy", "base_cross_entropy"))
    right, often = (f"{metrics[name]:.2%}" for name in ("accuracy", "base_accuracy"))
    tokens = f"{metrics['tokens']} tokens, {metrics['replaced_share']:.2%} replaced"
    return [
        ("replaced or not", loss, f"AUC {metrics['auc']:.4f}", right, tokens),
        ("by their share alone", base, "AUC 0.5000", often, tokens),
    ]


def _losses(figures: Mapping[str, Any]) -> Rows:
    """Of word vectors."""
    what = "counts" if figures["objective"] == "cooccurrence" else "predictions"
    over = f"{figures['predictions']} {what}"
    return [
        ("word vectors", f"{figures['loss']:.4f}", over),
        ("by frequency alone", f"{figures['unigram_loss']:.4f}", over),
    ]


# What the tokens that count are called where nothing is corrupted, or masked.
_CORRUPTED = {
    "clm": "next tokens",
    "bilm": "next tokens",
    **dict.fromkeys(("mlm", "whole-word", "ngram", "span", "infoword"), "masked tokens"),
    "electra": "masked tokens, by the generator",
}


def _metrics(metrics: Mapping[str, float]) -> tuple[str, str, str, str]:
    return (
        f"{metrics['cross_entropy']:.4f}",
        f"{metrics['perplexity']:.2f}",
        f"{metrics['accuracy']:.2%}",
        f"{metrics['tokens']} tokens",
    )


def vocabulary_rows(sample: Mapping[str, Any]) -> Rows:
    """How well a vocabulary fits its text: in all, and the first inputs; columns are `VOCABULARY`.

    Args:
        sample: of `training.json`.
    """
    rows = [_fit("all", sample["all"])]
    if len(sample["inputs"]) > 1:
        rows += [_fit(one["name"], one) for one in sample["inputs"][:_MOST_INPUTS]]
    if (more := len(sample["inputs"]) - _MOST_INPUTS) > 0:
        rows.append((f"and {more} more", *[""] * (len(VOCABULARY) - 1)))
    return rows


def _fit(name: str, figures: Mapping[str, float]) -> tuple[str, ...]:
    return (
        name,
        f"{figures['tokens_per_word']:.3f}",
        f"{figures['whole_word_share']:.1%}",
        f"{figures['unknown_share']:.2%}",
        f"{figures['bytes_per_token']:.2f}",
        f"{figures['tokens_per_sentence']:.1f}",
    )


def probe_table(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], Rows]:
    """The figures of one file of `probing.probe.probe`: header and rows."""
    return _PROBES[figures["kind"]](figures)


def _perplexity(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], Rows]:
    header = ("", figures["kind"], "nats a token", "bits a byte", "bits a word", "over")
    row = (
        f"{figures['texts']} texts",
        f"{figures['perplexity']:.2f}",
        f"{figures['cross_entropy']:.4f}",
        f"{figures['bits_per_byte']:.4f}",
        f"{figures['bits_per_word']:.4f}",
        f"{figures['tokens']} tokens",
    )
    return header, [row]


def _minimal_pairs(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], Rows]:
    rows: Rows = [("all", f"{figures['accuracy']:.2%}", f"{figures['pairs']} of {figures['of']}")]
    for kind, found in figures["by_kind"].items():
        rows.append((kind, f"{found['accuracy']:.2%}", str(found["pairs"])))
    return ("pairs", "accuracy", "over"), [*rows, ("chance", "50.00%", "")]


def _senses(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], Rows]:
    header = ("vectors", "AUC", "lemmas above chance", "over")
    over = f"{len(figures['static']['lemmas'])} lemmas, {figures['examples']} uses"
    rows: Rows = [
        (kind, f"{figures[kind]['auc']:.4f}", f"{figures[kind]['above_chance']:.1%}", over)
        for kind in ("contextual", "static")
    ]
    return header, [*rows, ("chance", "0.5000", "", "")]


def _sense_pairs(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], Rows]:
    over = f"{figures['examples']} pairs"
    rows: Rows = [
        (kind, f"{figures[kind]['auc']:.4f}", f"{figures[kind]['accuracy']:.2%}", over)
        for kind in ("contextual", "static")
    ]
    chance = ("always the same label", "0.5000", f"{figures['majority']:.2%}", over)
    return ("vectors", "AUC", "accuracy", "over"), [*rows, chance]


def _similarity(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], Rows]:
    row = ("all", f"{figures['spearman']:.4f}", f"{figures['pairs']} of {figures['of']}")
    return ("pairs", "Spearman", "known"), [row]


def _analogies(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], Rows]:
    over = f"{figures['questions']} of {figures['of']}"
    rows: Rows = [("all", f"{figures['accuracy']:.2%}", over)]
    for section, found in figures["sections"].items():
        rows.append((section, f"{found['accuracy']:.2%}", str(found["questions"])))
    return ("analogies", "accuracy", "known"), rows


_PROBES = {
    "perplexity": _perplexity,
    "pseudo-perplexity": _perplexity,
    "minimal pairs": _minimal_pairs,
    "senses": _senses,
    "pairs": _sense_pairs,
    "similarity": _similarity,
    "analogies": _analogies,
}
