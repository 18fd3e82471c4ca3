"""Bits of flag columns with their names and meanings, read from where the flags are defined."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

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
    ("detections_ccf", "flags"): "binaries.detection_table:DetectionFlag",
    ("detections_model", "flags"): "binaries.model_selection:ModelFlag",
    ("truth", "flags"): "flags:SpectrumFlag",
}


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
    return meanings(named) if named else ()


@lru_cache
def meanings(named: str) -> tuple[FlagBit, ...]:
    """Return the bits of an enumeration ``"module:Class"`` of siderea.

    Its source is read, not imported: the meanings are the comments (``#:``) behind the members,
    where they stand once; and the modules bring PyTorch along, which takes seconds and 200 MiB.
    """
    module, name = named.split(":")
    *folders, file = module.split(".")
    source = resources.files("siderea").joinpath(*folders, f"{file}.py")
    if not source.is_file():
        return ()
    text = source.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return tuple(
                FlagBit(one.value.value, one.targets[0].id, _comment(lines[one.lineno - 1]))
                for one in node.body
                if isinstance(one, ast.Assign)
                and isinstance(one.targets[0], ast.Name)
                and isinstance(one.value, ast.Constant)
                and isinstance(one.value.value, int)
                and one.value.value
            )
    return ()


def _comment(line: str) -> str:
    return line.partition("#:")[2].strip()
