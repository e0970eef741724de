"""Zero-, one- and few-shot classification: no weight changes, examples stand in the prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from lmprep.errors import InputError, UsageError
from lmprep.finetuning.reading import Record, format_of, read_records
from lmprep.finetuning.scores import Figures, label_figures
from lmprep.inference.faults import RowFault, naming_lines
from lmprep.inference.pretrained import Asked, ask
from lmprep.keyed_random import key_for, permutation
from lmprep.prompting.scoring import Question, is_asked, label_scores, question_of
from lmprep.prompting.template import Template, load_template

_AT_ONCE = 256  # questions between two reports


@dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """How often, and with how many examples, a task is asked.

    Args:
        shots: numbers of examples in the prompt, each measured by itself.
        seeds: draws of the examples, for a mean and its spread; without examples there is one.
        seed: of the first of them.
        label_field: the column of the label.
        format: of the files; empty: told by their suffix.
        most: test examples at most, the first ones; None for all.
    """

    shots: tuple[int, ...] = (0, 1, 4, 8)
    seeds: int = 3
    seed: int = 0
    label_field: str = "label"
    format: str = ""
    most: int | None = None

    def __post_init__(self) -> None:
        if not self.shots or min(self.shots) < 0 or len(set(self.shots)) < len(self.shots):
            raise ValueError(f"shots {self.shots} must be different numbers from 0 up")
        if self.seeds < 1:
            raise ValueError(f"seeds {self.seeds} must be at least 1")
        if self.most is not None and self.most < 1:
            raise ValueError(f"most {self.most} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Example:
    """Texts by their slot, the label, and the line."""

    values: Mapping[str, str]
    label: str
    line: int = 0


def prompt(
    source: str,
    task: Path,
    test: Path,
    settings: PromptSettings,
    *,
    train: Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    on_questions: Callable[[int, int], object] = lambda done, total: None,
) -> dict[str, Any]:
    """Measure a model on a task that it is only told about.

    Args:
        source: a run, a folder of Hugging Face's layout or a name on its hub.
        task: the template.
        test: what is asked.
        train: what examples are drawn from.
        on_questions: called with the number of questions answered, and of all.

    Returns:
        `examples` asked; `majority`, the figures of always giving the test's commonest label;
        `shots`, for each number of them `accuracy` and `f1_macro` with mean and sd (null of one
        seed), `seeds` one by one, and `shortened`, the share of prompts with fewer examples than
        asked for, which the model's length left no room for.

    Raises:
        UsageError: files, template and model do not go together.
        InputError: a file has a fault.
    """
    template = load_template(task)
    tested = _read(test, template, settings)[: settings.most]
    pool = _read(train, template, settings) if train is not None else []
    if max(settings.shots) > len(pool):
        where = f"{train} has {len(pool)}" if train is not None else "there is no file of examples"
        raise UsageError(
            f"{max(settings.shots)} shots are asked for, but {where}",
            fix="Give --train a file with more, or fewer --shots",
        )
    asked = ask(source, device=device, precision=precision)
    if not is_asked(asked):
        raise UsageError(
            "it cannot be asked for a label: it writes whole texts, and has no sentinels",
            path=source,
            fix="Give a decoder such as GPT, or a T5",
        )
    right = [example.label for example in tested]
    asking = _Asking(asked, template, test, tested, pool, settings, on_questions)
    commonest = Counter(right).most_common(1)[0][0]
    return {
        "model": asked.description,
        "examples": len(tested),
        "majority": label_figures(right, [commonest] * len(right)),
        "shots": {str(shots): asking.figures(shots) for shots in settings.shots},
    }


@dataclass
class _Asking:
    """A model, a task and its examples; counts the questions."""

    asked: Asked
    template: Template
    test: Path
    tested: Sequence[Example]
    pool: Sequence[Example]
    settings: PromptSettings
    report: Callable[[int, int], object]
    done: int = 0

    def figures(self, shots: int) -> dict[str, Any]:
        """Of one number of shots, over seeds."""
        first = self.settings.seed
        found = [self._of_seed(shots, seed) for seed in range(first, first + self._draws(shots))]
        each = [figures for figures, _ in found]
        shown = {name: _spread([one[name] for one in each]) for name in ("accuracy", "f1_macro")}
        shortened = fmean(share for _, share in found)
        return {**shown, "seeds": each, "shortened": shortened}

    def _draws(self, shots: int) -> int:
        return self.settings.seeds if shots else 1

    def _of_seed(self, shots: int, seed: int) -> tuple[Figures, float]:
        """The figures, and the share of prompts with fewer examples."""
        names, template = list(self.template.labels), self.template
        examples = drawn(self.pool, names, shots, seed)
        told = [template.told(example.values, example.label) for example in examples]
        given: list[str] = []
        shortened = 0
        for first in range(0, len(self.tested), _AT_ONCE):
            part = self.tested[first : first + _AT_ONCE]
            with naming_lines([example.line for example in part], self.test):
                fitted = [
                    _fitting(self.asked, template, told, number, example)
                    for number, example in enumerate(part)
                ]
            shortened += sum(kept < shots for _, kept in fitted)
            best = label_scores(self.asked, [question for question, _ in fitted]).argmax(1)
            given += [names[number] for number in best]
            self.done += len(part)
            draws = sum(map(self._draws, self.settings.shots))
            self.report(self.done, len(self.tested) * draws)
        right = [example.label for example in self.tested]
        return label_figures(right, given), shortened / len(self.tested)


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": fmean(values), "sd": stdev(values) if len(values) > 1 else None}


def _fitting(
    asked: Asked, template: Template, told: Sequence[str], number: int, example: Example
) -> tuple[Question, int]:
    """The question with as many examples as there is room for, the first ones left out."""
    limit = asked.limit()
    for left_out in range(len(told) + 1):
        text = template.prompt(told[left_out:], example.values)
        question = question_of(asked, text, list(template.labels.values()))
        # An encoder-decoder writes the label in positions of its own.
        written = max(map(len, question.labels)) if asked.kind == "decoder" else 0
        if limit is None or len(question.prompt) + written <= limit:
            return question, len(told) - left_out
    what = f"its {len(question.prompt)} tokens do not fit the model's {limit} positions"
    raise RowFault(number, what, "Shorten the text, or the template")


def drawn(pool: Sequence[Example], labels: Sequence[str], count: int, seed: int) -> list[Example]:
    """Examples for the prompt: drawn by seed, the labels in turn as far as they go.

    More shots of the same seed have those of fewer among them, so that a curve over their number
    shows the number and not another draw.
    """
    order = permutation(len(pool), key_for(seed, "shots")).tolist() if pool else []
    by_label = {label: [i for i in order if pool[i].label == label] for label in labels}
    chosen: list[Example] = []
    turn = 0
    while len(chosen) < count:
        ready = by_label[labels[turn % len(labels)]]
        if ready:
            chosen.append(pool[ready.pop(0)])
        turn += 1
    return chosen


def _read(path: Path, template: Template, settings: PromptSettings) -> list[Example]:
    records = read_records(path, format_of(path, settings.format))
    if not records:
        raise InputError("has no examples", path=path, fix="Give a file with rows")
    return [_example(record, template, settings.label_field, path) for record in records]


def _example(record: Record, template: Template, label_field: str, path: Path) -> Example:
    for name in (*template.slots, label_field):
        if name not in record.values:
            raise InputError(
                f"has no {name}",
                path=path,
                line=record.line,
                fix="Name slots of the template, and --label-field, after columns of the file",
            )
    label = str(record.values[label_field])
    if label not in template.labels:
        raise InputError(
            f"has the label {label!r}, which the template does not write",
            path=path,
            line=record.line,
            fix=f"Add it under [labels]: now there are {', '.join(template.labels)}",
        )
    values = {name: str(record.values[name]) for name in template.slots}
    return Example(values=values, label=label, line=record.line)
