"""Training speed beside `transformers.BertForPreTraining` in a plain loop. Run by hand:

    python tests/benchmarks/train_speed.py [--blocks 5] [--steps 4] [--threads 2]

Both sides: 4 layers of width 256, vocabulary 16,000, the same 32 x 128 tokens with padding, 19
masked tokens a row, sentence-pair labels, dropout 0.1 (hidden and attention), bf16 autocast, fused
AdamW, gradient norm clipped to 1. Each side is a process of its own; blocks of a few steps
alternate, so that a change of the machine's speed meets all of them.

lmprep runs as `lmprep pretrain` does: it keeps freed memory (`devices.keep_freed_memory`), and
threads that wait sleep. transformers runs as it comes; a second row shows what both settings would
give it. The verdict is on the first: exit status 1 when lmprep is not `REQUIRED` times as fast.
Let nothing else run: threads that wait awake, as theirs do, suffer most from a busy machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

ROWS, LENGTH, VOCABULARY, MASKED = 32, 128, 16_000, 19
OURS, THEIRS, TUNED = "lmprep", "transformers", "transformers, our settings"
SIDES = (OURS, THEIRS, TUNED)
REQUIRED = 1.6  # times the speed of THEIRS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="steps in a block")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        serve(arguments.side, arguments.threads)
    else:
        speeds = measure(arguments.blocks, arguments.steps, arguments.threads)
        sys.exit(show(speeds))


def measure(blocks: int, steps: int, threads: int) -> dict[str, list[float]]:
    """Tokens a second of each side in each block."""
    workers = {side: start(side, threads) for side in SIDES}
    speeds: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(blocks):
        answers = {side: ask(worker, steps) for side, worker in workers.items()}
        assert len({tokens for tokens, _ in answers.values()}) == 1, answers
        for side, (tokens, seconds) in answers.items():
            speeds[side].append(tokens / seconds)
    for worker in workers.values():
        worker.communicate("")
    return speeds


def show(speeds: Mapping[str, list[float]]) -> int:
    """Print the table and the verdict; the exit status."""
    medians = {side: statistics.median(values) for side, values in speeds.items()}
    print(f"{'':28}{'median tok/s':>14}{'lowest':>10}{'highest':>10}{'lmprep is':>12}")
    for side, values in speeds.items():
        times = medians[OURS] / medians[side]
        print(
            f"{side:28}{medians[side]:14,.0f}{min(values):10,.0f}{max(values):10,.0f}{times:11.2f}x"
        )
    reached = medians[OURS] / medians[THEIRS]
    verdict = "enough" if reached >= REQUIRED else "NOT ENOUGH"
    print(f"{verdict}: {reached:.2f} times the speed of {THEIRS}; required is {REQUIRED}")
    return 0 if reached >= REQUIRED else 1


def start(side: str, threads: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.pop("OMP_WAIT_POLICY", None)
    if side != THEIRS:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return subprocess.Popen(
        [sys.executable, __file__, "--side", side, "--threads", str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def ask(worker: subprocess.Popen[str], steps: int) -> tuple[int, float]:
    """Let a worker do a block of steps: tokens, seconds."""
    assert worker.stdin
    assert worker.stdout
    worker.stdin.write(f"{steps}\n")
    worker.stdin.flush()
    tokens, seconds = worker.stdout.readline().split()
    return int(tokens), float(seconds)


def serve(side: str, threads: int) -> None:
    """Answer each number of steps on stdin with the tokens in them and the seconds they took."""
    import torch

    torch.set_num_threads(threads)
    step = our_step() if side == OURS else their_step(keep_memory=side == TUNED)
    for _ in range(3):
        step()
    for line in sys.stdin:
        began = time.perf_counter()
        tokens = sum(step() for _ in range(int(line)))
        print(tokens, time.perf_counter() - began, flush=True)


def make_inputs() -> tuple:
    """Ids, lengths, masked positions (flat) and pair labels: the same on every side."""
    import torch

    torch.manual_seed(0)  # here: making a model may draw, and the sides make different ones
    lengths = torch.randint(LENGTH * 3 // 4, LENGTH + 1, (ROWS,))
    ids = torch.randint(5, VOCABULARY, (ROWS, LENGTH))
    masked = torch.stack([torch.randperm(LENGTH * 3 // 4)[:MASKED] for _ in range(ROWS)])
    flat = (masked + LENGTH * torch.arange(ROWS)[:, None]).flatten()
    return ids, lengths, flat, torch.randint(0, 2, (ROWS,))


def our_step() -> Callable[[], int]:
    import torch

    from lmprep.models.construction import new_model
    from lmprep.models.dropout import DropoutKey
    from lmprep.models.inputs import Inputs
    from lmprep.models.settings import model_settings
    from lmprep.settings import PretrainSettings
    from lmprep.training.batch import Batch
    from lmprep.training.devices import keep_freed_memory
    from lmprep.training.optimizers import new_optimizer
    from lmprep.training.steps import train_step

    keep_freed_memory()
    settings = PretrainSettings(model="bert-mini", steps=1)
    model = new_model(model_settings("bert-mini", vocabulary_size=VOCABULARY), seed=0)
    optimizer = new_optimizer(model, settings)
    ids, lengths, masked, pairs = make_inputs()
    batch = Batch(
        inputs=Inputs(
            ids_BL=ids.int(),
            types_BL=torch.zeros_like(ids).int(),
            lengths_B=lengths,
            scored_M=masked,
            pairs=True,
        ),
        labels_M=ids.flatten()[masked],
        kinds_M=torch.zeros(len(masked), dtype=torch.int8),
        pairs_B=pairs,
        tokens=int(lengths.sum()),
    )
    done = 0

    def step() -> int:
        nonlocal done
        key = DropoutKey(seed=0, step=done)
        train_step(model, optimizer, batch, settings, torch.bfloat16, key)
        done += 1
        return batch.tokens

    return step


def their_step(*, keep_memory: bool) -> Callable[[], int]:
    import torch
    from transformers import BertConfig, BertForPreTraining

    if keep_memory:
        from lmprep.training.devices import keep_freed_memory

        keep_freed_memory()
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
    )
    model = BertForPreTraining(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids, lengths, masked, pairs = make_inputs()
    labels = torch.full_like(ids, -100)
    labels.view(-1)[masked] = ids.flatten()[masked]
    arguments = {
        "input_ids": ids,
        "attention_mask": (torch.arange(LENGTH) < lengths[:, None]).long(),
        "token_type_ids": torch.zeros_like(ids),
        "labels": labels,
        "next_sentence_label": pairs,
    }

    def step() -> int:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**arguments).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return int(lengths.sum())

    return step


if __name__ == "__main__":
    main()
