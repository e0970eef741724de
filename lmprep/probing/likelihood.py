"""How likely a model finds whole texts; of masked models by their pseudo-log-likelihood.

B rows, L positions, M masked places.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmprep.errors import InputError, UsageError
from lmprep.finetuning.reading import lines_of, read_text
from lmprep.inference.faults import naming_lines, refuse_long
from lmprep.inference.pretrained import Asked
from lmprep.inference.writers import end_of
from lmprep.models.decoder import DecoderModel
from lmprep.models.encoder import EncoderModel
from lmprep.models.inputs import Inputs
from lmprep.training.devices import computing_in

_CELLS = 1 << 24  # logits that are computed at once
_POSITIONS = 1 << 16  # of rows with a mask
OnTexts = Callable[[int, int], object]


def log_likelihoods(
    asked: Asked, texts: Sequence[str], on_texts: OnTexts = lambda done, total: None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The sum of the log-probabilities (nats) of each text's tokens, and their number.

    Of a decoder each token behind those before it, the end of the text included. Of a masked model
    each token masked by itself, all others visible (pseudo-log-likelihood, arXiv:1910.14659).

    Raises:
        UsageError: the model is of another kind.
        RowFault: a text is longer than it takes.
    """
    model = asked.model
    if isinstance(model, DecoderModel):
        rows = _with_ends(asked, texts)
        score = _causal
    elif isinstance(model, EncoderModel) and asked.vocabulary.mask is not None:
        rows = asked.marked(list(texts))
        score = _masked
    else:
        raise UsageError(
            f"texts are not scored by a model of kind {asked.kind}", path=asked.description,
            fix="Give a decoder or a masked model",
        )  # fmt: skip
    refuse_long(rows, asked.limit())
    sums, counts = np.empty(len(rows)), np.empty(len(rows), np.int64)
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    for done, part in enumerate(_parts(asked, rows, order), 1):
        sums[part], counts[part] = score(asked, [rows[number] for number in part])
        on_texts(min(done * len(part), len(rows)), len(rows))
    return sums, counts


def _with_ends(asked: Asked, texts: Sequence[str]) -> list[list[int]]:
    """Rows of a decoder: the end of another text, the text, its end."""
    end = end_of(asked)
    return [[end, *ids, end] for ids in asked.plain(list(texts))]


def _parts(asked: Asked, rows: list[list[int]], order: list[int]) -> list[list[int]]:
    """Rows of like length together, as many as there is room for."""
    width = asked.model.settings.vocabulary_size
    parts: list[list[int]] = [[]]
    for number in order:
        cells = (len(parts[-1]) + 1) * len(rows[number]) * width
        if parts[-1] and cells > _CELLS:
            parts.append([])
        parts[-1].append(number)
    return parts


@torch.no_grad()
def _causal(asked: Asked, rows: list[list[int]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    model = asked.model
    ids_BL, lengths_B = asked.batch(rows)
    longest = ids_BL.shape[1]
    inside_BL = torch.arange(1, longest, device=model.device) < lengths_B[:, None]
    row_M, place_M = inside_BL.nonzero(as_tuple=True)
    inputs = Inputs(ids_BL=ids_BL, scored_M=row_M * longest + place_M)
    return _summed(asked, inputs, ids_BL[row_M, place_M + 1], row_M, len(rows))


@torch.no_grad()
def _masked(asked: Asked, rows: list[list[int]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Every token but special ones in a row of its own, in which it is masked."""
    device, mask = asked.model.device, asked.vocabulary.mask
    assert mask is not None
    ids_BL, lengths_B = asked.batch(rows)
    fixed = torch.tensor([i for i in asked.vocabulary.special if i != asked.vocabulary.unk])
    inside_BL = torch.arange(ids_BL.shape[1], device=device) < lengths_B[:, None]
    row_M, place_M = (inside_BL & ~torch.isin(ids_BL, fixed.to(device))).nonzero(as_tuple=True)
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    at_once = max(1, _POSITIONS // ids_BL.shape[1])
    for row_C, place_C in zip(
        torch.split(row_M, at_once), torch.split(place_M, at_once), strict=True
    ):
        hidden_CL = ids_BL[row_C]
        numbers_C = torch.arange(len(row_C), device=device)
        right_C = hidden_CL[numbers_C, place_C]
        hidden_CL[numbers_C, place_C] = mask
        scored_C = numbers_C * ids_BL.shape[1] + place_C
        inputs = Inputs(ids_BL=hidden_CL, lengths_B=lengths_B[row_C], scored_M=scored_C)
        more, seen = _summed(asked, inputs, right_C, row_C, len(rows))
        sums += more
        counts += seen
    return sums, counts


def _summed(
    asked: Asked, inputs: Inputs, right_M: torch.Tensor, row_M: torch.Tensor, rows: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    with computing_in(asked.precision, asked.model.device):
        logits_MV = asked.model(inputs).logits_MV
    chances_M = logits_MV.float().log_softmax(-1).gather(1, right_M[:, None].long())[:, 0]
    row = row_M.cpu().numpy()
    sums = np.bincount(row, chances_M.double().cpu().numpy(), minlength=rows).astype(np.float64)
    return sums, np.bincount(row, minlength=rows).astype(np.int64)


def text_figures(
    asked: Asked,
    path: Path,
    most: int | None = None,
    on_texts: OnTexts = lambda done, total: None,
) -> dict[str, Any]:
    """Perplexity of a text's lines, of masked models pseudo-perplexity; bits a byte and a word.

    Returns:
        `kind`, `perplexity` or `pseudo-perplexity`; `texts`, `tokens`; `cross_entropy` in nats a
        token, its exponential `perplexity`, and `bits_per_byte` and `bits_per_word`, over the UTF-8
        bytes of the texts and the words that spaces part: comparable across tokenizers.
    """
    lines = [(n, line) for n, line in lines_of(read_text(path)) if line.strip()][:most]
    if not lines:
        raise InputError("has no text to score", path=path, fix="Give a file with lines of text")
    texts = [line for _, line in lines]
    with naming_lines([number for number, _ in lines], path):
        sums, counts = log_likelihoods(asked, texts, on_texts)
    nats, tokens = -float(sums.sum()), int(counts.sum())
    return {
        "kind": "perplexity" if asked.kind == "decoder" else "pseudo-perplexity",
        "texts": len(texts),
        "tokens": tokens,
        "cross_entropy": nats / tokens,
        "perplexity": math.exp(nats / tokens),
        "bits_per_byte": nats / math.log(2) / sum(len(text.encode()) for text in texts),
        "bits_per_word": nats / math.log(2) / sum(len(text.split()) for text in texts),
    }


def minimal_pair_figures(
    asked: Asked, path: Path, most: int | None = None, on_texts: OnTexts = lambda d, t: None
) -> dict[str, Any]:
    """How often the good sentence of a pair is found likelier than the bad one (BLiMP,
    arXiv:1912.00582).

    Args:
        path: JSON lines with `sentence_good`, `sentence_bad` and, if there are kinds, `UID`.
        most: pairs of each kind at most, the first ones.

    Returns:
        `accuracy`, over all pairs, `pairs`, and `by_kind`, accuracy and pairs of each UID. Equal
        ones count half; chance is 0.5.

    Raises:
        InputError: a line is no pair.
    """
    kinds: list[str] = []
    texts: list[str] = []
    places: list[int] = []
    seen: dict[str, int] = {}
    for number, line in lines_of(read_text(path)):
        if not line.strip():
            continue
        pair = _pair(line, number, path)
        kind = str(pair.get("UID", ""))
        seen[kind] = seen.get(kind, 0) + 1
        if most is None or seen[kind] <= most:
            kinds.append(kind)
            texts += [pair["sentence_good"], pair["sentence_bad"]]
            places += [number, number]
    if not kinds:
        raise InputError("has no pairs", path=path, fix="Give JSON lines with two sentences")
    with naming_lines(places, path):
        sums, _ = log_likelihoods(asked, texts, on_texts)
    good, bad = sums[::2], sums[1::2]
    right = (good > bad) + 0.5 * (good == bad)
    names = np.array(kinds)
    by_kind = {
        kind: {"accuracy": float(right[names == kind].mean()), "pairs": int((names == kind).sum())}
        for kind in dict.fromkeys(kinds)
        if kind
    }
    return {
        "kind": "minimal pairs",
        "accuracy": float(right.mean()),
        "pairs": len(kinds),
        "of": sum(seen.values()),
        "by_kind": by_kind,
    }


def _pair(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        pair = json.loads(line)
        if not all(isinstance(pair[name], str) for name in ("sentence_good", "sentence_bad")):
            raise ValueError("the sentences are no texts")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"not a pair of sentences ({error})",
            path=path,
            line=number,
            fix='Write {"sentence_good": ..., "sentence_bad": ...}',
        ) from None
    return dict(pair)
