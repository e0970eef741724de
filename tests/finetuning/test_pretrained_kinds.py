"""Of ELECTRA the discriminator is fine-tuned; a bi-LSTM's layers are features, mixed as learnt."""

from __future__ import annotations

import pytest
import torch

from lmprep.errors import UsageError
from lmprep.finetuning.finetune import finetune
from lmprep.finetuning.folder import load_finetuned
from lmprep.finetuning.network import features
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.start import load_start
from lmprep.inference.pretrained import ask
from lmprep.models.inputs import Inputs
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.pretraining import pretrain
from tests.corpora import build_dataset, make_tokenizer, write_corpus

KINDS = {"electra": "electra-tiny", "bilm": "elmo-tiny"}


@pytest.fixture(scope="module", params=KINDS)
def pretrained(request, tmp_path_factory):
    """A run of one step, and its objective."""
    folder = tmp_path_factory.mktemp("run")
    corpus = write_corpus(folder / "c.txt", documents=12)
    tokenizer = make_tokenizer(corpus, folder / "tok")
    data = build_dataset(
        corpus, tokenizer, folder / "out", objective=request.param, pairs="none", length="32"
    )
    base = KINDS[request.param]
    (folder / "m.toml").write_text(f'base = "{base}"\nwidth = 32\nlayers = 2\n')
    settings = PretrainSettings(model=str(folder / "m.toml"), steps=1, batch_tokens=128)
    pretrain([data], folder / "run", settings)
    return folder / "run", request.param


def settings(**others) -> FinetuneSettings:
    return FinetuneSettings(
        task="tag", epochs=1, batch_size=8, lr=1e-3, length=32, precision="fp32", **others
    )


def test_it_is_fine_tuned_and_loads_again(pretrained, task_file, tmp_path):
    run, objective = pretrained
    ways = {"frozen": True, "layers": "learned-mix"} if objective == "bilm" else {}
    finetune(
        str(run), settings(**ways), tmp_path / "out",
        train=task_file("tag", 0, 16), dev=task_file("tag", 1, 8),
    )  # fmt: skip

    (answer,) = load_finetuned(tmp_path / "out").predict([{"text": "a b"}])
    assert len(answer["tags"]) == 2


def test_no_generator_and_no_moving_lstm(pretrained, task_file, tmp_path):
    run, objective = pretrained
    if objective == "electra":
        assert load_start(str(run)).settings.generator_width == 0
        with pytest.raises(UsageError, match="no head that predicts tokens"):
            ask(str(run))
        return
    with pytest.raises(UsageError, match="does not learn with the task"):
        finetune(
            str(run), settings(), tmp_path / "out",
            train=task_file("tag", 0, 16), dev=task_file("tag", 1, 8),
        )  # fmt: skip


def test_layers_of_both_directions_stand_side_by_side(pretrained):
    run, objective = pretrained
    model = ask(str(run), head=False).model
    inputs = Inputs(ids_BL=torch.tensor([[2, 7, 8, 3]]), scored_M=torch.zeros(0, dtype=torch.long))
    with torch.no_grad():
        mixed = features(model, inputs, "learned-mix")
        last = features(model, inputs, "last")

    width = model.settings.width * (2 if objective == "bilm" else 1)
    assert mixed.shape == (1, 4, model.settings.layers + 1, width)
    torch.testing.assert_close(last[:, :, 0], mixed[:, :, -1])
