"""What cannot be built, said before any work: with the setting, and a value that would do."""

from __future__ import annotations

from collections.abc import Sequence

from lmprep.build_settings import BuildSettings
from lmprep.corpus.sources import InputFile
from lmprep.errors import UsageError
from lmprep.objective_settings import FORMS
from lmprep.objectives import UnfitVocabulary, check_fit
from lmprep.vocabulary import Vocabulary

# How to learn a vocabulary of each family.
_ALGORITHMS = {
    "bert": "wordpiece",
    "roberta": "byte-bpe --family roberta",
    "gpt2": "byte-bpe --family gpt2",
    "t5": "unigram",
    "ul2": "unigram --family ul2",
}


def refuse_unfit(settings: BuildSettings, vocabulary: Vocabulary) -> None:
    """Raise `UsageError` unless objective, sequences and vocabulary go together."""
    try:
        check_fit(settings.objective, settings.objective_settings, settings.sequences, vocabulary)
    except UnfitVocabulary as error:
        families = FORMS[settings.objective].families
        family = vocabulary.family if vocabulary.family in families else families[0]
        command = f"lmprep vocab CORPUS -o TOK --algorithm {_ALGORITHMS[family]} --size 30000"
        raise UsageError(str(error), fix=f"Make a fitting vocabulary: {command}") from None
    except ValueError as error:
        raise UsageError(
            str(error), fix="`lmprep docs objectives` says which settings go together"
        ) from None


def refuse_few_documents(settings: BuildSettings, inputs: Sequence[InputFile]) -> None:
    """Raise `UsageError` where the layout of the text leaves too few documents or sentences.

    Only what the arguments tell is looked at, and only of text files.
    """
    corpus, pairs = settings.corpus, settings.sequences.pairs
    if any(file.format != "txt" for file in inputs):
        return
    if pairs != "none" and corpus.documents == "line" and corpus.sentences in ("", "line"):
        raise UsageError(
            f"--pairs {pairs} needs documents of several sentences: with --documents line and "
            "--sentences line each is one",
            fix="Add --sentences icu, or part documents by empty lines (--documents blank)",
        )
    needed = 4 if settings.valid else 2 if pairs == "nsp" else 1
    if corpus.documents == "file" and len(inputs) < needed:
        why = "--valid" if settings.valid else "--pairs nsp"
        raise UsageError(
            f"{why} needs {needed} documents at least: with --documents file there are "
            f"{len(inputs)}",
            fix="Give more files, or part documents by empty lines (--documents blank)",
        )
