"""Datasets of whole builds, with a fault planted in one of their shards or papers afterwards."""

import json

from lmprep.checks.verify import verify
from lmprep.files import file_sha256
from lmprep.ragged import Ragged
from lmprep.shards.manifest import write_manifest
from lmprep.shards.reader import Shard
from lmprep.shards.schema import to_arrow
from lmprep.shards.writer import write_batches


def manifest_of(folder):
    """The manifest's content."""
    return json.loads((folder / "manifest.json").read_bytes())


def state(folder, change):
    """Change the manifest's content, and its hash with it."""
    content = manifest_of(folder)
    del content["manifest_sha256"]
    change(content)
    write_manifest(folder, content)


def columns_in(folder, number=0):
    """The columns of a shard of one record batch, which may be written to."""
    entry = manifest_of(folder)["shards"][number]
    columns = Shard(folder / entry["file"], entry).batch(0)
    return {
        name: Ragged(c.values.copy(), c.offsets.copy()) if isinstance(c, Ragged) else c.copy()
        for name, c in columns.items()
    }


def rewrite(folder, change, number=0):
    """Change the columns of a shard; the manifest's hashes follow, its counts do not.

    Args:
        change: is handed the columns, and may return others.
    """
    columns = columns_in(folder, number)
    columns = change(columns) or columns
    content = manifest_of(folder)
    length = content["settings"]["sequences"]["length"]
    batch = to_arrow(columns, vocabulary_size=content["vocabulary"]["size"], length=length)
    entry = write_batches(folder, content["shards"][number]["file"], [batch])
    state(folder, lambda content: content["shards"][number].update(entry))


def restate_file(folder, key):
    """Bring the manifest's entry of a file beside the shards up to date."""

    def change(content):
        path = folder / content[key]["file"]
        content[key] |= {"bytes": path.stat().st_size, "sha256": file_sha256(path)}

    state(folder, change)


def failed(folder, *source):
    """The names of the checks that fail, with the source if it is given."""
    return {
        check.name for check in verify(folder, [str(path) for path in source]) if not check.passed
    }
