"""A dataset in an object store is the one on a disk, whatever the store does on the way."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ways import run

import lmprep
from lmprep.build import Builder
from lmprep.checks.verify import verify
from lmprep.corpus import read_partitions
from lmprep.errors import DatasetError, LmprepError, UsageError
from lmprep.remote import RemotePath, path_of
from lmprep.shards import cached

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> None:
    """Datasets are brought to a folder of the test."""
    monkeypatch.setattr(cached, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def memory() -> RemotePath:
    return RemotePath(f"memory://{uuid.uuid4().hex}/out")


@pytest.fixture(scope="module")
def server() -> Iterator:
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    pytest.importorskip("moto.server", reason="moto is not installed")
    from tests.object_store import KEYS, Store

    store = Store()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": store.url}.items():
            patch.setenv(name, value)
        RemotePath("s3://bucket")._system.mkdir("bucket")
        yield store
    store.stop()


@pytest.fixture
def bucket(server) -> Iterator[RemotePath]:
    """A folder of its own in the bucket; the store is well again afterwards."""
    yield RemotePath(f"s3://bucket/{uuid.uuid4().hex}/out")
    server.faults = 0.0


def stored(out: RemotePath) -> dict[str, bytes]:
    """Every file of both folders, named as `tree` names them."""
    system = out._system
    root = out.parent._inside
    files = {name: system.cat_file(name) for name in system.find(root)}
    return {name[len(root) :].lstrip("/"): content for name, content in files.items()}


@pytest.mark.parametrize("objective", ["mlm", "cooccurrence", "skipgram"])
def test_a_build_in_a_store_is_the_one_on_a_disk(sources, undisturbed, objective, memory):
    plan = sources.plan(memory, objective)
    run(plan, workers=2)  # one: no other process would see it

    assert stored(memory) == undisturbed(objective)
    assert run(plan, resume=True).already_complete
    with pytest.raises(UsageError, match="already holds a complete dataset"):
        run(plan)
    run(plan, force=True)
    assert stored(memory) == undisturbed(objective)


def test_a_store_that_fails_gets_the_same_bytes(sources, undisturbed, server, bucket):
    server.faults, server.failed = 0.2, 0
    run(sources.plan(bucket, "mlm"))

    assert server.failed >= 6
    server.faults = 0.0
    assert stored(bucket) == undisturbed("mlm")


def test_ten_tasks_race_to_the_end(sources, undisturbed, server, bucket):
    plan = sources.plan(bucket, "cooccurrence")
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda i: run(plan, task=(i % 4, 4)), range(10)))

    assert stored(bucket) == undisturbed("cooccurrence")


def test_ten_writers_race_for_a_shard(sources, undisturbed, server, bucket):
    plan = sources.plan(bucket, "mlm")
    settings = plan.job.settings
    partition = next(read_partitions(plan.sources[0], settings.corpus, settings.partition_bytes))
    server.faults = 0.02
    with ThreadPoolExecutor(10) as pool:
        receipts = list(pool.map(lambda _: Builder(plan.job).build(partition), range(10)))
    server.faults = 0.0

    assert all(receipt == receipts[0] for receipt in receipts)
    found = stored(bucket)
    assert [name for name in found if "/receipts/" in name] == ["out/receipts/00000-00000.json"]
    shards = {name: found[name] for name in found if name.endswith(".arrow")}
    expected = undisturbed("mlm")
    assert len(shards) >= 2
    assert shards == {name: expected[name] for name in shards}


def test_a_killed_build_in_a_store_is_continued(sources, undisturbed, server, bucket):
    plan = sources.plan(bucket, "cooccurrence")

    class Died(BaseException):
        pass

    def die(_: object) -> None:
        raise Died

    for _ in range(3):
        with pytest.raises(Died):
            run(plan, resume=True, on_receipt=die)
    assert not (bucket / "manifest.json").exists()
    with pytest.raises(DatasetError, match="the dataset is unfinished"):
        lmprep.load(str(bucket))
    run(plan, resume=True)

    assert stored(bucket) == undisturbed("cooccurrence")


def test_only_one_of_many_creates_a_file(server, bucket):
    path = bucket / "plan.json"

    def create(number: int) -> bool:
        try:
            path.create(b"%d" % number)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(create, range(10)))

    assert sum(made) == 1
    assert path.read_bytes() == b"%d" % made.index(True)


def test_a_lost_answer_is_no_other_writer(server, bucket, monkeypatch):
    path = bucket / "plan.json"
    real = RemotePath._create_once
    calls = []

    def lost(self, content):
        real(self, content)
        if not calls:
            calls.append(content)
            raise ConnectionResetError

    monkeypatch.setattr(RemotePath, "_create_once", lost)
    path.create(b"mine")

    assert path.read_bytes() == b"mine"
    with pytest.raises(FileExistsError):
        path.create(b"mine")


def test_a_store_that_cannot_be_reached_is_told(monkeypatch, server):
    from lmprep import remote

    monkeypatch.setattr(remote, "_FIRST_WAIT", 0.0)
    with pytest.raises(LmprepError, match="s3://nobody/out/a: the store says: ") as caught:
        RemotePath("s3://nobody/out/a").put(path_of(__file__))

    assert "--resume" in caught.value.fix


def test_rows_of_a_store_are_those_of_a_disk(sources, undisturbed, tmp_path, memory):
    run(sources.plan(memory, "mlm"))
    run(sources.plan(tmp_path / "out", "mlm"))
    dataset, expected = lmprep.load(str(memory)), lmprep.load(tmp_path / "out")
    rows = np.arange(len(expected))

    assert len(dataset) == len(expected)
    for name, column in expected.rows(rows).items():
        assert all(map(np.array_equal, dataset.rows(rows)[name], column))
    assert dataset.folder.is_relative_to(tmp_path / "cache" / "datasets")
    assert all(check.passed for check in verify(str(memory)))


def test_shards_are_fetched_once_and_anew_when_the_dataset_is_another(
    sources, tmp_path, memory, monkeypatch
):
    run(sources.plan(memory, "clm"))
    first = cached.local_folder(str(memory))
    fetched = []
    real = RemotePath.fetch
    monkeypatch.setattr(
        RemotePath, "fetch", lambda self, to: (fetched.append(self.name), real(self, to))[1]
    )

    assert cached.local_folder(str(memory)) == first
    assert fetched == []
    (first / "manifest.json").unlink()  # as if it had been stopped in between
    (first / "data-00000-00000-00.arrow").unlink()
    assert cached.local_folder(str(memory)) == first
    assert fetched == ["data-00000-00000-00.arrow"]
    run(sources.plan(memory, "mlm"), force=True)
    assert cached.local_folder(str(memory)) != first
    assert lmprep.load(str(memory)).manifest["objective"] == "mlm"


def test_what_is_damaged_in_a_store_is_refused(sources, memory):
    run(sources.plan(memory, "clm"))
    shard = memory / "data-00000-00000-00.arrow"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard._system.pipe_file(shard._inside, bytes(content))
    with pytest.raises(DatasetError, match="its checksum is not the manifest's"):
        lmprep.load(str(memory))
    shard.unlink()
    with pytest.raises(DatasetError, match="the file is missing"):
        lmprep.load(str(memory))


@pytest.mark.parametrize(
    "manifest",
    [
        b"[]",
        b"{",
        b'{"shards": [{"file": "../../x.arrow", "bytes": 1, "sha256": ""}]}',
        b'{"shards": [{"file": "/etc/passwd", "bytes": 1, "sha256": ""}]}',
        b'{"shards": [], "word_counts": 7}',
    ],
)
def test_a_hostile_manifest_makes_no_file(memory, tmp_path, manifest):
    (memory / "manifest.json").create(manifest)
    with pytest.raises(DatasetError, match="not a manifest of lmprep"):
        cached.local_folder(str(memory))

    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_no_dataset_and_no_such_store_are_told(memory):
    with pytest.raises(UsageError, match="there is no dataset here"):
        lmprep.load(str(memory))
    with pytest.raises(UsageError, match="Protocol not known: nonsense"):
        path_of("nonsense://a/b")


def test_without_s3fs_it_says_what_to_install(monkeypatch):
    import fsspec

    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UsageError, match="s3:// needs a package that is not installed") as caught:
        path_of("s3://bucket/out")
    assert caught.value.fix == "Install it: pip install 'lmprep[s3]'"


def test_urls_go_through_the_command_line(lmprep, sources, undisturbed, server, bucket, tmp_path):
    flags = ["--partition-size", "2000", "--valid", "25%", "--length", "48", "--workers", "2"]
    tokenizer = sources.tokenizer("gpt2")
    built = lmprep("build", "clm", sources.file, "-t", tokenizer, "-o", bucket, *flags)
    checked = lmprep("verify", bucket)

    assert built.returncode == 0, built.stderr
    assert stored(bucket) == undisturbed("clm")
    assert checked.returncode == 0, checked.stderr


def test_a_local_folder_stays_what_it_is(tmp_path):
    assert path_of(str(tmp_path)) == path_of(f"file://{tmp_path}") == tmp_path
    assert cached.local_folder(tmp_path) == tmp_path
