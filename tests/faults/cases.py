"""What is trained under attack: every family, each with other settings that could break."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.training.tiny_runs import LENGTH, make_folders

OBJECTIVES = ("mlm", "span", "clm", "t5", "bart", "ul2")
STEPS = 14  # two epochs and a bit; with CHECKPOINT_EVERY a last step that is not on the grid
CHECKPOINT_EVERY = 3


@dataclass(frozen=True)
class Case:
    """A training.

    Args:
        name: of the test.
        objective: which dataset.
        flags: beside those of all.
        ranks: processes that train together.
        model: the file in the dataset's folder that says its shape.
    """

    name: str
    objective: str
    flags: tuple[str, ...] = ()
    ranks: int = 1
    model: str = "model.toml"

    def command(self, folder: Path, run: Path) -> list[str]:
        """What a user would type after `lmprep`."""
        here = folder / self.objective
        return [
            *("pretrain", str(here / "train"), "-o", str(run), "--eval", str(here / "valid")),
            *("--model", str(here / self.model), "--batch-tokens", str(8 * LENGTH)),
            *("--steps", str(STEPS), "--checkpoint-every", str(CHECKPOINT_EVERY)),
            *("--log-every", "2", "--lr", "1e-3", "--dropout", "0.1", "--device", "cpu"),
            *("--precision", "fp32", "--resume", *self.flags),
        ]


BF16 = ("--precision", "bf16")
CASES = (
    Case("encoder with pairs", "mlm"),
    Case("encoder in bf16, muon", "mlm", (*BF16, "--optimizer", "muon")),
    Case("encoder, stored copies, padded", "mlm", ("--static", "--set", "packed=false")),
    Case("encoder in parts of a batch", "mlm", ("--set", f"micro_tokens={2 * LENGTH}")),
    Case("encoder with span boundaries", "span"),
    Case("decoder", "clm"),
    Case("decoder in bf16, muon", "clm", (*BF16, "--optimizer", "muon")),
    Case("encoder-decoder of T5", "t5"),
    Case("encoder-decoder of BART", "bart"),
    Case("encoder-decoder of UL2 in bf16", "ul2", BF16),
    Case("two whole models", "mlm", ranks=2),
    Case("two halves of a model, muon", "clm", ("--sharding", "shard", "--optimizer", "muon"), 2),
)
ALONE = tuple(case for case in CASES if case.ranks == 1)


def make_datasets(folder: Path, objective: str) -> Path:
    """The datasets of an objective, a model file that fits them, and one of a single layer."""
    folder.mkdir(parents=True)
    make_folders(folder, objective)
    shape = (folder / "model.toml").read_text()
    (folder / "shallow.toml").write_text(shape.replace("layers = 2", "layers = 1"))
    return folder
