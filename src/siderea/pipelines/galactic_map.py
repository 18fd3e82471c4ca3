"""Maps of the Milky Way from catalogues of any size: `siderea photometry map`.

Each partition becomes a tally of whole numbers; their sum is the map. So the map is the same bit by
bit on one process, on many, and on a cluster, and its memory does not grow with the stars.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from siderea.errors import DataError, StoreError
from siderea.galaxy.cells import Axis, Cells, CellSystem, SkyCells
from siderea.galaxy.frame import Frame, galactocentric
from siderea.galaxy.maps import MINIMUM, CellMap, cell_map
from siderea.galaxy.selection import REPORT, Expression
from siderea.galaxy.tally import FE_H, Binning, Tally
from siderea.io.files import atomic_write
from siderea.io.partitions import Partition, PartitionedTable, open_partitions, read_partition
from siderea.photometry.bands import BANDS, magnitude_column
from siderea.photometry.extinction import coefficient
from siderea.pipelines.galactic_map_products import write_products
from siderea.pipelines.partitioned import Job, run_job, write_rows

__all__ = ["GRIDS", "MapJob", "MapSettings", "Mapped", "galactic_map", "read_tally"]

Progress = Callable[[int, int], None]

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
    """

    select: str = REPORT.text
    quantity: Binning = FE_H
    minimum: int = MINIMUM
    n_bootstrap: int = 50
    frame: Frame = field(default_factory=Frame)
    seed: int = 0


@dataclass(frozen=True)
class Mapped:
    """What `galactic_map` did.

    Parameters
    ----------
    output : Path
    n_stars, n_selected : int
        Stars read, and mapped.
    figures : tuple of Path
    """

    output: Path
    n_stars: int
    n_selected: int
    figures: tuple[Path, ...]


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


def galactic_map(
    table: str | Path,
    output: str | Path,
    *,
    settings: MapSettings | None = None,
    definitions: Mapping[str, str] | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Mapped:
    """Map a catalogue of any size.

    Parameters
    ----------
    table : path-like
        Columns ``ra``, ``dec``, ``distance``, ``fe_h`` and those of the selection.
    output : path-like
        Folder: maps as Parquet tables, gradients, figures, and the tally, which can be added to
        that of another catalogue.
    settings : MapSettings, optional
    definitions : mapping of str to str, optional
        Columns by expressions.
    jobs, scheduler, progress
        See `siderea.pipelines.partitioned.run_job`.

    Returns
    -------
    Mapped

    Raises
    ------
    StoreError
        If the stars read are not those of the catalogue, beside what `run_job` raises.
    """
    settings = settings or MapSettings()
    source, folder = open_partitions(table), Path(output)
    job = map_job(source, settings, definitions)
    pieces = [MapPiece(part) for part in source.partitions]

    def finish(folder: Path) -> None:
        tallies = _summed(folder, pieces, settings.quantity.n)
        read = int(tallies[STARS].count[0])
        if read != open_partitions(table).n_rows:
            raise StoreError(f"{folder}: read {read} stars of {source.n_rows}: did they change?")
        with atomic_write(folder / "tally.parquet") as handle:
            write_rows(_table(tallies), handle)
        write_products(folder, maps_of(tallies, settings), tallies["rz_fine"], GRIDS, settings)
        shutil.rmtree(folder / "parts")

    run_job(job, pieces, folder, finish=finish, jobs=jobs, scheduler=scheduler, progress=progress)
    counts = read_tally(folder / "tally.parquet", 1)[STARS].count
    return Mapped(folder, int(counts[0]), int(counts[1]), tuple(sorted(folder.glob("*.png"))))


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


def maps_of(tallies: Mapping[str, Tally], settings: MapSettings) -> dict[str, CellMap]:
    """Return the map of every grid; cells of 15 pc hold few stars and get no errors."""
    return {
        name: cell_map(
            tallies[name],
            settings.quantity,
            minimum=1 if name == "rz_fine" else settings.minimum,
            n_bootstrap=0 if name == "rz_fine" else settings.n_bootstrap,
            seed=settings.seed,
        )
        for name in GRIDS
    }


def read_tally(path: Path, n_bins: int) -> dict[str, Tally]:
    """Read the tallies of a map, by grid."""
    return _by_grid(pq.read_table(path, use_threads=False), n_bins)


def _summed(folder: Path, pieces: list[MapPiece], n_bins: int) -> dict[str, Tally]:
    """Add up the tallies of all pieces, grid after grid: never two grids in memory."""

    def parts(name: str) -> Iterator[Tally]:
        for piece in pieces:
            table = pq.read_table(
                folder / piece.name, filters=pc.field("grid") == name, use_threads=False
            )
            yield Tally(n_bins, *(table[k].to_numpy() for k in ("code", "count")))

    return {name: Tally.total(parts(name), n_bins) for name in (STARS, *GRIDS)}


def _by_grid(table: pa.Table, n_bins: int) -> dict[str, Tally]:
    found = {}
    for name in (STARS, *GRIDS):
        rows = table.filter(pc.field("grid") == name)
        found[name] = Tally(n_bins, *(rows[k].to_numpy() for k in ("code", "count")))
    return found


def _table(tallies: Mapping[str, Tally]) -> pa.Table:
    rows = [
        pa.table([pa.repeat(pa.scalar(name), t.code.size), t.code, t.count], schema=SCHEMA)
        for name, t in tallies.items()
    ]
    return pa.concat_tables(rows).combine_chunks()


def _magnitudes(names: set[str] | frozenset[str], columns: Mapping[str, NDArray]) -> dict:
    """Return the magnitudes free of extinction that an expression names by their bands."""
    ebv = columns.get("ebv", np.zeros(()))
    return {
        name: columns[magnitude_column(name)] - coefficient(name) * ebv
        for name in names
        if name in BANDS
    }


_: type[Job]  # MapJob is one
