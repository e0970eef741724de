"""Tokenizer folders in the Hugging Face layout: written whole or not at all, read from anywhere.

tokenizer.json            everything the `tokenizers` library needs: defines the ids
tokenizer_config.json     roles of special tokens, for `transformers.AutoTokenizer`
special_tokens_map.json   the same, for older readers
vocab.txt                 bert: a token a line; or
vocab.json  merges.txt    roberta, gpt2
training.json             the family, and how the vocabulary was made
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from lmprep.errors import InputError, UsageError
from lmprep.files import atomic_file, atomic_folder, canonical_json
from lmprep.remote import AnyPath, RemotePath
from lmprep.settings import FAMILIES, VocabSettings
from lmprep.tokenization.components import model_of
from lmprep.tokenization.families import TABLE, special_tokens
from lmprep.tokenization.roles import family_of, vocabulary_of
from lmprep.vocabulary import Vocabulary

_MAIN = "tokenizer.json"
_CONFIG = "tokenizer_config.json"
_SPECIAL = "special_tokens_map.json"
_TRAINING = "training.json"
_MAKE_ONE = "Make one with `lmprep vocab`, or fetch this one again"
_VOCABULARY_FILES = ("vocab.txt", "vocab.json", "merges.txt")
FILES = (_MAIN, _CONFIG, _SPECIAL, *_VOCABULARY_FILES, _TRAINING)


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenizerFolder:
    """A tokenizer, and what the rest of lmprep needs to know of it.

    Args:
        tokenizer: as loaded from tokenizer.json.
        vocabulary: its size and special ids.
        sha256: of tokenizer.json, hexadecimal: two tokenizers with the same one give the same ids.
        path: the folder, or the tokenizer.json given alone.
        files: the files that belong to it, tokenizer.json first.
    """

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    sha256: str
    path: Path
    files: tuple[Path, ...]


def save(
    tokenizer: Tokenizer, folder: str | Path, settings: VocabSettings, training: dict[str, Any]
) -> None:
    """Write a tokenizer made by `learn` as a folder that appears whole.

    Args:
        tokenizer: the tokenizer.
        folder: where; it must not exist, or be empty.
        settings: what the tokenizer was made with.
        training: what else to say about it in training.json (text, counts, versions).

    Raises:
        UsageError: the folder exists.
    """
    contents = {
        _MAIN: tokenizer.to_str(pretty=True).encode(),
        _CONFIG: canonical_json(_configuration(settings)),
        _SPECIAL: canonical_json(_special_tokens_map(settings)),
        _TRAINING: canonical_json(
            {"family": settings.family, "settings": settings.as_dict(), **training}
        ),
        **_vocabulary_files(tokenizer, settings.family),
    }
    _publish(contents, Path(folder))


def load(path_or_name: str | Path, family: str | None = None) -> TokenizerFolder:
    """Read a tokenizer: our folder, a foreign one in the Hugging Face layout, or a tokenizer.json.

    Args:
        path_or_name: the folder or file.
        family: needed only where nothing else tells the template.

    Raises:
        UsageError: there is no such tokenizer, or its family is not known or not the one given.
        InputError: a file is not what its name says.
    """
    if family is not None and family not in FAMILIES:
        raise UsageError(f"unknown family {family!r}", fix=f"Choose one of {', '.join(FAMILIES)}")
    files = _find_files(Path(path_or_name))
    tokenizer, sha256 = _read_tokenizer(files[0])
    config: dict[str, Any] = {}
    for file in files[1:]:
        if file.name in (_CONFIG, _SPECIAL, _TRAINING):
            config |= _read_json(file)
    stated = config.get("family")  # others may use that key for names that are not ours
    with _refusing_panics(files[0]):
        known = stated if stated in FAMILIES else family_of(tokenizer)
    if known is not None and family not in (None, known):
        raise UsageError(
            f"this is a tokenizer of family {known}, not {family}",
            fix="Leave out --family",
            path=path_or_name,
        )
    chosen = family if known is None else known
    return TokenizerFolder(
        tokenizer=tokenizer,
        vocabulary=_vocabulary(tokenizer, chosen, config, path_or_name),
        sha256=sha256,
        path=Path(path_or_name),
        files=files,
    )


def load_tokenizer(path_or_name: str | Path) -> Tokenizer:
    """As `load`, for who needs neither family nor roles: the tokenizer alone."""
    return _read_tokenizer(_find_files(Path(path_or_name))[0])[0]


def copy(folder: TokenizerFolder, destination: AnyPath) -> None:
    """Copy a tokenizer's files into a folder, from where it loads without naming its family.

    A destination that holds the same tokenizer already is left as it is, so that several
    processes may copy at once.

    Raises:
        UsageError: the destination holds something else.
    """
    contents = {file.name: file.read_bytes() for file in folder.files}
    contents[_MAIN] = contents.pop(folder.files[0].name)
    training = json.loads(contents.get(_TRAINING, b"{}"))
    contents[_TRAINING] = canonical_json({"family": folder.vocabulary.family} | training)
    try:
        _publish(contents, destination)
    except UsageError:
        there = destination / _MAIN
        if not there.is_file() or there.read_bytes() != contents[_MAIN]:
            raise


def _vocabulary(
    tokenizer: Tokenizer, family: str | None, config: Mapping[str, Any], path: str | Path
) -> Vocabulary:
    if family is None:
        raise UsageError(
            "the tokenizer does not say which family it belongs to",
            fix=f"Add --family, one of {', '.join(FAMILIES)}",
            path=path,
        )
    try:
        with _refusing_panics(path):
            return vocabulary_of(tokenizer, family, config)
    except ValueError as error:
        raise UsageError(
            str(error), fix="Make a fitting vocabulary with lmprep vocab", path=path
        ) from error


def _find_files(path: Path) -> tuple[Path, ...]:
    """The files of the tokenizer at `path`, tokenizer.json first."""
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise UsageError(
            "no such tokenizer folder or tokenizer.json",
            fix="Make one with lmprep vocab; a tokenizer from a hub must be downloaded first",
            path=path,
        )
    files = tuple(path / name for name in FILES if (path / name).is_file())
    if not files or files[0].name != _MAIN:
        raise UsageError(
            "there is no tokenizer.json in this folder",
            fix="Write one with transformers: AutoTokenizer.from_pretrained(...).save_pretrained",
            path=path,
        )
    return files


_RARE = "a \u2200 \U0001f600"


def _read_tokenizer(file: Path) -> tuple[Tokenizer, str]:
    """The tokenizer of a tokenizer.json, and the file's SHA-256."""
    content = file.read_bytes()
    try:
        with _refusing_panics(file):
            tokenizer = Tokenizer.from_str(content.decode())
            tokenizer.encode(_RARE)  # fails where the unknown token is not in the vocabulary
    except InputError:
        raise
    except Exception as error:  # the library raises no narrower class
        raise InputError(f"not a tokenizer: {error}", path=file, fix=_MAKE_ONE) from error
    return tokenizer, hashlib.sha256(content).hexdigest()


@contextmanager
def _refusing_panics(path: str | Path) -> Iterator[None]:
    """Make an `InputError` of a panic: what the library does with parts that do not fit together.

    Its class, which is no `Exception`, has no name that could be imported.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        what = f"not a tokenizer that works ({error})"
        raise InputError(what, path=path, fix=_MAKE_ONE) from None


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", path=file, fix=_MAKE_ONE) from error
    if not isinstance(content, dict):
        raise InputError("not a JSON object", path=file, fix=_MAKE_ONE)
    return content


def _special_tokens_map(settings: VocabSettings) -> dict[str, Any]:
    roles = TABLE[settings.family].roles
    named: dict[str, Any] = {f"{role}_token": token for role, token in roles.items()}
    if settings.family != "bert":
        named |= {"eos_token": roles["sep"]}
        named |= {"bos_token": roles["cls"]} if "cls" in roles else {}
    if settings.family in ("gpt2", "t5", "ul2"):
        del named["sep_token"]  # an end of text, not a separator of segments
    if settings.family == "gpt2":
        named |= {"bos_token": roles["sep"], "unk_token": roles["sep"]}
    others = [t for t in reversed(special_tokens(settings)) if t not in roles.values()]
    return named | ({"additional_special_tokens": others} if others else {})


def _configuration(settings: VocabSettings) -> dict[str, Any]:
    family = TABLE[settings.family]
    segments = ["token_type_ids"] if family.token_types else []
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",  # the one that takes tokenizer.json as it is
        "model_max_length": family.max_length,
        "model_input_names": ["input_ids", *segments, "attention_mask"],
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        **_special_tokens_map(settings),
    }


def _vocabulary_files(tokenizer: Tokenizer, family: str) -> dict[str, bytes]:
    """The vocabulary in the form older tools of the family read, where the model has that form."""
    model = model_of(tokenizer)
    if family == "bert" and model["type"] in ("WordPiece", "WordLevel"):
        return {"vocab.txt": "".join(f"{token}\n" for token in model["vocab"]).encode()}
    if family in ("roberta", "gpt2") and model["type"] == "BPE":
        ids = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
        by_id = json.dumps(dict(ids), ensure_ascii=False, indent=1)
        return {
            "vocab.json": by_id.encode(),
            "merges.txt": f"#version: 0.2\n{merges}".encode(),
        }
    return {}


def _publish(contents: Mapping[str, bytes], folder: AnyPath) -> None:
    """Write a folder, whole or not at all."""
    if isinstance(folder, RemotePath):
        _put(contents, folder)
        return
    try:
        with atomic_folder(folder) as temporary:
            for name, content in contents.items():
                (temporary / name).write_bytes(content)
    except OSError as error:
        if not folder.exists():
            raise
        raise UsageError("already exists", fix="Choose another name", path=folder) from error


def _put(contents: Mapping[str, bytes], folder: RemotePath) -> None:
    """Write the files to a store, tokenizer.json last: without it there is no tokenizer."""
    if (folder / _MAIN).is_file():
        raise UsageError("already exists", fix="Choose another name", path=folder)
    for name in sorted(contents, key=lambda name: name == _MAIN):
        with atomic_file(folder / name) as file:
            file.write(contents[name])
