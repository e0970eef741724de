"""ELMo through the trainer: the same bits after a stop, its spellings, and what is refused."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from tiny_runs import make_folders, settings_of, train
from tokenizers import Tokenizer

from lmprep.errors import Interrupted, UsageError
from lmprep.training import checkpoints
from lmprep.training.preparation import prepare


@pytest.fixture(scope="module", params=["elmo-tiny", "elmo-tiny-tokens"])
def folder(request, tmp_path_factory) -> Path:
    folder = make_folders(tmp_path_factory.mktemp("elmo"), "bilm")
    (folder / "model.toml").write_text(f'base = "{request.param}"\nwidth = 32\n')
    return folder


def test_a_run_that_was_stopped_ends_with_the_same_bits(folder, tmp_path):
    def interrupt(progress):
        if progress.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    whole = train(folder, tmp_path / "whole", steps=8)
    with pytest.raises(Interrupted):
        train(folder, tmp_path / "cut", steps=8, on_progress=interrupt)
    cut = train(folder, tmp_path / "cut", resume=True, steps=8)
    first, second = (checkpoints.load_newest(tmp_path / name) for name in ("whole", "cut"))

    assert whole.losses == cut.losses
    assert first.model.keys() == second.model.keys()
    assert all(torch.equal(first.model[name], second.model[name]) for name in first.model)
    assert all(torch.equal(first.optimizer[n], second.optimizer[n]) for n in first.optimizer)


def test_a_checkpoint_holds_the_spellings_of_the_tokenizer(folder, tmp_path):
    train(folder, tmp_path / "run", steps=2)
    model = checkpoints.load_newest(tmp_path / "run").model
    if "tokens.weight" in model:
        assert not any(name.startswith("spelled.") for name in model)
        return
    table = model["spelled.spellings"]
    token = Tokenizer.from_file(str(folder / "tok" / "tokenizer.json")).id_to_token(50)
    spelled = [0xFE, *token.encode(), 0xFD]

    assert table[50].tolist() == spelled + [0xFF] * (table.shape[1] - len(spelled))


def test_it_can_begin_from_a_run(folder, tmp_path):
    train(folder, tmp_path / "first", steps=2)
    train(folder, tmp_path / "second", steps=1, lr=1e-9, model="", init=str(tmp_path / "first"))
    first, second = (checkpoints.load_newest(tmp_path / n).model for n in ("first", "second"))

    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def test_characters_have_no_embeddings_to_begin_with(folder):
    (folder / "v.txt").write_text("ba" + " 1" * 32 + "\n")
    settings = settings_of(folder, init_embeddings=str(folder / "v.txt"))
    if "tokens" in (folder / "model.toml").read_text():
        assert len(prepare([folder / "train"], settings).embeddings.ids) == 1
        return
    with pytest.raises(UsageError, match="has no embeddings of tokens"):
        prepare([folder / "train"], settings)
