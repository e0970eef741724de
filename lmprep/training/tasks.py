"""What is learnt from a dataset: which kind of model, how a row becomes inputs and labels.

mlm whole-word ngram span    encoder            the original tokens at the masked positions
clm                          decoder            the next token, at every position but the last
t5 bart ul2                  encoder-decoder    the targets, one token after another
infoword                     encoder            the same, and which n-gram belongs to which text
electra                      encoder            the original tokens, by a generator; and of every
                                                token, whether the generator replaced it
bilm                         bi-lstm            the next token and the one before, at every position
skipgram cooccurrence        vectors            neighbours, counts: a trainer of its own,
                                                `lmprep.vectors`
"""

from __future__ import annotations

from dataclasses import dataclass

from lmprep.errors import UsageError
from lmprep.shards.dense import PAIR_LABELS
from lmprep.shards.manifest import Manifest
from lmprep.shards.reader import vocabulary_from
from lmprep.vocabulary import Vocabulary

MODEL_KINDS = {
    "mlm": "encoder",
    "whole-word": "encoder",
    "ngram": "encoder",
    "span": "encoder",
    "clm": "decoder",
    "t5": "encoder-decoder",
    "bart": "encoder-decoder",
    "ul2": "encoder-decoder",
    "electra": "encoder",
    "infoword": "encoder",
    "bilm": "bi-lstm",
    "skipgram": "vectors",
    "cooccurrence": "vectors",
}
"""The kind of model each objective needs."""

# T5's noises whose inputs and targets have the same length: a token that is no noise stands in
# both at the same place.
_IN_PLACE = ("bert-style", "mass")
# Targets that are the whole text, not only what the inputs lack.
_WHOLE_TEXT = (*_IN_PLACE, "deshuffle")
_MASKED = (
    "input_ids", "masked_positions", "masked_labels", "document_starts", "first_segment_length",
    *PAIR_LABELS,
)  # fmt: skip

_SPANS = ("span_starts", "span_lengths")
_ORIGIN = ("document", "first_sentence")


@dataclass(frozen=True, kw_only=True)
class Task:
    """How rows become batches.

    Args:
        objective: a key of `MODEL_KINDS`.
        noise: a name of `objective_settings.NOISES` for t5, else empty.
        pairs: one of `settings.PAIRS`.
        length: positions that input rows are padded to.
        vocabulary: of the dataset.
        longest_span: tokens of a span that the boundary objective predicts at most; 0 leaves it
            out.
        distils: is there a teacher, who says something of every token?
    """

    objective: str
    noise: str = ""
    pairs: str = "none"
    length: int
    vocabulary: Vocabulary
    longest_span: int = 0
    distils: bool = False

    @property
    def model_kind(self) -> str:
        """The kind of model that can learn this."""
        return MODEL_KINDS[self.objective]

    @property
    def columns(self) -> tuple[str, ...]:
        """What batches are made of, of the columns that a dataset may have."""
        if self.model_kind == "encoder-decoder":
            return ("input_ids", "labels", "noise_positions")
        if self.model_kind == "decoder":
            return ("input_ids", "document_starts")
        if self.replaces:
            return (*_MASKED, *_ORIGIN)
        if self.matches:
            return (*_MASKED, *_SPANS, "document")
        if self.model_kind == "bi-lstm":
            return ("input_ids",)
        return _MASKED + (_SPANS if self.boundaries else ())

    @property
    def shares_bins(self) -> bool:
        """May several rows lie in one bin? Not where nothing would keep them apart."""
        return self.model_kind not in ("encoder-decoder", "bi-lstm")

    @property
    def boundaries(self) -> bool:
        """Are tokens of spans predicted from the spans' boundaries, too?"""
        return self.objective == "span" and self.longest_span > 0

    @property
    def replaces(self) -> bool:
        """Are tokens masked while training, and replaced by what a generator draws?"""
        return self.objective == "electra"

    @property
    def matches(self) -> bool:
        """Are hidden n-grams matched with their contexts?"""
        return self.objective == "infoword"

    @property
    def in_place(self) -> bool:
        """Do inputs show a token that is no noise at the place where the targets repeat it?"""
        return self.noise in _IN_PLACE

    @property
    def whole_text(self) -> bool:
        """Are the targets of an encoder-decoder the whole text?"""
        return self.objective == "bart" or self.noise in _WHOLE_TEXT

    @property
    def start_token(self) -> int:
        """What a decoder is given before the first target, as transformers has it.

        `</s>` for BART, the padding token for T5 and UL2.
        """
        vocabulary = self.vocabulary
        start = vocabulary.sep if self.objective == "bart" else vocabulary.pad
        assert start is not None  # the families of these objectives have both
        return start

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the losses that the rows give."""
        names = ["token_loss"]
        if self.pairs != "none":
            names.append("pair_loss")
        if self.boundaries:
            names.append("boundary_loss")
        if self.replaces:
            names.append("replaced_loss")
        if self.distils:
            names += ["teacher_loss", "cosine_loss"]
        if self.matches:
            names += ["ngram_loss", "ngram_information"]
        return tuple(names)


def task_of(manifest: Manifest, folder: object) -> Task:
    """The task of a dataset.

    Raises:
        UsageError: its objective cannot be trained, or by another trainer.
    """
    if MODEL_KINDS[manifest["objective"]] == "vectors":
        raise UsageError(
            f"the objective {manifest['objective']} trains word vectors, not a model of texts",
            path=folder,
            fix="Give lmprep pretrain this dataset alone, with --model word2vec-base or glove-base",
        )
    settings = manifest["settings"]
    return Task(
        objective=manifest["objective"],
        noise=settings["objective_settings"].get("noise", ""),
        pairs=settings["sequences"]["pairs"],
        length=int(settings["sequences"]["length"]),
        vocabulary=vocabulary_from(manifest["vocabulary"]),
    )
