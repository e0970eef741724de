"""The packages that lmprep declares: which are there, and do they load?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version

_DECLARED = re.compile(r"([\w-]+)(?:\[[\w,]+\])?>=([\d.]+)(?:; *extra == [\"'](\w+)[\"'])?")
_MODULES = {"scikit-learn": "sklearn"}  # where the module has another name
_EXTRAS = ("", "train", "plot", "ray", "s3")  # what users need; the others are for developers


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package that is declared.

    Args:
        name: as it is installed.
        extra: the extra it comes with, or empty.
        version: the one that is there, or empty.
        fault: what is wrong with it, a sentence without its full stop, or empty. What belongs to
            an extra may be missing.
        fix: the command that helps.
    """

    name: str
    extra: str
    version: str
    fault: str
    fix: str


def packages() -> Iterator[Package]:
    """Every package that lmprep needs, then those of the extras."""
    found = (_DECLARED.fullmatch(line) for line in requires("lmprep") or ())
    for match in found:
        if match and (match[3] or "") in _EXTRAS:
            yield check_package(match[1], match[2], match[3] or "")


def check_package(name: str, least: str, extra: str) -> Package:
    """Look at one package: is it there, new enough, and does it load?"""
    asked = f"pip install 'lmprep[{extra}]'" if extra else f"pip install '{name}>={least}'"
    try:
        there = version(name)
    except PackageNotFoundError:
        fault = "" if extra else f"{name} is not installed"
        return Package(name=name, extra=extra, version="", fault=fault, fix=asked)
    fault = ""
    if _numbers(there) < _numbers(least):
        fault = f"{name} {there} is older than {least}"
        asked = f"pip install --upgrade '{name}>={least}'"
    else:
        try:
            import_module(_MODULES.get(name, name))
        except Exception as error:  # whatever a broken package raises
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            fault = f"{name} {there} cannot be loaded: {reason}"
            asked = f"pip install --force-reinstall '{name}>={least}'"
    return Package(name=name, extra=extra, version=there, fault=fault, fix=asked)


def _numbers(text: str) -> tuple[int, ...]:
    """`2.13.0+cu130` as (2, 13, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0]))
