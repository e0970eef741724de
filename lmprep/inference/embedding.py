"""Vectors of texts: hidden states of a model, pooled.

B rows, L positions, E width of the features.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from lmprep.finetuning.network import feature_width, features
from lmprep.finetuning.rows import inputs_of, rows_of, sorted_groups
from lmprep.finetuning.settings import LAYERS
from lmprep.inference.pretrained import Asked
from lmprep.training.devices import computing_in

POOLING = ("mean", "first", "last")
POOLED_LAYERS = tuple(name for name in LAYERS if name != "learned-mix")
_LONGEST = 512
_BATCH = 64


@torch.no_grad()
def embedded(
    asked: Asked, texts: Sequence[str], *, pooling: str = "mean", layers: str = "last"
) -> NDArray[np.float32]:
    """A vector for each text: float32 [N, E]. Texts are cut to what the model takes.

    Args:
        pooling: the mean over the text's tokens, special ones included; the first token, which is
            `[CLS]` or `<s>` of models that have one; or the last, which alone knows all of a
            decoder's text.
        layers: one of `POOLED_LAYERS`.
    """
    limit = asked.limit()
    length = min(_LONGEST, limit or _LONGEST)
    rows = rows_of(asked.encoder.texts(list(texts)).ids, None, asked.vocabulary, length)
    model, pad = asked.model, asked.vocabulary.pad or 0
    found: list[NDArray[np.float32]] = []
    order = sorted_groups(rows, _BATCH)
    for chosen in order:
        inputs, lengths_B = inputs_of(rows, chosen, model.settings, pad, model.device)
        with computing_in(asked.precision, model.device):
            x_BLE = features(model, inputs, layers)[:, :, 0].float()
        if pooling == "first":
            pooled_BE = x_BLE[:, 0]
        elif pooling == "last":
            pooled_BE = x_BLE[torch.arange(len(chosen), device=model.device), lengths_B - 1]
        else:
            inside_BL1 = torch.arange(x_BLE.shape[1], device=model.device)[None, :, None]
            inside_BL1 = inside_BL1 < lengths_B[:, None, None]
            pooled_BE = x_BLE.masked_fill(~inside_BL1, 0).sum(1) / lengths_B[:, None]
        found.append(pooled_BE.cpu().numpy())
    vectors = np.empty((len(texts), found[0].shape[1]), np.float32)
    vectors[np.concatenate(order)] = np.concatenate(found)
    return vectors


def write_embedded(
    asked: Asked,
    batches: Iterable[list[tuple[int, str]]],
    sink: IO[bytes],
    *,
    form: str,
    pooling: str,
    layers: str,
) -> None:
    """Write the vectors of lines.

    Args:
        batches: of `lines.read_lines`.
        form: `npy`, which is held in memory until the end, or `arrow`: a stream with the columns
            text and vector.
    """
    width = feature_width(asked.model.settings, layers)
    vectors = [np.empty((0, width), np.float32)]
    schema = pa.schema({"text": pa.large_string(), "vector": pa.list_(pa.float32(), width)})
    stream = pa.ipc.new_stream(sink, schema) if form == "arrow" else None
    for batch in batches:
        texts = [text for _, text in batch]
        found = embedded(asked, texts, pooling=pooling, layers=layers)
        if stream is None:
            vectors.append(found)
            continue
        column = pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), width)
        stream.write_batch(pa.record_batch([pa.array(texts, pa.large_string()), column], schema))
    if stream is None:
        np.save(sink, np.concatenate(vectors), allow_pickle=False)
    else:
        stream.close()
