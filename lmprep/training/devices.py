"""Where and in which precision to compute, and how the C library keeps memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from lmprep.errors import UsageError

# Instructions for bf16 matrix products, as torch names them: Intel and AMD, then ARM.
_BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")
# Positions computed at once, unless the settings say: enough to keep the device busy.
_MICRO_TOKENS = {"cpu": 1 << 15, "cuda": 1 << 16}
# glibc's names and numbers.


def choose_device(name: str) -> torch.device:
    """The device for a value of `pretrain_settings.DEVICES`."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError("--device cuda: torch finds no CUDA device", fix="Use --device cpu")
    return torch.device("cuda" if name != "cpu" and available else "cpu")


def cuda_devices() -> list[str]:
    """Name and memory of each CUDA device that torch finds."""
    found = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [f"{device.name}, {device.total_memory / 1e9:.0f} GB" for device in found]


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """bfloat16 or float32 for a value of `pretrain_settings.PRECISIONS`."""
    if name == "auto":
        name = "bf16" if _has_bf16(device) else "fp32"
    return torch.bfloat16 if name == "bf16" else torch.float32


def precision_name(precision: torch.dtype) -> str:
    """The way back: `bf16` or `fp32`."""
    return "bf16" if precision == torch.bfloat16 else "fp32"


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without these instructions the CPU computes bf16 in software, slower than fp32.
    # An older torch that cannot tell them computes in fp32, too.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in _BF16_INSTRUCTIONS)


def computing_in(precision: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in `precision`; weights, norms and losses stay in float32."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, precision)


def compiles(choice: str, device: torch.device) -> bool:
    """Does torch compile the model, by a value of `pretrain_settings.COMPILE`?

    On CPU it gains little beside our own kernels, and the first step takes half a minute.
    """
    return choice == "on" or (choice == "auto" and device.type == "cuda")


def micro_rows(micro_tokens: int | None, length: int, device: torch.device) -> int:
    """Rows of `length` positions that are computed at once."""
    if micro_tokens is None:
        micro_tokens = _MICRO_TOKENS[device.type]
    return max(1, micro_tokens // length)
