"""How a model is trained: the settings of `lmprep pretrain`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lmprep.settings import Settings, choice, decimal, parse_stage

OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("linear", "cosine", "inverse-sqrt", "wsd", "constant")
SHARDINGS = ("replicate", "shard")
COMPILE = ("auto", "on", "off")
PRECISIONS = ("auto", "bf16", "fp32")
DEVICES = ("auto", "cpu", "cuda")
BUDGETS = ("steps", "tokens", "time")
_TRAINING_CHOICES = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "device": DEVICES,
    "compile": COMPILE,
    "sharding": SHARDINGS,
}
_NOT_NEGATIVE = (
    "weight_decay", "token_weight", "pair_weight", "boundary_weight", "replaced_weight",
    "teacher_weight", "cosine_weight", "ngram_weight", "spike",
)  # fmt: skip
_POSITIVE = (
    "batch_tokens",
    "temperature",
    "clip",
    "skips",
    "checkpoint_every",
    "keep_last",
    "log_every",
)


@dataclass(frozen=True, kw_only=True)
class PretrainSettings(Settings):
    """How a model is trained. Exactly one of steps, tokens and time says for how long.

    Args:
        model: a name of `models.settings.MODELS`, or a TOML file; empty with `init`, whose model
            it then is.
        init: where the first weights come from: a run folder, a folder of Hugging Face's layout or
            a name on its hub; None draws them.
        teacher: what an encoder learns from beside its data (distillation): a run folder, a folder
            of Hugging Face's layout or a name on its hub; None for none. The first weights of a
            student of its width are taken from it, unless `init` says otherwise.
        temperature: that the logits of teacher and student are divided by.
        init_embeddings: a text file of word vectors that the tokens' embeddings begin with, where
            a token is a word; None draws them.
        steps: updates of the weights.
        tokens: tokens of the rows seen, before corruption; padding not counted.
        time: seconds of training, validations and checkpoints not counted; the schedule follows
            the clock.
        stages: of the training, one after another, as `LENGTH:SHARE`: its datasets are those with
            sequences of this length, and it has this share of the budget; empty for one stage of
            all datasets.
        weights: shares of the datasets in a batch, in their order; empty in proportion to their
            rows.
        batch_tokens: positions in the inputs of an update over all devices. What an
            encoder-decoder predicts comes on top.
        micro_tokens: positions that a device computes at once, several times for an update if
            need be; None chooses.
        packed: whether rows that are shorter than `length` share one, kept apart, instead of being
            padded; where padding would take a tenth of the positions or more.
        optimizer: `adamw`, or `muon` for the matrices of the blocks and AdamW for the rest.
        lr: peak learning rate; by default 5e-4, or 1e-4 for models 768 wide or wider.
        schedule: after the warmup, `linear` and `cosine` fall to `final_lr` at the end,
            `inverse-sqrt` falls with the root of the progress, `wsd` stays and falls linearly in
            the last part (`cooldown`), `constant` stays.
        warmup: share of the training in which the learning rate rises to its peak.
        cooldown: share of the training, at its end, in which the rate of `wsd` falls.
        final_lr: what the rate falls to, as a share of the peak.
        weight_decay: of matrices and embeddings; biases and norms never decay.
        beta1, beta2: AdamW's.
        clip: the norm gradients are scaled down to.
        dropout: of hidden states and of attention; by default the model's.
        precision: `auto` is bf16 where the processor has instructions for it, else fp32.
        device: `auto` is cuda where there is one.
        compile: whether torch compiles the model; `auto` does on CUDA.
        sharding: under `torchrun`, every process has the whole model (`replicate`), or a part of
            weights, gradients and optimizer (`shard`).
        seed: of weights, order and dropout.
        token_weight, pair_weight, boundary_weight, replaced_weight: of the losses in their sum: of
            the predicted tokens, of sentence pairs, of the span-boundary objective, of replaced
            tokens (50 in ELECTRA's code).
        teacher_weight, cosine_weight: of distillation: of the cross-entropy against the teacher's
            probabilities, and of one minus the cosine with its states (5 and 1 in DistilBERT's
            code, beside a token_weight of 2).
        ngram_weight: of the loss of n-grams that are matched with their contexts (InfoWord).
        spike: a step whose loss lies more than so many standard deviations above the mean of the
            last 128 is skipped; 0 skips only what is infinite or not a number.
        skips: skipped steps in a row that end the training.
        checkpoint_every: steps from one checkpoint (and validation) to the next.
        keep_last: newest checkpoints that are kept.
        keep_every: steps from one checkpoint that is kept for good to the next; None keeps none.
        log_every: steps in a line of the metrics.
        static: later epochs see the stored corruption again instead of a new one.
    """

    model: str = ""
    init: str | None = None
    teacher: str | None = None
    temperature: float = 2.0
    init_embeddings: str | None = None
    steps: int | None = None
    tokens: int | None = None
    time: float | None = None
    stages: tuple[str, ...] = ()
    weights: tuple[Fraction, ...] = ()
    batch_tokens: int = 4096
    micro_tokens: int | None = None
    packed: bool = True
    optimizer: str = "adamw"
    lr: float | None = None
    schedule: str = "linear"
    warmup: Fraction = Fraction(1, 10)
    cooldown: Fraction = Fraction(1, 5)
    final_lr: Fraction = Fraction(0)
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    clip: float = 1.0
    dropout: float | None = None
    precision: str = "auto"
    device: str = "auto"
    compile: str = "auto"
    sharding: str = "replicate"
    seed: int = 0
    token_weight: float = 1.0
    pair_weight: float = 1.0
    boundary_weight: float = 1.0
    replaced_weight: float = 50.0
    teacher_weight: float = 5.0
    cosine_weight: float = 1.0
    ngram_weight: float = 1.0
    spike: float = 6.0
    skips: int = 20
    checkpoint_every: int = 500
    keep_last: int = 2
    keep_every: int | None = None
    log_every: int = 10
    static: bool = False

    def __post_init__(self) -> None:
        for name, choices in _TRAINING_CHOICES.items():
            choice(name, getattr(self, name), choices)
        if not self.model and self.init is None:
            raise ValueError("a model is needed, such as bert-mini; or an init, whose model it is")
        budgets = [name for name in BUDGETS if getattr(self, name) is not None]
        if len(budgets) != 1:
            found = " and ".join(budgets) or "none"
            raise ValueError(f"exactly one of steps, tokens and time is needed; found {found}")
        optional = [n for n in ("micro_tokens", "keep_every") if getattr(self, n) is not None]
        for name in (*budgets, *optional, *_POSITIVE):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} {getattr(self, name)} must be above 0")
        if self.lr is not None and not 0 < self.lr < 1:
            raise ValueError(f"lr {self.lr} must be between 0 and 1")
        for name in ("dropout", "beta1", "beta2"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name} {value} must be from 0 to below 1")
        for name in _NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} {getattr(self, name)} must not be negative")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed} must be from 0 to 2^63 - 1")
        total = sum((share for _, share in map(parse_stage, self.stages)), Fraction(0))
        if self.stages and total != 1:
            raise ValueError(f"the shares of the stages come to {decimal(total)}; they must make 1")
        if self.weights and (sum(self.weights) != 1 or not all(self.weights)):
            raise ValueError("weights must be above 0 and make 1, such as 0.7 and 0.3")
        self._check_schedule()

    def _check_schedule(self) -> None:
        """Shares in range, and none that the schedule would pass over."""
        for name in ("warmup", "cooldown", "final_lr"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must be from 0 to 1")
        if self.schedule == "inverse-sqrt" and not self.warmup:
            raise ValueError("inverse-sqrt falls from the end of the warmup, which must be above 0")
        if self.schedule in ("inverse-sqrt", "constant") and self.final_lr:
            raise ValueError(
                f"final_lr {decimal(self.final_lr)} is for linear, cosine and wsd; "
                f"{self.schedule} does not fall to it"
            )
        if self.schedule != "wsd" and self.cooldown != PretrainSettings.cooldown:
            raise ValueError(f"cooldown is for the schedule wsd, not for {self.schedule}")
        if self.schedule == "wsd" and self.cooldown == 0:
            raise ValueError("wsd falls in its cooldown, which must be above 0; or use constant")
        if self.schedule == "wsd" and self.warmup + self.cooldown > 1:
            both = f"warmup {decimal(self.warmup)} and cooldown {decimal(self.cooldown)}"
            raise ValueError(f"{both} are more than the whole training: they may make 1 at most")
