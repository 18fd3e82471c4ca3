"""Two catalogues brought together by position, with LSDB: `siderea photometry crossmatch`.

A star near the edge of a partition has its partner perhaps in the next one. LSDB finds it if the
right catalogue has a margin: the stars of neighbouring partitions within some arc seconds. A
catalogue on disk that has none gets one here, if it fits in memory.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from siderea.errors import DataError, StoreError
from siderea.galaxy.selection import Expression
from siderea.io.catalogue import read_table
from siderea.io.files import full_disk_is_clear
from siderea.io.hats import hats_head, is_hats
from siderea.io.photometry_table import FORMATS, write_table
from siderea.pipelines.scheduler import connect

if TYPE_CHECKING:
    from lsdb.catalog import Catalog

__all__ = ["Matched", "Side", "crossmatch"]

SEPARATION = "separation"
"""Column of the distance between the two positions, arcsec."""
IN_MEMORY = 20_000_000
"""Rows of a catalogue that a margin is made for."""
THINNEST = 10.0
"""Least width of a margin that is made, arcsec."""


@dataclass(frozen=True)
class Side:
    """One of the two catalogues.

    Parameters
    ----------
    path : path-like
        A HATS catalogue, or a table.
    definitions : mapping of str to str, optional
        New columns by expressions, as ``{"mag_gaia_g": "phot_g_mean_mag"}``.
    keep : sequence of str, optional
        Columns to take; by default those that are defined where some are, else all.
    ra, dec : str
        Columns of the position, of a table.
    """

    path: str | Path
    definitions: Mapping[str, str] | None = None
    keep: tuple[str, ...] | None = None
    ra: str = "ra"
    dec: str = "dec"


@dataclass(frozen=True)
class Matched:
    """What `crossmatch` did.

    Parameters
    ----------
    output : Path
    n_stars : int
        Rows written.
    n_matched : int
        Those with a partner.
    separation : float
        Median distance of partners, arcsec.
    """

    output: Path
    n_stars: int
    n_matched: int
    separation: float


def crossmatch(
    left: Side,
    right: Side,
    output: str | Path,
    *,
    radius: float = 1.0,
    every: bool = False,
    scheduler: str | None = None,
) -> Matched:
    """Give each star of a catalogue its nearest partner in another one.

    Parameters
    ----------
    left, right : Side
        Columns of the right catalogue whose names the left one has get the ending ``_right``; of a
        third catalogue ``_right2``, and so on.
    output : path-like
        Folder of a HATS catalogue, or a table by its ending.
    radius : float
        arcsec; no partner is further.
    every : bool
        Keep the stars of the left catalogue that have none, with NaN.
    scheduler : str, optional
        Address of a Dask scheduler.

    Returns
    -------
    Matched

    Raises
    ------
    DataError
        If a column is absent, a position is outside the sky, or nothing matches.
    StoreError
        If the output exists, or the right catalogue is too large to be given a margin.
    """
    output = Path(output)
    if not radius > 0:
        raise DataError(f"radius: found {radius}; expected arcsec above 0")
    if output.suffix not in FORMATS and output.exists():
        raise StoreError(f"{output}: already exists; choose another --output or remove it")
    with _lsdb(scheduler):
        ours, theirs = _open(left, None), _open(right, radius)
        ending = _free_ending({*ours.columns, *theirs.columns})
        separation = SEPARATION + ending
        matched = ours.crossmatch(
            theirs,
            n_neighbors=1,
            radius_arcsec=radius,
            how="left" if every else "inner",
            suffixes=("", "_right" + ending),
            suffix_method="overlapping_columns",
            require_right_margin=theirs.margin is not None,
            log_changes=False,
        ).rename({"_dist_arcsec": separation})
        if output.suffix in FORMATS:
            return _table(matched, output, left, separation)
        with full_disk_is_clear(output):
            try:
                matched.write_catalog(
                    output, catalog_name=output.name, as_collection=False, progress_bar=False
                )
            except RuntimeError as error:
                raise DataError(_nothing(left, right, radius)) from error
        written = _import_lsdb().open_catalog(output, columns=[separation])
        found = written.compute(progress_bar=False)
    return _counted(output, found[separation])


def _table(matched: Any, output: Path, left: Side, separation: str) -> Matched:
    frame = pd.DataFrame(matched.compute(progress_bar=False)).reset_index(drop=True)
    if not len(frame):
        raise DataError(f"{left.path}: no star has a partner; expected some: are both in degrees?")
    plain = {name: _plain(frame[name]) for name in frame}
    return _counted(write_table(pd.DataFrame(plain), output), plain[separation])


def _plain(column: pd.Series) -> pd.Series:
    """Return a column in a type that every format can hold."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        kind = np.float64 if column.isna().any() else column.dtype.name.split("[")[0]
        names = {"double": np.float64, "float": np.float32}
        return column.astype(names.get(kind, kind) if isinstance(kind, str) else kind)
    return column.astype(str)


def _free_ending(names: set[str]) -> str:
    """Return what makes ``_right`` and ``separation`` new names: nothing, 2, 3, ..."""
    for number in itertools.count(1):
        ending = str(number) if number > 1 else ""
        new = (f"_right{ending}", f"{SEPARATION}{ending}")
        if not any(name.endswith(new) for name in names):
            return ending
    raise AssertionError  # there are more numbers than columns


def _counted(output: Path, separation: pd.Series) -> Matched:
    known = np.asarray(separation, dtype=float)
    known = known[np.isfinite(known)]
    middle = float(np.median(known)) if known.size else float("nan")
    return Matched(output, len(separation), known.size, middle)


def _nothing(left: Side, right: Side, radius: float) -> str:
    return (
        f"{left.path}: no star has a partner in {right.path} within {radius} arcsec; expected some"
    )


def _open(side: Side, radius: float | None) -> Catalog:
    """Open one side; with a radius, it has a margin as wide."""
    path = Path(side.path)
    if is_hats(path):
        catalogue = _with_margin(path, radius)
    else:
        frame = read_table(path)
        _check(side, list(frame))
        with full_disk_is_clear(path):
            try:
                catalogue = _import_lsdb().from_dataframe(
                    frame,
                    ra_column=side.ra,
                    dec_column=side.dec,
                    catalog_name=path.stem,
                    margin_threshold=None if radius is None else _margin(radius),
                )
            except ValueError as error:
                raise DataError(f"{path}: {error}; expected positions in degrees") from error
    _check(side, [*catalogue.columns])
    return _defined(catalogue, side)


def _with_margin(path: Path, radius: float | None) -> Catalog:
    lsdb = _import_lsdb()
    catalogue = lsdb.open_catalog(path)
    if radius is None or catalogue.margin is not None:
        return catalogue
    if len(catalogue) > IN_MEMORY:
        raise StoreError(
            f"{path}: has no margin, and {len(catalogue)} rows are too many to make one of in "
            "memory; partners across edges would be lost: add one with hats-import"
        )
    head = hats_head(path)
    frame = catalogue.compute(progress_bar=False).reset_index(drop=True)
    return lsdb.from_dataframe(
        frame,
        ra_column=head.ra,
        dec_column=head.dec,
        catalog_name=head.name,
        margin_threshold=_margin(radius),
    )


def _margin(radius: float) -> float:
    """Return a width of margins: a thin one is found pixel by pixel of its own size, for hours."""
    return max(2 * radius, THINNEST)


def _check(side: Side, names: list[str]) -> None:
    wanted = {*(side.keep or ())}
    wanted |= {
        name for text in (side.definitions or {}).values() for name in Expression(text).names
    }
    wanted |= set() if is_hats(side.path) else {side.ra, side.dec}
    lacking = sorted(wanted - set(names))
    if lacking:
        raise DataError(f"{side.path}: found no column {', '.join(lacking)} among "
                        f"{', '.join(names)}")  # fmt: skip


def _defined(catalogue: Catalog, side: Side) -> Catalog:
    """Add the columns that are defined, and leave out those that are not kept."""
    definitions = dict(side.definitions or {})
    info = catalogue.hc_structure.catalog_info
    place = [info.ra_column, info.dec_column]
    keep = list(side.keep or ())
    if side.keep is None and not definitions:
        return catalogue
    chosen = list(dict.fromkeys([*place, *keep, *definitions]))
    return catalogue.map_partitions(_define, definitions, chosen)


def _define(frame: pd.DataFrame, definitions: dict[str, str], chosen: list[str]) -> pd.DataFrame:
    """Return the columns of a partition (on any machine)."""
    for name, text in definitions.items():
        needed = Expression(text).names
        columns = {n: frame[n].to_numpy(dtype=np.float64, na_value=np.nan) for n in needed}
        values = np.broadcast_to(Expression(text)(columns), len(frame)).astype(np.float64)
        frame = frame.assign(**{name: values})
    return frame[chosen]


@contextmanager
def _lsdb(scheduler: str | None) -> Iterator[None]:
    """Work on a cluster, or in this process."""
    _import_lsdb()
    import dask

    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LSDB's own: of pandas, and of tables without catalogues
        if scheduler is None:
            stack.enter_context(dask.config.set(scheduler="synchronous"))
        else:
            stack.enter_context(connect(scheduler))
        yield


def _import_lsdb() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it sets an option that pandas has deprecated
            import lsdb
    except ImportError:
        raise DataError(
            "cross-matching needs LSDB, which is not installed; pip install 'siderea[scale]'"
        ) from None
    return lsdb
