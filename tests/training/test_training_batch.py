"""Rows worked by hand: inputs, labels, scored positions, what a decoder sees, what counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmprep.ragged import Ragged
from lmprep.training.batch import COPIED, CORRUPTED, MARK, Batch, make_batch
from lmprep.training.bins import Bins, one_row_each
from lmprep.training.static_shapes import Counts, filled
from lmprep.training.tasks import Task
from lmprep.vocabulary import Vocabulary
from tests.strategies import BERT

# <pad> </s> <unk> are 0 to 2, the sentinels <extra_id_0> to <extra_id_3> 99 down to 96, below them
# the modes [R] [S] [X].
T5 = Vocabulary(
    family="t5", size=100, special=(0, 1, 2, 96, 97, 98, 99), pad=0, unk=2, sep=1,
    sentinels=(99, 98, 97, 96),
)  # fmt: skip
UL2 = Vocabulary(
    family="ul2", size=100, special=(0, 1, 2, 93, 94, 95, 96, 97, 98, 99), pad=0, unk=2, sep=1,
    sentinels=(99, 98, 97, 96), modes=(93, 94, 95),
)  # fmt: skip
# <s> <pad> </s> <unk> <mask> are 0 to 4.
BART = Vocabulary(
    family="roberta", size=100, special=(0, 1, 2, 3, 4), pad=1, unk=3, cls=0, sep=2, mask=4
)
GPT2 = Vocabulary(family="gpt2", size=3000, special=(2999,), sep=2999)


def rows(*lists: list[int]) -> Ragged:
    return Ragged.from_rows(lists, np.int32)


def padded(columns: dict, task: Task, **how) -> Batch:
    """Rows in bins of their own."""
    return make_batch(columns, task, one_row_each(len(columns["input_ids"]), task.length), **how)


def bins_of(places: list[tuple[int, int]], count: int, length: int) -> Bins:
    """Bins whose rows lie at these places: bin and position."""
    bin_N, start_N = np.array(places).T
    return Bins(bin_N=bin_N, start_N=start_N, count=count, length=length)


def kinds_of(batch) -> str:
    """C for corrupted, c for copied, - for marks."""
    return "".join(
        {CORRUPTED: "C", COPIED: "c", MARK: "-"}[kind] for kind in batch.kinds_M.tolist()
    )


def test_a_masked_pair():
    columns = {
        "input_ids": rows([2, 7, 4, 3, 9, 3], [2, 4, 3, 8, 3]),
        "masked_positions": rows([2, 4], [1]),
        "masked_labels": rows([8, 9], [6]),
        "first_segment_length": np.array([4, 3], np.int32),
        "next_sentence_label": np.array([0, 1], np.int8),
    }
    batch = padded(columns, Task(objective="mlm", pairs="nsp", length=7, vocabulary=BERT))

    assert batch.inputs.ids_BL.tolist() == [[2, 7, 4, 3, 9, 3, 0], [2, 4, 3, 8, 3, 0, 0]]
    assert batch.inputs.types_BL.tolist() == [[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 0, 0]]
    assert batch.inputs.lengths_B.tolist() == [6, 5]
    assert batch.inputs.scored_M.tolist() == [2, 4, 7 + 1]
    assert batch.labels.tokens_M.tolist() == [8, 9, 6]
    assert kinds_of(batch) == "CCC"
    assert batch.inputs.firsts_P.tolist() == [0, 7]
    assert batch.labels.pairs_P.tolist() == [0, 1]
    assert batch.tokens == 11
    assert batch.inputs.documents is batch.inputs.boundaries is batch.labels.boundary_S is None
    assert batch.inputs.positions_BL is None


def test_rows_that_fill_the_length_need_no_mask_and_without_pairs_no_types():
    columns = {
        "input_ids": rows([2, 4, 3], [2, 4, 3]),
        "masked_positions": rows([1], [1]),
        "masked_labels": rows([8], [9]),
    }
    batch = padded(columns, Task(objective="mlm", length=3, vocabulary=BERT))

    assert batch.inputs.lengths_B is None
    assert batch.inputs.types_BL is None
    assert batch.labels.pairs_P is None
    assert batch.inputs.firsts_P is None


def test_packed_rows_keep_their_documents_apart():
    columns = {
        "input_ids": rows([2, 5, 3, 6, 4, 3], [2, 5, 4, 3], [2, 5, 3, 6, 3, 4, 3]),
        "masked_positions": rows([4], [2], [5]),
        "masked_labels": rows([7], [7], [7]),
        "document_starts": rows([3], [], [3, 5]),
    }
    task = Task(objective="mlm", length=8, vocabulary=BERT)
    batch = padded(columns, task)

    assert batch.inputs.documents.offsets_S.tolist() == [0, 3, 6, 8, 12, 16, 19, 21, 23, 24]
    assert batch.inputs.documents.offsets_S.dtype == torch.int32
    assert batch.inputs.documents.longest == 4
    assert batch.inputs.lengths_B is batch.inputs.positions_BL is None
    whole = padded({**columns, "document_starts": rows([], [], [])}, task)
    # Spelled out all the same, as in other batches of the step.
    assert whole.inputs.documents.offsets_S.tolist() == [0, 6, 8, 12, 16, 23, 24]
    alone = {name: column for name, column in columns.items() if name != "document_starts"}
    assert padded(alone, task).inputs.lengths_B.tolist() == [6, 4, 7]


def test_a_football_game_is_predicted_from_its_two_neighbours():
    # x1 to x12 are 11 to 22 behind [CLS]: the span x5 to x8 lies between x4 and x9.
    columns = {
        "input_ids": rows([2, 11, 12, 13, 14, 4, 4, 4, 4, 19, 20, 21, 22, 3]),
        "masked_positions": rows([5, 6, 7, 8]),
        "masked_labels": rows([15, 16, 17, 18]),
        "span_starts": rows([5]),
        "span_lengths": rows([4]),
    }
    batch = padded(columns, Task(objective="span", longest_span=9, length=16, vocabulary=BERT))
    boundaries = batch.inputs.boundaries

    assert boundaries.left_S.tolist() == [4] * 4
    assert boundaries.right_S.tolist() == [9] * 4
    assert boundaries.offset_S.tolist() == [0, 1, 2, 3]
    assert batch.labels.boundary_S.tolist() == [15, 16, 17, 18]
    football = batch.labels.boundary_S.tolist().index(17)
    assert boundaries.offset_S[football] + 1 == 3  # p3: the paper counts from 1


def test_special_tokens_are_boundaries_and_a_span_without_both_has_no_targets():
    columns = {
        # Two spans between [CLS], 12 and [SEP]; a row whose spans touch its ends; one like the
        # first.
        "input_ids": rows([2, 4, 12, 4, 4, 3], [4, 11, 4, 13, 4], [2, 4, 3]),
        "masked_positions": rows([1, 3, 4], [0, 2, 4], [1]),
        "masked_labels": rows([21, 22, 23], [24, 25, 26], [27]),
        "span_starts": rows([1, 3], [0, 2, 4], [1]),
        "span_lengths": rows([1, 2], [1, 1, 1], [1]),
    }
    batch = padded(columns, Task(objective="span", longest_span=9, length=8, vocabulary=BERT))
    boundaries = batch.inputs.boundaries

    assert batch.labels.boundary_S.tolist() == [21, 22, 23, 25, 27]
    assert boundaries.left_S.tolist() == [0, 2, 2, 8 + 1, 16 + 0]
    assert boundaries.right_S.tolist() == [2, 5, 5, 8 + 3, 16 + 2]
    assert boundaries.offset_S.tolist() == [0, 0, 1, 0, 0]
    assert batch.labels.tokens_M.tolist() == [21, 22, 23, 24, 25, 26, 27]


def test_the_next_word_is_predicted_within_a_row():
    # "I saw a cat ." and, in a second row, two documents of which one goes on.
    columns = {
        "input_ids": rows([39, 1592, 10, 2548, 5, 2999], [7, 2999, 8, 9]),
        "document_starts": rows([], [2]),
    }
    batch = padded(columns, Task(objective="clm", length=6, vocabulary=GPT2))

    assert batch.inputs.ids_BL.tolist() == [
        [39, 1592, 10, 2548, 5, 2999],
        [7, 2999, 8, 9, 2999, 2999],
    ]
    assert batch.inputs.scored_M.tolist() == [0, 1, 2, 3, 4, 6, 7, 8]
    assert batch.labels.tokens_M.tolist() == [1592, 10, 2548, 5, 2999, 2999, 8, 9]
    assert kinds_of(batch) == "CCCC--CC"
    assert batch.inputs.documents.offsets_S.tolist() == [0, 6, 8, 10, 12]
    assert batch.inputs.decoder_ids_BK is None
    assert batch.tokens == 10


def test_a_row_of_one_token_predicts_nothing():
    columns = {"input_ids": rows([2999], [7, 8])}
    batch = padded(columns, Task(objective="clm", length=6, vocabulary=GPT2))

    assert batch.inputs.scored_M.tolist() == [6]
    assert batch.labels.tokens_M.tolist() == [8]


# The eleven tokens of the textbook row are 11 to 21.
def denoised(inputs: list[int], targets: list[int], noise: str):
    """A batch of this row and of a shorter one."""
    columns = {
        "input_ids": rows([*inputs, 1], [11, 1]),
        "labels": rows([*targets, 1], [11, 1]),
        "noise_positions": rows([2, 3, 8], []),  # drop-tokens
    }
    return padded(columns, Task(objective="t5", noise=noise, length=16, vocabulary=T5))


@pytest.mark.parametrize(
    ("noise", "inputs", "targets", "kinds", "tokens"),
    [
        (
            "random-spans", [11, 12, 99, 16, 98, 20, 21], [99, 13, 14, 15, 98, 17, 18, 19],
            "-CCC-CCC-", 11,
        ),
        (
            "replace-spans", [11, 12, 99, 15, 16, 17, 18, 98, 20, 21], [99, 13, 14, 98, 19],
            "-CC-C-", 11,
        ),
        ("drop-tokens", [11, 12, 15, 16, 17, 18, 20, 21], [13, 14, 19], "CCC-", 11),
        (
            "bert-style", [11, 12, 99, 99, 15, 16, 17, 18, 55, 20, 21], [*range(11, 22)],
            "ccCCccccCcc-", 11,
        ),
        (
            "mass", [11, 12, 99, 99, 15, 16, 17, 18, 99, 20, 21], [*range(11, 22)],
            "ccCCccccCcc-", 11,
        ),
        (
            "deshuffle", [11, 13, 12, 14, 21, 20, 19, 18, 17, 16, 15], [*range(11, 22)],
            "CCCCCCCCCCC-", 11,
        ),
        ("prefix-lm", [11, 12, 13, 14], [15, 16, 17, 18, 19, 20, 21], "CCCCCCC-", 11),
    ],
)  # fmt: skip
def test_the_seven_noises_of_t5(noise, inputs, targets, kinds, tokens):
    batch = denoised(inputs, targets, noise)
    width = len(targets) + 1
    short = {"bert-style": "c-", "mass": "c-"}.get(noise, "C-")  # its inputs show its only token

    assert batch.inputs.ids_BL[0].tolist() == [*inputs, 1] + [0] * (15 - len(inputs))
    assert batch.inputs.lengths_B.tolist() == [len(inputs) + 1, 2]
    assert batch.inputs.decoder_ids_BK.tolist() == [
        [0, *targets],
        [0, 11, 1, *[0] * (width - 3)],
    ]
    assert batch.inputs.scored_M.tolist() == [*range(width), width, width + 1]
    assert batch.labels.tokens_M.tolist() == [*targets, 1, 11, 1]
    assert kinds_of(batch) == kinds + short
    # The second row counts twice where inputs and targets are parts of the text, not copies.
    second = 1 if noise in ("bert-style", "mass", "deshuffle") else 2
    assert batch.tokens == tokens + second
    assert batch.inputs.documents is batch.inputs.types_BL is None


def test_an_unknown_token_is_text_and_a_final_sentinel_is_not():
    columns = {"input_ids": rows([99, 12, 1]), "labels": rows([99, 2, 98, 1])}
    batch = padded(columns, Task(objective="t5", noise="random-spans", length=16, vocabulary=T5))

    assert kinds_of(batch) == "-C--"


def test_a_mode_token_is_no_text():
    columns = {
        "input_ids": rows([93, 11, 99, 14, 1], [94, 11, 12, 99, 1]),
        "labels": rows([99, 12, 13, 1], [99, 13, 14, 15, 1]),
        "denoiser": np.array([0, 2], np.int8),
    }
    batch = padded(columns, Task(objective="ul2", length=8, vocabulary=UL2))

    assert batch.inputs.decoder_ids_BK.tolist() == [[0, 99, 12, 13, 1], [0, 99, 13, 14, 15]]
    assert batch.inputs.scored_M.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert kinds_of(batch) == "-CC--CCC-"
    assert batch.tokens == 4 + 5


def test_bart_tells_what_it_has_hidden_and_starts_with_the_end_token():
    # Text 11 to 16: 12 and 13 became one mask token, 15 was deleted, a mask token was inserted.
    columns = {
        "input_ids": rows([0, 11, 4, 4, 14, 16, 2], [0, 12, 11, 2]),
        "labels": rows([0, 11, 12, 13, 14, 15, 16, 2], [0, 11, 12, 2]),
        "noise_positions": rows([2, 3, 5], []),
    }
    batch = padded(columns, Task(objective="bart", length=8, vocabulary=BART))

    assert batch.inputs.ids_BL.tolist()[1] == [0, 12, 11, 2, 1, 1, 1, 1]
    assert batch.inputs.decoder_ids_BK.tolist() == [
        [2, 0, 11, 12, 13, 14, 15, 16],
        [2, 0, 11, 12, 2, 1, 1, 1],
    ]
    assert kinds_of(batch) == "-cCCcCc--cc-"
    assert batch.inputs.scored_M.tolist() == [*range(8), 8, 9, 10, 11]
    assert batch.tokens == 6 + 2


def test_a_slice_of_rows_takes_its_own_values():
    # The values of a slice are those of the whole, its offsets begin later.
    def slice_of(*lists: list[int]) -> Ragged:
        whole = rows([7, 7, 7], *lists)
        return Ragged(whole.values, whole.offsets[1:])

    masked = {
        "input_ids": slice_of([2, 4, 3]),
        "masked_positions": slice_of([1]),
        "masked_labels": slice_of([8]),
        "span_starts": slice_of([1]),
        "span_lengths": slice_of([1]),
        "document_starts": slice_of([2]),
    }
    batch = padded(masked, Task(objective="span", longest_span=9, length=3, vocabulary=BERT))
    assert (batch.inputs.scored_M.tolist(), batch.labels.tokens_M.tolist()) == ([1], [8])
    assert batch.labels.boundary_S.tolist() == [8]
    assert batch.inputs.documents.offsets_S.tolist() == [0, 2, 3]

    whole = {"input_ids": slice_of([15, 16, 17])}
    batch = padded(whole, Task(objective="clm", length=3, vocabulary=GPT2))
    assert batch.labels.tokens_M.tolist() == [16, 17]

    noisy = {
        "input_ids": slice_of([0, 4, 12, 2]),
        "labels": slice_of([0, 11, 12, 2]),
        "noise_positions": slice_of([1]),
    }
    batch = padded(noisy, Task(objective="bart", length=4, vocabulary=BART))
    assert batch.labels.tokens_M.tolist() == [0, 11, 12, 2]
    assert kinds_of(batch) == "-Cc-"


def test_rows_that_share_a_bin_keep_their_positions_types_labels_and_firsts():
    # Bins of 9: rows of 5 and 3 tokens and a place of padding; one of 4 tokens; nothing.
    columns = {
        "input_ids": rows([2, 7, 3, 4, 3], [2, 4, 3], [2, 4, 4, 3]),
        "masked_positions": rows([3], [1], [1, 2]),
        "masked_labels": rows([8], [9], [10, 11]),
        "span_starts": rows([3], [1], [1]),
        "span_lengths": rows([1], [1], [2]),
        "first_segment_length": np.array([3, 3, 2], np.int32),
        "sentence_order_label": np.array([1, 0, 1], np.int8),
    }
    task = Task(objective="span", pairs="sop", length=9, vocabulary=BERT, longest_span=3)
    batch = make_batch(columns, task, bins_of([(0, 0), (0, 5), (1, 0)], 3, 9), row=4)
    inputs = batch.inputs

    assert inputs.ids_BL.tolist() == [
        [2, 7, 3, 4, 3, 2, 4, 3, 0], [2, 4, 4, 3, 0, 0, 0, 0, 0], [0] * 9,
    ]  # fmt: skip
    assert inputs.positions_BL.tolist() == [
        [0, 1, 2, 3, 4, 0, 1, 2, 0], [0, 1, 2, 3, 0, 0, 0, 0, 0], [0] * 9,
    ]  # fmt: skip
    assert inputs.types_BL.tolist() == [
        [0, 0, 0, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0, 0, 0], [0] * 9,
    ]  # fmt: skip
    assert inputs.documents.offsets_S.tolist() == [0, 5, 8, 9, 13, 18, 27]
    assert inputs.documents.longest == 9
    assert inputs.lengths_B is None
    assert inputs.scored_M.tolist() == [3, 6, 10, 11]
    assert inputs.firsts_P.tolist() == [0, 5, 9]
    assert inputs.boundaries.left_S.tolist() == [2, 5, 9, 9]
    assert inputs.boundaries.right_S.tolist() == [4, 7, 12, 12]
    assert batch.labels.tokens_M.tolist() == [8, 9, 10, 11]
    assert batch.labels.pairs_P.tolist() == [1, 0, 1]
    assert (batch.tokens, batch.row) == (12, 4)


def test_documents_within_rows_that_share_a_bin_are_runs_but_positions_go_on():
    columns = {
        "input_ids": rows([7, 2999, 8], [9, 10, 2999, 11]),
        "document_starts": rows([2], [3]),
    }
    task = Task(objective="clm", length=8, vocabulary=GPT2)
    inputs = make_batch(columns, task, bins_of([(0, 0), (0, 3)], 1, 8)).inputs

    assert inputs.documents.offsets_S.tolist() == [0, 2, 3, 6, 7, 8]
    assert inputs.positions_BL.tolist() == [[0, 1, 2, 0, 1, 2, 3, 0]]
    assert inputs.scored_M.tolist() == [0, 1, 3, 4, 5]


def test_counts_are_filled_up_with_what_has_no_loss():
    columns = {
        "input_ids": rows([2, 7, 3, 4, 3], [2, 4, 3]),
        "masked_positions": rows([3], [1]),
        "masked_labels": rows([8], [9]),
        "span_starts": rows([3], [1]),
        "span_lengths": rows([1], [1]),
        "next_sentence_label": np.array([1, 0], np.int8),
    }
    task = Task(objective="span", pairs="nsp", length=8, vocabulary=BERT, longest_span=3)
    bins = bins_of([(0, 0), (0, 5)], 1, 8)
    batch = make_batch(columns, task, bins, counts=Counts(scored=4, firsts=3, runs=5))
    inputs, labels = batch.inputs, batch.labels

    assert inputs.scored_M.tolist() == [3, 6, 0, 0]
    assert labels.tokens_M.tolist() == [8, 9, -100, -100]
    assert batch.kinds_M.tolist() == [CORRUPTED, CORRUPTED, -1, -1]
    assert inputs.firsts_P.tolist() == [0, 5, 0]
    assert labels.pairs_P.tolist() == [1, 0, -100]
    assert labels.boundary_S.tolist() == [8, 9, -100, -100]
    assert inputs.boundaries.offset_S.tolist() == [0, 0, 0, 0]
    assert inputs.documents.offsets_S.tolist() == [0, 5, 8, 8, 8, 8]
    assert inputs.documents.longest == 8


def test_a_batch_with_more_than_usual_loses_nothing():
    columns = {"input_ids": rows([5, 6, 7, 8, 9, 10, 11, 12])}
    task = Task(objective="clm", length=8, vocabulary=GPT2)
    batch = padded(columns, task, counts=Counts(scored=4, firsts=1, runs=0))

    assert batch.labels.tokens_M.tolist() == [6, 7, 8, 9, 10, 11, 12]


def test_counts_grow_by_quarters():
    assert [filled(needed, 64) for needed in (0, 64, 65, 80, 81, 129)] == [64, 64, 80, 80, 96, 144]
    assert filled(5, 0) == 5


def test_an_encoder_decoder_takes_its_widths_from_the_step():
    columns = {"input_ids": rows([99, 12, 1]), "labels": rows([99, 2, 1])}
    task = Task(objective="t5", noise="random-spans", length=16, vocabulary=T5)
    bins = one_row_each(1, 5).with_count(2)
    batch = make_batch(columns, task, bins, targets=4)

    assert batch.inputs.ids_BL.tolist() == [[99, 12, 1, 0, 0], [0] * 5]
    assert batch.inputs.decoder_ids_BK.tolist() == [[0, 99, 2, 1], [0] * 4]
    assert batch.inputs.lengths_B.tolist() == [3, 1]  # an empty bin shows one token of padding
    assert batch.inputs.scored_M.tolist() == [0, 1, 2]


@pytest.mark.parametrize("places", [[(0, 0), (0, 2)], [(0, 0), (0, 6)]])
def test_rows_that_overlap_or_leave_their_bin_are_refused(places):
    columns = {"input_ids": rows([5, 6, 7], [8, 9, 10])}
    task = Task(objective="clm", length=8, vocabulary=GPT2)
    with pytest.raises(ValueError, match="does not fit into its place"):
        make_batch(columns, task, bins_of(places, 1, 8))
