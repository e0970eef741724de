"""WordPiece by each criterion: size, alphabet, order, facts, and what is refused."""

from __future__ import annotations

import json
import logging

import pytest
from tokenization_examples import SENTENCES, count_text, learn_text, settings

from lmprep.settings import ALGORITHMS, CRITERIA, CorpusSettings, VocabSettings
from lmprep.tokenization.families import front_tokens, special_tokens
from lmprep.tokenization.learning import learn_with_facts
from lmprep.vocab import make_vocabulary

CHOSEN_BY_ITSELF = {
    "frequency": set(),
    "likelihood": {"min_pair_frequency"},
    "top-down": {"threshold"},
}
TEXT = ["low lower lowest newer newest wider widest new low low new wide"] * 3


@pytest.mark.parametrize("criterion", CRITERIA)
def test_ids_are_special_tokens_then_the_alphabet_then_what_was_chosen(criterion):
    wanted = settings("wordpiece", criterion=criterion)
    tokenizer = learn_text([SENTENCES], wanted)
    size = tokenizer.get_vocab_size()
    pieces = [tokenizer.id_to_token(i) for i in range(size)]
    front = len(front_tokens(wanted))
    alphabet = [p for p in pieces[front:] if len(p.removeprefix("##")) == 1]

    assert 0.9 * wanted.size < size <= wanted.size
    assert pieces[:front] == list(front_tokens(wanted))
    assert pieces[front : front + len(alphabet)] == alphabet
    assert not tokenizer.encode("".join(SENTENCES)).tokens.count("[UNK]")


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_order_of_the_text_does_not_matter(criterion):
    wanted = settings("wordpiece", criterion=criterion)
    forwards, backwards = (
        learn_with_facts(count_text([texts], wanted), wanted)
        for texts in (SENTENCES, SENTENCES[::-1])
    )

    assert forwards.tokenizer.to_str() == backwards.tokenizer.to_str()
    assert forwards.facts == backwards.facts


def test_the_criteria_choose_differently():
    vocabularies = {
        frozenset(learn_text([TEXT], settings("wordpiece", size=42, criterion=c)).get_vocab())
        for c in CRITERIA
    }

    assert len(vocabularies) == 3


def test_pieces_from_the_top_down_stand_by_count_then_by_text():
    tokenizer = learn_text([["ab ab ab cd cd ce ce"]], settings("wordpiece", criterion="top-down"))
    pieces = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]

    assert pieces[5:] == ["a", "b", "c", "d", "e", "##b", "##d", "##e", "ab", "cd", "ce"]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_training_json_holds_what_the_criterion_found_out(criterion, tmp_path):
    (tmp_path / "corpus.txt").write_text("\n".join(TEXT))
    wanted = VocabSettings(algorithm="wordpiece", size=31, criterion=criterion)
    make_vocabulary([str(tmp_path / "corpus.txt")], tmp_path / "tok", wanted, CorpusSettings())
    training = json.loads((tmp_path / "tok" / "training.json").read_text())

    assert training["settings"]["criterion"] == criterion
    found = {"min_pair_frequency", "threshold"} & set(training)
    assert found == CHOSEN_BY_ITSELF[criterion]
    assert all(training[name] > 1 for name in found)


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if a != "wordpiece"])
@pytest.mark.parametrize("criterion", ["likelihood", "top-down"])
def test_criteria_are_refused_for_other_algorithms(algorithm, criterion):
    with pytest.raises(ValueError, match=f"{criterion} applies to wordpiece, not to {algorithm}"):
        VocabSettings(algorithm=algorithm, size=400, criterion=criterion)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_poor_text_gives_all_its_words_and_a_warning(criterion, caplog):
    with caplog.at_level(logging.WARNING, "lmprep"):
        wanted = settings("wordpiece", size=2000, criterion=criterion)
        learnt = learn_with_facts(count_text([["the cat"]], wanted), wanted)

    assert {"the", "cat"} <= set(learnt.tokenizer.get_vocab())
    assert set(learnt.facts.values()) <= {1}
    assert "only, not 2000: more text would help" in caplog.text


def test_a_size_between_two_thresholds_gives_a_warning_that_says_so(caplog):
    wanted = settings("wordpiece", size=15, criterion="top-down")
    with caplog.at_level(logging.WARNING, "lmprep"):
        tokenizer = learn_text([["ab ab ab cd cd ce ce"]], wanted)

    assert tokenizer.get_vocab_size() == 14
    assert "a vocabulary of 14 only, not 15: no threshold comes closer" in caplog.text


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("family", ["bert", "roberta", "t5", "ul2"])
def test_text_full_of_special_tokens_teaches_none_of_them(criterion, family):
    wanted = settings("wordpiece", family, size=1000, criterion=criterion)
    special = special_tokens(wanted)[:8]
    tokenizer = learn_text([[" ".join(special), "".join(special)] * 20], wanted)
    tokenizer.encode_special_tokens = True
    ids = {tokenizer.token_to_id(token) for token in special}

    assert not set(tokenizer.encode("".join(special), add_special_tokens=False).ids) & ids
