"""Labels are judged by their mean log-probability behind the prompt, and nothing else."""

from __future__ import annotations

import json

import pytest
import torch

from lmprep.errors import InputError, UsageError
from lmprep.inference.pretrained import ask
from lmprep.models.inputs import Inputs
from lmprep.prompting.prompt import Example, PromptSettings, drawn, prompt
from lmprep.prompting.scoring import label_scores, question_of
from lmprep.prompting.template import load_template

TEMPLATE = """
description = "the day"
template = "the {text}\\nor {label}"

[labels]
day = "boat"
night = "the night"
"""
ROWS = [("boat", "day"), ("night boat", "night"), ("bees", "day")]


@pytest.fixture
def files(tmp_path):
    """A template, and files of examples."""
    (tmp_path / "t.toml").write_text(TEMPLATE)
    body = "".join(f"{text}\t{label}\n" for text, label in ROWS)
    (tmp_path / "test.tsv").write_text(f"text\tlabel\n{body}")
    (tmp_path / "train.tsv").write_text(f"text\tlabel\n{body}the night\tnight\n")
    return tmp_path


def test_a_prompt_is_description_examples_and_the_asked_one(files):
    template = load_template(files / "t.toml")
    shots = [template.told({"text": "a fox"}, "night"), template.told({"text": "b"}, "day")]

    assert template.prompt(shots, {"text": "{text} c"}) == (
        "the day\n\nthe a fox\nor the night\n\nthe b\nor boat\n\nthe {text} c\nor "
    )


def slowly(asked, text, label):
    """The mean log-probability of a label's tokens, by one whole pass for it alone."""
    bare = text.rstrip()
    before = asked.plain([bare])[0]
    ids = asked.plain([text + label])[0]
    assert ids[: len(before)] == before
    inputs = Inputs(ids_BL=torch.tensor([ids]), scored_M=torch.arange(len(ids)))
    with torch.no_grad():
        chances = asked.model(inputs).logits_MV.log_softmax(-1)
    places = range(len(before), len(ids))
    return sum(float(chances[place - 1, ids[place]]) for place in places) / len(places)


def test_scores_of_a_decoder_are_those_of_a_pass_for_each_label(model_folder, files):
    asked, template = ask(str(model_folder("gpt2"))), load_template(files / "t.toml")
    labels = list(template.labels.values())
    texts = [template.prompt([], {"text": text}) for text, _ in ROWS]
    found = label_scores(asked, [question_of(asked, text, labels) for text in texts])

    assert len(asked.plain([" boat"])[0]) != len(asked.plain([" the night"])[0])
    for text, scores in zip(texts, found, strict=True):
        expected = [slowly(asked, text, label) for label in labels]
        assert scores.tolist() == pytest.approx(expected, abs=1e-4)


def test_scores_of_t5_are_those_of_writing_the_label_behind_the_sentinel(model_folder, files):
    asked, template = ask(str(model_folder("t5"))), load_template(files / "t.toml")
    labels = list(template.labels.values())
    text = template.prompt([], {"text": "bees"})
    (found,) = label_scores(asked, [question_of(asked, text, labels)])
    sentinel, pad, end = asked.vocabulary.sentinels[0], asked.vocabulary.pad, asked.vocabulary.sep
    for label, score in zip(labels, found, strict=True):
        ids = asked.plain([label])[0]
        inputs = Inputs(
            ids_BL=torch.tensor([[*asked.plain([text.rstrip()])[0], sentinel, end]]),
            decoder_ids_BK=torch.tensor([[pad, sentinel, *ids[:-1]]]),
            scored_M=torch.arange(1, len(ids) + 1),
        )
        with torch.no_grad():
            chances = asked.model(inputs).logits_MV.log_softmax(-1)
        expected = sum(float(chances[place, id]) for place, id in enumerate(ids)) / len(ids)
        assert score == pytest.approx(expected, abs=1e-4)


def test_examples_take_turns_and_more_shots_hold_those_of_fewer():
    pool = [Example(values={"text": str(i)}, label="b" if i > 6 else "a") for i in range(10)]
    for seed in range(5):
        eight, four = drawn(pool, ["a", "b"], 8, seed), drawn(pool, ["a", "b"], 4, seed)
        assert eight[:4] == four
        assert [example.label for example in eight] == ["a", "b"] * 3 + ["a", "a"]
        assert len({example.values["text"] for example in eight}) == 8
    assert len({drawn(pool, ["a", "b"], 1, seed)[0].values["text"] for seed in range(20)}) > 3


def test_every_number_of_shots_is_measured_over_its_seeds(model_folder, files):
    asked: list[tuple[int, int]] = []
    found = prompt(
        str(model_folder("gpt2")), files / "t.toml", files / "test.tsv",
        PromptSettings(shots=(0, 1), seeds=2), train=files / "train.tsv",
        on_questions=lambda done, total: asked.append((done, total)),
    )  # fmt: skip

    assert found["examples"] == 3
    assert found["majority"]["accuracy"] == pytest.approx(2 / 3)
    assert found["shots"]["0"]["accuracy"]["sd"] is None
    assert len(found["shots"]["1"]["seeds"]) == 2
    assert asked == [(3, 9), (6, 9), (9, 9)]


def test_examples_that_have_no_room_are_left_out_and_counted(model_folder, files):
    """The model has 64 positions."""
    found = prompt(
        str(model_folder("gpt2")), files / "t.toml", files / "test.tsv",
        PromptSettings(shots=(4,), seeds=1), train=files / "train.tsv",
    )  # fmt: skip

    assert found["shots"]["4"]["shortened"] == 1
    (files / "test.tsv").write_text(f"text\tlabel\n{'the boat ' * 70}\tday\n")
    with pytest.raises(InputError, match=r"test.tsv:2: its .* tokens do not fit the model's 64"):
        prompt(str(model_folder("gpt2")), files / "t.toml", files / "test.tsv",
               PromptSettings(shots=(0,)))  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("{text}", "text", r"t.toml:3: the template has no slot for a text. Write for instance"),
        (" {label}", "", r"t.toml:3: the template does not end with \{label\}"),
        ("night = ", "# night = ", r"t.toml:5: it has no two labels with a text each"),
        ("the night", "boat", r"t.toml:5: two labels are written alike"),
        ("template", "templte", r"t.toml: .*templte.*did you mean template"),
        ("[labels]", "[labels", r"t.toml: not valid TOML"),
        ("{text}", "{txt}", r"test.tsv:2: has no txt. Name slots of the template"),
        ("day = ", "dawn = ", r"test.tsv:2: has the label 'day', which the template does not"),
    ],
)
def test_a_template_that_does_not_do_names_the_line(model_folder, files, old, new, complaint):
    (files / "t.toml").write_text(TEMPLATE.replace(old, new, 1))

    with pytest.raises((InputError, UsageError), match=complaint):
        prompt("nowhere", files / "t.toml", files / "test.tsv", PromptSettings(shots=(0,)))


def test_an_encoder_is_refused_and_so_are_shots_without_examples(model_folder, files):
    for name, complaint in (("bert", "does not write text"), ("bart", "has no sentinels")):
        with pytest.raises(UsageError, match=complaint):
            prompt(str(model_folder(name)), files / "t.toml", files / "test.tsv",
                   PromptSettings(shots=(0,)))  # fmt: skip
    with pytest.raises(UsageError, match="2 shots are asked for, but there is no file of examples"):
        prompt("nowhere", files / "t.toml", files / "test.tsv", PromptSettings(shots=(2,)))


def test_the_command_tells_figures_and_draws_their_curve(model_folder, files, run):
    flags = ("--train", "train.tsv", "--test", "test.tsv", "--shots", "0,1", "--seeds", 2)
    told = run("prompt", model_folder("gpt2"), "t.toml", *flags, "--json", "--plot", "s.svg")
    shown = run("prompt", model_folder("gpt2"), "t.toml", "--test", "test.tsv")

    assert told.code == shown.code == 0, told.err + shown.err
    assert list(json.loads(told.out)["shots"]) == ["0", "1"]
    assert (files / "s.svg").read_text().startswith("<?xml")
    assert "majority" in shown.out
    wrong = run("prompt", model_folder("gpt2"), "t.toml", "--test", "test.tsv", "--shots", "a")
    assert wrong.code == 2
    assert "'a' is not a list of numbers such as 0,1,4,8" in wrong.err
