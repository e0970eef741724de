"""A decoder and encoder-decoders are scored as transformers would score the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmprep.evaluation import evaluate
from lmprep.evaluation.held_out import load_model
from lmprep.models.hf import to_hf
from lmprep.models.settings import ModelSettings
from lmprep.pretrain_settings import PretrainSettings
from lmprep.shards.collate import Collator
from lmprep.shards.reader import Dataset
from lmprep.training.pretraining import pretrain
from tests.corpora import build_dataset, make_tokenizer, write_corpus

transformers = pytest.importorskip("transformers")

# Objective and its settings, family of the vocabulary, model. Documents by themselves: the models
# of transformers do not part those that share a row.
CASES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "gpt2": ("clm", {}, "gpt2", "gpt2-tiny"),
    "gpt": ("clm", {}, "bert", "gpt-tiny"),
    "t5": ("t5", {"noise": "random-spans"}, "t5", "t5-tiny"),
    "t5-in-place": ("t5", {"noise": "bert-style"}, "t5", "t5-tiny"),
    "ul2": ("ul2", {}, "ul2", "t5-tiny"),
    "bart": ("bart", {}, "roberta", "bart-tiny"),
}


def theirs(model: str, shape: ModelSettings) -> torch.nn.Module:
    """An empty model of transformers of this shape."""
    size = {"vocab_size": shape.vocabulary_size}
    if model.startswith("gpt"):
        sizes = {"n_embd": shape.width, "n_layer": shape.layers, "n_head": shape.heads}
        places = {"n_positions": shape.max_length}
        name = "GPT2" if model.startswith("gpt2") else "OpenAIGPT"
        config = getattr(transformers, f"{name}Config")(**size, **sizes, **places)
        return getattr(transformers, f"{name}LMHeadModel")(config)
    if model.startswith("t5"):
        config = transformers.T5Config(
            **size,
            d_model=shape.width,
            d_kv=shape.head_width,
            d_ff=shape.feed_forward,
            num_layers=shape.layers,
            num_heads=shape.heads,
            decoder_start_token_id=0,
        )
        return transformers.T5ForConditionalGeneration(config)
    stack = {"layers": shape.layers, "attention_heads": shape.heads, "ffn_dim": shape.feed_forward}
    config = transformers.BartConfig(
        **size,
        d_model=shape.width,
        max_position_embeddings=shape.max_length,
        **{f"{part}_{name}": n for part in ("encoder", "decoder") for name, n in stack.items()},
    )
    return transformers.BartForConditionalGeneration(config)


@pytest.fixture(scope="module", params=CASES)
def run(request, tmp_path_factory) -> tuple[Path, str]:
    """A folder with a run of a few steps, and the name of its model."""
    objective, settings, family, model = CASES[request.param]
    folder = tmp_path_factory.mktemp("kinds")
    corpus = write_corpus(folder / "corpus.txt")
    tokenizer = make_tokenizer(corpus, folder / "tok", family=family)
    build_dataset(
        corpus, tokenizer, folder / "train", objective=objective, valid="0.3",
        sequences="document", **settings,
    )  # fmt: skip
    (folder / "model.toml").write_text(
        f'base = "{model}"\nlayers = 2\nwidth = 32\nheads = 2\nmax_length = 96\n'
    )
    torch.set_num_threads(1)
    pretrain(
        [folder / "train"],
        folder / "run",
        PretrainSettings(
            model=str(folder / "model.toml"), steps=10, lr=1e-2, batch_tokens=400, device="cpu"
        ),
    )
    return folder, model


def test_the_loss_over_all_tokens_is_that_of_transformers(run):
    folder, name = run
    figures = evaluate(folder / "run", folder / "valid", device="cpu")
    model, _ = load_model(folder / "run")
    reference = theirs(name, model.settings).eval()
    # Their buffers (masks, zeros) are not among our weights.
    found = reference.load_state_dict(to_hf(model.state_dict(), model.settings), strict=False)
    weights = {weight for weight, _ in reference.named_parameters()}
    dataset = Dataset(folder / "valid")
    inputs = Collator(dataset)(dataset.rows(np.arange(len(dataset))))
    with torch.no_grad():
        loss = reference(**inputs).loss.item()
    sorts = [figures[sort] for sort in ("corrupted", "copied", "marks") if sort in figures]
    tokens = sum(sort["tokens"] for sort in sorts)
    mean = sum(sort["tokens"] * sort["cross_entropy"] for sort in sorts) / tokens

    assert not found.unexpected_keys
    assert not weights & set(found.missing_keys)
    assert mean == pytest.approx(loss, abs=1e-5)


def test_causal_models_tell_bits_a_byte_and_no_others(run):
    """Every token of the text and every end of a document at the mean cost."""
    folder, name = run
    figures = evaluate(folder / "run", folder / "valid", device="cpu")
    if not name.startswith("gpt"):
        assert "text" not in figures
        return
    dataset = Dataset(folder / "valid")
    rows = dataset.rows(np.arange(len(dataset)))
    tokens = int((rows["input_ids"].values != dataset.vocabulary.sep).sum())
    documents = len(np.unique(rows["document"]))
    sorts = [figures[sort] for sort in ("corrupted", "marks") if sort in figures]
    scored = sum(sort["tokens"] for sort in sorts)
    mean = sum(sort["tokens"] * sort["cross_entropy"] for sort in sorts) / scored
    bits = mean / np.log(2) * (tokens + documents)

    assert figures["text"]["bits_per_byte"] == pytest.approx(bits / figures["text"]["bytes"])
    assert figures["text"]["bytes"] < (folder / "corpus.txt").stat().st_size
