"""One side of `encode_speed.py`, in a process of its own: cold from a file, warm in memory.

Each side has two functions made by `SIDES[name](folder, threads)`, the tokenizer being loaded and
kernels compiled by then: `file(path)` reads and encodes, `memory()` encodes what was read again.
Each returns seconds and the ids of all lines with their offsets, so that seconds may leave out what
only the check needs.

Every peer is called as it is quickest:

    tokenizers     encode_batch_fast, in lists of 10,000 lines; taking the ids out is not timed
    nanotoken      encode_files; warm, encode_files or encode_batch of bytes (no word starts)
    gigatoken      encode_files; warm, encode_batch of a BytesSource (no word starts)
    tiktoken       encode_ordinary_batch of all lines; lists, no word starts
    sentencepiece  encode of all lines to arrays of ids; no word starts
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

Ids = np.ndarray[Any, np.dtype[np.int32]]
Offsets = np.ndarray[Any, np.dtype[np.int64]]
Timed = tuple[float, Ids, Offsets]

CALL = 10_000  # lines given to tokenizers at a time: its results are large
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@dataclass(frozen=True, kw_only=True)
class Side:
    """The two ways to encode all lines of a text."""

    file: Callable[[Path], Timed]
    memory: Callable[[], Timed]


def ours(folder: Path, threads: int) -> Side:
    from lmprep.tokenization import Encoder, load

    loaded = load(folder)
    takes_threads = "threads" in inspect.signature(Encoder).parameters
    if threads > 1 and not takes_threads:
        raise NotImplementedError("the Encoder has one thread")
    make = partial(Encoder, loaded, **({"threads": threads} if takes_threads else {}))
    encode_lines(make(), np.frombuffer(b"Kernels compile here.\nMore of them.\n", np.uint8))
    encoder, held = make(), {}

    def file(path: Path) -> Timed:
        began = time.perf_counter()
        held["text"] = np.memmap(path, np.uint8, "r")
        ids, offsets = encode_lines(encoder, held["text"])
        return time.perf_counter() - began, ids, offsets

    def memory() -> Timed:
        began = time.perf_counter()
        ids, offsets = encode_lines(encoder, held["text"])
        return time.perf_counter() - began, ids, offsets

    return Side(file=file, memory=memory)


def encode_lines(encoder: Any, text: Any) -> tuple[Ids, Offsets]:
    """Our encoder on lines that end with a line feed: the one place that calls it."""
    if hasattr(encoder, "encode_lines"):
        lines = encoder.encode_lines(text)
        return lines.ids, lines.offsets
    from lmprep.batches import Documents

    ends = np.flatnonzero(text == 10)
    documents = Documents(
        text=text[text != 10],
        sentence_offsets=np.concatenate(([0], ends - np.arange(len(ends)))),
        document_offsets=np.array([0, len(ends)]),
        numbers=np.zeros(1, np.int64),
    )
    tokens = encoder.encode(documents)
    return tokens.ids, tokens.sentence_offsets


def tokenizers(folder: Path, threads: int) -> Side:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True

    def encode(lines: list[str]) -> tuple[float, list[list[int]]]:
        seconds, ids = 0.0, []
        for first in range(0, len(lines), CALL):
            began = time.perf_counter()
            found = tokenizer.encode_batch_fast(
                lines[first : first + CALL], add_special_tokens=False
            )
            seconds += time.perf_counter() - began
            ids += [each.ids for each in found]
        return seconds, ids

    return of_lists(encode)


def nanotoken(folder: Path, threads: int) -> Side:
    import nanotoken as peer

    tokenizer = peer.Tokenizer(folder / "tokenizer.json")
    calls: dict[str, Callable[[], Any]] = {}

    def file(path: Path) -> Timed:
        calls["file"] = partial(
            tokenizer.encode_files,
            peer.TextFileSource(path, "\n"),
            add_special_tokens=False,
            parallel=threads > 1,
        )
        return timed(calls["file"])

    def timed(call: Callable[[], Any]) -> Timed:
        began = time.perf_counter()
        found = call()
        seconds = time.perf_counter() - began
        return seconds, found.ids.view(np.int32), found.offsets

    def memory() -> Timed:
        lines = list(calls["file"].args[0].paths)  # type: ignore[attr-defined]
        in_memory = Path(lines[0]).read_bytes().splitlines()
        encode = partial(tokenizer.encode_batch, add_special_tokens=False, parallel=threads > 1)
        return min(timed(calls["file"]), timed(partial(encode, in_memory)), key=lambda t: t[0])

    return Side(file=file, memory=memory)


def gigatoken(folder: Path, threads: int) -> Side:
    import awkward
    import gigatoken as peer

    tokenizer = peer.Tokenizer(folder / "tokenizer.json")
    held: dict[str, bytes] = {}

    def timed(call: Callable[[], Any]) -> Timed:
        began = time.perf_counter()
        found = call()
        seconds = time.perf_counter() - began
        ids = awkward.to_numpy(awkward.flatten(found)).astype(np.int32)
        return seconds, ids, offsets_of(awkward.to_numpy(awkward.num(found)))

    def file(path: Path) -> Timed:
        held["text"] = path.read_bytes().removesuffix(b"\n")
        source = peer.TextFileSource([path], b"\n")
        return timed(partial(tokenizer.encode_files, source, parallel=threads > 1))

    def memory() -> Timed:
        source = peer.BytesSource([held["text"]], b"\n")
        return timed(partial(tokenizer.encode_batch, source, parallel=threads > 1))

    return Side(file=file, memory=memory)


def tiktoken(folder: Path, threads: int) -> Side:
    import tiktoken as peer
    from tokenizers.pre_tokenizers import ByteLevel

    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    characters = byte_characters(sorted(ByteLevel.alphabet()))
    pieces = vocabulary["model"]["vocab"]
    encoding = peer.Encoding(
        "ours",
        pat_str=GPT2,
        mergeable_ranks={bytes(characters[c] for c in piece): i for piece, i in pieces.items()},
        special_tokens={t["content"]: t["id"] for t in vocabulary["added_tokens"]},
    )
    return of_lists(whole(partial(encoding.encode_ordinary_batch, num_threads=threads)))


def byte_characters(alphabet: list[str]) -> dict[str, int]:
    """The byte for which each character of a byte-level vocabulary stands."""
    shown = [b for b in range(256) if chr(b) in alphabet]
    others = [b for b in range(256) if chr(b) not in alphabet]
    return {chr(b): b for b in shown} | {chr(256 + i): b for i, b in enumerate(others)}


def sentencepiece(folder: Path, threads: int) -> Side:
    import sentencepiece as peer
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    spec = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    model = ModelProto()
    for number, (piece, score) in enumerate(spec["vocab"]):
        kind = 2 if number == spec["unk_id"] else 3 if number < spec["unk_id"] else 1
        model.pieces.add(piece=piece, score=score, type=kind)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type, trainer.unk_id = 1, spec["unk_id"]
    trainer.bos_id = trainer.eos_id = trainer.pad_id = -1
    trainer.unk_piece = spec["vocab"][spec["unk_id"]][0]
    normalizer.name, normalizer.add_dummy_prefix = "nfkc", True
    normalizer.remove_extra_whitespaces, normalizer.escape_whitespaces = False, True
    normalizer.precompiled_charsmap = nfkc_map()
    processor = peer.SentencePieceProcessor(model_proto=model.SerializeToString())
    return of_lists(whole(partial(processor.encode, return_type="numpy", num_threads=threads)))


def nfkc_map() -> bytes:
    """The map of characters of sentencepiece's normalization `nfkc`."""
    import io

    import sentencepiece as peer
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    written = io.BytesIO()
    peer.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c"]), model_writer=written, vocab_size=7, minloglevel=2,
        hard_vocab_limit=False, normalization_rule_name="nfkc",
    )  # fmt: skip
    charsmap: bytes = ModelProto.FromString(written.getvalue()).normalizer_spec.precompiled_charsmap
    return charsmap


SIDES: dict[str, Callable[[Path, int], Side]] = {
    "lmprep": ours,
    "tokenizers": tokenizers,
    "nanotoken": nanotoken,
    "gigatoken": gigatoken,
    "tiktoken": tiktoken,
    "sentencepiece": sentencepiece,
}


def whole(
    call: Callable[[list[str]], list[list[int]]],
) -> Callable[[list[str]], tuple[float, list[list[int]]]]:
    """A call with all lines, timed."""

    def encode(lines: list[str]) -> tuple[float, list[list[int]]]:
        began = time.perf_counter()
        found = call(lines)
        return time.perf_counter() - began, found

    return encode


def of_lists(encode: Callable[[list[str]], tuple[float, list[list[int]]]]) -> Side:
    """A side that takes a list of strings and gives lists of ids."""
    lines: list[str] = []

    def file(path: Path) -> Timed:
        began = time.perf_counter()
        lines[:] = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        reading = time.perf_counter() - began
        seconds, found = encode(lines)
        return reading + seconds, *flat(found)

    def memory() -> Timed:
        seconds, found = encode(lines)
        return seconds, *flat(found)

    return Side(file=file, memory=memory)


def flat(found: Sequence[Sequence[int]]) -> tuple[Ids, Offsets]:
    ids = np.fromiter(chain.from_iterable(found), np.int32)
    return ids, offsets_of([len(each) for each in found])


def offsets_of(lengths: Any) -> Offsets:
    offsets: Offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return offsets


def main() -> None:
    """SIDE FOLDER FILE THREADS IDS: prints seconds, peak memory and tokens, writes the ids."""
    name, folder, path, threads, out = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-int(threads) :])
    try:
        side = SIDES[name](Path(folder), int(threads))
    except (ImportError, NotImplementedError) as error:
        print(json.dumps({"skipped": str(error)}))
        return
    Path(path).read_bytes()  # the file is in the system's cache for everyone
    cold, ids, offsets = side.file(Path(path))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if out != "-":
        np.savez(out, ids=ids, offsets=offsets)
    tokens = len(ids)
    del ids, offsets
    warm = side.memory()[0]
    print(json.dumps({"cold": cold, "warm": warm, "peak": peak / 1e3, "tokens": tokens}))


if __name__ == "__main__":
    main()
