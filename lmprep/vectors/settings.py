"""How word vectors are trained: word2vec's and GloVe's own defaults, by the name of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmprep.settings import Settings, choice

OBJECTIVES = {"skipgram": ("word2vec", "cbow"), "cooccurrence": ("glove",)}
"""The objectives that word vectors are trained on, and the families of models that learn them."""
STARTS = ("spectral", "random")
"""What GloVe's vectors may begin with."""

_WIDTHS = {"tiny": 32, "small": 100, "base": 300}
MODELS = tuple(
    f"{family}-{size}"
    for families in OBJECTIVES.values()
    for family in families
    for size in _WIDTHS
)
# Epochs and learning rates: of word2vec's and GloVe's code. CBOW's there is 0.05 with gradients
# that are not shared among the words of a window; true ones want a higher rate (arXiv:2012.15332).
# After three epochs of 2.4 million words of novels, 100 wide, Spearman's correlation with
# WordSim-353 is 0.19 with 0.075, 0.28 with 0.15 (held-out loss 2.26 and 2.19), and gensim's 0.24.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "word2vec": {"epochs": 5, "lr": 0.025},
    "cbow": {"epochs": 5, "lr": 0.15},
    # Of the ceiling, 10 is what its demonstration takes for 17 million words; the paper's 100 is
    # for billions. Epochs are few since the start knows much.
    "glove": {"epochs": 5, "lr": 0.05, "ceiling": 10.0, "power": 0.75, "start": "spectral"},
}


@dataclass(frozen=True, kw_only=True)
class VectorSettings(Settings):
    """How word vectors are trained.

    Args:
        model: a name of `MODELS`: what learns, and how wide its vectors are.
        width: of the vectors, instead of the model's.
        epochs: how often all data are seen; by default 5.
        lr: learning rate: of word2vec at the beginning, from where it falls linearly to a
            ten-thousandth (by default 0.025, CBOW 0.15); of GloVe's AdaGrad (0.05).
        ceiling, power: GloVe's weight of a count x is min(1, (x / ceiling) ** power); by default
            10 and 0.75. The paper has 100 for corpora of billions of words.
        start: what GloVe's vectors begin with: `spectral`, by default, the eigenvectors of positive
            pointwise mutual information (Levy and Goldberg 2014), or `random` as in the paper,
            which wants 25 epochs and more.
        removed: principal components, the largest first, that are taken out of the vectors at the
            end, and with them their mean (arXiv:1702.01417, algorithm 1): they tell how frequent a
            word is rather than what it means. By default one for each 100 values of GloVe's width,
            none of word2vec; with 0 the mean stays, too.
        threads: that learn at once. With one a run gives the same bits every time; several write
            to the same vectors without waiting for one another (Hogwild, arXiv:1106.5730), and
            what comes out differs a little from time to time.
        seed: of first vectors, order, windows and negatives.
        log_every: blocks (about 65,000 tokens, or counts) in a line of the metrics.
    """

    model: str
    width: int = 0
    epochs: int = 0
    lr: float = 0.0
    ceiling: float = 0.0
    power: float = 0.0
    start: str = ""
    removed: int | None = None
    threads: int = 1
    seed: int = 0
    log_every: int = 10

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"there is no model of word vectors {self.model!r}; there are "
                             f"{', '.join(MODELS)}")  # fmt: skip
        defaults = _DEFAULTS[self.family] | {"width": _WIDTHS[self.model.rpartition("-")[2]]}
        for name in ("ceiling", "power", "start"):
            if getattr(self, name) and name not in defaults:
                raise ValueError(f"{name} is for GloVe, not for {self.model}")
        for name, value in defaults.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)
            if name == "start":
                choice(name, self.start, STARTS)
            elif not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} {getattr(self, name)} must be above 0")
        if self.removed is None:
            object.__setattr__(self, "removed", -(-self.width // 100) * (self.family == "glove"))
        if not 0 <= self.removed < self.width:  # type: ignore[operator]
            raise ValueError(f"removed {self.removed} must be from 0 to {self.width - 1}")
        if self.lr >= 1:
            raise ValueError(f"lr {self.lr} must be below 1")
        for name in ("threads", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed} must be from 0 to 2^63 - 1")

    @property
    def family(self) -> str:
        """`word2vec`, `cbow` or `glove`."""
        return self.model.rpartition("-")[0]

    @property
    def objective(self) -> str:
        """What its datasets were built for."""
        return next(name for name, families in OBJECTIVES.items() if self.family in families)

    def check_objective(self, objective: str) -> None:
        """Raise `ValueError` unless the model learns from examples of an objective."""
        if self.objective != objective:
            fitting = [n for n in MODELS if n.rpartition("-")[0] in OBJECTIVES[objective]]
            raise ValueError(
                f"the model {self.model} learns from {self.objective}, not from {objective}; "
                f"these learn from it: {', '.join(fitting)}"
            )
