"""Maps of the Milky Way from catalogues of any size: `siderea photometry map`.

Each partition becomes a tally of whole numbers; their sum is the map. So the map is the same bit by
bit on one process, on many, and on a cluster, and its memory does not grow with the stars.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from siderea.errors import StoreError
from siderea.galaxy.maps import CellMap, cell_map
from siderea.galaxy.tally import Tally
from siderea.io.files import atomic_write
from siderea.io.partitions import open_partitions
from siderea.pipelines.galactic_map_products import write_products
from siderea.pipelines.galactic_tally import GRIDS, SCHEMA, STARS, MapPiece, MapSettings, map_job
from siderea.pipelines.partitioned import run_job, write_rows

__all__ = ["MapSettings", "Mapped", "galactic_map", "maps_of", "read_tally"]

Progress = Callable[[int, int], None]


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
