"""The packages that lmprep declares: which are there, and do they load?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

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
    declared = [Requirement(line) for line in requires("lmprep") or ()]
    for extra in _EXTRAS:
        for requirement in declared:
            marker = requirement.marker
            if marker.evaluate({"extra": extra}) if marker else not extra:
                yield check_package(requirement, extra)


def check_package(requirement: Requirement, extra: str) -> Package:
    """Look at one package: is it there, in a version that fits, and does it load?"""
    name, fitting = requirement.name, requirement.specifier
    asked = f"pip install 'lmprep[{extra}]'" if extra else f"pip install '{name}{fitting}'"
    try:
        there = version(name)
    except PackageNotFoundError:
        fault = "" if extra else f"{name} is not installed"
        return Package(name=name, extra=extra, version="", fault=fault, fix=asked)
    fault = ""
    if not fitting.contains(there, prereleases=True):
        fault = f"{name} {there} is not {fitting}"
        asked = f"pip install '{name}{fitting}'"
    else:
        try:
            import_module(_MODULES.get(name, name))
        except Exception as error:  # whatever a broken package raises
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            fault = f"{name} {there} cannot be loaded: {reason}"
            asked = f"pip install --force-reinstall '{name}{fitting}'"
    return Package(name=name, extra=extra, version=there, fault=fault, fix=asked)
