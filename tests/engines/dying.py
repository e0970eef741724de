"""Builds that die on purpose: at a write, at a removal, or at once."""

from __future__ import annotations

from pathlib import Path

from lmprep import files


class Died(BaseException):
    """What a build dies of; no `except Exception` stops it."""


def die(*_, **__):
    """Stands in for a function that is not lived to see."""
    raise Died


def writes_of(monkeypatch, die_before: int | None = None) -> list[str]:
    """Record folder and name of files as they get them; die instead of the n-th."""
    names: list[str] = []
    real_replace, real_link = Path.replace, files.os.link

    def record(name: str) -> None:
        if len(names) == die_before:
            raise Died
        names.append(name)

    def replace(self, target):
        record(Path(target).parent.name + "/" + Path(target).name)
        return real_replace(self, target)

    def link(source, target):
        record(Path(target).parent.name + "/" + Path(target).name)
        return real_link(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(files.os, "link", link)
    return names


def die_at_removal(monkeypatch, moment: int) -> None:
    """Die instead of the n-th removal of a file."""
    count = 0
    real = Path.unlink

    def unlink(self, missing_ok=False):
        nonlocal count
        if self.exists():
            if count == moment:
                raise Died
            count += 1
        return real(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
