"""The whole table: what is checked of each objective."""

from __future__ import annotations

from lmprep.checks.laws import masked, whole
from lmprep.checks.laws.bart import BART
from lmprep.checks.laws.cooccurrence import COOCCURRENCE
from lmprep.checks.laws.skipgram import SKIPGRAM
from lmprep.checks.laws.t5 import T5
from lmprep.checks.laws.ul2 import UL2
from lmprep.checks.record import Subject

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
    "skipgram": SKIPGRAM,
    "cooccurrence": COOCCURRENCE,
}
