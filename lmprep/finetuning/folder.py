"""The folder of `lmprep finetune -o DIR`: what is in it, and how it is loaded again.

    from lmprep.finetuning.folder import load_finetuned

    model = load_finetuned("DIR")               # the seed that was best on dev; or "DIR/seed-3"
    model.task, model.labels                    # "classify", ["negative", "positive"]
    model.predict([{"text": "A fine film."}])   # [{"label": "positive", "scores": {...}}]

DIR/results.json           figures of every seed, means and standard deviations; written last: a
                           folder without it is unfinished
DIR/settings.json          what the command was given
DIR/seed-N/                one training, the folder complete or absent:
    task.json              the task, its labels, all settings, what was learnt beside the weights
    config.json            the model's class of transformers and its shape; of a model that no
                           class is, {"model": ModelSettings, "vocabulary": ...}
    model.safetensors      the model's weights, under the names of that class, else under ours;
                           with those of the head where transformers has a class with such a head
                           (task.json names it as "hf_class": it loads without lmprep)
    head.safetensors       the head's weights under our names; none of a text-to-text model
    tokenizer.json ...     the tokenizer, whole
    result.json            this seed's figures, losses and best epoch
    predictions-dev.*      what it says of the dev and the test file: .tsv (classify, pair,
    predictions-test.*     choice), .conll (tag), .jsonl (span), .json as SQuAD's own programs
                           read it (qa)

What `predict` takes, one dictionary for each example, and gives, one for each, in order:

    task       takes                                    gives
    classify   text                                     label, scores {label: probability}
    pair       text, second                             label, scores {label: probability}
    choice     text (the context), choices [text]       choice (from 0), scores [probability]
    tag        words [text], or text (cut at spaces)    words, tags [label]
    span       words [text], or text (cut at spaces)    words, spans [[first, last, label]], both
                                                        ends included, words counted from 0
    qa         question, context                        answer ("" for none), start, end (code
                                                        points in context; None for none), score

Of a span model that may find no label for a span, spans without one are not listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lmprep.errors import CheckpointError, UsageError
from lmprep.finetuning.network import Network
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.start import build_network, copy_weights
from lmprep.finetuning.tasks import task_for
from lmprep.finetuning.tokens import TextEncoder
from lmprep.finetuning.training import Reader
from lmprep.models.initialization import initialize
from lmprep.models.settings import ModelSettings
from lmprep.settings import settings_from
from lmprep.shards.reader import vocabulary_from
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.training.devices import choose_device, choose_precision
from lmprep.training.pretrained import Pretrained, find_pretrained

TASK, CONFIG, WEIGHTS, HEAD = "task.json", "config.json", "model.safetensors", "head.safetensors"
RESULTS, RESULT, SETTINGS = "results.json", "result.json", "settings.json"


def seed_folder(folder: str | Path) -> Path:
    """The folder of one seed: the one given, or the best on dev of those in DIR.

    Raises:
        UsageError: there is no fine-tuned model.
        CheckpointError: a file of it is damaged.
    """
    path = Path(folder)
    if (path / TASK).is_file():
        return path
    if (path / RESULTS).is_file():
        return path / f"seed-{read_json(path / RESULTS)['best_seed']}"
    raise UsageError(
        "there is no fine-tuned model here: neither results.json nor task.json",
        path=path,
        fix="Give the folder that `lmprep finetune` wrote with -o",
    )


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file of the folder."""
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise CheckpointError("the file is missing", path=path, fix="Fine-tune again") from None
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"not a JSON object ({error})", path=path, fix="Fine-tune again"
        ) from None


class FineTuned:
    """A fine-tuned model, ready to answer.

    Args:
        folder: of one seed.
        device: a value of `pretrain_settings.DEVICES`.
        precision: a value of `pretrain_settings.PRECISIONS`.
    """

    def __init__(self, folder: Path, *, device: str = "auto", precision: str = "auto") -> None:
        described = read_json(folder / TASK)
        try:
            self.settings = settings_from(FinetuneSettings, described["settings"])
            vocabulary = vocabulary_from(described["vocabulary"])
            found = _pretrained(folder)
            self._task = task_for(self.settings, found.settings, vocabulary)
            self._task.state.update(described["state"])
            self._length = int(described["length"])
            model_type = str(described["model_type"])
        except (KeyError, ValueError) as error:
            raise CheckpointError(
                f"is not such a file ({error})", path=folder / TASK, fix="Fine-tune again"
            ) from None
        self.task: str = self.settings.task
        self.labels: list[str] = self._task.labels
        self.folder = folder
        self._encoder = TextEncoder(tokenizer_folder.load(folder, vocabulary.family))
        self._pad = vocabulary.pad or 0
        network = build_network(found.settings, model_type, self._task, self.settings)
        _load_into(network, found, folder)
        self._network = network.to(choose_device(device))
        self._precision = choose_precision(precision, self._network.device)

    def predict(
        self, examples: Iterable[Mapping[str, Any]], batch_size: int = 64
    ) -> list[dict[str, Any]]:
        """Answers for examples; see the top of this file for what they are.

        Raises:
            UsageError: an example lacks what the task takes.
        """
        asked = [self._task.example(example) for example in examples]
        if not asked:
            return []
        rows = self._task.rows(asked, self._encoder, self._length)
        reader = Reader(rows, self._network, self._pad)
        outputs = reader.outputs(self._task, batch_size, self._precision)
        answers = self._task.answers(outputs, rows, asked)
        return [
            self._task.shown(answer, example)
            for answer, example in zip(answers, asked, strict=True)
        ]


def load_finetuned(
    folder: str | Path, *, device: str = "auto", precision: str = "auto"
) -> FineTuned:
    """A model that `lmprep finetune` wrote: of DIR its best seed, or DIR/seed-N.

    Raises:
        UsageError: there is none.
        CheckpointError: its files are damaged.
    """
    return FineTuned(seed_folder(folder), device=device, precision=precision)


def _pretrained(folder: Path) -> Pretrained:
    """The model without its head, in either layout."""
    config = read_json(folder / CONFIG)
    if "model_type" in config:
        found = find_pretrained(str(folder))
        settings = found.settings
        if settings.kind == "encoder":
            settings = replace(settings, pooler=False)
        return replace(found, settings=settings)
    return Pretrained(
        settings=settings_from(ModelSettings, config["model"]),
        tensors=_read_tensors(folder / WEIGHTS),
        tokenizer=folder,
        description=str(folder),
    )


def _load_into(network: Network, found: Pretrained, folder: Path) -> None:
    """Give a network its weights."""
    initialize(network.model, network.model.settings, seed=0)  # heads that are not kept
    copy_weights(network.model, found.tensors, str(folder))
    head = {n: p for n, p in network.state_dict().items() if not n.startswith("model.")}
    stored = _read_tensors(folder / HEAD) if head else {}
    if {n: p.shape for n, p in head.items()} != {n: p.shape for n, p in stored.items()}:
        raise CheckpointError(
            "its tensors are not those of such a head", path=folder / HEAD, fix="Fine-tune again"
        )
    network.load_state_dict(stored, strict=False)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"not a readable safetensors file ({error})", path=path, fix="Fine-tune again"
        ) from None
