"""Sentinels: each run of noise becomes one, in the inputs and before its tokens in the targets.

T5 (arXiv:1910.10683), section 3.1.4 and figure 2. The i-th run has sentinel i on both sides,
wherever the row begins; in T5's code a row that begins with noise shifts one side by one.

    tokens 10 11 12 13 14 15, noise 10 11 and 14, sentinels 999 998 ...
    inputs  999 12 13 998 15 </s>       targets  999 10 11 998 14 </s>
                                        final    999 10 11 998 14 997 </s>
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, kernel
from lmprep.objectives.row_ends import end_token
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary


def splice(
    text: Ragged,
    noise: NDArray[np.bool_],
    vocabulary: Vocabulary,
    *,
    final_sentinel: bool = False,
    modes: NDArray[np.int32] | None = None,
) -> tuple[Ragged, Ragged]:
    """Inputs and targets of rows of raw tokens: int32, ragged, each row with its end token.

    Args:
        text: int32 [T], N rows.
        noise: bool [T], which tokens are noise.
        final_sentinel: close the targets with one more sentinel.
        modes: int32 [N], a token that opens the inputs of each row.

    Raises:
        ValueError: a row has more runs of noise than the vocabulary has sentinels.
    """
    counts, runs = _count(noise, text.offsets)
    needed = int(runs.max(initial=0)) + final_sentinel
    if needed > len(vocabulary.sentinels):
        raise ValueError(
            f"a row needs {needed} sentinels; this vocabulary has {len(vocabulary.sentinels)}"
        )
    lead = np.empty((len(text), 0), np.int32) if modes is None else modes.reshape(-1, 1)
    inputs = offsets_of(lead.shape[1] + text.lengths - counts + runs + 1)
    targets = offsets_of(counts + runs + final_sentinel + 1)
    input_ids, target_ids = np.empty(inputs[-1], np.int32), np.empty(targets[-1], np.int32)
    _splice(
        text.values,
        text.offsets,
        noise,
        np.array(vocabulary.sentinels, np.int32),
        end_token(vocabulary),
        final_sentinel,
        lead,
        input_ids,
        target_ids,
    )
    return Ragged(input_ids, inputs), Ragged(target_ids, targets)


def unsplice(inputs: Ragged, targets: Ragged, vocabulary: Vocabulary, *, lead: int = 0) -> Ragged:
    """The raw tokens again: int32, ragged. The inputs open with `lead` other tokens."""
    is_sentinel = np.zeros(vocabulary.size, np.bool_)
    is_sentinel[list(vocabulary.sentinels)] = True
    sentinels = [
        _sentinels_in(rows.values, rows.offsets, is_sentinel) for rows in (inputs, targets)
    ]
    lengths = inputs.lengths - lead - 1 - sentinels[0] + targets.lengths - 1 - sentinels[1]
    if (lengths < 0).any():
        raise ValueError("a row has no end token, or less than its mode token")
    offsets = offsets_of(lengths)
    out = np.empty(offsets[-1], np.int32)
    _unsplice(
        inputs.values,
        inputs.offsets,
        targets.values,
        targets.offsets,
        is_sentinel,
        lead,
        out,
    )
    return Ragged(out, offsets)


@kernel
def _count(
    noise: NDArray[np.bool_], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Noise tokens and runs of them in each row, int64 [N] each."""
    counts, runs = np.zeros(len(offsets) - 1, np.int64), np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(counts)):
        previous = False
        for i in range(offsets[row], offsets[row + 1]):
            counts[row] += noise[i]
            runs[row] += noise[i] and not previous
            previous = noise[i]
    return counts, runs


@bare_kernel
def _splice(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    noise: NDArray[np.bool_],
    sentinels: NDArray[np.int32],
    end: int,
    final_sentinel: bool,
    lead: NDArray[np.int32],
    inputs: NDArray[np.int32],
    targets: NDArray[np.int32],
) -> None:
    """Write inputs and targets, row after row; lead: int32 [N, tokens that open the inputs]."""
    to, into = 0, 0
    for row in range(len(offsets) - 1):
        for token in lead[row]:
            inputs[to] = token
            to += 1
        run, previous = 0, False
        for i in range(offsets[row], offsets[row + 1]):
            if noise[i]:
                if not previous:
                    inputs[to] = targets[into] = sentinels[run]
                    to, into, run = to + 1, into + 1, run + 1
                targets[into] = ids[i]
                into += 1
            else:
                inputs[to] = ids[i]
                to += 1
            previous = noise[i]
        if final_sentinel:
            targets[into] = sentinels[run]
            into += 1
        inputs[to] = targets[into] = end
        to, into = to + 1, into + 1


@kernel
def _sentinels_in(
    ids: NDArray[np.int32], offsets: NDArray[np.int64], is_sentinel: NDArray[np.bool_]
) -> NDArray[np.int64]:
    counts = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(counts)):
        for i in range(offsets[row], offsets[row + 1]):
            counts[row] += is_sentinel[ids[i]]
    return counts


@bare_kernel
def _unsplice(
    inputs: NDArray[np.int32],
    input_offsets: NDArray[np.int64],
    targets: NDArray[np.int32],
    target_offsets: NDArray[np.int64],
    is_sentinel: NDArray[np.bool_],
    lead: int,
    out: NDArray[np.int32],
) -> None:
    """Put what follows each sentinel of the targets in the place of that of the inputs.

    Rows that no objective made, as with a sentinel for an end, may hold more than `out`.
    """
    to, most = 0, len(out)
    for row in range(len(input_offsets) - 1):
        next_noise, stop = target_offsets[row], target_offsets[row + 1] - 1
        for i in range(input_offsets[row] + lead, input_offsets[row + 1] - 1):
            if not is_sentinel[inputs[i]] and to < most:
                out[to] = inputs[i]
                to += 1
                continue
            next_noise += 1
            while next_noise < stop and to < most and not is_sentinel[targets[next_noise]]:
                out[to] = targets[next_noise]
                to, next_noise = to + 1, next_noise + 1
