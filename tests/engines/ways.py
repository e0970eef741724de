"""Builds of small corpora, run in every way there is; every way must end in the same files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from lmprep.build_settings import BuildSettings
from lmprep.engines import job
from tests.corpora import make_tokenizer, write_corpus

SHARED = {"partition_size": 2000, "valid": "1/4", "length": 48}
OPTIONS: dict[str, dict[str, Any]] = {
    "mlm": {**SHARED, "pairs": "nsp", "copies": 2},
    "clm": {**SHARED},
    "t5": {**SHARED},
    "skipgram": {**SHARED, "length": 24, "subsample": "1/50"},
    "cooccurrence": {**SHARED, "length": 24, "window": 3},
}
FAMILIES = {"mlm": "bert", "clm": "gpt2", "t5": "t5", "skipgram": "bert", "cooccurrence": "bert"}


class Corpus:
    """A corpus of several sources, and tokenizers of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = write_corpus(folder / "corpus.txt", documents=24)
        self.records = folder / "records.jsonl.gz"  # one source of several partitions
        texts = self.file.read_text().strip().split("\n\n")
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        self.records.write_bytes(gzip.compress(lines.encode(), mtime=0))

    def tokenizer(self, family: str) -> Path:
        """The tokenizer of a family."""
        folder = self.folder / f"tok-{family}"
        return folder if folder.exists() else make_tokenizer(self.file, folder, family=family)

    def plan(self, out: Any, objective: str, *, records: bool = False) -> job.Plan:
        """A build of the corpus."""
        settings = BuildSettings.from_options({"objective": objective, **OPTIONS[objective]})
        tokenizer = str(self.tokenizer(FAMILIES[objective]))
        file = self.records if records else self.file
        return job.make_plan([str(file)], tokenizer, out, settings)


def run(plan: job.Plan, **how: Any) -> job.BuildResult:
    """Run a build; in one process, from the start, unless told otherwise."""
    return job.run(plan, **({"workers": 1, "resume": False, "force": False} | how))
