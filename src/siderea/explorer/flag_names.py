"""Bits of flag columns with their names and meanings, taken from the enumerations themselves."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from enum import IntFlag
from functools import lru_cache
from importlib import import_module

__all__ = ["FlagBit", "flags_of", "meanings"]


@dataclass(frozen=True)
class FlagBit:
    """One bit.

    Parameters
    ----------
    bit : int
        Its value: a power of two.
    name : str
    meaning : str
        One line.
    """

    bit: int
    name: str
    meaning: str


_ENUMERATIONS = {
    ("catalogue", "flags"): "flags:SpectrumFlag",
    ("catalogue", "lightcurve_flags"): "lightcurves.quality:LightCurveFlag",
    ("classes", "flags"): "flags:SpectrumFlag",
    ("classes", "class_flags"): "classify.propagation:ClassFlag",
    ("detections_ccf", "flags"): "binaries.detect:DetectionFlag",
}
_OF_FITS = re.compile(r"(single_|binary_)?flags")


def flags_of(table: str, column: str) -> tuple[FlagBit, ...]:
    """Return the bits of a column of a table, empty where it holds no flags that we know.

    Parameters
    ----------
    table, column : str

    Examples
    --------
    >>> flags_of("catalogue", "flags")[1].name
    'NO_RV'
    """
    named = _ENUMERATIONS.get((table, column))
    if named is None and table.startswith("detections_model") and _OF_FITS.fullmatch(column):
        named = "flags:FitFlag"
    return meanings(named) if named else ()


@lru_cache
def meanings(named: str) -> tuple[FlagBit, ...]:
    """Return the bits of an enumeration ``"module:Class"`` of siderea.

    The meanings are the comments (``#:``) behind its members, so that they stand in one place.
    """
    module, name = named.split(":")
    flags: type[IntFlag] = getattr(import_module(f"siderea.{module}"), name)
    said = dict(re.findall(r"^\s+(\w+) = \d+ +#: (.+)$", inspect.getsource(flags), re.MULTILINE))
    return tuple(FlagBit(int(one), one.name or "", said.get(one.name, "")) for one in flags)
