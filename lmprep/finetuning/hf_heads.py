"""Classes of transformers that have a head like ours, and what its parts are called there.

Of text-to-text models every class will do. There is none with a chain over words (CRF), for spans,
on an LSTM or on several layers: then the folder holds the model without its head, under the class
it was pretrained as.
"""

from __future__ import annotations

from dataclasses import dataclass

from lmprep.finetuning.settings import FinetuneSettings


@dataclass(frozen=True, kw_only=True)
class HeadClass:
    """A class of transformers.

    Args:
        names: modules of our head -> theirs.
    """

    name: str
    names: dict[str, str]


_STEMS = {
    "bert": "Bert", "roberta": "Roberta", "albert": "Albert", "distilbert": "DistilBert",
    "electra": "Electra", "gpt2": "GPT2", "openai-gpt": "OpenAIGPT",
}  # fmt: skip
_ENDS = {
    "classify": "ForSequenceClassification",
    "pair": "ForSequenceClassification",
    "choice": "ForMultipleChoice",
    "tag": "ForTokenClassification",
    "qa": "ForQuestionAnswering",
}
# Of row heads: the first layer, and the scores.
_ROWS = {
    "bert": ("bert.pooler.dense", "classifier"),
    "albert": ("albert.pooler", "classifier"),
    "roberta": ("classifier.dense", "classifier.out_proj"),
    "distilbert": ("pre_classifier", "classifier"),
    "electra": ("classifier.dense", "classifier.out_proj"),
    "gpt2": ("", "score"),
    "openai-gpt": ("", "score"),
}
_CHOICES = _ROWS | {
    "roberta": ("roberta.pooler.dense", "classifier"),
    "electra": ("sequence_summary.summary", "classifier"),
}
_POSITIONS = {"tag": "classifier", "qa": "qa_outputs"}


def head_class(settings: FinetuneSettings, model_type: str, *, crf: bool) -> HeadClass | None:
    """The class for a task on a model of this type; None if there is none."""
    decoder = model_type in ("gpt2", "openai-gpt")
    plain = not crf and not settings.bilstm and settings.layers == "last"
    if model_type not in _STEMS or settings.task not in _ENDS or not plain:
        return None
    if decoder and settings.task not in ("classify", "pair"):
        return None
    name = _STEMS[model_type] + _ENDS[settings.task]
    if settings.task in _POSITIONS:
        return HeadClass(name=name, names={"output": _POSITIONS[settings.task]})
    table = _CHOICES if settings.task == "choice" else _ROWS
    dense, output = table[model_type]
    return HeadClass(name=name, names={"dense": dense, "output": output})
