"""The codes of spectral classes, after the published t-SNE lists of the GALAH survey.

A code has three letters; a spectrum that belongs to several classes has them joined by ``_``, in
the order of `CLASSES` (``HFR_HAE_BIN``), which is that of the survey's lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from siderea.errors import DataError

__all__ = ["CLASSES", "NORMAL", "SpectralClass", "canonical", "colour", "meaning", "parts"]

NORMAL = "NOR"
"""Code of a spectrum with nothing peculiar about it."""


@dataclass(frozen=True)
class SpectralClass:
    """One class.

    Parameters
    ----------
    code : str
        Three letters.
    name : str
        A short name, for legends.
    meaning : str
        One line.
    colour : str
        Hexadecimal RGB; the colours of `CLASSES` stay apart for the colour-blind.
    """

    code: str
    name: str
    meaning: str
    colour: str


CLASSES: dict[str, SpectralClass] = {
    one.code: one
    for one in (
        SpectralClass(NORMAL, "normal", "a single star with nothing peculiar", "#BDBDBD"),
        SpectralClass("HFR", "hot or fast rotator", "few or broad lines: hot, or fast", "#0072B2"),
        SpectralClass("MAB", "molecular bands", "bands of TiO: a cool star", "#D55E00"),
        SpectralClass("CMP", "cool metal-poor giant", "cool, yet with weak metal lines", "#009E73"),
        SpectralClass("CEH", "carbon-enhanced", "C₂ Swan band at 4737 Å", "#332288"),
        SpectralClass("LIR", "lithium-rich", "strong Li I at 6708 Å for its kind", "#88CCEE"),
        SpectralClass("HAE", "Hα emission", "light added at 6563 Å", "#E69F00"),
        SpectralClass("HBE", "Hβ emission", "light added at 4861 Å", "#F0E442"),
        SpectralClass("BIN", "binary", "lines of two stars", "#CC79A7"),
        SpectralClass("TRI", "triple", "lines of three stars", "#882255"),
        SpectralClass("WRD", "problematic", "a problem of the data, not of the star", "#000000"),
    )
}
"""All classes by code, in the order in which a compound code lists them."""

_ALIASES = {"BINARY": "BIN", "TRIPLE": "TRI", "EMISSION": "HAE", "NORMAL": NORMAL}
_OTHER = "#7A7A7A"


def parts(code: str) -> tuple[str, ...]:
    """Return the classes that a code names.

    Parameters
    ----------
    code : str
        For instance ``"HFR_HAE_BIN"``; also ``"BINARY"`` and ``"EMISSION"``, which one of the
        survey's lists writes. Case and the separator (``_ + | , ;`` or a blank) do not matter.

    Returns
    -------
    tuple of str
        Codes in the order of `CLASSES`, each once; codes that are not in `CLASSES` come last, as
        they are. ``NOR`` goes when another class stands beside it.

    Raises
    ------
    DataError
        If the text is empty or not made of such words.

    Examples
    --------
    >>> parts("BIN_hfr")
    ('HFR', 'BIN')
    """
    words = [word for word in re.split(r"[_+|,;\s]+", str(code).strip().upper()) if word]
    if not words or not all(re.fullmatch(r"[A-Z][A-Z0-9-]{0,15}", word) for word in words):
        raise DataError(
            f"class: found {code!r}; expected codes such as {', '.join(list(CLASSES)[:4])}, "
            "joined by '_'"
        )
    found = {_ALIASES.get(word, word) for word in words}
    if len(found) > 1:
        found.discard(NORMAL)
    order = list(CLASSES)
    return tuple(sorted(found, key=lambda c: (order.index(c) if c in CLASSES else len(order), c)))


def canonical(code: str) -> str:
    """Return the one way of writing a code.

    Examples
    --------
    >>> canonical("hae hfr BINARY"), canonical("Normal")
    ('HFR_HAE_BIN', 'NOR')
    """
    return "_".join(parts(code))


def colour(code: str) -> str:
    """Return the colour of a class; a compound has that of its first, an unknown one is grey.

    Examples
    --------
    >>> colour("HFR_BIN") == colour("HFR")
    True
    """
    first = parts(code)[0]
    return CLASSES[first].colour if first in CLASSES else _OTHER


def meaning(code: str) -> str:
    """Spell out a code.

    Examples
    --------
    >>> meaning("HFR_BIN")
    'hot or fast rotator, binary'
    """
    return ", ".join(CLASSES[one].name if one in CLASSES else one for one in parts(code))
