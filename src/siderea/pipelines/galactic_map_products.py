"""What a map of the Milky Way is written as: tables, gradients and figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from siderea.errors import DataError
from siderea.figures import galaxy as figures
from siderea.galaxy.cells import Cells, CellSystem, SkyCells
from siderea.galaxy.frame import Frame
from siderea.galaxy.gradients import Gradient, gradient
from siderea.galaxy.maps import CellMap, image, points
from siderea.galaxy.tally import Binning, Tally
from siderea.io.files import atomic_write
from siderea.io.photometry_table import write_table

__all__ = ["LINE", "gradients_of", "map_table", "write_products"]

LINE = (1.0, 3.0)
"""kpc in |Z|, between which vertical gradients are fitted: above them the halo levels out."""
ACROSS = (6.0, 13.0)
"""kpc in R, between which radial gradients are fitted."""
ENOUGH = 100
"""Cells whose values set the colours of the maps; with fewer, those of single stars do."""
DIRECTIONS = (("z", "R", "abs_z", LINE), ("R", "abs_z", "R", ACROSS))
"""Name of the gradient, the axis on which it is one number, and the axis along which it is."""


class Settings(Protocol):
    """What the products need of the settings of a map."""

    @property
    def quantity(self) -> Binning:
        """What is averaged."""
        ...

    @property
    def frame(self) -> Frame:
        """Where the Sun is."""
        ...

    @property
    def seed(self) -> int:
        """Of what is random."""
        ...

    @property
    def figures(self) -> bool:
        """Whether to draw."""
        ...


def write_products(
    folder: Path,
    maps: Mapping[str, CellMap],
    fine: Tally,
    grids: Mapping[str, CellSystem],
    settings: Settings,
) -> None:
    """Write the tables and figures of a map.

    Parameters
    ----------
    folder : Path
    maps : mapping of str to CellMap
        By grid.
    fine : Tally
        Of the grid ``rz_fine``.
    grids : mapping of str to CellSystem
    settings : Settings
    """
    if not fine.n_stars:
        raise DataError(
            f"{folder}: found no star of the selection within the map; expected some: choose "
            "others with --select"
        )
    for name, found in maps.items():
        write_table(map_table(grids[name], found), folder / f"map_{name}.parquet")
    profile = map_table(grids["profile"], maps["profile"])
    slopes = gradients_of(profile)
    write_table(slopes, folder / "gradients.csv")
    if not settings.figures:
        return
    for name, figure in _figures(maps, fine, grids, profile, slopes, settings):
        with atomic_write(folder / f"{name}.png") as handle:
            figure.savefig(handle, format="png", metadata={"Software": None})


def map_table(cells: CellSystem, found: CellMap) -> pd.DataFrame:
    """Return a map as a table: where each cell is, and what is known of it."""
    assert isinstance(cells, Cells | SkyCells)
    columns: dict[str, np.ndarray] = {"cell": found.cell, **cells.centres(found.cell)}
    names = ("count", "median", "median_err", "mean", "mean_err", "scatter")
    return pd.DataFrame(columns | {name: getattr(found, name) for name in names})


def gradients_of(profile: pd.DataFrame) -> pd.DataFrame:
    """Fit the vertical gradient of the mean in each ring, and the radial one in each layer.

    Of the mean, as errors of the stars leave it where it is: where disc and halo mix, the median of
    noisy values moves from one to the other faster than that of the true ones.

    Parameters
    ----------
    profile : DataFrame
        `map_table` of the grid ``profile``.

    Returns
    -------
    DataFrame
        ``direction`` (z or R), ``at`` (centre of the ring or layer, kpc), ``low``, ``high`` (kpc),
        ``slope``, ``slope_err`` (per kpc), ``value``, ``value_err`` at ``pivot``, ``chi2``,
        ``n_cells``, ``n_stars``.
    """
    rows = []
    for direction, at, along, (low, high) in DIRECTIONS:
        inside = profile[profile[along].between(low, high) & (profile["mean_err"] > 0)]
        for place, cells in inside.groupby(at):
            if len(cells) < 3:
                continue
            line = gradient(cells[along], cells["mean"], cells["mean_err"])
            head = {"direction": direction, "at": place, "low": low, "high": high}
            rows.append(head | vars(line) | {"n_stars": int(cells["count"].sum())})
    names = ["direction", "at", "low", "high", *Gradient.__annotations__, "n_stars"]
    return pd.DataFrame(rows, columns=names)


def _figures(
    maps: Mapping[str, CellMap],
    fine: Tally,
    grids: Mapping[str, CellSystem],
    profile: pd.DataFrame,
    slopes: pd.DataFrame,
    settings: Settings,
) -> list[tuple[str, Figure]]:
    quantity, frame = settings.quantity, settings.frame
    label = figures.LABELS.get(quantity.name, quantity.name)
    widest = max((maps[name] for name in ("rz", "rz_fine")), key=lambda one: one.count.sum())
    shown = maps["rz"] if len(maps["rz"]) > ENOUGH else widest
    low, high = (float(q) for q in np.quantile(shown.median, (0.02, 0.98)))
    limits = (low, high + 1e-6)
    drawn = []
    suns = {"rz": (frame.r_sun, frame.z_sun), "xy": (-frame.r_sun, 0.0)}
    kinds = (("rz", "median"), ("rz_fine", "mean"), ("xy", "median"))
    for name, kind in kinds:
        cells, found = grids[name], maps[name]
        assert isinstance(cells, Cells)
        if not len(found):
            continue
        figure = figures.plane_figure(
            {axis.name: axis.edges for axis in cells.axes},
            image(cells, found.cell, getattr(found, kind)),
            image(cells, found.cell, found.count),
            label=f"{kind} {label}",
            limits=limits,
            sun=suns.get(name),
            title=f"{int(found.count.sum()):,} stars, cells of {1000 * cells.axes[0].step:.0f} pc",
        )
        drawn.append((name, figure))
    drawn.append(("rz_stars", _star_figure(fine, grids["rz_fine"], settings, label, limits)))
    sky = map_table(grids["sky"], maps["sky"])
    if len(sky):
        side = 58.6 / 2 ** grids["sky"].order  # type: ignore[attr-defined]
        figure = figures.sky_figure(
            sky["ra"], sky["dec"], sky["median"], label=f"median {label}", size=side
        )
        drawn.append(("sky", figure))
    if len(profile):
        drawn.append(("profile", _profile_figure(profile, slopes, label)))
    return drawn


def _star_figure(
    fine: Tally,
    cells: CellSystem,
    settings: Settings,
    label: str,
    limits: tuple[float, float],
) -> Figure:
    assert isinstance(cells, Cells)
    stars = points(fine, settings.quantity, cells, rng=np.random.default_rng(settings.seed))
    return figures.star_figure(
        stars["R"],
        stars["z"],
        stars[settings.quantity.name],
        names=("R", "z"),
        label=label,
        limits=limits,
        title=f"{stars['R'].size:,} stars, one by one",
    )


def _profile_figure(profile: pd.DataFrame, slopes: pd.DataFrame, label: str) -> Figure:
    rings = profile.groupby("R")["count"].sum().sort_values().index[-3:].sort_values()
    profiles, lines = {}, {}
    for ring in rings:
        cells = profile[profile["R"] == ring]
        name = f"R = {ring - 1:.0f} to {ring + 1:.0f} kpc"
        found = slopes[(slopes["direction"] == "z") & (slopes["at"] == ring)]
        for line in found.itertuples():
            name += f": {line.slope:.3f} ± {line.slope_err:.3f} dex/kpc"
            ends = np.array([line.low, line.high])
            lines[name] = (ends, line.value + line.slope * (ends - line.pivot))
        profiles[name] = (cells["abs_z"], cells["mean"], cells["mean_err"])
    return figures.profile_figure(profiles, lines, name="abs_z", label=f"mean {label}")
