from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmprep.models.construction import outline
from lmprep.models.inputs import IGNORED, Boundaries, Documents, Inputs, Labels
from lmprep.models.settings import ModelSettings, model_settings
from lmprep.training import throughput
from lmprep.training.batch import Batch
from lmprep.training.throughput import Work, batch_flops, datasheet_peak, flops_of, peak, work_of

MEGA, GIGA = 1e6, 1e9


def a_token(name: str, vocabulary: int, length: int, share: float, **changes: object) -> float:
    """FLOPs a token of rows of `length` tokens of which a share is scored."""
    rows = 1000
    tokens = rows * length
    work = Work(tokens=tokens, squares=tokens * length, scored=round(share * tokens))
    return flops_of(model_settings(name, vocabulary_size=vocabulary, **changes), work) / tokens


# Published figures, and those of the project's notes: MFLOP a token of a training step.
@pytest.mark.parametrize(
    ("name", "vocabulary", "length", "share", "expected"),
    [
        ("bert-base", 30_522, 128, 0.15, 545),
        ("bert-base", 30_522, 512, 0.15, 588),
        ("bert-large", 30_522, 128, 0.15, 1879),
        ("bert-large", 30_522, 512, 0.15, 1992),
        ("roberta-base", 50_265, 512, 0.15, 602),
        ("gpt2-small", 50_257, 1024, 1, 798),
    ],
)
def test_flops_a_token_are_the_known_ones(name, vocabulary, length, share, expected):
    assert a_token(name, vocabulary, length, share) / MEGA == pytest.approx(expected, rel=0.01)


def test_a_model_of_half_the_layers_is_distilbert():
    found = a_token("bert-base", 30_522, 512, 0.15, layers=6)

    assert found / MEGA == pytest.approx(305, rel=0.01)


def test_counting_the_masked_half_of_attention_gives_the_figure_of_palm():
    masked_half = 6 * 12 * 768 * 1024

    assert (a_token("gpt2-small", 50_257, 1024, 1) + masked_half) / MEGA == pytest.approx(
        854, rel=0.01
    )


@pytest.mark.parametrize(
    ("name", "vocabulary", "targets", "expected"),
    [("t5-base", 32_128, 114, 425.2), ("bart-base", 50_265, 512, 459)],
)
def test_flops_an_example_of_an_encoder_decoder_are_the_known_ones(
    name, vocabulary, targets, expected
):
    work = Work(
        tokens=512,
        squares=512**2,
        scored=targets,
        decoder_tokens=targets,
        decoder_squares=targets**2,
        crossed=512 * targets,
    )
    found = flops_of(model_settings(name, vocabulary_size=vocabulary), work)

    assert found / GIGA == pytest.approx(expected, rel=0.01)


def products(settings: ModelSettings, skipped: tuple[str, ...]) -> int:
    """Weights of the blocks' and other matrices that every token goes through, by the model."""
    names = dict(outline(settings).named_parameters())
    return sum(
        p.numel()
        for name, p in names.items()
        if p.ndim == 2 and not any(part in name for part in skipped)
    )


@pytest.mark.parametrize("activation", ["gelu", "gated-gelu", "gated-silu"])
@pytest.mark.parametrize("narrow", [0, 4])
def test_six_flops_for_each_weight_that_a_token_meets(activation, narrow):
    settings = ModelSettings(
        layers=2,
        width=8,
        heads=2,
        head_width=3,
        feed_forward=20,
        vocabulary_size=50,
        activation=activation,
        embedding_width=narrow,
    )
    tables = ("tokens", "positions", "types", "pooler", "head.")

    assert flops_of(settings, Work(tokens=7, squares=0, scored=0)) == 6 * 7 * products(
        settings, tables
    )


def test_a_shared_layer_works_as_often_as_it_is_used():
    shape = {"layers": 5, "width": 8, "heads": 2, "vocabulary_size": 50}
    work = Work(tokens=7, squares=49, scored=2)
    shared = ModelSettings(**shape, shared_layers=True)

    assert flops_of(shared, work) == flops_of(ModelSettings(**shape), work)


def test_heads_cost_by_what_they_are_asked():
    settings = ModelSettings(
        layers=1, width=8, heads=2, vocabulary_size=50, span_boundary=3, embedding_width=4
    )
    nothing = flops_of(settings, Work(tokens=1, squares=0, scored=0))
    cost = {
        name: flops_of(settings, Work(**{"tokens": 1, "squares": 0, "scored": 0, name: 10}))
        for name in ("scored", "pairs", "boundary")
    }

    assert cost["scored"] - nothing == 6 * 10 * (8 * 4 + 4 * 50)
    assert cost["pairs"] - nothing == 6 * 10 * 8 * 8
    assert cost["boundary"] - nothing == 6 * 10 * (216 * 8 + 8 * 4 + 4 * 50)


def test_a_decoder_of_narrow_embeddings_brings_its_states_back():
    shape = {"layers": 1, "width": 8, "heads": 2, "vocabulary_size": 50, "kind": "decoder"}
    work, more = (Work(tokens=1, squares=0, scored=scored) for scored in (0, 10))

    for narrow, each in ((4, 8 * 4 + 4 * 50), (8, 8 * 50)):
        settings = ModelSettings(**shape, embedding_width=narrow)
        assert flops_of(settings, more) - flops_of(settings, work) == 6 * 10 * each


PADDING = 0


def filled_bins(runs_of_bins: list[list[int]], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids with runs of text from the left and padding behind; where runs begin, some repeated."""
    ids = np.full((len(runs_of_bins), length), PADDING, np.int32)
    offsets = []
    for number, runs in enumerate(runs_of_bins):
        ids[number, : sum(runs)] = np.arange(sum(runs)) % 7 + 5
        starts = np.cumsum([0, *runs])
        offsets += [number * length + int(s) for s in starts if s < length]
    offsets += [len(runs_of_bins) * length] * 3
    return torch.from_numpy(ids), torch.tensor(offsets, dtype=torch.int32)


LENGTH = 12
bins_of_runs = st.lists(
    st.lists(st.integers(2, 6), max_size=4).filter(lambda runs: sum(runs) <= LENGTH), min_size=1
)


@given(bins_of_runs, st.integers(0, 5))
def test_padding_between_rows_and_among_targets_does_not_count(runs_of_bins, unused):
    ids_BL, offsets_S = filled_bins(runs_of_bins, LENGTH)
    lengths = [run for runs in runs_of_bins for run in runs]
    batch = Batch(
        inputs=Inputs(
            ids_BL=ids_BL,
            documents=Documents(offsets_S=offsets_S, longest=LENGTH),
            scored_M=torch.zeros(3 + unused, dtype=torch.int64),
            firsts_P=torch.zeros(2 + unused, dtype=torch.int64),
        ),
        labels=Labels(
            tokens_M=torch.tensor([8, 9, 8] + unused * [IGNORED]),
            pairs_P=torch.tensor([0, 1] + unused * [IGNORED]),
        ),
        kinds_M=torch.zeros(3 + unused, dtype=torch.int8),
        tokens=sum(lengths),
    )

    squares = sum(run**2 for run in lengths)
    assert work_of(batch) == Work(tokens=sum(lengths), squares=squares, scored=3, pairs=2)


@pytest.mark.parametrize(("lengths", "squares"), [(None, 3 * 64), ([8, 3, 5], 64 + 9 + 25)])
def test_rows_by_themselves_count_by_their_lengths(lengths, squares):
    batch = Batch(
        inputs=Inputs(
            ids_BL=torch.ones(3, 8, dtype=torch.int32),
            lengths_B=None if lengths is None else torch.tensor(lengths),
            scored_M=torch.arange(4),
            boundaries=Boundaries(
                left_S=torch.zeros(2, dtype=torch.int64),
                right_S=torch.zeros(2, dtype=torch.int64),
                offset_S=torch.zeros(2, dtype=torch.int64),
            ),
        ),
        labels=Labels(tokens_M=torch.arange(4), boundary_S=torch.tensor([3, IGNORED])),
        kinds_M=torch.zeros(4, dtype=torch.int8),
        tokens=16,
    )

    assert work_of(batch) == Work(tokens=16, squares=squares, scored=4, boundary=1)
    settings = ModelSettings(layers=1, width=8, heads=2, vocabulary_size=50, span_boundary=3)
    assert batch_flops(batch, settings) == flops_of(settings, work_of(batch))


def test_a_decoder_behind_an_encoder_counts_its_own_tokens_and_pairs_of_the_two():
    # Two rows: 5 tokens and 3 targets, 2 tokens and 1 target; a target that only fills up.
    batch = Batch(
        inputs=Inputs(
            ids_BL=torch.ones(2, 6, dtype=torch.int32),
            lengths_B=torch.tensor([5, 2]),
            decoder_ids_BK=torch.ones(2, 4, dtype=torch.int32),
            scored_M=torch.tensor([0, 1, 2, 4, 0]),
        ),
        labels=Labels(tokens_M=torch.tensor([7, 7, 8, 9, IGNORED])),
        kinds_M=torch.zeros(5, dtype=torch.int8),
        tokens=6,
    )

    assert work_of(batch) == Work(
        tokens=7, squares=29, scored=4, decoder_tokens=4, decoder_squares=10, crossed=17
    )


def test_work_adds_up():
    one = Work(tokens=1, squares=2, scored=3, pairs=4, boundary=5, decoder_tokens=6)
    total = one + Work(tokens=10, squares=20, scored=30, decoder_squares=7, crossed=8)

    assert total == Work(tokens=11, squares=22, scored=33, pairs=4, boundary=5, decoder_tokens=6,
                         decoder_squares=7, crossed=8)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "precision", "flops", "source"),
    [
        ("NVIDIA H200", torch.bfloat16, 989e12, "datasheet, H200 bf16 dense"),
        ("NVIDIA H100 80GB HBM3", torch.bfloat16, 989e12, "datasheet, H100 SXM bf16 dense"),
        ("NVIDIA H100 PCIe", torch.bfloat16, 756e12, "datasheet, H100 PCIe bf16 dense"),
        ("NVIDIA A100-SXM4-80GB", torch.bfloat16, 312e12, "datasheet, A100 bf16 dense"),
        ("NVIDIA A100 80GB PCIe", torch.float32, 19.5e12, "datasheet, A100 fp32 dense"),
        ("NVIDIA A100-PCIE-40GB", torch.bfloat16, 312e12, "datasheet, A100 bf16 dense"),
        ("NVIDIA A10", torch.bfloat16, 125e12, "datasheet, A10 bf16 dense"),
        ("NVIDIA L4", torch.bfloat16, 121e12, "datasheet, L4 bf16 dense"),
        ("NVIDIA L40S", torch.bfloat16, 362e12, "datasheet, L40S bf16 dense"),
        ("NVIDIA GeForce RTX 4090", torch.float32, 82.6e12, "datasheet, RTX 4090 fp32 dense"),
        ("Tesla V100-SXM2-16GB", torch.bfloat16, 125e12, "datasheet, V100 SXM2 fp16 dense"),
    ],
)
def test_a_known_gpu_has_the_peak_of_its_datasheet(name, precision, flops, source):
    found = datasheet_peak(name, precision)

    assert found is not None
    assert (found.flops, found.source) == (flops, source)


def test_products_that_may_round_to_tf32_have_its_peak(monkeypatch):
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    found = datasheet_peak("NVIDIA A100-SXM4-80GB", torch.float32)

    assert (found.flops, found.source) == (156e12, "datasheet, A100 tf32 dense")


@pytest.mark.parametrize(
    "name",
    ["NVIDIA H100 NVL", "NVIDIA A10G", "NVIDIA GeForce RTX 3090 Ti", "NVIDIA L40",
     "NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA GeForce RTX 4090 Laptop GPU"],
)  # fmt: skip
def test_a_relative_of_a_known_gpu_is_not_taken_for_it(name):
    assert datasheet_peak(name, torch.bfloat16) is None


def test_a_cpu_is_measured_by_its_fastest_product(monkeypatch):
    times = iter([9.0, 0.5, 0.25, 4.0])
    monkeypatch.setattr(throughput, "_seconds", lambda a, b: next(times))
    clock = iter([0.0, 0.1, 0.3])
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(clock))
    threads = torch.get_num_threads()
    peak.cache_clear()  # it is measured once in a process
    found = peak(torch.device("cpu"), torch.float32)
    monkeypatch.undo()

    assert peak(torch.device("cpu"), torch.float32) is found
    peak.cache_clear()
    assert found.flops == 2 * 1024**3 / 0.25
    assert found.source == f"measured, fp32 product of 1024 x 1024, {threads} threads"


def test_a_product_takes_its_time():
    a = torch.randn(256, 256)

    assert 1e-6 < throughput._seconds(a, a) < 1
