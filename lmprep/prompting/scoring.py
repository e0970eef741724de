"""How likely a model finds each label behind a prompt.

A label's score is the mean log-probability of its tokens: their sum would favour short labels. The
prompt is read once for all labels.

B prompts, C labels, R = B C rows, K tokens of a label, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.finetuning.rows import marks_of
from lmprep.inference.pretrained import Asked, writing_model
from lmprep.inference.writers import Writer, end_of
from lmprep.models.decoder import DecoderModel

_CELLS = 1 << 25  # logits that are computed at once


@dataclass(frozen=True, kw_only=True)
class Question:
    """A prompt and the labels that may follow, as ids.

    Args:
        prompt: of a decoder the row up to the label; of an encoder-decoder what the encoder reads.
        labels: what may follow, at least one id each.
    """

    prompt: tuple[int, ...]
    labels: tuple[tuple[int, ...], ...]


def question_of(asked: Asked, prompt: str, labels: Sequence[str]) -> Question:
    """Encode a prompt with each label behind it.

    The label's tokens are those that end behind the prompt's last character that is no space: so
    a space before the label belongs to its first token, as it does in running text.
    """
    bare = prompt.rstrip()
    space = prompt[len(bare) :]
    if asked.kind == "encoder-decoder":
        return _for_t5(asked, bare, labels)
    placed = asked.encoder.texts([bare + space + label for label in labels])
    rows, firsts = [], []
    for number in range(len(labels)):
        start, stop = placed.ids.offsets[number : number + 2]
        ids = placed.ids.values[start:stop].tolist()
        firsts.append(int((placed.ends[start:stop] <= len(bare)).sum()))
        rows.append(ids)
    shared = _shared(rows, min(firsts))
    before = rows[0][:shared] or [end_of(asked)]
    return Question(prompt=tuple(before), labels=tuple(tuple(row[shared:]) for row in rows))


def _shared(rows: list[list[int]], most: int) -> int:
    """How many ids all rows begin with, `most` at most."""
    for place in range(most):
        if len({row[place] for row in rows}) > 1:
            return place
    return most


def _for_t5(asked: Asked, prompt: str, labels: Sequence[str]) -> Question:
    """A text with a gap at its end; the label is what is written into it.

    Pretrained on spans, T5 writes the sentinel first. BART's gap is a mask, and it writes the
    whole text: only T5's and UL2's kind of gap is asked for.
    """
    (sentinel,) = asked.vocabulary.sentinels[:1]
    opening, _, closing = marks_of(asked.vocabulary, pair=False)
    row = [*opening, *asked.plain([prompt])[0], sentinel, *closing]
    written = asked.plain(list(labels))
    return Question(prompt=tuple(row), labels=tuple((sentinel, *ids) for ids in written))


def label_scores(asked: Asked, questions: Sequence[Question]) -> NDArray[np.float64]:
    """The mean log-probability of each label's tokens: float64 [N, C].

    Args:
        questions: of C labels each.
    """
    found = np.empty((len(questions), len(questions[0].labels)))
    longest = max(len(label) for question in questions for label in question.labels)
    rows = found.shape[1] * longest * asked.model.settings.vocabulary_size
    at_once = max(1, _CELLS // rows)
    order = np.argsort([len(question.prompt) for question in questions], kind="stable")
    for first in range(0, len(order), at_once):
        chosen = order[first : first + at_once]
        found[chosen] = _scores(asked, [questions[number] for number in chosen])
    return found


@torch.no_grad()
def _scores(asked: Asked, questions: Sequence[Question]) -> NDArray[np.float64]:
    writer = Writer(asked, [question.prompt for question in questions])
    count = len(questions[0].labels)
    device = asked.model.device
    writer.keep_rows(torch.arange(len(questions), device=device).repeat_interleave(count))
    labels = [label for question in questions for label in question.labels]
    longest = max(map(len, labels))
    labels_RK = torch.tensor([[*label, *[0] * (longest - len(label))] for label in labels])
    labels_RK = labels_RK.to(device)
    lengths_R = torch.tensor([len(label) for label in labels], device=device)
    chances_RK = _chances(writer, labels_RK)
    inside_RK = torch.arange(longest, device=device) < lengths_R[:, None]
    if asked.kind == "encoder-decoder":
        inside_RK[:, 0] = False  # the sentinel, which is the same for all
        lengths_R = lengths_R - 1
    sums_R = chances_RK.masked_fill(~inside_RK, 0).double().sum(1)
    scores: NDArray[np.float64] = (sums_R / lengths_R).view(-1, count).cpu().numpy()
    return scores


def _chances(writer: Writer, labels_RK: Tensor) -> Tensor:
    """The log-probability of each token of the labels: [R, K]."""
    first_R = _picked(writer.logits_BV, labels_RK[:, 0])
    if labels_RK.shape[1] == 1:
        return first_R[:, None]
    logits_RKV = writer.read_on(labels_RK[:, :-1])
    return torch.cat((first_R[:, None], _picked(logits_RKV, labels_RK[:, 1:])), 1)


def _picked(logits: Tensor, ids: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]


def is_asked(asked: Asked) -> bool:
    """Whether a model's labels can be judged so."""
    return isinstance(writing_model(asked), DecoderModel) or bool(asked.vocabulary.sentinels)
