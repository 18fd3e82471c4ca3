"""The table of readers: what ``siderea ingest PRODUCT`` knows, and how each finds its sources.

A source is what gives spectra together: four CCD files of one GALAH star, or one file elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pandas as pd

from siderea.errors import DataError
from siderea.io.native import InstrumentGrid, NativeSpectrum

__all__ = ["READERS", "Reader", "reader"]

FITS_SUFFIXES = (".fits", ".fits.gz", ".fit", ".fit.gz")
TABLE_SUFFIXES = (".npz", ".csv", ".ecsv", ".txt", ".dat", ".fits", ".parquet")


@dataclass(frozen=True)
class Reader:
    """How one product is read.

    Parameters
    ----------
    module : str
        Module of `siderea.io`, imported only when the product is used.
    suffixes : tuple of str
        File endings that count inside a folder.
    """

    module: str
    suffixes: tuple[str, ...] = FITS_SUFFIXES

    def _module(self) -> Any:
        return import_module(f"siderea.io.{self.module}")

    def sources(self, paths: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield (name, files) of every source, sorted; a file by itself unless told otherwise."""
        gathering = getattr(self._module(), "sources", None)
        if gathering is not None:
            yield from gathering(paths)
        else:
            yield from ((path, (path,)) for path in sorted(paths))

    def read(self, paths: tuple[str, ...]) -> list[NativeSpectrum]:
        """Read the spectra of one source on their own pixels."""
        found = self._module().read_native(paths if len(paths) > 1 else paths[0])
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def grid(self, natives: list[NativeSpectrum]) -> InstrumentGrid:
        """Return the product's common grid; ``natives`` tell it where the product has none."""
        module = self._module()
        return module.grid_of(natives) if hasattr(module, "grid_of") else module.GRID

    @property
    def revise(self) -> Callable[[pd.DataFrame], pd.DataFrame] | None:
        """What the product has to say of all its spectra together, once they are read."""
        return getattr(self._module(), "unify_stars", None)


READERS = {
    "galah": Reader("galah"),
    "apogee": Reader("apogee"),
    "lamost": Reader("lamost"),
    "sdss": Reader("sdss"),
    "table": Reader("table", TABLE_SUFFIXES),
}
"""Readers by the name of their product."""


def reader(product: str) -> Reader:
    """Look a product's reader up by name."""
    if product not in READERS:
        raise DataError(f"product: found {product!r}; expected one of {', '.join(READERS)}")
    return READERS[product]
