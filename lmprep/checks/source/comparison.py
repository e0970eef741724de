"""A dataset and its corpus, gone through side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.source.corpus import Corpus, Text
from lmprep.checks.source.coverage import SourceRows, joined
from lmprep.checks.source.pair_counts import PairCounts
from lmprep.shards.manifest import parse_shard_name

Place = tuple[int, int]
"""Source and partition."""


class Comparison:
    """Holds rows against the corpus as partitions of both come, in order.

    Raises:
        UsageError: an input does not exist.
    """

    def __init__(self, contract: Contract, arguments: Sequence[str]) -> None:
        self._corpus = Corpus(contract.folder, contract.manifest, arguments)
        self._rows, self._pairs = SourceRows(contract), PairCounts(contract)
        self._files = self._corpus.files_check()
        self._texts: Iterator[Text] = self._corpus.texts() if self._files.passed else iter(())
        self._contract, self._stated = contract, _stated_texts(contract)
        self._found: dict[Place, bool] = {}

    @property
    def keeps_rows(self) -> bool:
        """Whether it wants the rows of whole partitions."""
        return self._files.passed and bool(self._contract.subject.frame)

    def see(self, batch: Batch) -> None:
        """Take note of counts that belong to no partition."""
        if not self._contract.subject.frame:
            self._pairs.see(batch)

    def see_shard(self, batches: Sequence[Batch], *, whole: bool) -> None:
        """Hold a partition's rows of the first copy against its text.

        Args:
            batches: of sound rows.
            whole: whether they are all the rows there are.
        """
        place = batches[0].source, batches[0].partition
        for text in self._texts:
            here = (text.source, text.partition) == place
            same = self._is_same(text)
            if not here:
                self._rows.see(text, None)
                continue
            if whole and same:
                self._rows.see(text, joined(batches))
            else:
                self._rows.complete = False
            break

    def checks(self) -> list[Check]:
        """The outcome, once all shards were seen."""
        if not self._files.passed:
            return [self._files]
        for text in self._texts:
            self._is_same(text)
            if self._contract.subject.frame:
                self._rows.see(text, None)
            else:
                self._pairs.read(text)
        text_check = self._text_check()
        if not text_check.passed:
            self._rows.complete = False
        found = [self._files, self._corpus.encoder_check(), text_check]
        manifest = self._contract.manifest
        if manifest["settings"]["dedup"] != "none" and manifest["part"] == "train":
            found.append(self._corpus.repeated_check())  # drops of both parts are counted there
        if self._contract.subject.frame:
            return [*found, *self._rows.checks()]
        return [*found, self._pairs.check()] if text_check.passed else found

    def _is_same(self, text: Text) -> bool:
        """Whether a partition's text is that of the dataset, where that has rows of it."""
        place = text.source, text.partition
        same = self._stated.get(place, text.sha256) == text.sha256
        self._found[place] = same
        return same

    def _text_check(self) -> Check:
        other = [place for place in self._stated if not self._found.get(place, False)]
        detail = "first in source {}, partition {}".format(*other[0]) if other else ""
        return Check(
            name="source text",
            expected="of every partition, as it was",
            found=f"{len(self._stated) - len(other)} of {len(self._stated)} partitions",
            tolerance="",
            passed=not other,
            detail=detail,
        )


def _stated_texts(contract: Contract) -> dict[Place, str]:
    """The hash of each partition's text, as the manifest has it."""
    if "texts" in contract.manifest:
        texts = contract.manifest["texts"]
        return {(text["source"], text["partition"]): text["text_sha256"] for text in texts}
    places = [(parse_shard_name(shard["file"]), shard) for shard in contract.manifest["shards"]]
    return {place[:2]: shard["text_sha256"] for place, shard in places}
