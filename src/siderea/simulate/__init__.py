"""Surveys with the truth known: a population of stars, and what telescopes would see of it.

`simulate_spectra`, `simulate_photometry` and `simulate_lightcurves` are the three ways in; each
returns the data and a table of the truth. Nothing is imported before it is asked for.
"""

from importlib import import_module
from typing import Any

__all__ = ["simulate_lightcurves", "simulate_photometry", "simulate_spectra"]

_WHERE = {
    "simulate_spectra": "spectra",
    "simulate_photometry": "photometry",
    "simulate_lightcurves": "lightcurves",
}


def __getattr__(name: str) -> Any:
    """Import one of the functions when it is first used."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
