from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_corpus import block_bytes, documents_of_text, partitions_of, texts, written

from lmprep.batches import Drops
from lmprep.corpus import CorpusSettings, expand
from lmprep.corpus.partitions import Piece, cut


def pieces_of(rows):
    """One piece for each row of texts; `+text` continues the document before."""
    for row in rows:
        parts = [text.removeprefix("+").encode() for text in row]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        places = zip(row, [0, *ends.tolist()], strict=False)
        starts = np.array([p for t, p in places if not t.startswith("+")], np.int64)
        yield Piece(text=np.frombuffer(b"".join(parts), np.uint8), starts=starts)


def partitioned(rows, size):
    found = list(cut(pieces_of(rows), source=3, input_format="txt", partition_bytes=size))
    return [texts(p) for p in found], found


def test_a_partition_ends_with_the_document_that_fills_it():
    groups, _ = partitioned([["aa", "bb", "cc", "dd", "ee", "ff", "gg"]], 5)
    assert groups == [["aa", "bb", "cc"], ["dd", "ee", "ff", "gg"]]


def test_a_partition_knows_its_place():
    _, found = partitioned([["aa", "bb", "cc"], ["dd", "ee"], ["ff"]], 4)
    assert [(p.source, p.ordinal, p.first_document, p.last) for p in found] == [
        (3, 0, 0, False),
        (3, 1, 2, False),
        (3, 2, 4, True),
    ]


def test_a_long_document_is_not_alone_when_others_follow():
    groups, _ = partitioned([["long" * 9, "b", "c", "d"]], 4)
    assert groups == [["long" * 9, "b"], ["c", "d"]]


def test_a_last_lone_document_joins_the_partition_before():
    groups, found = partitioned([["aaaa", "bbbb"], ["long" * 9]], 4)
    assert groups == [["aaaa", "bbbb", "long" * 9]]
    assert found[0].last


def test_documents_go_on_over_pieces():
    groups, _ = partitioned([["a"], ["+b"], [], ["+c", "d"], ["+e"], ["f", "g"]], 2)
    assert groups == [["abc", "de"], ["f", "g"]]


@pytest.mark.parametrize("rows", [[], [[], []]])
def test_a_source_without_documents_is_one_empty_partition(rows):
    groups, (found,) = partitioned(rows, 4)

    assert groups == [[]]
    assert found.last
    assert len(found) == 0


def test_one_document_is_one_partition():
    groups, found = partitioned([["alone"]], 2)
    assert groups == [["alone"]]
    assert found[0].last


def test_drops_and_warnings_come_with_the_partition_they_were_met_in():
    pieces = list(pieces_of([["aa", "bb", "cc", "dd"], ["ee"]]))
    nothing = {"text": np.empty(0, np.uint8), "starts": np.empty(0, np.int64)}
    pieces.insert(1, Piece(**nothing, drops=Drops(empty_documents=2), warnings=("careful",)))
    first, second = cut(pieces, source=0, input_format="txt", partition_bytes=4)
    assert (first.drops, first.warnings) == ({}, ())
    assert (second.drops, second.warnings) == ({"empty_documents": 2}, ("careful",))


ROWS = st.lists(st.lists(st.text("ab", min_size=1, max_size=12), max_size=5), max_size=6)


@given(ROWS, st.integers(1, 30))
def test_partitions_keep_all_documents_at_least_two_together(rows, size):
    groups, found = partitioned(rows, size)
    documents = [text for row in rows for text in row]
    assert list(chain.from_iterable(groups)) == documents
    assert [p.last for p in found] == [False] * (len(found) - 1) + [True] * bool(found)
    assert all(len(group) >= min(2, len(documents)) for group in groups)
    for group in groups[:-1]:  # full, and not before the last document or the second
        assert sum(map(len, group)) >= size
        assert len(group) == 2 or sum(map(len, group[:-1])) < size


@given(ROWS, st.integers(1, 30))
def test_partitions_do_not_depend_on_where_pieces_end(rows, size):
    whole = [[text for row in rows for text in row]]
    assert partitioned(rows, size)[0] == partitioned(whole, size)[0]


TEXT = st.lists(
    st.sampled_from(["é", "a b", "😀.", " ", "", "\r", "x\r", "€ \r", "long " * 5])
).map("\n".join)


@given(TEXT, st.sampled_from(["blank", "line"]), st.integers(1, 40), st.integers(1, 9))
def test_documents_do_not_depend_on_partitions_ranges_or_blocks(
    tmp_path_factory, text, documents, size, block
):
    path = written(tmp_path_factory.mktemp("cut"), "a.txt", text.encode())
    settings = CorpusSettings(documents=documents)
    with block_bytes(block):
        found = partitions_of(expand([str(path)]), settings, size)
    expected = documents_of_text(text.encode(), documents)
    assert [text for p in found for text in texts(p)] == expected
    assert all(len(p) >= min(2, len(expected)) for p in found)
    for partition in found:
        earlier = [len(p) for p in found[: found.index(partition)] if p.source == partition.source]
        assert (partition.ordinal, partition.first_document) == (len(earlier), sum(earlier))


def test_blocks_of_any_size_make_the_same_partitions(tmp_path):
    rng = np.random.default_rng(1)
    lines = ["word " * int(n) for n in rng.integers(0, 9, 2000)]
    path = written(tmp_path, "a.txt.gz", "\n".join(lines).encode())
    expected = partitions_of(expand([str(path)]), CorpusSettings(), 1000)
    assert len(expected) > 10
    for size in (7, 100, 999):
        with block_bytes(size):
            found = partitions_of(expand([str(path)]), CorpusSettings(), 1000)
        assert [texts(p) for p in found] == [texts(p) for p in expected]


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "csv"},
        {"documents": "paragraph"},
        {"sentences": "nltk"},
        {"language": "English"},
        {"language": "en@ss=none"},
    ],
)
def test_settings_check_themselves(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CorpusSettings(**wrong)
