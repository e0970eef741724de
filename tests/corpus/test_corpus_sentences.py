from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from icu4py.breakers import SentenceBreaker

from lmprep.batches import Drops
from lmprep.corpus import CorpusSettings, Partition, icu_version, split_sentences
from lmprep.corpus import sentences as sentences_module
from lmprep.ragged import offsets_of

SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def partition_of(documents, source=0, first=0, input_format="txt"):
    texts = [document.encode() for document in documents]
    return Partition(
        source=source,
        ordinal=0,
        text=np.frombuffer(b"".join(texts), np.uint8),
        document_offsets=offsets_of([len(text) for text in texts]),
        first_document=first,
        last=True,
        input_format=input_format,
        drops=Drops(),
    )


def sentences(documents, mode, **settings):
    found, drops = split_sentences(
        partition_of(documents), CorpusSettings(sentences=mode, **settings)
    )
    assert drops == Drops()
    return rows(found)


def rows(found):
    bounds = pairwise(found.document_offsets)
    return [[found.slice_text(s) for s in range(a, b)] for a, b in bounds]


def test_lines_are_sentences_and_empty_ones_vanish():
    assert sentences(["One. Two.\nThree. \r\n\n \n  Four"], "line") == [
        ["One. Two.", "Three.", "  Four"]
    ]


def test_a_whole_document_can_be_a_sentence():
    assert sentences(["One.\n\nTwo.", "Three."], "none") == [["One.\n\nTwo."], ["Three."]]


def test_icu_cuts_lines_at_sentence_ends_and_trims_them():
    text = "  It rained. Was it cold?  Yes!\nA line of its own\u2029and\u3000"
    assert sentences([text], "icu") == [
        ["It rained.", "Was it cold?", "Yes!", "A line of its own", "and"]
    ]


def test_abbreviations_of_the_language_do_not_end_sentences():
    assert sentences(["I met Mr. Hale. He left."], "icu") == [["I met Mr. Hale.", "He left."]]
    german = "Er kam z.B. Montag. Dann ging er."
    assert sentences([german], "icu", language="de") == [["Er kam z.B. Montag.", "Dann ging er."]]
    assert len(sentences([german], "icu", language="en")[0]) == 3


def test_a_language_may_be_written_with_its_country():
    text = "I met Mr. Hale. He left."
    for language in ("en_US", "en-US"):
        assert len(sentences([text], "icu", language=language)[0]) == 2


def test_offsets_of_icu_are_mapped_to_bytes_past_emoji():
    text = "😀😀 wow. É 👩‍👩‍👧! Ça va? 漢字。次の文。"
    assert sentences([text], "icu") == [["😀😀 wow.", "É 👩‍👩‍👧!", "Ça va?", "漢字。", "次の文。"]]


def test_documents_are_never_joined_by_icu():
    assert sentences(["no full stop", "nor here"], "icu") == [["no full stop"], ["nor here"]]


def test_documents_without_a_sentence_are_dropped_but_counted_in_the_numbers():
    partition = partition_of(["a", "\u3000\n\u00a0", "b"], source=5, first=100)
    for mode in ("line", "icu"):
        found, drops = split_sentences(partition, CorpusSettings(sentences=mode))
        assert rows(found) == [["a"], ["b"]]
        assert found.numbers.tolist() == [(5 << 40) + 100, (5 << 40) + 102]
        assert drops == {"empty_documents": 1}


def test_all_documents_may_be_dropped():
    found, drops = split_sentences(partition_of(["\u2003"]), CorpusSettings(sentences="icu"))
    assert len(found) == 0
    assert found.document_offsets.tolist() == [0]
    assert drops == {"empty_documents": 1}


def test_text_files_default_to_lines_and_records_to_icu():
    text = "One. Two.\nThree."
    for input_format, count in (("txt", 2), ("jsonl", 3)):
        found, _ = split_sentences(
            partition_of([text], input_format=input_format), CorpusSettings()
        )
        assert len(rows(found)[0]) == count


def test_offsets_are_int64_and_the_input_is_not_changed():
    partition = partition_of(["One. Two.", "Three."])
    before = partition.text.tobytes()
    for mode in ("line", "icu", "none"):
        found, _ = split_sentences(partition, CorpusSettings(sentences=mode))
        assert found.text.dtype == np.uint8
        assert found.sentence_offsets.dtype == found.document_offsets.dtype == np.int64
        assert found.numbers.dtype == np.int64
        assert found.sentence_offsets[-1] == len(found.text)
        assert found.document_offsets[-1] == len(found.sentence_offsets) - 1
    assert partition.text.tobytes() == before


DOCUMENTS = st.lists(
    st.text(st.sampled_from("aB.!? \n\r\té€😀。\u3000\u2028\x85\xa0\0Mr"), min_size=1, max_size=40),
    min_size=1,
    max_size=6,
)


@given(DOCUMENTS)
def test_lines_equal_the_slow_twin(documents):
    found, drops = split_sentences(partition_of(documents), CorpusSettings(sentences="line"))
    slow = [[t for line in d.split("\n") if (t := line.rstrip(SPACE))] for d in documents]
    assert rows(found) == [row for row in slow if row]
    assert drops["empty_documents"] == sum(not row for row in slow)


@given(DOCUMENTS, st.integers(1, 30))
def test_icu_equals_the_slow_twin_however_much_it_gets_at_a_time(documents, size):
    with mock.patch.object(sentences_module, "ICU_BYTES", size):
        found, _ = split_sentences(partition_of(documents), CorpusSettings(sentences="icu"))
    slow = [
        [
            trimmed
            for line in document.split("\n")
            for sentence in SentenceBreaker(line + "\n", "en@ss=standard")
            if (trimmed := sentence.strip(SPACE))
        ]
        for document in documents
    ]
    assert rows(found) == [row for row in slow if row]


@pytest.mark.parametrize("space", list(SPACE))
def test_every_whitespace_character_is_trimmed(space):
    if space != "\n":
        assert sentences([f"a{space}b{space}{space}"], "line") == [[f"a{space}b"]]
    assert sentences([f"{space}{space}a{space}"], "icu") == [["a"]]


@pytest.mark.parametrize("other", ["\u200b", "\ufeff", "\x1c", "\u180e", "\u2030", "\u3001", "\0"])
def test_characters_close_to_whitespace_are_not(other):
    assert sentences([f"{other}a{other}"], "line") == [[f"{other}a{other}"]]


def test_icu_says_its_version():
    assert int(icu_version().split(".")[0]) >= 70
