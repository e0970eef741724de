import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file

from lmprep.errors import CheckpointError
from lmprep.training import tensor_files
from lmprep.training.tensor_files import read_tensors, write_tensors

# Every kind of number, a single one, none, one that is not contiguous, a name beyond ASCII.
TENSORS = {
    **{
        f"of.{dtype}": torch.arange(7).to(dtype).reshape(1, 7)
        for dtype in tensor_files._DTYPES
        if dtype != torch.bool
    },
    "truth": torch.tensor([[True], [False], [True]]),
    "one": torch.tensor(3.5),
    "none": torch.empty(0, 4, dtype=torch.bfloat16),
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "größe": torch.tensor([float("nan"), float("-inf"), -0.0]),
}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape), name
        bits = (t.contiguous().reshape(-1).view(torch.uint8) for t in (found[name], tensor))
        assert torch.equal(*bits), name


def test_the_library_reads_what_is_written(tmp_path):
    write_tensors(tmp_path / "t.safetensors", TENSORS)

    assert_same(load_file(tmp_path / "t.safetensors"), TENSORS)


def test_what_is_written_is_read_back(tmp_path):
    entry = write_tensors(tmp_path / "t.safetensors", TENSORS)

    assert_same(read_tensors(tmp_path / "t.safetensors", entry), TENSORS)


@pytest.mark.parametrize("tensors", [TENSORS, {}, {"a": torch.zeros(3, 5)}])
def test_bytes_and_checksum_are_those_of_the_file(tmp_path, monkeypatch, tensors):
    monkeypatch.setattr(tensor_files, "_PIECE", 16)  # a tensor takes several
    entry = write_tensors(tmp_path / "t.safetensors", tensors)
    content = (tmp_path / "t.safetensors").read_bytes()

    assert entry == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert_same(read_tensors(tmp_path / "t.safetensors", entry), tensors)


def test_the_file_is_laid_out_as_the_format_says(tmp_path):
    tensors = {"b": torch.tensor([1, 2], dtype=torch.uint8), "a": torch.tensor([258, 772])}
    write_tensors(tmp_path / "t.safetensors", tensors)
    content = (tmp_path / "t.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")

    assert length % 8 == 0
    assert json.loads(content[8 : 8 + length]) == {
        "a": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]},  # the wider first
        "b": {"dtype": "U8", "shape": [2], "data_offsets": [16, 18]},
    }
    assert content[8 + length :] == b"\x02\x01" + bytes(6) + b"\x04\x03" + bytes(6) + b"\x01\x02"


@pytest.mark.parametrize("place", [3, 60, -1])
def test_one_flipped_bit_anywhere_is_noticed(tmp_path, place):
    path = tmp_path / "t.safetensors"
    entry = write_tensors(path, TENSORS)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=r"t\.safetensors: the file is damaged: its SHA-256"):
        read_tensors(path, entry)
