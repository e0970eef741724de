"""Folders load with transformers and with us, whole or not at all, ours and those of others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tokenization_examples import COMBINATIONS, SENTENCES, learnt, settings
from tokenizers import Tokenizer, models, processors

from lmprep.errors import InputError, UsageError
from lmprep.tokenization import copy, load, save
from lmprep.tokenization.families import TABLE, end_tokens, special_tokens

ONE_OF_EACH = [
    ("wordpiece", "bert"),
    ("bpe", "roberta"),
    ("byte-bpe", "gpt2"),
    ("unigram", "t5"),
    ("unigram", "ul2"),
]


@pytest.fixture
def saved(tmp_path):
    """A function that saves a small tokenizer and returns its folder."""

    def save_one(algorithm="wordpiece", family="bert", name="tok"):
        wanted = settings(algorithm, family)
        save(learnt(algorithm, family), tmp_path / name, wanted, {"words": 99})
        return tmp_path / name

    return save_one


def test_the_files_are_those_of_the_family(saved):
    def names(*kind):
        return {path.name for path in saved(*kind, name="-".join(kind)).iterdir()}

    common = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "training.json"}
    assert names("wordpiece", "bert") == names("word", "bert") == common | {"vocab.txt"}
    assert names("bpe", "roberta") == common | {"vocab.json", "merges.txt"}
    assert names("byte-bpe", "gpt2") == common | {"vocab.json", "merges.txt"}
    assert names("unigram", "t5") == common


def test_the_vocabulary_files_hold_every_token_at_its_id(saved):
    lines = (saved() / "vocab.txt").read_text().splitlines()
    table = json.loads((saved("byte-bpe", "gpt2", "gpt2") / "vocab.json").read_text())

    assert {token: i for i, token in enumerate(lines)} == learnt("wordpiece", "bert").get_vocab()
    assert table == learnt("byte-bpe", "gpt2").get_vocab()


def test_training_json_says_how_it_was_made(saved):
    training = json.loads((saved() / "training.json").read_text())

    assert training["family"] == "bert"
    assert training["settings"]["algorithm"] == "wordpiece"
    assert training["words"] == 99


@pytest.mark.parametrize(("algorithm", "family"), COMBINATIONS)
def test_transformers_loads_the_same_ids_template_and_special_tokens(algorithm, family, saved):
    transformers = pytest.importorskip("transformers")
    ours = learnt(algorithm, family)
    theirs = transformers.AutoTokenizer.from_pretrained(saved(algorithm, family))

    assert theirs.get_vocab() == ours.get_vocab()
    assert len(theirs) == ours.get_vocab_size()
    for sentence in SENTENCES:
        assert theirs(sentence)["input_ids"] == ours.encode(sentence).ids
    pair = theirs("the", "cat")
    assert pair["input_ids"] == ours.encode("the", "cat").ids
    if family == "bert":
        assert pair["token_type_ids"] == ours.encode("the", "cat").type_ids
    else:
        assert "token_type_ids" not in pair
    roles = {"sep": theirs.eos_token} if family in ("gpt2", "t5", "ul2") else {}
    for role, token in TABLE[family].roles.items():
        assert roles.get(role, getattr(theirs, f"{role}_token")) == token
    assert set(theirs.all_special_tokens) == set(special_tokens(settings(algorithm, family)))
    assert (theirs.truncation_side, theirs.padding_side) == ("right", "right")
    assert theirs.model_max_length == TABLE[family].max_length


@pytest.mark.parametrize(("algorithm", "family"), COMBINATIONS)
def test_loading_gives_the_vocabulary_of_the_family(algorithm, family, saved):
    loaded = load(saved(algorithm, family))
    wanted = settings(algorithm, family)
    special = special_tokens(wanted)
    name = loaded.tokenizer.id_to_token

    assert loaded.vocabulary.family == family
    assert loaded.vocabulary.size == wanted.size
    assert [name(i) for i in loaded.vocabulary.special] == list(special)
    for role in ("pad", "unk", "cls", "sep", "mask"):
        token = TABLE[family].roles.get(role)
        assert getattr(loaded.vocabulary, role) == (token and loaded.tokenizer.token_to_id(token))
    sentinels = [t for t in reversed(end_tokens(wanted)) if t.startswith("<extra_id_")]
    assert [name(i) for i in loaded.vocabulary.sentinels] == sentinels
    assert loaded.tokenizer.to_str() == learnt(algorithm, family).to_str()


def test_the_fingerprint_is_that_of_tokenizer_json(saved):
    first, second = load(saved(name="a")), load(saved(name="b"))
    other = load(saved("word", "bert", "c"))

    assert first.sha256 == second.sha256 != other.sha256
    assert len(first.sha256) == 64


@pytest.mark.parametrize(("algorithm", "family"), ONE_OF_EACH)
def test_a_folder_saved_by_transformers_is_understood_without_its_family(
    algorithm, family, saved, tmp_path
):
    transformers = pytest.importorskip("transformers")
    ours = saved(algorithm, family)
    transformers.AutoTokenizer.from_pretrained(ours).save_pretrained(tmp_path / "foreign")
    foreign = load(tmp_path / "foreign")

    assert not (tmp_path / "foreign" / "training.json").exists()
    assert foreign.vocabulary == load(ours).vocabulary


@pytest.mark.parametrize(("algorithm", "family"), ONE_OF_EACH)
def test_a_tokenizer_json_alone_is_understood_by_its_template(algorithm, family, saved):
    ours = saved(algorithm, family)

    assert load(ours / "tokenizer.json").vocabulary == load(ours).vocabulary


@pytest.mark.parametrize(
    ("processor", "family"),
    [
        (processors.BertProcessing(("</s>", 2), ("<s>", 0)), "bert"),
        (processors.RobertaProcessing(("</s>", 2), ("<s>", 0)), "roberta"),
    ],
)
def test_other_kinds_of_post_processor_tell_their_template_too(processor, family, tmp_path):
    tokenizer = Tokenizer.from_str(learnt("bpe", "roberta").to_str())
    tokenizer.post_processor = processor
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vocabulary = load(tmp_path / "tokenizer.json").vocabulary

    assert (vocabulary.family, vocabulary.cls, vocabulary.sep) == (family, 0, 2)


def test_padding_and_truncation_do_not_hide_the_template(tmp_path):
    tokenizer = Tokenizer.from_str(learnt("wordpiece").to_str())
    tokenizer.enable_padding(length=20)
    tokenizer.enable_truncation(3)
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    assert load(tmp_path / "tokenizer.json").vocabulary.family == "bert"


def test_a_tokenizer_without_template_needs_its_family(tmp_path):
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    with pytest.raises(UsageError, match="Add --family"):
        load(tmp_path)
    vocabulary = load(tmp_path, "gpt2").vocabulary
    assert (vocabulary.sep, vocabulary.size, vocabulary.special) == (2, 3, (2,))
    with pytest.raises(UsageError, match=r"there is no \[CLS\], which bert needs"):
        load(tmp_path, "bert")


def test_roles_come_from_the_configuration_before_the_usual_names(tmp_path):
    tokenizer = Tokenizer(models.BPE({"a": 0, "<end>": 1, "</s>": 2, "#": 3}, []))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    config = {"eos_token": {"content": "<end>"}, "pad_token": "#", "unk_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    vocabulary = load(tmp_path, "t5").vocabulary

    assert (vocabulary.sep, vocabulary.pad, vocabulary.unk) == (1, 3, None)
    assert vocabulary.special == (1, 3)


@pytest.mark.parametrize(
    "model",
    [
        models.WordLevel({"</s>": 0, "<what>": 1, "<unk>": 2}, unk_token="<what>"),
        models.Unigram([("</s>", 0.0), ("<what>", 0.0), ("<unk>", 0.0)], unk_id=1),
    ],
)
def test_the_unknown_token_is_the_one_the_model_gives(model, tmp_path):
    Tokenizer(model).save(str(tmp_path / "tokenizer.json"))

    assert load(tmp_path, "t5").vocabulary.unk == 1


def test_a_family_that_contradicts_the_tokenizer_is_refused(saved):
    with pytest.raises(UsageError, match="of family bert, not t5"):
        load(saved(), "t5")
    with pytest.raises(UsageError, match="unknown family 'xlnet'"):
        load(saved(name="other"), "xlnet")
    assert load(saved(name="third"), "bert").vocabulary.family == "bert"


def test_a_family_that_is_not_ours_in_the_configuration_says_nothing(saved, tmp_path):
    tokenizer = Tokenizer(models.BPE({"a": 0, "</s>": 1}, []))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"family": "llama"}')
    with_template = saved()
    (with_template / "training.json").write_text('{"family": ["llama"]}')

    with pytest.raises(UsageError, match="Add --family"):
        load(tmp_path)
    assert load(tmp_path, "t5").vocabulary.family == "t5"
    assert load(with_template).vocabulary.family == "bert"


def test_a_tokenizer_that_is_not_there_is_a_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no such tokenizer"):
        load("google/some-model-name")
    with pytest.raises(UsageError, match=r"there is no tokenizer\.json"):
        load(tmp_path)


def test_damaged_files_are_named(saved):
    path = saved()
    (path / "tokenizer_config.json").write_text("[1]")
    with pytest.raises(InputError, match=r"tokenizer_config\.json: not a JSON object"):
        load(path)
    (path / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer_config\.json: not JSON"):
        load(path)
    (path / "tokenizer.json").write_bytes((path / "tokenizer.json").read_bytes()[:-20])
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer"):
        load(path)
    (path / "tokenizer.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer"):
        load(path)


def test_a_template_of_a_token_it_does_not_tell_is_an_error_not_a_panic(saved):
    """Found by fuzzing: the library panics, which is no Exception."""
    path = saved() / "tokenizer.json"
    content = json.loads(path.read_bytes())
    content["post_processor"]["special_tokens"].popitem()
    path.write_text(json.dumps(content))

    with pytest.raises(InputError, match="not a tokenizer that works"):
        load(path.parent)


def test_a_model_whose_unknown_token_is_not_in_its_vocabulary_is_refused(saved):
    path = saved() / "tokenizer.json"
    content = json.loads(path.read_bytes())
    content["model"]["unk_token"] = "[Q]"
    path.write_text(json.dumps(content))

    with pytest.raises(InputError, match=r"not a tokenizer: .*Missing \[UNK\] token"):
        load(path.parent)


def test_an_existing_folder_is_not_overwritten(saved):
    path = saved()
    before = (path / "tokenizer.json").read_bytes()

    with pytest.raises(UsageError, match="already exists"):
        saved("word", "bert")
    assert (path / "tokenizer.json").read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_save_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    write = Path.write_bytes

    def failing(path, content):
        if path.name == "special_tokens_map.json":
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(OSError, match="No space left"):
        save(learnt("wordpiece"), tmp_path / "tok", settings("wordpiece"), {})
    assert os.listdir(tmp_path) == []


def test_a_copy_is_the_same_tokenizer(saved, tmp_path):
    loaded = load(saved())
    copy(loaded, tmp_path / "data" / "tokenizer")
    copied = load(tmp_path / "data" / "tokenizer")

    assert copied.vocabulary == loaded.vocabulary
    assert copied.sha256 == loaded.sha256
    assert [f.name for f in copied.files] == [f.name for f in loaded.files]
    assert json.loads((copied.path / "training.json").read_text())["words"] == 99


def test_a_copy_of_a_foreign_file_remembers_its_family(tmp_path):
    tokenizer = Tokenizer(models.BPE({"a": 0, "</s>": 1}, []))
    tokenizer.save(str(tmp_path / "mine.json"))
    loaded = load(tmp_path / "mine.json", "t5")
    copy(loaded, tmp_path / "copied")

    assert load(tmp_path / "copied").vocabulary == loaded.vocabulary


def test_copying_again_is_no_error_but_never_replaces_another_tokenizer(saved, tmp_path):
    loaded = load(saved())
    copy(loaded, tmp_path / "copied")
    copy(loaded, tmp_path / "copied")
    other = load(saved("word", "bert", "other"))

    with pytest.raises(UsageError, match="already exists"):
        copy(other, tmp_path / "copied")
    assert load(tmp_path / "copied").sha256 == loaded.sha256
