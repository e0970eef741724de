"""Tables and addresses: Parquet, Arrow, saved datasets, and files that fsspec opens."""

from __future__ import annotations

import functools
import http.server
import threading

import datasets
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_corpus import read

from lmprep.corpus import CorpusSettings, expand, plan_sources, read_partitions
from lmprep.errors import InputError, UsageError

TEXTS = ["One day.\nIt rained.", "", "  \n", "Ünïcode 日本語 😀", "The end."]
KEPT = [text for text in TEXTS if text.strip()]


def table(texts=TEXTS, kind=None, name="text"):
    return pa.table({"id": list(range(len(texts))), name: pa.array(texts, kind or pa.string())})


def write(path, data, **options):
    if path.suffix == ".parquet":
        pq.write_table(data, path, **options)
    elif options.get("stream"):
        with pa.ipc.new_stream(path, data.schema) as sink:
            sink.write_table(data, max_chunksize=2)
    else:
        with pa.ipc.new_file(path, data.schema) as sink:
            sink.write_table(data, max_chunksize=2)
    return path


def partitions(path, **settings):
    corpus = CorpusSettings(**settings)
    (source,) = plan_sources(expand([str(path)]), corpus, 1 << 20)
    return list(read_partitions(source, corpus, 1 << 20))


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.parquet", {"row_group_size": 2}),
        ("a.parquet", {"compression": "zstd"}),
        ("a.arrow", {}),
        ("a.arrow", {"stream": True}),
    ],
)
def test_every_row_with_a_text_is_a_document(tmp_path, name, options, kind):
    data = table()
    path = write(tmp_path / name, data.set_column(1, "text", data["text"].cast(kind)), **options)

    assert read(path) == KEPT
    assert partitions(path)[0].drops == {"empty_documents": 2}


@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=12))
def test_any_texts_come_back_as_they_were(tmp_path_factory, texts):
    path = write(tmp_path_factory.mktemp("table") / "a.parquet", table(texts), row_group_size=3)

    assert read(path) == [t for t in texts if t.encode().strip()]


def test_another_column_is_named_by_text_field(tmp_path):
    path = write(tmp_path / "a.parquet", table(name="body"))

    assert read(path, text_field="body") == KEPT
    with pytest.raises(InputError, match=r"a\.parquet: has no column 'text'; .*'id', 'body'.*--te"):
        read(path)
    with pytest.raises(InputError, match="has int64 in column 'id', not strings"):
        read(path, text_field="id")


def test_rows_without_a_text_stop_or_are_left_out_and_counted(tmp_path):
    path = write(tmp_path / "a.arrow", table(["One.", None, "Two.", None]))

    with pytest.raises(InputError, match=r"row 2 has no text in column 'text'.*--on-error skip"):
        read(path)
    (partition,) = partitions(path, on_error="skip")
    assert partition.text.tobytes() == b"One.Two."
    assert partition.drops == {"bad_records": 2}
    assert partition.warnings == (f"{path}: 2 rows without a text were left out",)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_damaged_table_is_an_error_and_no_crash(tmp_path, name):
    path = write(tmp_path / name, table([f"text number {i}" for i in range(200)]))
    data = path.read_bytes()
    rng = np.random.default_rng(4)
    for at in rng.integers(0, len(data), 60):
        broken = bytearray(data)
        broken[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            texts = read(path)
        except (InputError, UsageError) as error:
            assert str(error).startswith(str(path))  # noqa: PT017
        else:
            assert len(texts) <= 200
    for length in range(0, len(data), 211):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match="is damaged, or is not the"):
            read(path)


def test_a_compressed_table_and_a_table_at_stdin_are_refused(tmp_path):
    write(tmp_path / "a.parquet", table()).rename(tmp_path / "a.parquet.gz")
    with pytest.raises(UsageError, match=r"a\.parquet\.gz: is a compressed parquet file"):
        expand([str(tmp_path / "a.parquet.gz")])
    with pytest.raises(UsageError, match="arrow files are not read from stdin"):
        expand(["-"], format="arrow")


def test_a_folder_that_datasets_saved_is_read(tmp_path):
    saved = datasets.Dataset.from_dict({"text": TEXTS})
    saved.save_to_disk(tmp_path / "saved", num_shards=2)
    datasets.DatasetDict(train=saved).save_to_disk(tmp_path / "several")
    files = expand([str(tmp_path / "saved")])
    corpus = CorpusSettings()
    found = b""
    for source in plan_sources(files, corpus, 1 << 20):
        found += b"".join(p.text.tobytes() for p in read_partitions(source, corpus, 1 << 20))

    assert len(files) == 2
    assert found.decode() == "".join(KEPT)
    with pytest.raises(UsageError, match=r"holds several datasets\. Name one of its parts"):
        expand([str(tmp_path / "several")])


def test_files_in_memory_are_found_cut_and_read():
    system = fsspec.filesystem("memory")
    lines = [b"Document %d.\n\n" % i for i in range(60)]
    system.pipe("/corpus/a.txt", b"".join(lines))
    system.pipe("/corpus/b.jsonl", b'{"text": "a record"}\n')
    files = expand(["memory://corpus/*"])
    corpus = CorpusSettings()
    sources = plan_sources(files, corpus, 100)
    found = [
        p.text[a:b].tobytes()
        for source in sources
        for p in read_partitions(source, corpus, 100)
        for a, b in zip(p.document_offsets, p.document_offsets[1:], strict=False)
    ]

    assert [file.path for file in files] == ["memory://corpus/a.txt", "memory://corpus/b.jsonl"]
    assert len(sources) > 3
    assert found == [line.strip() for line in lines] + [b"a record"]
    with pytest.raises(UsageError, match=r"memory://corpus/none\.txt: no such file"):
        expand(["memory://corpus/none.txt"])
    with pytest.raises(UsageError, match="no file matches this pattern"):
        expand(["memory://corpus/*.xml"])


def test_an_address_of_the_web_is_read(tmp_path):
    write(tmp_path / "a.parquet", table())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet.at(tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            assert read(f"{url}/a.parquet") == KEPT
            with pytest.raises(UsageError, match=r"none\.txt: no such file"):
                expand([f"{url}/none.txt"])
        finally:
            server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, *_: object) -> None: ...

    @classmethod
    def at(cls, folder):
        return functools.partial(cls, directory=str(folder))


def test_an_unknown_place_is_an_error_with_a_fix():
    with pytest.raises(UsageError, match=r"nowhere://a\.txt: .*Install what fsspec needs"):
        expand(["nowhere://a.txt"])
