"""Simulated photometry and light curves into Parquet tables, the truth beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from siderea import simulate
from siderea.data import LightCurve, Photometry
from siderea.errors import DataError, StoreError
from siderea.io.files import atomic_write
from siderea.simulate.photometry import DEEP

__all__ = ["simulate_lightcurves", "simulate_photometry", "truth_path"]


def truth_path(output: Path) -> Path:
    """Return the path of the truth beside a table: NAME.truth.parquet."""
    return output.with_suffix(".truth.parquet")


def simulate_photometry(
    output: str | Path, *, n_stars: int, seed: int = 0, binary_fraction: float | None = None
) -> int:
    """Simulate magnitudes into a table.

    Parameters
    ----------
    output : path-like
        Parquet: ``id``, ``ra``, ``dec``, ``ebv``, ``mag_<band>`` and ``mag_<band>_err``.
    n_stars, seed : int
    binary_fraction : float, optional
        Share of systems with companions; by the mass of the first star when None.

    Returns
    -------
    int
        Stars written.
    """
    output = _free(output)
    settings = replace(DEEP, binary_fraction=binary_fraction)
    photometry, truth = simulate.simulate_photometry(
        n_stars, rng=np.random.default_rng(seed), settings=settings
    )
    _write(output, _magnitudes(photometry))
    _write(truth_path(output), truth)
    return len(photometry)


def _magnitudes(photometry: Photometry) -> pd.DataFrame:
    columns = {}
    for number, band in enumerate(photometry.bands):
        columns[f"mag_{band}"] = photometry.mag[:, number]
        columns[f"mag_{band}_err"] = photometry.mag_err[:, number]
    return pd.concat([photometry.table, pd.DataFrame(columns)], axis=1)


def simulate_lightcurves(
    output: str | Path,
    *,
    n_stars: int,
    seed: int = 0,
    sampling: str = "kepler",
) -> int:
    """Simulate light curves of eclipsing binaries into a table.

    Parameters
    ----------
    output : path-like
        Parquet, one row per point: ``id``, ``phase`` (or ``time``, BMJD), ``flux``, ``flux_err``.
    n_stars, seed : int
    sampling : {"kepler", "gaia"}

    Returns
    -------
    int
        Light curves written.
    """
    output = _free(output)
    curves, truth = simulate.simulate_lightcurves(
        n_stars, rng=np.random.default_rng(seed), sampling=sampling
    )
    pieces = [_points(one, curve) for one, curve in zip(truth["id"], curves, strict=True)]
    _write(output, pd.concat(pieces, ignore_index=True))
    _write(truth_path(output), truth)
    return len(curves)


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
    with atomic_write(path) as handle:
        frame.to_parquet(handle, index=False)
