"""Feeds a reader with mutated files for as long as one likes, and stops at the first crash.

    pip install atheris
    python -m tests.faults.fuzz jsonl -max_total_time=60
    python -m tests.faults.fuzz manifest -max_total_time=60
    python -m tests.faults.fuzz recipe -max_total_time=60
    python -m tests.faults.fuzz tokenizer -max_total_time=60
    python -m tests.faults.fuzz tokenizer-config -max_total_time=60

A crash is any exception that is not one of `lmprep.errors`, a signal, more than 2 GB, or an input
that takes 10 seconds. Further flags are those of libFuzzer; a folder keeps the inputs it found.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

from lmprep import files, recipe_file, settings
from lmprep.corpus import blocks, records
from lmprep.corpus.sources import InputFile, Part
from lmprep.dynamic import load
from lmprep.errors import LmprepError
from lmprep.files import canonical_json, json_sha256
from lmprep.shards import manifest, manifest_form
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization import roles
from tests.corpora import build_dataset, make_tokenizer, write_corpus

# Whose branches guide it; none of them has kernels, which numba could not compile afterwards.
_WATCHED = (
    blocks,
    records,
    files,
    recipe_file,
    settings,
    manifest,
    manifest_form,
    tokenizer_folder,
    roles,
)


_RECORDS = '{"text": "A café.\\nTwo \\ud83d\\ude00 lines."}\n\n{"n": [1], "text": "B"}\n'


def _watch() -> None:
    for module in _WATCHED:
        for function in vars(module).values():
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                atheris.instrument_func(function)


def _manifest(folder: Path) -> tuple[bytes, Callable[[bytes], object]]:
    """A manifest of any JSON, its hash made to fit, beside sound shards."""
    corpus = write_corpus(folder / "corpus.txt", documents=6)
    tokenizer = make_tokenizer(corpus, folder / "tok")
    path = build_dataset(corpus, tokenizer, folder / "out") / "manifest.json"

    def read(data: bytes) -> None:
        with contextlib.suppress(ValueError, RecursionError, AttributeError):
            content = json.loads(data)
            content.pop("manifest_sha256", None)
            data = canonical_json({**content, "manifest_sha256": json_sha256(content)})
        path.write_bytes(data)
        load(path.parent)

    return path.read_bytes(), read


def _jsonl(folder: Path) -> tuple[bytes, Callable[[bytes], object]]:
    path = folder / "corpus.jsonl"
    part = Part(file=InputFile(path=str(path), name=path.name, bytes=0, format="jsonl"))
    policies = [
        settings.CorpusSettings(encoding_errors=errors, on_error=on_error)
        for errors in settings.ENCODING_ERRORS
        for on_error in ("stop", "skip")
    ]

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for policy in policies:
            with contextlib.suppress(LmprepError):
                list(records.read_records(part, policy))

    return _RECORDS.encode(), read


def _recipe(folder: Path) -> tuple[bytes, Callable[[bytes], object]]:
    path = folder / "recipe.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        recipe_file.load_recipe(path, corpus=(), changes=())

    return (Path(recipe_file.__file__).parent / "recipes" / "bert.toml").read_bytes(), read


def _file_of_a_tokenizer(name: str) -> Callable[[Path], tuple[bytes, Callable[[bytes], object]]]:
    def target(folder: Path) -> tuple[bytes, Callable[[bytes], object]]:
        made = make_tokenizer(write_corpus(folder / "corpus.txt", documents=6), folder / "tok")

        def read(data: bytes) -> None:
            (made / name).write_bytes(data)
            tokenizer_folder.load(made, "bert")

        return (made / name).read_bytes(), read

    return target


TARGETS = {
    "jsonl": _jsonl,
    "manifest": _manifest,
    "recipe": _recipe,
    "tokenizer": _file_of_a_tokenizer("tokenizer.json"),
    "tokenizer-config": _file_of_a_tokenizer("tokenizer_config.json"),
}


def main() -> None:
    """Fuzz the target that the first argument names."""
    name, flags = sys.argv[1], sys.argv[2:]
    folder = Path(tempfile.mkdtemp(prefix="lmprep-fuzz-"))
    try:
        seed, read = TARGETS[name](folder)
        _watch()
        (folder / "seeds").mkdir()
        (folder / "seeds" / "sound").write_bytes(seed)

        def one(data: bytes) -> None:
            with contextlib.suppress(LmprepError):
                read(data)

        limits = ["-timeout=10", "-rss_limit_mb=2048", f"-max_len={2 * len(seed)}"]
        atheris.Setup([sys.argv[0], *limits, *flags, str(folder / "seeds")], one)
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
