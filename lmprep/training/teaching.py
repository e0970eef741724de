"""Distillation: a teacher that is there already, and a student that begins as a part of it.

DistilBERT (arXiv:1910.01108), section 3: the student is as wide as its teacher with half of the
layers, and begins with every second one of them, its embeddings and its head. In general layer i of
s begins as layer floor(i * t / s) of the teacher's t: 0 2 4 6 8 10 of 12 for a student of 6 (the
paper's code: 0 2 4 7 9 11). A student without token types gets the teacher's vector of the first
type, which every token of an unpaired text has, as a part of its positions.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lmprep.errors import CheckpointError, UsageError
from lmprep.models.construction import outline
from lmprep.models.encoder import EncoderModel
from lmprep.models.settings import ModelSettings
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.fit import check_shape
from lmprep.training.initial import Initial, check_vocabulary
from lmprep.training.pretrained import Pretrained, find_pretrained
from lmprep.training.tasks import Task

_log = logging.getLogger("lmprep")

# What a student must have as its teacher has it to begin with its weights.
_SHAPE = (
    "width", "heads", "head_width", "feed_forward", "embedding_width", "shared_layers", "positions",
    "max_length", "position_offset", "norm", "norm_place", "embedding_norm", "bias", "activation",
    "scaled_attention",
)  # fmt: skip
_LAYER = re.compile(r"encoder\.blocks\.(\d+)\.(.*)")
_HEADS = ("encoder.pooler.", "pair_head.", "span_boundary_head.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Teacher:
    """A model to learn from.

    Args:
        found: its shape and weights.
        sha256: of its weights.
    """

    found: Pretrained
    sha256: str

    def model(self, device: torch.device) -> EncoderModel:
        """The model, to be asked and not to be trained."""
        model = outline(self.found.settings)
        assert isinstance(model, EncoderModel)
        wanted = model.state_dict().keys()
        missing = [n for n in wanted - self.found.tensors.keys() if not n.startswith(_HEADS)]
        if missing:
            raise CheckpointError(
                f"it has no {min(missing)}",
                path=self.found.description,
                fix="Take weights and configuration of the same model",
            )
        model.to_empty(device="cpu")
        tensors = {k: v.float() for k, v in self.found.tensors.items() if k in wanted}
        model.load_state_dict(tensors, strict=False)
        return model.to(device).eval().requires_grad_(False)


def find_teacher(source: str, task: Task, tokenizer: Path) -> Teacher:
    """The teacher by a run folder, a Hugging Face folder or a hub name.

    Raises:
        UsageError: there is no such model, or it cannot teach this task.
        CheckpointError: its files are damaged.
    """
    found = find_pretrained(source)
    if task.model_kind != "encoder" or task.replaces:
        raise UsageError(
            f"--teacher does not go with the objective {task.objective}",
            fix="Distil on mlm, whole-word, ngram or span",
        )
    path = Path(found.description)
    check_shape(found.settings, task.objective, task.length, path=path)
    if "masked_token_head.bias" not in found.tensors or found.settings.has_generator:
        raise UsageError(
            "a teacher needs a head of masked tokens, which this model has not",
            path=path,
            fix="Give the run or the folder of a masked language model",
        )
    check_vocabulary(found, task, tokenizer)
    return Teacher(found=found, sha256=_sha256(found.tensors))


def check_student(settings: PretrainSettings, student: ModelSettings, teacher: Teacher) -> None:
    """Raise `UsageError` when states are to be compared that have different widths."""
    width = teacher.found.settings.width
    if settings.cosine_weight and student.width != width:
        raise UsageError(
            f"the student is {student.width} wide, its teacher {width}: no cosine of their states",
            fix="Leave that loss out with --set cosine_weight=0, or take a student as wide",
        )


def student_start(teacher: Teacher, student: ModelSettings) -> Initial | None:
    """The student's first weights; None, and a warning, when its shape is not a part of the
    teacher's."""
    theirs, description = teacher.found.settings, teacher.found.description
    for name in _SHAPE:
        if getattr(theirs, name) != getattr(student, name):
            _log.warning(
                "%s: its %s is %s, the student's %s; the student begins with fresh weights.",
                description, name, getattr(theirs, name), getattr(student, name),
            )  # fmt: skip
            return None
    if student.layers > theirs.layers:
        _log.warning(
            "%s: it has %d layers, the student %d; the student begins with fresh weights.",
            description, theirs.layers, student.layers,
        )  # fmt: skip
        return None
    chosen = {i * theirs.layers // student.layers: i for i in range(student.layers)}
    tensors = {}
    for name, tensor in teacher.found.tensors.items():
        if found := _LAYER.fullmatch(name):
            if int(found[1]) in chosen:
                tensors[f"encoder.blocks.{chosen[int(found[1])]}.{found[2]}"] = tensor
        elif not name.startswith(_HEADS):
            tensors[name] = tensor
    if theirs.types and student.types != theirs.types:
        types_TE = tensors.pop("encoder.types.weight")
        tensors["encoder.positions.weight"] = tensors["encoder.positions.weight"] + types_TE[0]
    return Initial(student, _fitted(tensors, student), description)


def _fitted(tensors: dict[str, Tensor], student: ModelSettings) -> dict[str, Tensor]:
    """Tables of the vocabulary with the student's rows: it may have fewer tokens."""
    state = outline(student).state_dict()
    cut = {name: t[: len(state[name])] if name in state else t for name, t in tensors.items()}
    size = student.vocabulary_size
    for name in ("encoder.tokens.weight", "masked_token_head.bias"):
        cut[name] = cut[name].clone()
        cut[name][size:] = 0  # rows that only fill up
    return cut


def _sha256(tensors: dict[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        values = tensors[name].contiguous().cpu().flatten().view(torch.uint8)
        found.update(values.numpy().tobytes())
    return found.hexdigest()
