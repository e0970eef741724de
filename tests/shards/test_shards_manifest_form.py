"""Any manifest is either read as it was written or refused with a message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmprep.dynamic import load
from lmprep.errors import DatasetError
from lmprep.files import canonical_json, json_sha256
from lmprep.shards.manifest import read_manifest, read_receipt, write_receipt
from tests.shards.test_shards_io import make_dataset

pytestmark = pytest.mark.usefixtures("quick_disk")

numbers = st.sampled_from([-1, 0, 1, 7, 2**31, 2**62, 2**64, 10**30]) | st.floats(
    allow_nan=False, allow_infinity=False
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("form") / "out")


def places_in(value, path=()):
    """The paths to all values, the inner ones too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in inner:
        yield (*path, key)
        if isinstance(each, dict | list):
            yield from places_in(each, (*path, key))


@settings(max_examples=300)
@given(data=st.data())
def test_a_manifest_with_anything_in_any_place_is_read_or_refused(folder, data):
    path = folder / "manifest.json"
    whole = path.read_bytes()
    content = json.loads(whole)
    del content["manifest_sha256"]
    *outer, last = data.draw(st.sampled_from(list(places_in(content))))
    inner = content
    for key in outer:
        inner = inner[key]
    if data.draw(st.booleans()):
        inner[last] = data.draw(anything)
    else:
        del inner[last]
    content["manifest_sha256"] = json_sha256(content)
    path.write_bytes(canonical_json(content))
    refused = ""
    try:
        assert read_manifest(folder) == content
        assert len(load(folder)) >= 0
    except DatasetError as error:
        refused = str(error)
    path.write_bytes(whole)

    assert not refused or refused.startswith(str(folder))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
receipts = st.dictionaries(
    st.text(max_size=12).filter(lambda name: name != "receipt_sha256"), json_values, max_size=6
)


@given(receipts)
def test_a_receipt_comes_back_as_it_was(tmp_path_factory, receipt):
    path = tmp_path_factory.mktemp("r") / "r.json"
    write_receipt(path, receipt)

    assert read_receipt(path) == receipt


@given(st.binary(max_size=200) | anything.map(lambda v: json.dumps(v).encode()))
def test_what_is_no_receipt_is_none(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("r") / "r.json"
    path.write_bytes(content)

    assert read_receipt(path) is None
