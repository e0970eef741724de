"""Speed of every objective's `corrupt` on one core, beside two peers. Run by hand:

    python tests/benchmarks/kernel_speed.py [--rows 2000] [--repeats 7] [--only span,t5]

Rows whose inputs are of 512 tokens, of synthetic text: ids by Zipf's law, words of one to four
tokens (1.4 on average), sentences of 25. A figure is tokens of input, before corruption, per second
of `corrupt` alone, the best of the repeats; the kernels are compiled before. clm, electra and bilm
keep their rows as they are: theirs is the price of the call.

The peers see the same rows: `transformers.DataCollatorForLanguageModeling` (torch, batches of 32
rows as Python lists, as `datasets` gives them; padded dense labels are its work too), and span
corruption as T5's users write it in NumPy, row by row.

Exit status 1 when an objective is slower than is required of it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

# Before NumPy's and torch's libraries start threads.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from lmprep.batches import Sequences
from lmprep.keyed_random import key_for, sub_keys
from lmprep.objective_settings import FORMS, NOISES
from lmprep.objectives import OBJECTIVES, electra
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary

LENGTH, SIZE, SENTENCE = 512, 32_000, 25
FAST, ENOUGH = 20.0, 10.0  # millions of tokens a second
MUST_BE_FAST = ("mlm", "whole-word", "span", "t5 random-spans", "bart")
MLM_PEER, SPAN_PEER = "transformers MLM collator", "NumPy spans, row by row"

VOCABULARIES = {
    "bert": Vocabulary(
        family="bert", size=SIZE, special=(0, 1, 2, 3, 4), pad=0, unk=1, cls=2, sep=3, mask=4
    ),
    "roberta": Vocabulary(
        family="roberta", size=SIZE, special=(0, 1, 2, 3, 4), pad=1, unk=3, cls=0, sep=2, mask=4
    ),
    "t5": Vocabulary(
        family="t5",
        size=SIZE,
        special=(0, 1, 2, *range(SIZE - 100, SIZE)),
        pad=0,
        sep=1,
        unk=2,
        sentinels=tuple(range(SIZE - 1, SIZE - 101, -1)),
    ),
    "ul2": Vocabulary(
        family="ul2",
        size=SIZE,
        special=(0, 1, 2, *range(SIZE - 259, SIZE)),
        pad=0,
        sep=1,
        unk=2,
        sentinels=tuple(range(SIZE - 1, SIZE - 257, -1)),
        modes=(SIZE - 259, SIZE - 258, SIZE - 257),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the table: something that takes `tokens` of input whenever it runs."""

    name: str
    tokens: int
    run: Callable[[], object]
    peer: str = ""

    @property
    def required(self) -> float:
        return FAST if self.name in MUST_BE_FAST else ENOUGH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", default="", help="beginnings of names, parted by commas")
    arguments = parser.parse_args()
    wanted = tuple(arguments.only.split(","))
    ours = [entry for entry in objectives(arguments.rows) if entry.name.startswith(wanted)]
    theirs = list(peers(min(arguments.rows, 640)))
    speeds = measure(ours + theirs, arguments.repeats)
    sys.exit(show(ours, theirs, speeds))


def measure(entries: list[Entry], repeats: int) -> dict[str, float]:
    """Millions of tokens a second, the best of the repeats; all entries once in each round."""
    best = {entry.name: float("inf") for entry in entries}
    for _ in range(1 + repeats):  # kernels compile in the first, whose time is never the best
        for entry in entries:
            began = time.perf_counter()
            entry.run()
            best[entry.name] = min(best[entry.name], time.perf_counter() - began)
    return {entry.name: entry.tokens / best[entry.name] / 1e6 for entry in entries}


def show(ours: list[Entry], theirs: list[Entry], speeds: dict[str, float]) -> int:
    """Print the table and the verdict; the exit status."""
    print(f"{'':28}{'Mtok/s':>10}{'required':>10}   against its peer")
    for entry in ours:
        speed = speeds[entry.name]
        beside = f"{speed / speeds[entry.peer]:7.1f}x  {entry.peer}" if entry.peer else ""
        print(f"{entry.name:28}{speed:10.1f}{entry.required:10.0f}   {beside}".rstrip())
    for entry in theirs:
        print(f"{entry.name:28}{speeds[entry.name]:10.2f}")
    slow = [entry.name for entry in ours if speeds[entry.name] < entry.required]
    print(f"NOT ENOUGH: {', '.join(slow)}" if slow else "enough")
    return 1 if slow else 0


def objectives(rows: int) -> Iterator[Entry]:
    """An entry for each objective of the table, for each noise of T5, and ELECTRA's masking."""
    for name, objective in OBJECTIVES.items():
        form = FORMS[name]
        for noise in NOISES if name == "t5" else [""]:
            settings = form.settings(**({"noise": noise} if noise else {}))
            vocabulary = VOCABULARIES[form.families[0]]
            sequences = make_rows(objective, settings, vocabulary, rows)
            yield Entry(
                name=f"{name} {noise}".strip(),
                tokens=len(sequences.ids),
                run=caller(objective.corrupt, sequences, settings, vocabulary),
                peer=peer_of(objective),
            )
            if name == "electra":
                yield Entry(
                    name="electra, masks in training",
                    tokens=len(sequences.ids),
                    run=caller(electra.mask_for_generator, sequences, vocabulary),
                    peer=MLM_PEER,
                )


def caller(function: Callable[..., object], sequences: Sequences, *rest: Any) -> Any:
    keys = sub_keys(key_for(0, "kernel speed"), np.arange(len(sequences)))
    return lambda: function(sequences, *rest, keys)


def peer_of(objective: Any) -> str:
    if objective.raw_lengths is not None:
        return SPAN_PEER
    return MLM_PEER if objective.draws and "mask" in objective.needs else ""


def make_rows(objective: Any, settings: Any, vocabulary: Vocabulary, rows: int) -> Sequences:
    """Rows in the frame of the objective, full."""
    lengths, denoiser = np.full(rows, LENGTH), None
    if objective.raw_lengths is not None:
        key = key_for(0, "denoisers")
        lengths, denoiser = objective.raw_lengths(settings, vocabulary, LENGTH, key, rows)
    offsets = offsets_of(lengths)
    ids, word_start = make_text(int(offsets[-1]), vocabulary)
    firsts = offsets[:-1]
    if objective.frame in ("template", "segments"):
        ids[firsts], ids[offsets[1:] - 1] = vocabulary.cls, vocabulary.sep
    if objective.frame == "segments":
        ids[firsts + LENGTH // 2] = vocabulary.sep
    if objective.frame == "ended":
        ids[:: 20 * SENTENCE] = vocabulary.sep
    word_start[firsts] = True
    maskable = vocabulary.maskable[ids]
    numbers = np.arange(SENTENCE, LENGTH, SENTENCE)
    return Sequences(
        ids=ids,
        word_start=word_start | ~maskable,
        maskable=maskable,
        offsets=offsets,
        document=np.arange(rows),
        first_sentence=np.zeros(rows, np.int32),
        sentence_starts=Ragged(
            np.tile(numbers, rows).astype(np.int32), np.arange(rows + 1) * len(numbers)
        ),
        denoiser=denoiser,
    )


def make_text(tokens: int, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """Ids by Zipf's law, and which of them begin a word."""
    random = np.random.default_rng(0)
    ordinary = vocabulary.replacements
    ranks = len(ordinary) ** random.random(tokens)  # density in proportion to 1 / rank
    sizes = random.choice([1, 2, 3, 4], p=[0.75, 0.13, 0.08, 0.04], size=tokens)
    word_start = np.zeros(tokens, np.bool_)
    starts = np.cumsum(sizes)
    word_start[starts[starts < tokens]] = True
    return ordinary[ranks.astype(np.int64) - 1].copy(), word_start


def peers(rows: int) -> Iterator[Entry]:
    """What users have without lmprep."""
    vocabulary = VOCABULARIES["bert"]
    masked = make_rows(OBJECTIVES["mlm"], None, vocabulary, rows)
    lists = masked.ids.reshape(rows, LENGTH).tolist()
    special = (~masked.maskable).astype(int).reshape(rows, LENGTH).tolist()
    examples = [
        {"input_ids": ids, "special_tokens_mask": mask}
        for ids, mask in zip(lists, special, strict=True)
    ]
    collate = mlm_collator(vocabulary)
    yield Entry(
        name=MLM_PEER,
        tokens=rows * LENGTH,
        run=lambda: [collate(examples[i : i + 32]) for i in range(0, rows, 32)],
    )
    raw = make_text(rows * 568, VOCABULARIES["t5"])[0].reshape(rows, 568)
    random = np.random.default_rng(0)
    yield Entry(
        name=SPAN_PEER,
        tokens=raw.size,
        run=lambda: [numpy_spans(row, random) for row in raw],
    )


def mlm_collator(vocabulary: Vocabulary) -> Callable[[list[dict[str, Any]]], Any]:
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {name: i for i, name in enumerate([*names, *map(str, range(5, vocabulary.size))])}
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="[UNK]")),
        **dict(zip(roles, names, strict=True)),
    )
    return DataCollatorForLanguageModeling(tokenizer)


def numpy_spans(row: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """T5's spans of one row: 0.15 of the tokens, 3 tokens in a span on average."""
    noise = round(len(row) * 0.15)
    spans = round(noise / 3)
    lengths = np.stack([parts(len(row) - noise, spans, random), parts(noise, spans, random)], 1)
    is_noise = np.repeat(np.tile([False, True], spans), lengths.ravel())
    return hide(row, is_noise), hide(row, ~is_noise)


def parts(total: int, count: int, random: np.random.Generator) -> np.ndarray:
    cuts = random.choice(total - 1, count - 1, replace=False) + 1
    return np.diff(np.sort(cuts), prepend=0, append=total)


def hide(row: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Each run of hidden tokens as one sentinel, and the end token."""
    first = hidden & ~np.concatenate([[False], hidden[:-1]])
    with_sentinels = np.where(first, SIZE - np.cumsum(first), row)
    return np.append(with_sentinels[~hidden | first], 1)


if __name__ == "__main__":
    main()
