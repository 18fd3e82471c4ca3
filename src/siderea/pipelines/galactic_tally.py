"""The tally of a catalogue: the stars of each partition counted in the cells of every map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.galaxy.cells import Axis, Cells, CellSystem, SkyCells
from siderea.galaxy.frame import Frame, galactocentric
from siderea.galaxy.maps import MINIMUM
from siderea.galaxy.selection import REPORT, Expression
from siderea.galaxy.tally import FE_H, Binning, Tally
from siderea.io.partitions import Partition, PartitionedTable, read_partition
from siderea.photometry.bands import BANDS, magnitude_column
from siderea.photometry.extinction import coefficient

__all__ = ["GRIDS", "SCHEMA", "STARS", "MapJob", "MapPiece", "MapSettings", "map_job", "tallied"]

GRIDS: dict[str, CellSystem] = {
    "rz": Cells((Axis("R", 0.0, 25.0, 0.05), Axis("z", -15.0, 15.0, 0.05))),
    "rz_fine": Cells((Axis("R", 0.0, 25.005, 0.015), Axis("z", -15.0, 15.0, 0.015))),
    "xy": Cells((Axis("x", -25.0, 10.0, 0.1), Axis("y", -20.0, 20.0, 0.1))),
    "sky": SkyCells(5),
    "profile": Cells((Axis("R", 1.0, 25.0, 2.0), Axis("abs_z", 0.0, 15.0, 0.25))),
}
"""Cells of every map: R–Z in 50 pc (Ivezić et al. 2008, Figure 8) and 15 pc (Ramuz 2020, Figure
20), X–Y in 100 pc, the sky in 1.8°, and rings of 2 kpc in R by 250 pc in |Z| for gradients."""

STARS = "stars"
"""Name in the tallies under which the stars read (code 0) and selected (code 1) stand."""
PLACES = ("x", "y", "z", "R", "phi", "abs_z")
SCHEMA = pa.schema([("grid", pa.string()), ("code", pa.int64()), ("count", pa.int64())])


@dataclass(frozen=True)
class MapSettings:
    """What is mapped.

    Parameters
    ----------
    select : str
        Expression: which stars.
    quantity : Binning
        What is averaged.
    minimum : int
        Least stars of a cell that is shown.
    n_bootstrap : int
        Resamplings for the errors.
    frame : Frame
        Where the Sun is.
    seed : int
        Of the resampling.
    figures : bool
        Whether to draw.
    """

    select: str = REPORT.text
    quantity: Binning = FE_H
    minimum: int = MINIMUM
    n_bootstrap: int = 50
    frame: Frame = field(default_factory=Frame)
    seed: int = 0
    figures: bool = True


@dataclass(frozen=True)
class MapPiece:
    """A partition, and the file of its tally."""

    part: Partition

    @property
    def name(self) -> str:
        """Name of the file below the folder of the map."""
        return f"parts/{self.part.name}"

    @property
    def n_rows(self) -> int:
        """Not known: as many as there are occupied cells and bins."""
        return -1

    @property
    def size(self) -> int:
        """Stars."""
        return self.part.size


@dataclass(frozen=True)
class MapJob:
    """Tally the partitions of a catalogue.

    Parameters
    ----------
    source : str
    settings : MapSettings
    used : tuple of str
        Columns of the files that are read.
    definitions : tuple of (name, expression)
        Columns made of others.
    """

    source: str
    settings: MapSettings
    used: tuple[str, ...]
    definitions: tuple[tuple[str, str], ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """Columns of a tally."""
        return SCHEMA

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides about the result."""
        s = self.settings
        return {
            "source": self.source,
            "select": s.select,
            "quantity": [s.quantity.name, s.quantity.low, s.quantity.high, s.quantity.step],
            "minimum": s.minimum,
            "bootstrap": [s.n_bootstrap, s.seed],
            "figures": s.figures,
            "sun": [s.frame.r_sun, s.frame.z_sun],
            "definitions": [list(pair) for pair in self.definitions],
        }

    def table(self, piece: MapPiece) -> pa.Table:
        """Tally one partition."""
        table = read_partition(piece.part, self.used)
        columns = {name: np.asarray(table[name]) for name in self.used}
        for name, text in self.definitions:
            columns[name] = Expression(text)(columns)
        return tallied(columns, table.num_rows, self.settings)


def tallied(columns: dict[str, NDArray], n: int, settings: MapSettings) -> pa.Table:
    """Select stars and count them in the cells of `GRIDS`; the columns are completed on the way."""
    wanted = Expression(settings.select)
    placed = galactocentric(
        columns["ra"], columns["dec"], columns["distance"], frame=settings.frame
    )
    columns |= placed.columns()
    columns |= _magnitudes(wanted.names - set(columns), columns)
    chosen = np.broadcast_to(wanted(columns), n).astype(bool) & np.isfinite(placed.z)
    value = np.asarray(columns[settings.quantity.name], dtype=np.float64)
    chosen &= np.isfinite(value)
    here = {name: columns[name][chosen] for name in ("ra", "dec", *PLACES)}
    counts = [np.array([0, 1]), np.array([n, chosen.sum()])]
    rows = [pa.table([[STARS] * 2, *counts], schema=SCHEMA)]
    for name, cells in GRIDS.items():
        tally = Tally.of(cells.index(here), value[chosen], settings.quantity)
        labels = pa.repeat(pa.scalar(name), tally.code.size)
        rows.append(pa.table([labels, tally.code, tally.count], schema=SCHEMA))
    return pa.concat_tables(rows).combine_chunks()


def map_job(
    source: PartitionedTable, settings: MapSettings, definitions: Mapping[str, str] | None
) -> MapJob:
    """Declare the job: find the columns that it reads.

    Raises
    ------
    DataError
        If one is absent.
    """
    defined = dict(definitions or {})
    names = {"ra", "dec", "distance", settings.quantity.name, *Expression(settings.select).names}
    names -= {*PLACES, *defined} - set(source.schema.names)
    names = {magnitude_column(n) if n in BANDS and n not in defined else n for n in names}
    names |= {name for text in defined.values() for name in Expression(text).names}
    lacking = sorted(names - set(source.schema.names) - set(defined))
    if lacking:
        raise DataError(
            f"{source.path}: found no column {', '.join(lacking)} among "
            f"{', '.join(source.schema.names)}; name it with --column, as '{lacking[0]}=OTHER'"
        )
    used = tuple(n for n in source.schema.names if n in names | {"ebv"})
    return MapJob(str(source.path), settings, used, tuple(defined.items()))


def _magnitudes(names: set[str] | frozenset[str], columns: Mapping[str, NDArray]) -> dict:
    """Return the magnitudes free of extinction that an expression names by their bands."""
    ebv = columns.get("ebv", np.zeros(()))
    return {
        name: columns[magnitude_column(name)] - coefficient(name) * ebv
        for name in names
        if name in BANDS
    }
