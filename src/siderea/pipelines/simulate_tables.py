"""Simulated photometry and light curves into Parquet tables, the truth beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from siderea import simulate
from siderea.data import LightCurve
from siderea.errors import DataError, StoreError
from siderea.io.files import atomic_write
from siderea.simulate.photometry import DEEP, SDSS, observe
from siderea.simulate.population import Survey

__all__ = ["simulate_lightcurves", "simulate_photometry", "truth_path"]


ROWS = 65_536
"""Stars in memory at a time."""

MISSING = 0.02
"""Share of each band that is missing at random, as by default in `simulate.photometry`."""

STREAM = 11
"""Second word of the seed of the photometric noise."""

Progress = Callable[[int, int], None]


def truth_path(output: Path) -> Path:
    """Return the path of the truth beside a table: NAME.truth.parquet."""
    return output.with_suffix(".truth.parquet")


def simulate_photometry(
    output: str | Path,
    *,
    n_stars: int,
    seed: int = 0,
    binary_fraction: float | None = None,
    progress: Progress | None = None,
) -> int:
    """Simulate magnitudes into a table, `ROWS` stars at a time.

    Parameters
    ----------
    output : path-like
        Parquet: ``id``, ``ra``, ``dec``, ``ebv``, ``mag_<band>`` and ``mag_<band>_err``.
    n_stars, seed : int
    binary_fraction : float, optional
        Share of systems with companions; by the mass of the first star when None.
    progress : callable, optional
        Called with (stars done, stars in all).

    Returns
    -------
    int
        Stars written.
    """
    output = _free(output)
    settings = replace(DEEP, binary_fraction=binary_fraction, bands=SDSS)
    survey = Survey(n_stars, seed, settings)
    with _streamed(output) as write, _streamed(truth_path(output)) as tell:
        for number, start in enumerate(range(0, n_stars, ROWS)):
            truth = survey.stars(start, min(start + ROWS, n_stars))
            true = truth[[f"mag_{band}" for band in SDSS]].to_numpy(dtype=float)
            rng = np.random.default_rng([seed, STREAM, number])
            write(_magnitudes(truth, *observe(true, SDSS, rng=rng, missing=MISSING)))
            tell(truth)
            if progress is not None:
                progress(start + len(truth), n_stars)
    return n_stars


def _magnitudes(truth: pd.DataFrame, mag: NDArray, mag_err: NDArray) -> pd.DataFrame:
    columns = {}
    for number, band in enumerate(SDSS):
        columns[f"mag_{band}"] = mag[:, number]
        columns[f"mag_{band}_err"] = mag_err[:, number]
    return pd.concat([truth[["id", "ra", "dec", "ebv"]], pd.DataFrame(columns)], axis=1)


def simulate_lightcurves(
    output: str | Path,
    *,
    n_stars: int,
    seed: int = 0,
    binary_fraction: float | None = None,
    sampling: str = "kepler",
) -> int:
    """Simulate light curves of eclipsing binaries into a table.

    Parameters
    ----------
    output : path-like
        Parquet, one row per point: ``id``, ``phase`` (or ``time``, BMJD), ``flux``, ``flux_err``.
    n_stars, seed : int
    binary_fraction : float, optional
        Share of the curves that are of eclipsing binaries, all by default; the others are of stars
        that do not vary, with the same errors.
    sampling : {"kepler", "gaia"}

    Returns
    -------
    int
        Light curves written.
    """
    output = _free(output)
    fraction = 1.0 if binary_fraction is None else binary_fraction
    if not 0 <= fraction <= 1:
        raise DataError(f"binary_fraction: found {fraction}; expected 0 to 1")
    rng = np.random.default_rng(seed)
    curves, truth = simulate.simulate_lightcurves(n_stars, rng=rng, sampling=sampling)
    binary = rng.random(n_stars) < fraction
    for number in np.flatnonzero(~binary):
        curves[number] = _constant(curves[number], rng)
    measured = [name for name in ("id", "flux_err", "n_points") if name in truth]
    system = truth.drop(columns=measured)
    system = system.where(np.broadcast_to(binary[:, None], system.shape))
    pieces = [_points(one, curve) for one, curve in zip(truth["id"], curves, strict=True)]
    _write(output, pd.concat(pieces, ignore_index=True))
    _write(truth_path(output), pd.concat([truth[measured], system], axis=1).assign(binary=binary))
    return len(curves)


def _constant(curve: LightCurve, rng: np.random.Generator) -> LightCurve:
    """Return a curve of the same points and errors without any variation."""
    flux = 1.0 + curve.flux_err * rng.standard_normal(len(curve))
    return LightCurve(curve.time, flux, curve.flux_err, folded=curve.folded)


def _points(one: str, curve: LightCurve) -> pd.DataFrame:
    x = "phase" if curve.folded else "time"
    return pd.DataFrame({"id": one, x: curve.time, "flux": curve.flux, "flux_err": curve.flux_err})


def _free(output: str | Path) -> Path:
    """Check that a table can be written there."""
    output = Path(output)
    if output.suffix not in (".parquet", ".pq"):
        raise DataError(f"{output}: expected the name of a Parquet table, ending in .parquet")
    if output.exists():
        raise StoreError(f"{output}: already exists; choose another --output or remove it")
    if not output.parent.is_dir():
        raise StoreError(f"{output}: no folder {output.parent}; make it first")
    return output


def _write(path: Path, frame: pd.DataFrame) -> None:
    with _streamed(path) as write:
        write(frame)


@contextlib.contextmanager
def _streamed(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write a Parquet table part by part; it appears whole, or not at all."""
    with atomic_write(path) as handle, contextlib.ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []

        def write(frame: pd.DataFrame) -> None:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if not writers:
                writers.append(stack.enter_context(pq.ParquetWriter(handle, table.schema)))
            writers[0].write_table(table.cast(writers[0].schema))

        yield write
