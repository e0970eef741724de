"""Models of transformers are fine-tuned, saved, and loaded again, by us and by transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from lmprep.finetuning.folder import load_finetuned, read_json
from tests.finetuning.folders import DECODERS, ENCODER_DECODERS, ENCODERS

TEXTS = [{"text": "Bake tevi zuzu."}, {"text": "sote nura lomi ba ba vi zu"}]
PAIRS = [{"text": "tevi zuzu", "second": "bake lo"}, {"text": "zu", "second": "lomi nura kelo."}]
WORDS = ["bake", "nura", "tevi", "zuzu", "lomi"]
QUESTION = {"question": "bake?", "context": "tevi nura zuzu sote"}


def theirs(kind: str, folder):
    """A model and a tokenizer as transformers loads them, with nothing missing or left over."""
    auto = getattr(transformers, f"AutoModelFor{kind}")
    model, loading = auto.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    model.requires_grad_(False)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", ENCODERS + DECODERS)
@pytest.mark.parametrize("task", ["classify", "pair"])
def test_a_label_has_the_same_probability_in_transformers(finetuned, tmp_path, name, task):
    finetuned(name, task)
    ours = load_finetuned(tmp_path / "out", precision="fp32")
    model, tokenizer = theirs("SequenceClassification", tmp_path / "out" / "seed-0")
    examples = TEXTS if task == "classify" else PAIRS
    for example, found in zip(examples, ours.predict(examples), strict=True):
        batch = tokenizer(*example.values(), return_tensors="pt")
        if name in DECODERS and task == "pair":  # their tokenizers put nothing between two texts
            ids = [i for text in example.values() for i in tokenizer(text)["input_ids"]]
            batch = {"input_ids": torch.tensor([ids])}
        chances = model(**batch).logits.softmax(dim=1)[0].numpy()
        np.testing.assert_allclose(list(found["scores"].values()), chances, atol=2e-5)
        assert list(found["scores"]) == [model.config.id2label[i] for i in range(2)]


@pytest.mark.parametrize("name", ENCODERS)
def test_words_and_answers_score_the_same_in_transformers(finetuned, tmp_path, name):
    finetuned(name, "tag")
    ours = load_finetuned(tmp_path / "out", precision="fp32")
    model, tokenizer = theirs("TokenClassification", tmp_path / "out" / "seed-0")
    (found,) = ours.predict([{"words": WORDS}])
    batch = tokenizer(" ".join(WORDS), return_tensors="pt", return_offsets_mapping=True)
    offsets = batch.pop("offset_mapping")[0].tolist()
    best = model(**batch).logits[0].argmax(dim=1).tolist()
    labels: dict[int, str] = {}
    ends = np.cumsum([len(word) + 1 for word in WORDS]) - 1
    for (_, end), label in zip(offsets, best, strict=True):
        if end:  # not a special token: the first of the word that its last character is in
            labels.setdefault(int(np.searchsorted(ends, end)), model.config.id2label[label])

    assert found["tags"] == [labels[word] for word in range(len(WORDS))]

    finetuned(name, "qa")
    ours = load_finetuned(tmp_path / "out", precision="fp32")
    model, tokenizer = theirs("QuestionAnswering", tmp_path / "out" / "seed-0")
    (found,) = ours.predict([QUESTION])
    batch = tokenizer(*QUESTION.values(), return_tensors="pt", return_offsets_mapping=True)
    offsets = batch.pop("offset_mapping")[0]
    out = model(**batch)
    inside = torch.tensor([part == 1 for part in batch.sequence_ids(0)])
    start, end = (x[0].masked_fill(~inside, -1e9) for x in (out.start_logits, out.end_logits))
    scores = start[:, None] + end[None, :]
    scores = scores.masked_fill(~torch.ones_like(scores).bool().triu(), -1e9)
    first, last = divmod(int(scores.argmax()), scores.shape[1])

    assert found["score"] == pytest.approx(float(scores.max()), abs=2e-5)
    assert (found["start"], found["end"]) == (int(offsets[first][0]), int(offsets[last][1]))
    assert found["answer"] == QUESTION["context"][found["start"] : found["end"]]


@pytest.mark.parametrize("name", ENCODERS)
def test_choices_score_the_same_in_transformers(finetuned, tmp_path, name):
    finetuned(name, "choice")
    ours = load_finetuned(tmp_path / "out", precision="fp32")
    model, tokenizer = theirs("MultipleChoice", tmp_path / "out" / "seed-0")
    choices = ["bake tevi", "zuzu te", "lomi bake"]
    (found,) = ours.predict([{"text": "tevi zu", "choices": choices}])
    batch = tokenizer(["tevi zu"] * 3, choices, return_tensors="pt", padding=True)
    logits = model(**{name: tensor[None] for name, tensor in batch.items()}).logits[0]

    np.testing.assert_allclose(found["scores"], logits.softmax(dim=0).numpy(), atol=2e-5)


@pytest.mark.parametrize("name", ENCODER_DECODERS)
@pytest.mark.parametrize("task", ["classify", "pair", "choice"])
def test_what_a_model_writes_is_as_likely_in_transformers(finetuned, tmp_path, name, task):
    finetuned(name, task)
    ours = load_finetuned(tmp_path / "out", precision="fp32")
    model, tokenizer = theirs("Seq2SeqLM", tmp_path / "out" / "seed-0")
    if task == "choice":
        example = {"text": "tevi zu", "choices": ["bake tevi", "zuzu te", "lomi bake nura"]}
        texts, options = ("tevi zu",), example["choices"]
    else:
        example = TEXTS[0] if task == "classify" else PAIRS[1]
        texts, options = tuple(example.values()), ours.labels
    (found,) = ours.predict([example])
    batch = tokenizer(*texts, return_tensors="pt")
    likelihoods = []
    for option in options:
        labels = tokenizer(option, return_tensors="pt")["input_ids"]
        loss = model(**batch, labels=labels).loss
        likelihoods.append(-loss * labels.numel())
    scores = found["scores"] if task == "choice" else list(found["scores"].values())

    np.testing.assert_allclose(scores, torch.stack(likelihoods).softmax(0).numpy(), atol=3e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_chooses_by_the_last_token_and_is_loaded_again(finetuned, tmp_path, name):
    finetuned(name, "choice")
    ours = load_finetuned(tmp_path / "out", precision="fp32")
    choices = ["bake tevi", "zuzu te"]
    both, (one,) = (
        ours.predict([{"text": "tevi", "choices": choices}] * times) for times in (2, 1)
    )

    assert both[0]["scores"] == pytest.approx(one["scores"], abs=1e-5)
    assert read_json(tmp_path / "out" / "seed-0" / "task.json")["hf_class"] == ""


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("tag", {"crf": True}),
        ("tag", {"frozen": True, "bilstm": True, "layers": "learned-mix"}),
        ("span", {"summary": "attention"}),
        ("classify", {"frozen": True, "layers": "concat-last-4"}),
    ],
)
def test_a_head_that_transformers_has_not_is_kept_beside_the_model(
    finetuned, tmp_path, task, settings
):
    results = finetuned("bert", task, **settings)
    folder = tmp_path / "out" / "seed-0"
    ours = load_finetuned(folder, precision="fp32")
    rows = [line.split("\t") for line in (folder / "predictions-dev.tsv").read_text().splitlines()]\
        if task == "classify" else []  # fmt: skip

    assert read_json(folder / "task.json")["hf_class"] == ""
    assert transformers.AutoModel.from_pretrained(folder).config.model_type == "bert"
    assert results["best_seed"] == 0
    if task == "classify":
        found = ours.predict([{"text": row[0]} for row in rows[1:]])
        assert [each["label"] for each in found] == [row[2] for row in rows[1:]]
    else:
        (found,) = ours.predict([{"words": WORDS}])
        assert found["words"] == WORDS
