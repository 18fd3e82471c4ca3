"""Light curves to table, figures and a store: period, fold, fits, classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.data import LightCurve
from siderea.errors import DataError, StoreError
from siderea.figures.lightcurves import class_figure, fit_figure
from siderea.io.files import atomic_write
from siderea.io.lightcurves import LightCurveTable, read_lightcurves
from siderea.lightcurves import polyfit, two_gaussian
from siderea.lightcurves.classes import PHASES, Classes, classify, morphology
from siderea.lightcurves.folding import binned, detrend, fold, without_outliers
from siderea.lightcurves.kinds import load_default, names_of_groups, probabilities
from siderea.lightcurves.period_models import SPARSE, wrong_periods
from siderea.lightcurves.periods import check_period, find_period
from siderea.lightcurves.quality import MIN_POINTS, LightCurveFlag, describe
from siderea.pipelines.draw import save_figure
from siderea.pipelines.lightcurve_store import write_store

__all__ = ["LightCurveResult", "prepared", "run", "write_store"]

BINS = 1000
"""Folded curves of more points than this are averaged in as many bins of phase."""

EXAMPLES = 12

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LightCurveResult:
    """What `run` wrote.

    Parameters
    ----------
    table : Path
        ``lightcurves.parquet``: one row per star (the same as CSV beside it).
    figures : tuple of Path
    store : Path
        ``lightcurves.siderea``.
    n_curves, n_fitted, n_groups : int
        Stars, those that more than a constant was fitted to, and groups among them.
    """

    table: Path
    figures: tuple[Path, ...]
    store: Path
    n_curves: int
    n_fitted: int
    n_groups: int


def run(
    source: str | Path | Iterable[str | Path] | LightCurveTable,
    output: str | Path,
    *,
    period: float | None = None,
    flatten: bool = False,
    method: str = "dbscan",
    random_state: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> LightCurveResult:
    """Fit and classify the light curves of a file.

    Parameters
    ----------
    source : path-like, iterable of path-like, or LightCurveTable
        What `siderea.io.lightcurves` reads, or has read.
    output : path-like
        Folder to write to.
    period : float, optional
        Period of every curve that has none of its own, d; by default it is searched for.
    flatten : bool
        Divide by running medians over whole periods first.
    method : {"dbscan", "hdbscan"}
        How groups are found on the map.
    random_state : int
        Seed of the map.
    overwrite : bool
        Replace results that are there.
    progress : callable, optional
        Called with (done, in all) as curves are folded.

    Returns
    -------
    LightCurveResult

    Raises
    ------
    SidereaError
        If the input cannot be read, holds no curve, or the results are there already.
    """
    output = Path(output)
    store_path = output / "lightcurves.siderea"
    if store_path.exists() and not overwrite:
        raise StoreError(f"{store_path}: is there already; use --overwrite or another folder")
    source = source if isinstance(source, LightCurveTable) else read_lightcurves(source)
    if len(source) == 0:
        raise DataError("found no light curve in the input; expected at least one")
    twice = source.table["id"][source.table["id"].duplicated()]
    if len(twice):
        raise DataError(f"id: found {twice.iloc[0]!r} twice; expected one row per star")
    curves, table = _folded(source, period, flatten=flatten, progress=progress)
    points = tuple(
        [getattr(curve, name) for curve in curves] for name in ("time", "flux", "flux_err")
    )
    gaussians, chains = two_gaussian.fit(*points), polyfit.fit(*points)
    chances = probabilities(points[0], points[1], points[2], gaussians)
    table = _table(table, gaussians, chains, chances)
    fitted = gaussians.curve(PHASES)
    fitted[gaussians.model == "C"] = np.nan
    position = np.where(
        np.isfinite(gaussians.position_1), gaussians.position_1, gaussians.position_e
    )
    groups = _classes(fitted, position, method, random_state)
    names: tuple[str, ...] = ()
    if groups is not None:
        names = names_of_groups(groups.group, chances)
        table["x"], table["y"] = groups.place.T
        table["group"], table["group_probability"] = groups.group, groups.probability
        table["group_name"] = [names[k] if k >= 0 else "" for k in groups.group]
    output.mkdir(parents=True, exist_ok=True)
    paths = _write_table(table, output)
    figures = _figures(output, curves, gaussians, table, groups, names)
    write_store(store_path, curves, gaussians, table, method=method, overwrite=overwrite)
    n_fitted = int((gaussians.model != "C").sum())
    count = groups.n_groups if groups is not None else 0
    return LightCurveResult(paths, figures, store_path, len(curves), n_fitted, count)


def prepared(
    curve: LightCurve, period: float, time_0: float, *, flatten: bool = False
) -> tuple[LightCurve, float, int]:
    """Fold one light curve: period searched for if it is NaN, checked if there are times enough.

    Series of fewer than `SPARSE` points are checked together, by `wrong_periods`.

    Returns
    -------
    curve : LightCurve
        Folded, of no more than 1,000 points.
    period : float
        The one that was folded on: the one given, if any, whatever the check says.
    flags : int
        `LightCurveFlag` of the period.
    """
    flags = int(LightCurveFlag.NONE)
    good = np.isfinite(curve.flux) & np.isfinite(curve.time)
    if not good.all():
        flags |= LightCurveFlag.NON_FINITE
        curve = LightCurve(
            curve.time[good], curve.flux[good], curve.flux_err[good], folded=curve.folded
        )
    if not curve.folded:
        if len(curve) < 4 * MIN_POINTS and not np.isfinite(period):
            # Too few points to search for a period in: nothing can be folded.
            return (
                LightCurve(np.empty(0), np.empty(0), np.empty(0), folded=True),
                np.nan,
                (flags | LightCurveFlag.TOO_FEW),
            )
        if np.isfinite(period):
            if len(curve) >= SPARSE:
                flags |= check_period(curve, period).flags
        else:
            period = find_period(curve).period
        curve = without_outliers(curve)
        curve = detrend(curve, period) if flatten else curve
        curve = fold(curve, period, time_0=time_0 if np.isfinite(time_0) else 0.0)
    return (binned(curve, BINS) if len(curve) > BINS else curve), period, int(flags)


def _folded(
    source: LightCurveTable, period: float | None, *, flatten: bool, progress: Progress | None
) -> tuple[list[LightCurve], pd.DataFrame]:
    curves, flags, periods = [], [], []
    for number, curve in enumerate(source.curves):
        row = source.table.iloc[number]
        own = float(row["period"])
        own = own if np.isfinite(own) or period is None else period
        folded, used, bits = prepared(curve, own, float(row["time_0"]), flatten=flatten)
        curves.append(folded)
        periods.append(used)
        flags.append(bits)
        if progress is not None:
            progress(number + 1, len(source))
    table = source.table.assign(period=periods, flags=flags)
    few = [
        row
        for row, curve in enumerate(source.curves)
        if not curve.folded and MIN_POINTS <= len(curve) < SPARSE and np.isfinite(periods[row])
    ]
    if few:
        found = wrong_periods([source.curves[row] for row in few], np.array(periods)[few])
        table.loc[table.index[few], "flags"] |= found & ~int(LightCurveFlag.TOO_FEW)
    return curves, table


def _table(
    table: pd.DataFrame,
    gaussians: two_gaussian.TwoGaussianFit,
    chains: polyfit.PolyFit,
    chances: NDArray,
) -> pd.DataFrame:
    fit = gaussians.table()
    # A period was checked by times where there are any: the folded curve alone is less sure.
    timed = table["period"].notna().to_numpy()
    both = int(LightCurveFlag.HALF_PERIOD | LightCurveFlag.DOUBLE_PERIOD)
    bits = np.where(timed, fit["flags"].to_numpy() & ~both, fit["flags"].to_numpy())
    fit["flags"] = table["flags"].to_numpy() | bits
    _, _, width = chains.minima()
    fit["morphology"] = morphology(width)
    kinds = np.array(load_default().kinds)
    known = np.isfinite(chances).all(axis=1)
    fit["kind"] = np.where(known, kinds[np.nan_to_num(chances).argmax(axis=1)], "")
    for number, kind in enumerate(kinds):
        fit[f"p_{kind.replace('-', '_')}"] = chances[:, number]
    fit["warnings"] = [describe(value) for value in fit["flags"]]
    return pd.concat([table.drop(columns="flags").reset_index(drop=True), fit], axis=1)


def _classes(fitted: NDArray, position: NDArray, method: str, random_state: int) -> Classes | None:
    """Find groups, unless too few curves vary for a map."""
    if np.isfinite(fitted).all(axis=1).sum() < 10:
        return None
    return classify(
        fitted,
        position=position,
        method=method,  # type: ignore[arg-type]
        random_state=random_state,
    )


def _write_table(table: pd.DataFrame, output: Path) -> Path:
    path = output / "lightcurves.parquet"
    with atomic_write(path) as handle:
        table.to_parquet(handle, index=False)
    with atomic_write(output / "lightcurves.csv", "w") as handle:
        table.to_csv(handle, index=False)
    return path


def _figures(
    output: Path,
    curves: list[LightCurve],
    fit: two_gaussian.TwoGaussianFit,
    table: pd.DataFrame,
    groups: Classes | None,
    names: tuple[str, ...],
) -> tuple[Path, ...]:
    made = []
    rows = np.flatnonzero(fit.n_points > 0)[:: max(1, len(fit) // EXAMPLES)][:EXAMPLES]
    if rows.size:
        labels = [f"{table['id'].iloc[row]}: {fit.model[row]}" for row in rows]
        pairs = [(curves[row].time, curves[row].flux) for row in rows]
        made.append(output / "figures" / "fits.png")
        grid = np.arange(400) / 400
        save_figure(fit_figure(pairs, grid, fit.curve(grid)[rows], labels=labels), made[-1])
    if groups is not None and groups.n_groups:
        made.append(output / "figures" / "classes.png")
        figure = class_figure(
            groups.place,
            groups.group,
            PHASES,
            groups.mean,
            groups.spread,
            names=names,
            title="Groups, named by the kind that is most probable",
        )
        save_figure(figure, made[-1])
    return tuple(made)
