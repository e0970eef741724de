"""Compressed corpora: whole members and frames, faults that are named, bombs that are refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
import time
import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_corpus import read, written

from lmprep.corpus.codecs import decompressed
from lmprep.errors import InputError

COMPRESS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}
PROGRAMS = {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}
every_codec = pytest.mark.parametrize("codec", COMPRESS)


def stored(tmp_path, codec, data):
    path = tmp_path / f"a.txt.{codec}"
    path.write_bytes(data)
    return path


def blocks(data: bytes, size: int):
    return iter([data[i : i + size] for i in range(0, len(data), size)])


@every_codec
@given(data=st.lists(st.binary(max_size=300), min_size=1, max_size=4), size=st.integers(1, 70))
def test_members_of_any_size_in_blocks_of_any_size_are_read_whole(codec, data, size):
    packed = b"".join(map(COMPRESS[codec], data))
    found = list(decompressed(blocks(packed, size), codec, 50))

    assert b"".join(found) == b"".join(data)
    assert all(0 < len(block) <= 50 for block in found)


@every_codec
def test_a_document_may_lie_in_several_members(tmp_path, codec):
    data = COMPRESS[codec](b"One.\nTwo") + COMPRESS[codec](b" more.\n\nNext.\n")

    assert read(stored(tmp_path, codec, data)) == ["One.\nTwo more.", "Next."]


@every_codec
def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path, codec):
    data = COMPRESS[codec](b"".join(b"%d little pigs\n" % i for i in range(300)))
    for length in range(1, len(data), 37):
        with pytest.raises(InputError, match=rf"cut off|damaged|is not .* -t a\.txt\.{codec}"):
            read(stored(tmp_path, codec, data[:length]))


@every_codec
def test_a_byte_that_was_changed_is_found(tmp_path, codec):
    data = bytearray(COMPRESS[codec](b"".join(b"%d little pigs\n" % i for i in range(300))))
    if codec == "zst":
        pytest.skip("zstd writes a checksum only when it is asked to")
    data[len(data) // 2] ^= 0x10
    with pytest.raises(InputError, match=rf"{PROGRAMS[codec]} data .*{PROGRAMS[codec]} -t"):
        read(stored(tmp_path, codec, bytes(data)))


@every_codec
def test_compressed_data_under_a_plain_name_says_what_it_is(tmp_path, codec):
    path = written(tmp_path, "a.txt", COMPRESS[codec](b"text"))
    with pytest.raises(
        InputError, match=rf"compressed with {PROGRAMS[codec]}\. Add \.{codec} to its name"
    ):
        read(path)


@every_codec
def test_plain_text_under_a_compressed_name_is_refused(tmp_path, codec):
    with pytest.raises(InputError, match=f"is not {PROGRAMS[codec]} data, as its name says"):
        read(stored(tmp_path, codec, b"just a text of some length\n" * 3))


def zeros(codec: str, megabytes: int) -> bytes:
    """A bomb: so many MB of zeros."""
    if codec == "gz":
        import zlib

        packer = zlib.compressobj(9, wbits=31)
        return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()
    packer = {"bz2": bz2.BZ2Compressor, "xz": lzma.LZMACompressor}[codec]()
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


@pytest.mark.parametrize("codec", ["gz", "bz2", "xz"])
def test_a_bomb_is_refused_before_it_takes_memory(tmp_path, codec):
    path = stored(tmp_path, codec, zeros(codec, 300))
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(InputError, match="as in a decompression bomb"):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert time.perf_counter() - began < 5
    assert peak < 200e6


def test_a_zstd_bomb_is_refused_in_a_process_of_little_memory(tmp_path):
    path = stored(tmp_path, "zst", COMPRESS["zst"](bytes(400_000_000)))
    code = (
        "import sys, resource; from pathlib import Path\n"
        "from lmprep.corpus import CorpusSettings, expand, plan_sources, read_partitions\n"
        "(source,) = plan_sources(expand([sys.argv[1]]), CorpusSettings(), 1 << 20)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: list(read_partitions(source, CorpusSettings(), 1 << 20))\n"
        "except Exception as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    message, kilobytes = done.stdout.splitlines()

    assert "as in a decompression bomb" in message
    assert int(kilobytes) < 256_000
