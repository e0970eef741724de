"""Hostile datasets: a sound one, with one thing in it forged and its hashes made to fit."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lmprep.files import canonical_json, file_sha256, json_sha256

Change = Callable[[Path], object]


def stated(change: Callable[[dict[str, Any]], object]) -> Change:
    """A change of the manifest's content; its hash follows."""

    def forge(folder: Path) -> None:
        path = folder / "manifest.json"
        content = json.loads(path.read_bytes())
        del content["manifest_sha256"]
        change(content)
        content["manifest_sha256"] = json_sha256(content)
        path.write_bytes(canonical_json(content))

    return forge


def shard(**values: Any) -> Change:
    """The first shard's entry with other values."""
    return stated(lambda m: m["shards"][0].update(values))


def without(*names: str) -> Change:
    return stated(lambda m: [m.pop(name) for name in names])


def setting(**values: Any) -> Change:
    return stated(lambda m: m["settings"].update(values))


def vocabulary(**values: Any) -> Change:
    return stated(lambda m: m["vocabulary"].update(values))


def written(content: bytes) -> Change:
    """A manifest with this content."""
    return lambda folder: (folder / "manifest.json").write_bytes(content)


def replaced(name: str, make: Callable[[Path], object]) -> Change:
    """Another kind of thing in the place of a file."""

    def forge(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return forge


def linked(name: str, target: str = "") -> Change:
    """A link to a file, by default the file itself, now outside the folder."""

    def forge(folder: Path) -> None:
        outside = folder.parent / f"{folder.name}-outside"
        (folder / name).rename(outside)
        (folder / name).symlink_to(target or outside)

    return forge


def sparse(size: int) -> Change:
    def forge(folder: Path) -> None:
        with (folder / "manifest.json").open("wb") as file:
            file.truncate(size)

    return forge


SHARD = "data-00000-00000-00.arrow"
NAMES = (
    "../" + SHARD, "/etc/passwd", "sub/" + SHARD, SHARD + "/../x", "./" + SHARD, "", ".", "..",
    SHARD + "\0", SHARD + "\n", " " + SHARD, SHARD.upper(), "data-0-0-0.arrow", "~/" + SHARD,
    "data-\u0660\u0660\u0660\u0660\u0660-00000-00.arrow", "..\\" + SHARD, "C:\\" + SHARD,
    "file:///etc/passwd", "s3://bucket/" + SHARD, "x" * 100_000, "manifest.json",
)  # fmt: skip

PATHS: dict[str, Change] = {
    **{f"name {name[:40]!r}": shard(file=name) for name in NAMES},
    "name that is no text": shard(file=["data"]),
    "the same shard twice": stated(lambda m: m["shards"].append(dict(m["shards"][0]))),
    "a shard that is not there": shard(file="data-00007-00000-00.arrow"),
    "a link to a shard outside": linked(SHARD),
    "a link to a device": linked(SHARD, "/dev/zero"),
    "a link to itself": linked(SHARD, SHARD),
    "a pipe for a shard": replaced(SHARD, os.mkfifo),
    "a folder for a shard": replaced(SHARD, os.mkdir),
    "a link for the manifest": linked("manifest.json"),
    "a pipe for the manifest": replaced("manifest.json", os.mkfifo),
    "a folder for the manifest": replaced("manifest.json", os.mkdir),
    "a manifest of 1 TB": sparse(10**12),
}

MANIFESTS: dict[str, Change] = {
    "no content": written(b""),
    "null": written(b"null\n"),
    "a list": written(b"[]\n"),
    "not UTF-8": written(b"\xff\xfe{\x00}\x00"),
    "a byte-order mark": written(b"\xef\xbb\xbf{}\n"),
    "a hundred thousand brackets": written(b"[" * 100_000 + b"]" * 100_000),
    "a hundred thousand objects": written(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a number of a million digits": written(b'{"rows": ' + b"9" * 10**6 + b"}\n"),
    "NaN": written(b'{\n "rows": NaN\n}\n'),
    "an infinite number": written(b'{\n "rows": 1e999\n}\n'),
    "half a surrogate pair": written(b'{\n "rows": "\\ud800"\n}\n'),
    "a key twice": written(b'{\n "rows": 1,\n "rows": 2\n}\n'),
    "no shards": without("shards"),
    "no settings": without("settings"),
    "no objective": without("objective"),
    "no vocabulary": without("vocabulary"),
    "shards that are no list": stated(lambda m: m.update(shards={"0": m["shards"][0]})),
    "a shard that is null": stated(lambda m: m["shards"].append(None)),
    "an objective that is none": stated(lambda m: m.update(objective="__class__")),
    "a part that is a path": stated(lambda m: m.update(part="../../x")),
    "rows below 0": shard(rows=-1),
    "rows beyond 64 bits": shard(rows=2**64),
    "many rows": shard(rows=2**61),
    "half a row": shard(rows=1.5),
    "rows that are true": shard(rows=True),
    "rows in letters": shard(rows="4"),
    "bytes below 0": shard(bytes=-8),
    "no record batches": shard(batch_offsets=[]),
    "a record batch below 0": shard(batch_offsets=[-8]),
    "a record batch beyond the file": shard(batch_offsets=[2**61]),
    "a record batch in the middle of one": shard(batch_offsets=[1001]),
    "record batches that fall": shard(batch_offsets=[80, 40]),
    "record batches in letters": shard(batch_offsets="08"),
    "a hash that is none": shard(sha256="../../x"),
    "drawn as below 0": shard(drawn_as=-1),
    "no copies": setting(copies=0),
    "a thousand million copies": setting(copies=10**9),
    "copies in letters": setting(copies="2"),
    "a length beyond all": setting(sequences={"length": 10**12}),
    "a setting that is none": setting(objective_settings={"__init__": 1}),
    "a rate beyond 1": setting(objective_settings={"mask_rate": "7/2"}),
    "corpus settings of nothing": setting(corpus=7),
    "a vocabulary beyond memory": vocabulary(size=10**12),
    "a vocabulary below 0": vocabulary(size=-1),
    "a special token beyond the vocabulary": vocabulary(special=[10**12]),
    "a special token in letters": vocabulary(special=["0"]),
    "a mask beyond the vocabulary": vocabulary(mask=10**9),
    "a family that is none": vocabulary(family="../bert"),
    "a role that is none": vocabulary(__class__=1),
    "drops below 0": stated(lambda m: m.update(drops={"x_tokens": -1})),
    "drops in letters": stated(lambda m: m.update(drops={"x_tokens": "1"})),
    "inputs that are no list": stated(lambda m: m.update(inputs=3)),
    "word counts elsewhere": stated(
        lambda m: m.update(word_counts={"file": "../x.npy", "bytes": 1, "sha256": "0" * 64})
    ),
}


def reshaped(change: Callable[[pa.RecordBatch], pa.RecordBatch], **options: Any) -> Change:
    """The first shard written again with another record batch, or in another way."""

    def forge(folder: Path) -> None:
        with pa.OSFile(str(folder / SHARD)) as file:
            (batch,) = pa.ipc.open_stream(file)
        batch = change(batch)
        chosen = pa.ipc.IpcWriteOptions(**options)
        with (
            pa.OSFile(str(folder / SHARD), "wb") as file,
            pa.ipc.new_stream(file, batch.schema, options=chosen) as stream,
        ):
            stream.write_batch(batch)
        _fit(folder, batch_offsets=[len(batch.schema.serialize())], rows=batch.num_rows)

    return forge


def _fit(folder: Path, **values: Any) -> None:
    path = folder / SHARD
    shard(bytes=path.stat().st_size, sha256=file_sha256(path), **values)(folder)


def column(name: str, make: Callable[[pa.Array], pa.Array]) -> Change:
    """A column of the first shard made into another."""

    def change(batch: pa.RecordBatch) -> pa.RecordBatch:
        place = batch.schema.get_field_index(name)
        return batch.set_column(place, name, make(batch.column(name)))

    return reshaped(change)


def values(name: str, change: Callable[[np.ndarray], object]) -> Change:
    """Values of a list column changed in place."""

    def make(array: pa.ListArray) -> pa.ListArray:
        held = array.values.to_numpy().copy()
        change(held)
        return pa.ListArray.from_arrays(array.offsets, pa.array(held))

    return column(name, make)


def offsets(name: str, change: Callable[[np.ndarray], object]) -> Change:
    """Offsets of a list column changed in the file, since Arrow would refuse to write them."""

    def forge(folder: Path) -> None:
        path = folder / SHARD
        with pa.OSFile(str(path)) as file:
            (batch,) = pa.ipc.open_stream(file)
        held = batch.column(name).offsets.to_numpy().copy()
        content = path.read_bytes()
        place = content.rfind(held.tobytes())  # of two columns alike the later one
        assert place > 0
        change(held)
        forged = held.tobytes()
        path.write_bytes(content[:place] + forged + content[place + len(forged) :])
        _fit(folder)

    return forge


def header(find: Callable[[pa.RecordBatch, dict[str, Any]], int], value: int) -> Change:
    """An int64 in the header of the first record batch, wherever it stands there, forged."""

    def forge(folder: Path) -> None:
        path = folder / SHARD
        with pa.OSFile(str(path)) as file:
            (batch,) = pa.ipc.open_stream(file)
        entry = json.loads((folder / "manifest.json").read_bytes())["shards"][0]
        content = bytearray(path.read_bytes())
        start = entry["batch_offsets"][0]
        end = start + 8 + struct.unpack_from("<i", content, start + 4)[0]
        wanted, places = struct.pack("<q", find(batch, entry)), 0
        for place in range(start + 8, end - 7):
            if content[place : place + 8] == wanted:
                content[place : place + 8] = struct.pack("<q", value)
                places += 1
        assert places
        path.write_bytes(content)
        _fit(folder)

    return forge


def length_of_header(value: int, *, batch: bool) -> Change:
    """The length of the schema's or the record batch's header, forged."""

    def forge(folder: Path) -> None:
        entry = json.loads((folder / "manifest.json").read_bytes())["shards"][0]
        content = bytearray((folder / SHARD).read_bytes())
        struct.pack_into("<i", content, 4 + (entry["batch_offsets"][0] if batch else 0), value)
        (folder / SHARD).write_bytes(content)
        _fit(folder)

    return forge


def counts_file(make: Callable[[Path], object]) -> Change:
    """Another file of word counts."""

    def forge(folder: Path) -> None:
        path = folder / "word_counts.npy"
        make(path)
        entry = {"file": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
        stated(lambda m: m.update(word_counts=entry))(folder)

    return forge


def npy(shape: tuple[int, ...], descr: str, data: bytes) -> Callable[[Path], object]:
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(10 + len(head) + 1) % 64) + "\n"
    return lambda path: path.write_bytes(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data
    )


def bomb(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A column of a thousand million zeros, which compresses to some kilobytes."""
    ids = pa.ListArray.from_arrays(
        pa.array([0] * len(batch) + [2**29], pa.int32()), pa.array(np.zeros(2**29, np.uint16))
    )
    place = batch.schema.get_field_index("input_ids")
    return batch.set_column(place, "input_ids", ids)


def nested(array: pa.ListArray) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(np.arange(len(array) + 1), pa.int32()), array)


SOME = 2**40
ARROW: dict[str, Change] = {
    "more rows than there are": header(lambda b, e: b.num_rows, SOME),
    "rows below 0": header(lambda b, e: b.num_rows, -1),
    "a buffer longer than the file": header(lambda b, e: 4 * (b.num_rows + 1), SOME),
    "a buffer of a length below 0": header(lambda b, e: 4 * (b.num_rows + 1), -8),
    "buffers of 2^62": header(lambda b, e: 8 * b.num_rows, 2**62),
    "a header of 2 GB": length_of_header(2**31 - 1, batch=True),
    "a header below 0": length_of_header(-2, batch=True),
    "a schema of 2 GB": length_of_header(2**31 - 1, batch=False),
    "a schema below 0": length_of_header(-7, batch=False),
    "compressed with Zstandard": reshaped(lambda b: b, compression="zstd"),
    "compressed with LZ4": reshaped(lambda b: b, compression="lz4"),
    "a gigabyte in some kilobytes": reshaped(bomb, compression="zstd"),
    "a column of texts": column("document", lambda a: pa.array(["x"] * len(a))),
    "a column of records": column("document", lambda a: pa.array([{"x": 1}] * len(a))),
    "a column of bits": column("document", lambda a: pa.array([True] * len(a))),
    "a column with a dictionary": column("document", lambda a: a.dictionary_encode()),
    "a column of nothing": column("document", lambda a: pa.nulls(len(a))),
    "lists of lists": column("input_ids", nested),
    "large lists": column("input_ids", lambda a: a.cast(pa.large_list(pa.uint16()))),
    "ids that are no list": column("input_ids", lambda a: pa.array([5] * len(a), pa.uint16())),
    "missing values": column("document", lambda a: pa.array([None] * len(a), pa.int64())),
    "missing ids": column(
        "input_ids", lambda a: pa.array([[None]] * len(a), pa.list_(pa.uint16()))
    ),
    "an id beyond the vocabulary": values("input_ids", lambda v: v.__setitem__(-1, 65_535)),
    "a label beyond the vocabulary": values("masked_labels", lambda v: v.__setitem__(0, 65_535)),
    "a position outside its row": values("masked_positions", lambda v: v.__setitem__(0, 60_000)),
    "offsets that fall": offsets("input_ids", lambda o: o.__setitem__(2, o[1] - 1)),
    "an offset below 0": offsets("input_ids", lambda o: o.__setitem__(0, -100)),
    "an offset beyond the values": offsets("input_ids", lambda o: o.__setitem__(-1, 2**31 - 1)),
    "labels that are too few": offsets("masked_labels", lambda o: o.__setitem__(slice(1, None), 0)),
}
COUNTS: dict[str, Change] = {
    "pickled": counts_file(
        lambda path: np.save(path, np.array([{"x": 1}], object), allow_pickle=True)
    ),
    "of a petabyte": counts_file(npy((10**14,), "<i8", b"\0" * 64)),
    "that are a pickle": counts_file(lambda path: path.write_bytes(pickle.dumps(os.system))),
}
KINDS = {"path": PATHS, "manifest": MANIFESTS, "arrow": ARROW, "counts": COUNTS}
CASES = {
    f"{kind}: {name}": change
    for kind, cases in (
        ("path", PATHS),
        ("manifest", MANIFESTS),
        ("arrow", ARROW),
        ("counts", COUNTS),
    )
    for name, change in cases.items()
}


def forge_all(sound: Path, skipgram: Path, target: Path) -> list[Path]:
    """A folder for each case; those of word counts are of a skip-gram dataset."""
    folders = []
    for number, (name, change) in enumerate(CASES.items()):
        base = skipgram if name.startswith("counts") else sound
        folder = Path(shutil.copytree(base, target / f"{number:03d}"))
        change(folder)
        folders.append(folder)
    return folders
