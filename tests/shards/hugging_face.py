"""Tiny Hugging Face models, and what their losses are by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

Row = dict[str, Any]
# Weights so large that what a token attends to matters at once.
_LARGE = 0.5
_BERT = {
    "initializer_range": _LARGE,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
_BART = {
    f"{side}_{name}": value
    for side in ("encoder", "decoder")
    for name, value in {"layers": 1, "attention_heads": 2, "ffn_dim": 32}.items()
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model class with data it is for.

    Args:
        config: name of its configuration class.
        small: settings of the configuration.
        family: of the vocabulary.
        build: settings of the dataset.
        expected: (outputs of one row without padding, the row as stored) -> losses of its tokens,
            to be averaged over the batch, and of the row's pair, likewise.
    """

    config: str
    small: dict[str, Any]
    family: str
    build: dict[str, Any]
    expected: Callable[[Any, Row], tuple[Tensor, Tensor | None]] = field(repr=False)


def _masked(outputs: Any, row: Row) -> tuple[Tensor, None]:
    places, labels = torch.tensor(row["masked_positions"]), torch.tensor(row["masked_labels"])
    return cross_entropy(outputs.logits[0, places], labels, reduction="none"), None


def _pairs(head: str, label: str) -> Callable[[Any, Row], tuple[Tensor, Tensor]]:
    def losses(outputs: Any, row: Row) -> tuple[Tensor, Tensor]:
        places, labels = torch.tensor(row["masked_positions"]), torch.tensor(row["masked_labels"])
        tokens = cross_entropy(outputs.prediction_logits[0, places], labels, reduction="none")
        return tokens, cross_entropy(getattr(outputs, head), torch.tensor([row[label]]))

    return losses


def _next(outputs: Any, row: Row) -> tuple[Tensor, None]:
    following = torch.tensor(row["input_ids"][1:])
    return cross_entropy(outputs.logits[0, :-1], following, reduction="none"), None


def _targets(outputs: Any, row: Row) -> tuple[Tensor, None]:
    return cross_entropy(outputs.logits[0], torch.tensor(row["labels"]), reduction="none"), None


def _judged(outputs: Any, row: Row) -> tuple[Tensor, None]:
    """`row["replaced"]`: whether the collator put in another token."""
    replaced = torch.tensor(row["replaced"], dtype=torch.float)
    return binary_cross_entropy_with_logits(outputs.logits[0], replaced, reduction="none"), None


CASES = {
    "BertForMaskedLM": Case(
        config="BertConfig",
        small=_BERT,
        family="bert",
        build={"objective": "mlm", "pairs": "none"},
        expected=_masked,
    ),
    "BertForPreTraining": Case(
        config="BertConfig",
        small=_BERT,
        family="bert",
        build={"objective": "mlm", "pairs": "nsp"},
        expected=_pairs("seq_relationship_logits", "next_sentence_label"),
    ),
    "AlbertForPreTraining": Case(
        config="AlbertConfig",
        small=_BERT | {"embedding_size": 8, "classifier_dropout_prob": 0.0},
        family="bert",
        build={"objective": "ngram", "pairs": "sop"},
        expected=_pairs("sop_logits", "sentence_order_label"),
    ),
    "RobertaForMaskedLM": Case(
        config="RobertaConfig",
        small=_BERT | {"type_vocab_size": 1, "pad_token_id": 1},
        family="roberta",
        build={"objective": "mlm", "pairs": "none", "sequences": "packed"},
        expected=_masked,
    ),
    "GPT2LMHeadModel": Case(
        config="GPT2Config",
        small={"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
        | {"initializer_range": _LARGE}
        | dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
        family="gpt2",
        build={"objective": "clm", "sequences": "document"},
        expected=_next,
    ),
    "T5ForConditionalGeneration": Case(
        config="T5Config",
        small={"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
        | {"dropout_rate": 0.0, "decoder_start_token_id": 0},
        family="t5",
        build={"objective": "t5", "sequences": "document"},
        expected=_targets,
    ),
    "BartForConditionalGeneration": Case(
        config="BartConfig",
        small={"d_model": 16, "max_position_embeddings": 64, "init_std": _LARGE, **_BART}
        | {"dropout": 0.0, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
        | {"decoder_start_token_id": 2, "forced_eos_token_id": None},
        family="roberta",
        build={"objective": "bart", "sequences": "document"},
        expected=_targets,
    ),
    "ElectraForPreTraining": Case(
        config="ElectraConfig",
        small=_BERT | {"embedding_size": 8},
        family="bert",
        build={"objective": "electra"},
        expected=_judged,
    ),
}


def model_for(name: str, vocabulary_size: int) -> Any:
    """A model of this class with fixed weights and no dropout."""
    import transformers

    case = CASES[name]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = getattr(transformers, case.config)(vocab_size=vocabulary_size, **case.small)
    return getattr(transformers, name)(config)


def loss_by_hand(name: str, model: Any, rows: list[Row], batch: dict[str, Tensor]) -> float:
    """The loss of a batch from each row alone, without padding; inputs as the batch has them."""
    tokens, pairs = [], []
    for i, row in enumerate(rows):
        length = len(row["input_ids"])
        inputs = {"input_ids": batch["input_ids"][i : i + 1, :length]}
        if "token_type_ids" in batch:
            first = row["first_segment_length"]
            inputs["token_type_ids"] = torch.tensor([[0] * first + [1] * (length - first)])
        if "labels" in row and "replaced" not in row:  # the decoder's inputs depend on the labels
            inputs["labels"] = torch.tensor([row["labels"]])
        of_tokens, of_pair = CASES[name].expected(model(**inputs), row)
        tokens.append(of_tokens)
        pairs += [] if of_pair is None else [of_pair]
    loss = torch.cat(tokens).mean() + (torch.stack(pairs).mean() if pairs else 0)
    return loss.item()
