"""Small files of every task, with rules that a small model can learn."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.corpora import SYLLABLES

COLOURS, NUMBERS = ("bake", "lomi"), ("nura", "sote")


def words(rng: random.Random, count: int) -> list[str]:
    """Words that no rule looks at."""
    return ["".join(rng.choices(SYLLABLES[6:], k=2)) for _ in range(count)]


def write(task: str, path: Path, examples: int = 48, seed: int = 0) -> Path:
    """A file of a task: `path` with the task's usual suffix."""
    rng = random.Random(seed)
    made = [_WRITERS[task](rng, number) for number in range(examples)]
    headers = {"classify": "text\tlabel\n", "pair": "sentence1\tsentence2\tlabel\n"}
    path = path.with_suffix(
        {"classify": ".tsv", "pair": ".tsv", "tag": ".conll", "span": ".conll", "qa": ".json"}.get(
            task, ".jsonl"
        )
    )
    text = headers.get(task, "") + "".join(made)
    if task == "qa":
        paragraphs = [json.loads(each) for each in made]
        text = json.dumps({"data": [{"paragraphs": paragraphs}]})
    path.write_text(text, encoding="utf-8")
    return path


def _classify(rng: random.Random, number: int) -> str:
    """Which of two words occurs."""
    which = number % 2
    text = words(rng, rng.randint(2, 6))
    text.insert(rng.randint(0, len(text)), COLOURS[which])
    return f"{' '.join(text)}\t{('low', 'high')[which]}\n"


def _pair(rng: random.Random, number: int) -> str:
    """Whether the second text begins with one word or the other."""
    which = number % 2
    first, second = words(rng, rng.randint(1, 4)), words(rng, rng.randint(1, 4))
    return f"{' '.join(first)}\t{COLOURS[which]} {' '.join(second)}\t{('no', 'yes')[which]}\n"


def _choice(rng: random.Random, number: int) -> str:
    """The choice that has a certain word; two or three choices."""
    choices = [" ".join(words(rng, 2)) for _ in range(2 + number % 2)]
    right = rng.randrange(len(choices))
    choices[right] = f"{COLOURS[0]} {choices[right]}"
    record = {"context": " ".join(words(rng, 3)), "choices": choices, "label": right}
    return json.dumps(record) + "\n"


def _tag(rng: random.Random, number: int) -> str:
    """Colours are B-C, a number behind one I-C; everything else O."""
    lines = []
    for word in words(rng, rng.randint(1, 4)):
        lines.append(f"{word}\tO")
        if rng.random() < 0.5:
            lines.append(f"{COLOURS[0]}\tB-C")
            lines += [f"{NUMBERS[0]}\tI-C"] * rng.randint(0, 1)
        elif rng.random() < 0.5:
            lines.append(f"{COLOURS[1]}\tB-D")
    if number == 0:
        lines = [f"{COLOURS[0]}\tB-C", f"{NUMBERS[0]}\tI-C", f"{COLOURS[1]}\tB-D", "zuzu\tO"]
    return "\n".join(lines) + "\n\n"


def _qa(rng: random.Random, number: int) -> str:
    """The word behind the one asked for."""
    before, after = words(rng, rng.randint(1, 4)), words(rng, 2)
    answer = rng.choice(NUMBERS)
    context = " ".join([*before, answer, *after])
    start = len(" ".join(before)) + 1
    entry = {
        "id": f"q{number}",
        "question": COLOURS[0],
        "answers": [{"answer_start": start, "text": answer}],
    }
    return json.dumps({"context": context, "qas": [entry]})


_WRITERS = {
    "classify": _classify, "pair": _pair, "choice": _choice, "tag": _tag, "span": _tag, "qa": _qa,
}  # fmt: skip
