"""The whole table: what is checked of each objective."""

from __future__ import annotations

from lmprep.checks import masked, static, whole
from lmprep.checks.bart import BART
from lmprep.checks.record import Subject
from lmprep.checks.t5 import T5
from lmprep.checks.ul2 import UL2

SUBJECTS: dict[str, Subject] = {
    "mlm": masked.MLM,
    "whole-word": masked.WHOLE_WORD,
    "ngram": masked.NGRAM,
    "span": masked.SPAN,
    "infoword": masked.INFOWORD,
    "clm": whole.CLM,
    "t5": T5,
    "bart": BART,
    "ul2": UL2,
    "bilm": whole.BILM,
    "electra": whole.ELECTRA,
    "skipgram": static.SKIPGRAM,
    "cooccurrence": static.COOCCURRENCE,
}
