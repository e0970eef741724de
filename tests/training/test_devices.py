import pytest
import torch

from lmprep import allocator
from lmprep.training.devices import choose_device, choose_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True, "avx512_bf16": False}, torch.bfloat16),
        ({"bf16": True}, torch.bfloat16),
        ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_is_bf16_only_where_the_processor_has_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)

    assert choose_precision("auto", CPU) == expected


def test_a_named_precision_is_taken():
    assert choose_precision("bf16", CPU) == torch.bfloat16
    assert choose_precision("fp32", CPU) == torch.float32


def test_auto_takes_cuda_where_there_is_one(monkeypatch):
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=available: found)
        assert choose_device("auto").type == expected
        assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (1 << 40, [("mmap", 1 << 30), ("trim", (1 << 31) - 1)]),
        (1 << 25, [("mmap", 1 << 30), ("mmap", 1 << 25), ("trim", (1 << 31) - 1)]),
        (0, [("mmap", 1 << 30), ("mmap", 1 << 25)]),
    ],
)
def test_a_smaller_threshold_is_tried_where_a_large_one_is_refused(largest, expected):
    calls = []

    def mallopt(parameter, value):
        calls.append(({-1: "trim", -3: "mmap"}[parameter], value))
        return int(parameter == -1 or value <= largest)

    allocator._raise_thresholds(mallopt)
    assert calls == expected
