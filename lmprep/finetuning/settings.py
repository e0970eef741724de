"""How a model is fine-tuned, and what for. No torch in here: the command line reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from lmprep.pretrain_settings import DEVICES, PRECISIONS
from lmprep.settings import Settings, choice

TASKS = ("classify", "pair", "choice", "tag", "span", "qa")
LAYERS = ("last", "sum-last-4", "concat-last-4", "learned-mix")
FORMATS = ("tsv", "csv", "jsonl", "conll", "squad")
SCHEDULES = ("linear", "cosine", "constant")
LABEL_SUBWORDS = ("all", "first")
DECIDE = ("first", "mean", "max")
BOUNDARIES = ("ffn", "raw")
SUMMARIES = ("mean", "attention")
BAD_ANSWERS = ("fail", "skip")
_CHOICES = {
    "task": TASKS,
    "layers": LAYERS,
    "schedule": SCHEDULES,
    "label_subwords": LABEL_SUBWORDS,
    "decide": DECIDE,
    "boundaries": BOUNDARIES,
    "summary": SUMMARIES,
    "bad_answers": BAD_ANSWERS,
    "device": DEVICES,
    "precision": PRECISIONS,
}
_POSITIVE = (
    "epochs", "batch_size", "seeds", "max_width", "max_answer", "max_question", "stride", "clip",
)  # fmt: skip
_OPTIONAL_POSITIVE = ("length", "patience", "lr")


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(Settings):
    """A task, its head, and the training.

    Args:
        task: one of `TASKS`.
        epochs: passes over the training file; the weights kept are those of the best on dev.
        patience: epochs without a better dev figure that end the training; None goes through all.
        batch_size: examples in an update (of `choice` with all their answers).
        lr: peak learning rate; by default 5e-5, of models narrower than 768 3e-4, frozen 1e-3.
        layer_decay: the rate of each layer is that of the one above times this (ELECTRA,
            arXiv:2003.10555, appendix B: 0.8); embeddings come below the first layer.
        schedule: after the warmup, of `training.schedules`.
        warmup: share of the training in which the rate rises.
        weight_decay: of matrices; biases and norms never decay.
        clip: the norm gradients are scaled down to.
        dropout: of the model and before the head; by default the model's.
        seeds: trainings, that differ in the head's first weights, order and dropout.
        seed: of the first of them; the next ones count up.
        frozen: the model stays as it is, and only what is above it learns, from features that are
            computed once.
        layers: which hidden states are the features of a frozen model; `learned-mix` learns a
            weighted mean of all of them, embeddings included (ELMo, arXiv:1802.05365, section 3).
        bilstm: whether two layers of LSTM in both directions stand between a frozen model and the
            head.
        unfreeze_last: top layers that learn, those below and the embeddings stay; None: all learn.
        random_init: fresh weights instead of the pretrained ones: what is the pretraining worth?
        length: longest row in tokens, special tokens included; None: the model's longest, at most
            512.
        label_subwords: tag: whether all sub-words of a word bear its label, or the first alone.
        decide: tag: a word's scores are those of its first sub-word, their mean or their maximum.
        crf: tag: a linear chain over words instead of a decision for each.
        max_width: span: words in the widest span (L: j - i < L).
        boundaries: span: the first and last word go through feed-forward networks, or raw.
        summary: span: the words of a span are summed up by their mean or by self-attention.
        overlap: span: found spans may overlap; else the best-scoring set of those that do not.
        max_answer, max_question: qa: tokens.
        stride: qa: tokens from the beginning of one window to that of the next.
        bad_answers: qa: whether an answer that is not in its context ends the command, or its
            question is left out and counted.
        fields: names of columns that are not found by themselves, as role -> name; roles are
            `text`, `second` and `label`.
        format: of the files; empty: by their suffixes.
        precision, device: see `lmprep.settings`.
    """

    task: str
    epochs: int = 3
    patience: int | None = None
    batch_size: int = 32
    lr: float | None = None
    layer_decay: float = 1.0
    schedule: str = "linear"
    warmup: Fraction = Fraction(1, 10)
    weight_decay: float = 0.01
    clip: float = 1.0
    dropout: float | None = None
    seeds: int = 1
    seed: int = 0
    frozen: bool = False
    layers: str = "last"
    bilstm: bool = False
    unfreeze_last: int | None = None
    random_init: bool = False
    length: int | None = None
    label_subwords: str = "all"
    decide: str = "first"
    crf: bool = False
    max_width: int = 8
    boundaries: str = "ffn"
    summary: str = "mean"
    overlap: bool = False
    max_answer: int = 30
    max_question: int = 64
    stride: int = 128
    bad_answers: str = "fail"
    fields: dict[str, str] = field(default_factory=dict)
    format: str = ""
    precision: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            choice(name, getattr(self, name), choices)
        if self.format:
            choice("format", self.format, FORMATS)
        optional = [name for name in _OPTIONAL_POSITIVE if getattr(self, name) is not None]
        for name in (*_POSITIVE, *optional):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} {getattr(self, name)} must be above 0")
        if self.length is not None and self.length < 8:
            raise ValueError(f"length {self.length} must be at least 8")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay {self.layer_decay} must be above 0 and at most 1")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} must be from 0 to below 1")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay {self.weight_decay} must not be negative")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} is negative")
        self._check_frozen()

    def _check_frozen(self) -> None:
        """What only features of a frozen model have a use for, and what they have none for."""
        given = {
            "layers": self.layers != "last",
            "bilstm": self.bilstm,
            "unfreeze_last": self.unfreeze_last is not None,
            "layer_decay": self.layer_decay != 1,
        }
        for name in ("unfreeze_last", "layer_decay") if self.frozen else ("layers", "bilstm"):
            if given[name]:
                what = "not for a frozen model" if self.frozen else "for a frozen model: add frozen"
                raise ValueError(f"{name} {getattr(self, name)} is {what}")
        if self.unfreeze_last is not None and self.unfreeze_last < 1:
            raise ValueError(
                f"unfreeze_last {self.unfreeze_last} must be at least 1; frozen is for 0"
            )
