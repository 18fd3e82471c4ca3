"""Completeness and false positives of injected stars as tables and figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from siderea.binaries.compare import completeness_grid, share_in_bins
from siderea.binaries.injection import light_ratio
from siderea.figures.binaries import (
    Curve,
    completeness_curves,
    completeness_maps,
    who_finds_what,
)
from siderea.pipelines.draw import save_figure

__all__ = ["QUANTITIES", "draw_limits", "tabulate"]

Sets = Mapping[str, NDArray[np.bool_]]

QUANTITIES: dict[str, tuple[str, bool, tuple[float, ...]]] = {
    "dv": (r"|Δv| / km s$^{-1}$", True, (1, 2, 4, 7, 10, 15, 20, 25, 40, 70, 150)),
    "q": ("mass ratio q", False, (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
    "flux_ratio": ("light ratio", True, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.3)),
    "snr": ("S/N per pixel", True, (20, 30, 45, 70, 100, 140, 200)),
    "teff": ("Teff / K", False, (4450, 4800, 5200, 5600, 6000, 6400, 6950)),
    "vsini": (r"v sin i / km s$^{-1}$", False, (0, 5, 10, 20, 30, 40, 50, 60)),
}
"""What completeness is shown against: name and unit, logarithmic or not, edges of the bins."""

OF_SINGLES = ("snr", "teff", "vsini")

VISIBLE = 0.03
"""Light ratio from which binaries count in the curves: fainter companions no channel sees."""


def tabulate(truth: pd.DataFrame, sets: Sets) -> pd.DataFrame:
    """Return the shares found, by bin.

    Columns ``of`` (binaries of `VISIBLE` companions, singles), ``quantity``, ``low``, ``high``,
    ``channel``, ``stars``, ``share`` and its ``error``.
    """
    values = _values(truth)
    binary = truth["n_stars"].to_numpy() > 1
    rows = []
    for word, members, names in (
        ("binaries", binary & (values["flux_ratio"] >= VISIBLE), tuple(QUANTITIES)),
        ("singles", ~binary, OF_SINGLES),
    ):
        for name in names:
            edges = QUANTITIES[name][2]
            for channel, calls in sets.items():
                found = share_in_bins(values[name][members], calls[members], edges)
                _, share, error, number = found
                rows += [
                    (word, name, edges[k], edges[k + 1], channel, number[k], share[k], error[k])
                    for k in range(len(edges) - 1)
                ]
    columns = ["of", "quantity", "low", "high", "channel", "stars", "share", "error"]
    return pd.DataFrame(rows, columns=columns)


def _values(truth: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    values = {name: truth[name].to_numpy(dtype=float) for name in QUANTITIES}
    return values | {"dv": np.abs(values["dv"]), "flux_ratio": light_ratio(truth)}


def draw_limits(folder: Path, truth: pd.DataFrame, fixed: Sets, equal: Sets) -> list[Path]:
    """Write the figures of a run into a folder; return their paths."""
    values = _values(truth)
    binary = truth["n_stars"].to_numpy() > 1
    dwarf = binary & (truth["logg"].to_numpy() > 3.8)
    drawn = {
        "completeness.png": _curves(
            values, binary & (values["flux_ratio"] >= VISIBLE), fixed, True
        ),
        "false_positives.png": _curves(values, ~binary, fixed, False),
        "completeness_dv_q.png": _map(values, dwarf, equal),
        "who_finds_what.png": who_finds_what(
            values["dv"][binary],
            values["flux_ratio"][binary],
            {name: calls[binary] for name, calls in equal.items()},
        ),
    }
    paths = []
    for name, figure in drawn.items():
        save_figure(figure, folder / name)
        paths.append(folder / name)
    return paths


def _curves(
    values: Mapping[str, NDArray], members: NDArray[np.bool_], sets: Sets, binaries: bool
) -> Figure:
    panels, top = [], 0.0
    for name in QUANTITIES if binaries else OF_SINGLES:
        word, log, edges = QUANTITIES[name]
        curves: dict[str, Curve] = {}
        for channel, calls in sets.items():
            centre, share, error, _ = share_in_bins(values[name][members], calls[members], edges)
            ends = np.asarray(edges, dtype=float)
            x = np.sqrt(ends[1:] * ends[:-1]) if log else centre
            curves[channel] = (x, share, error)
            top = max(top, float(np.nanmax(share + error, initial=0.0)))
        panels.append((word, log, curves))
    word = "binaries found (light ratio ≥ 0.03)" if binaries else "single stars called binary"
    return completeness_curves(
        panels, y_word=word, percent_top=1.02 if binaries else max(0.02, 1.1 * top)
    )


def _map(values: Mapping[str, NDArray], dwarf: NDArray[np.bool_], sets: Sets) -> Figure:
    edges = QUANTITIES["dv"][2], QUANTITIES["q"][2]
    maps = {
        name: completeness_grid(values["dv"][dwarf], values["q"][dwarf], calls[dwarf], edges)
        for name, calls in sets.items()
    }
    return completeness_maps(
        *edges, maps, x_word=r"|Δv| / km s$^{-1}$", y_word="mass ratio q (dwarfs)"
    )
