"""What packing short rows into shared places adds to a training, beside padding them. By hand:

    python tests/benchmarks/packing_speed.py shards [--model bert-mini] [--steps 4] [--rounds 4]

`shards` is a dataset of `lmprep build` with rows of mixed length (such as mlm at --length 512).
Both ways train the same model with the same settings (dropout 0.1, bf16 where there is, two
threads) on the same data, in turn, a few steps at a time; a token is one of a row, padding is none.
The last column is the time to load the steps, as a share of the time to do them: in a training it
is spent on another thread meanwhile. Rows that fill 90 % by themselves are padded both ways.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="bert-mini")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(arguments.threads)
    sides = {name: Side(arguments, packed=name == "packed") for name in ("padded", "packed")}
    for side in sides.values():
        side.run(2)  # warms up
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, side in sides.items():
            speeds[name].append(side.run(arguments.steps))
    print(
        f"{arguments.dataset.name:12}{'tokens/s':>12}{'lowest':>10}{'highest':>10}{'filled':>9}{'loading':>9}"
    )
    for name, found in speeds.items():
        median = statistics.median(found)
        print(
            f"{name:12}{median:12,.0f}{min(found):10,.0f}{max(found):10,.0f}"
            f"{sides[name].filled:9.1%}{sides[name].loading:9.2%}"
        )
    gain = statistics.median(speeds["packed"]) / statistics.median(speeds["padded"])
    print(f"packing gives {gain:.2f} times the speed")


class Side:
    """A training that goes on a few steps at a time."""

    def __init__(self, arguments: argparse.Namespace, *, packed: bool) -> None:
        from lmprep.allocator import keep_freed_memory
        from lmprep.models.construction import new_model
        from lmprep.pretrain_settings import PretrainSettings
        from lmprep.training.devices import choose_device, choose_precision
        from lmprep.training.preparation import prepare
        from lmprep.training.steps import Updater

        keep_freed_memory()
        settings = PretrainSettings(
            model=arguments.model, steps=1, batch_tokens=arguments.batch_tokens, packed=packed
        )
        setup = prepare([arguments.dataset], settings)
        precision = choose_precision("auto", choose_device("cpu"))
        self._data = setup.stages.all[0].data
        self._updater = Updater(new_model(setup.model, seed=0), settings, precision)
        self._position = self._steps = self._tokens = 0
        self._load_seconds = self._step_seconds = 0.0

    @property
    def filled(self) -> float:
        """The share of positions that hold a token."""
        return self._tokens / (self._steps * self._data.bins * self._data.task.length)

    @property
    def loading(self) -> float:
        """The time to load steps as a share of the time to do them."""
        return self._load_seconds / self._step_seconds

    def run(self, steps: int) -> float:
        """Tokens a second over so many steps, which are loaded beforehand."""
        from lmprep.training.steps import targets

        loaded = []
        began = time.perf_counter()
        for _ in range(steps):
            loaded.append(self._data.step(self._position))
            self._position = loaded[-1].next
        if self._steps:  # the first ones open files
            self._load_seconds += time.perf_counter() - began
        began = time.perf_counter()
        for data in loaded:
            self._updater.update(data.batches, targets(data.batches), self._steps, 1e-4)
            self._steps += 1
        seconds = time.perf_counter() - began
        tokens = sum(data.tokens for data in loaded)
        self._tokens += tokens
        self._step_seconds += seconds
        return tokens / seconds


if __name__ == "__main__":
    main()
