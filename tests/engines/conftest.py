"""A corpus, and for each objective the files of its undisturbed build."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ways import Corpus, run

from tests.corpora import tree


@pytest.fixture(scope="session")
def sources(tmp_path_factory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def undisturbed(sources, tmp_path_factory) -> Callable[..., dict[str, bytes]]:
    """Both folders of the build of an objective in one process."""
    found: dict[tuple[str, bool], dict[str, bytes]] = {}

    def of(objective: str, records: bool = False) -> dict[str, bytes]:
        if (objective, records) not in found:
            folder = tmp_path_factory.mktemp(objective)
            run(sources.plan(folder / "out", objective, records=records))
            found[objective, records] = tree(folder)
        return found[objective, records]

    return of
