"""Rows held against the corpus they were made of: every fault is seen, and clean data passes."""

import gzip
import shutil

import numpy as np
import pytest
from rewritten import columns_in, failed, manifest_of, restate_file, rewrite, state

from lmprep.batches import take_rows
from lmprep.checks.source import corpus as source_corpus
from lmprep.checks.verify import verify
from lmprep.errors import UsageError
from lmprep.objective_settings import FORMS
from lmprep.ragged import Ragged
from tests.corpora import build_dataset, make_tokenizer, write_corpus

CELLS = [
    ("mlm", "bert", {"pairs": "nsp"}),
    ("mlm", "roberta", {"pairs": "sop"}),
    ("mlm", "bert", {"pairs": "none", "sequences": "packed"}),
    ("whole-word", "bert", {"pairs": "nsp"}),
    ("ngram", "roberta", {"pairs": "none"}),
    ("span", "bert", {"pairs": "none", "sequences": "packed"}),
    ("infoword", "bert", {}),
    ("clm", "gpt2", {}),
    ("clm", "t5", {"sequences": "document"}),
    ("t5", "t5", {}),
    ("t5", "t5", {"noise": "drop-tokens"}),
    ("t5", "t5", {"noise": "deshuffle"}),
    ("bart", "roberta", {}),
    ("ul2", "ul2", {}),
    ("electra", "bert", {}),
    ("bilm", "roberta", {"sequences": "packed"}),
    ("skipgram", "bert", {"length": 20}),
    ("cooccurrence", "gpt2", {"length": 20}),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("source") / "corpus.txt", documents=80)


@pytest.fixture(scope="module")
def tokenizers(corpus):
    return {
        family: make_tokenizer(corpus, corpus.parent / family, family=family)
        for family in ("bert", "roberta", "gpt2", "t5", "ul2")
    }


@pytest.fixture(scope="module")
def builds(corpus, tokenizers, tmp_path_factory):
    """Builds of an objective, made once and handed out as copies."""
    made, folder = {}, tmp_path_factory.mktemp("builds")

    def build(objective, family, tmp_path, **changes):
        key = (objective, family, *sorted(changes.items()))
        if key not in made:
            out = folder / str(len(made))
            made[key] = build_dataset(
                corpus, tokenizers[family], out, objective=objective, **changes
            )
        return shutil.copytree(made[key], tmp_path / f"copy-{len(list(tmp_path.iterdir()))}")

    return build


@pytest.mark.parametrize(("objective", "family", "changes"), CELLS)
def test_clean_data_passes_with_its_source(builds, corpus, tmp_path, objective, family, changes):
    checks = verify(builds(objective, family, tmp_path, **changes), [str(corpus)])

    assert [check for check in checks if not check.passed] == []
    assert {"source files", "source text", "source encoder"} < {check.name for check in checks}
    assert len({check.name for check in checks}) == len(checks)


def test_every_objective_is_among_the_cells():
    assert {objective for objective, _, _ in CELLS} == set(FORMS)


@pytest.mark.parametrize(
    ("objective", "family"), [("mlm", "bert"), ("clm", "gpt2"), ("skipgram", "bert")]
)
def test_both_parts_pass_with_the_same_source(corpus, tokenizers, tmp_path, objective, family):
    changes = {"objective": objective, "valid": "1/4", "keep_order": objective == "clm"}
    out = build_dataset(corpus, tokenizers[family], tmp_path / "out", **changes)

    assert failed(out, corpus) == set()
    assert failed(tmp_path / "out-valid", corpus) == set()


def test_text_in_records_and_compressed_is_read_as_it_was(corpus, tokenizers, tmp_path):
    squeezed = tmp_path / "corpus.txt.gz"
    squeezed.write_bytes(gzip.compress(corpus.read_bytes(), mtime=0))
    out = build_dataset(squeezed, tokenizers["bert"], tmp_path / "out")

    assert failed(out, squeezed) == set()


# --- Another corpus. -----------------------------------------------------------------------------


def test_files_of_other_sizes_are_not_the_source(builds, corpus, tmp_path):
    other = tmp_path / "other.txt"
    other.write_bytes(corpus.read_bytes() + b"One more.\n")
    folder = builds("clm", "gpt2", tmp_path)

    assert failed(folder, other) == {"source files"}
    assert failed(folder, corpus, other) == {"source files"}
    (check,) = [c for c in verify(folder, [str(other)]) if not c.passed]
    assert "corpus.txt" in check.detail


def test_another_text_of_the_same_size_is_not_the_source(builds, corpus, tmp_path):
    other = tmp_path / "corpus.txt"
    text = corpus.read_bytes()
    place = text.rindex(b"a")
    other.write_bytes(text[:place] + b"o" + text[place + 1 :])

    assert failed(builds("clm", "gpt2", tmp_path), other) == {"source text"}
    assert failed(builds("cooccurrence", "gpt2", tmp_path, length=20), other) == {"source text"}


def test_a_source_that_is_not_there_is_wrong_usage(builds, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        verify(builds("clm", "gpt2", tmp_path), [str(tmp_path / "nothing.txt")])


def test_documents_held_out_by_another_seed_are_other_documents(corpus, tokenizers, tmp_path):
    out = build_dataset(corpus, tokenizers["gpt2"], tmp_path / "out", objective="clm", valid="1/4")

    def other_seed(content):
        content["settings"] |= {"seed": 5, "keep_order": True}

    state(out, other_seed)
    assert "source text" in failed(out, corpus)


def test_an_encoder_that_differs_from_the_library_is_found(builds, corpus, tmp_path, monkeypatch):
    encode = source_corpus.Encoder.encode

    def wrong(self, documents):
        tokens = encode(self, documents)
        tokens.ids[0] ^= 1
        return tokens

    folder = builds("clm", "gpt2", tmp_path)
    monkeypatch.setattr(source_corpus.Encoder, "encode", wrong)
    assert "source encoder" in failed(folder, corpus)


# --- Other rows. ---------------------------------------------------------------------------------


def test_a_token_that_is_not_in_the_source_is_found(builds, corpus, tmp_path):
    def fault(columns):
        ids = columns["input_ids"].values
        ids[7] = ids[8] if ids[7] != ids[8] else ids[9]

    for objective, family, changes in (
        ("clm", "gpt2", {"sequences": "document"}),
        ("bilm", "roberta", {}),
    ):
        folder = builds(objective, family, tmp_path, **changes)
        rewrite(folder, fault)
        assert failed(folder, corpus) == {"source tokens"}, objective


def test_rows_in_another_order_are_found(builds, corpus, tmp_path):
    def fault(columns):
        rows = np.arange(len(columns["document"]))
        rows[[1, 2]] = [2, 1]
        return take_rows(columns, rows)

    folder = builds("clm", "gpt2", tmp_path, keep_order=True)
    rewrite(folder, fault)
    assert failed(folder, corpus) == {"source tokens"}


def test_a_row_that_is_missing_is_found(builds, corpus, tmp_path):
    def fault(columns):
        return take_rows(columns, np.arange(1, len(columns["document"])))

    for objective, family in (("mlm", "bert"), ("t5", "t5")):
        folder = builds(objective, family, tmp_path, keep_order=True)
        rewrite(folder, fault)
        assert {"counts", "coverage", "source coverage"} <= failed(folder, corpus), objective


@pytest.mark.parametrize(("objective", "family"), [("mlm", "bert"), ("clm", "gpt2")])
def test_shuffled_rows_too_few_or_too_many_are_found(builds, corpus, tmp_path, objective, family):
    def fewer(columns):
        return take_rows(columns, np.arange(1, len(columns["document"])))

    def more(columns):
        return take_rows(columns, np.append(np.arange(len(columns["document"])), 0))

    for fault in (fewer, more):
        folder = builds(objective, family, tmp_path)
        rewrite(folder, fault)
        assert {"counts", "coverage"} <= failed(folder, corpus), fault.__name__


def test_a_row_that_is_there_twice_is_found(builds, corpus, tmp_path):
    def fault(columns):
        rows = np.arange(len(columns["document"]))
        return take_rows(columns, np.insert(rows, 1, 0))

    folder = builds("mlm", "bert", tmp_path, keep_order=True)
    rewrite(folder, fault)
    assert {"counts", "coverage", "source tokens"} <= failed(folder, corpus)


def test_drops_that_were_none_are_found(builds, corpus, tmp_path):
    def fault(content):
        content["drops"]["some_tokens"] = content["drops"].get("some_tokens", 0) + 3
        content["input_tokens"] += 3

    for objective, family in (("mlm", "bert"), ("clm", "gpt2")):
        folder = builds(objective, family, tmp_path)
        state(folder, fault)
        assert failed(folder, corpus) == {"source coverage"}, objective


def test_another_origin_is_found(builds, corpus, tmp_path):
    def other_sentence(columns):
        columns["first_sentence"][2] += 1

    def other_document(columns):
        columns["document"][2] += 1

    for fault in (other_sentence, other_document):
        folder = builds("bilm", "roberta", tmp_path, sequences="packed")
        rewrite(folder, fault)
        assert failed(folder, corpus) == {"source origins"}, fault.__name__


@pytest.mark.parametrize("name", ["first_sentence", "second_sentence", "second_document"])
def test_segments_of_pairs_stand_where_they_say(builds, corpus, tmp_path, name):
    def fault(columns):
        row = int(np.argmax(columns["next_sentence_label"] == 1))
        columns[name][row] += 40

    folder = builds("mlm", "bert", tmp_path)
    rewrite(folder, fault)
    assert "source tokens" in failed(folder, corpus)


@pytest.mark.parametrize(("objective", "family"), [("mlm", "bert"), ("clm", "gpt2")])
def test_a_separator_in_the_wrong_place_is_found(builds, corpus, tmp_path, objective, family):
    """One token too early: the text is as it was, and so are counts and layout."""

    def fault(columns):
        starts, ids = columns["document_starts"], columns["input_ids"]
        chosen = columns.get("masked_positions")
        for row in np.flatnonzero(starts.lengths == 1):
            start = int(starts[row][0])
            free = chosen is None or not {start - 2, start - 1} & set(chosen[row].tolist())
            if start > 5 and free:
                here = ids[row]
                here[[start - 2, start - 1]] = here[[start - 1, start - 2]]
                starts[row][0] -= 1
                return
        raise AssertionError("no such row")

    changes = {"sequences": "packed", "pairs": "none"} if objective == "mlm" else {}
    folder = builds(objective, family, tmp_path, **changes)
    rewrite(folder, fault)
    assert failed(folder, corpus) == {"source documents"}


def test_a_separator_lost_between_two_windows_is_found(builds, corpus, tmp_path):
    """A window of its own that held nothing but the separator of a document is gone."""
    folder = builds("clm", "t5", tmp_path, sequences="document", length=8)
    numbers = range(len(manifest_of(folder)["shards"]))
    alone = [n for n in numbers if (columns_in(folder, n)["input_ids"].lengths == 1).any()]

    def fault(columns):
        return take_rows(columns, np.flatnonzero(columns["input_ids"].lengths > 1))

    def in_order(content):
        content["settings"]["keep_order"] = True

    folder = builds("clm", "t5", tmp_path, sequences="document", length=8, keep_order=True)
    rewrite(folder, fault, alone[0])
    assert failed(folder, corpus) == {"counts", "source coverage"}


def test_a_sentence_that_begins_elsewhere_is_found(builds, corpus, tmp_path):
    def fault(columns):
        starts = columns["sentence_starts"]
        row = int(np.argmax(starts.lengths > 0))
        starts.values[starts.offsets[row]] += 1

    folder = builds("bart", "roberta", tmp_path, permute_rate=0)
    rewrite(folder, fault)
    assert failed(folder, corpus) == {"source sentences"}


@pytest.mark.parametrize("pairs", ["none", "sop"])
def test_a_word_that_begins_elsewhere_is_found(builds, corpus, tmp_path, pairs):
    def fault(columns):
        """A word of which nothing is predicted is parted, in a row that predicts all it may."""
        ids, starts = columns["input_ids"], columns["word_start"]
        chosen = columns["masked_positions"]
        for row in range(len(ids)):
            full = chosen.lengths[row] == max(1, round(ids.lengths[row] * 0.15))
            near = {p + d for p in chosen[row].tolist() for d in (-2, -1, 0, 1, 2)}
            inner = [p for p in np.flatnonzero(~starts[row]).tolist() if p not in near]
            if full and inner:
                starts[row][inner[0]] = True
                return
        raise AssertionError("no such row")

    folder = builds("whole-word", "bert", tmp_path, pairs=pairs)
    rewrite(folder, fault)
    assert failed(folder, corpus) == {"source words"}


def test_a_segment_that_does_not_begin_with_a_sentence_is_found(builds, corpus, tmp_path):
    def fault(columns):
        ids, first = columns["input_ids"], columns["first_segment_length"]
        row = int(np.argmax((first > 6) & (first < ids.lengths - 4)))
        here, end = ids[row], int(first[row]) - 1
        here[[end - 1, end]] = here[[end, end - 1]]
        first[row] -= 1

    folder = builds("electra", "bert", tmp_path)
    rewrite(folder, fault)
    assert failed(folder, corpus) == {"source segments"}


def test_single_segments_in_another_share_than_a_tenth_are_found(tokenizers, tmp_path):
    """Rows of two segments become one: their text is as it was, one separator is gone."""

    def joined(columns):
        ids, first = columns["input_ids"], columns["first_segment_length"]
        rows = [row.tolist() for row in ids]
        for row, length in enumerate(first.tolist()):
            if length < len(rows[row]) and row % 4 == 0:
                del rows[row][length - 1]
                first[row] = len(rows[row])
        joined_rows.append(len(ids.values) - sum(map(len, rows)))
        return {**columns, "input_ids": Ragged.from_rows(rows, np.int32)}

    def fewer_tokens(content):
        for shard, fewer in zip(content["shards"], joined_rows, strict=True):
            shard["tokens"] -= fewer
            shard["scored_tokens"] -= fewer

    joined_rows = []
    corpus = write_corpus(tmp_path / "larger.txt", documents=800)
    folder = build_dataset(
        corpus, tokenizers["bert"], tmp_path / "out", objective="electra", length=24
    )
    assert failed(folder, corpus) == set()
    for number in range(len(manifest_of(folder)["shards"])):
        rewrite(folder, joined, number)
    state(folder, fewer_tokens)
    assert failed(folder, corpus) == {"source one segment"}


def test_rows_that_are_not_sound_are_not_held_against_the_source(builds, corpus, tmp_path):
    def fault(columns):
        columns["input_ids"].values[3] = 60_000

    folder = builds("clm", "gpt2", tmp_path)
    rewrite(folder, fault)
    assert failed(folder, corpus) == {"ids"}


# --- Static embeddings. --------------------------------------------------------------------------


def test_thinned_rows_keep_the_order_of_the_text(builds, corpus, tmp_path):
    def fault(columns):
        ids = columns["input_ids"]
        row = next(r for r in range(len(ids)) if len(set(ids[r].tolist())) > 5)
        ids[row][:] = ids[row][::-1].copy()

    folder = builds("skipgram", "bert", tmp_path, length=20, subsample="1/10")
    rewrite(folder, fault)
    assert failed(folder, corpus) == {"source tokens"}


def test_counts_of_other_ids_are_found(builds, corpus, tmp_path):
    folder = builds("skipgram", "bert", tmp_path, length=20, subsample="0")
    counts = np.load(folder / "word_counts.npy")
    place = int(np.argmax((counts[5:-1] > 0) & (counts[5:-1] != counts[6:]))) + 5
    counts[[place, place + 1]] = counts[[place + 1, place]]
    np.save(folder / "word_counts.npy", counts)
    restate_file(folder, "word_counts")

    assert failed(folder, corpus) == {"subsampling", "source coverage"}


def test_cooccurrences_that_the_text_does_not_have_are_found(builds, corpus, tmp_path):
    def fault(columns):
        """A pair of an id with itself counts 1/10 more."""
        same = np.flatnonzero(columns["word"] == columns["context"])
        columns["weight"][same[0]] += np.float32(0.1)

    folder = builds("cooccurrence", "gpt2", tmp_path, length=20)
    rewrite(folder, fault)
    assert failed(folder, corpus) == {"source counts"}
