"""Folded light curves as a store that the explorer opens: phase in place of wavelength."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.data import LightCurve, Spectra
from siderea.io.store import SurveyStore
from siderea.lightcurves.folding import binned
from siderea.lightcurves.two_gaussian import TwoGaussianFit

__all__ = ["PRIMARY_AT", "PRODUCTS", "STORE_PHASES", "write_store"]

STORE_PHASES = (np.arange(200) + 0.5) / 200
PRIMARY_AT = 0.25
"""Where the deeper eclipse stands on the grid of the store: both are then whole."""

PRODUCTS = {
    "tsne": {"x": "x", "y": "y"},
    "groups": {
        "group": "group",
        "group_probability": "group_probability",
        "group_name": "group_name",
    },
    "classes": {
        "class": "kind",
        "probability": "p",
        "p_detached": "p_detached",
        "p_semi_detached": "p_semi_detached",
        "p_contact": "p_contact",
        "p_ellipsoidal": "p_ellipsoidal",
    },
}
"""Columns of each product beside ``id``, and the columns of the table that they are."""


def write_store(
    path: Path,
    curves: list[LightCurve],
    fit: TwoGaussianFit,
    table: pd.DataFrame,
    *,
    method: str = "dbscan",
    overwrite: bool = False,
) -> SurveyStore:
    """Write folded curves as a store: phase in place of wavelength, the deeper eclipse at 0.25.

    The manifest says what it is: ``kind`` "lightcurves", and ``axis`` with the name of what the
    grid counts. ``medium`` means nothing there. Flux is divided by the highest of the fitted curve;
    a phase without points has ivar 0 and the fit's flux. The catalogue is the table, its ``flags``
    under the name ``lightcurve_flags``; products are `PRODUCTS`, where the table has what they
    need.

    Parameters
    ----------
    path : Path
        Folder to make.
    curves : list of LightCurve
        Folded.
    fit : TwoGaussianFit
        Of the same curves.
    table : pandas.DataFrame
        Of the same curves; becomes the catalogue.
    method : str
        How groups were found.
    overwrite : bool
        Replace a store that is there.
    """
    flux, ivar = _on_grid(curves, fit)
    # Eclipses are what stores of spectra know as features: the catalogue keeps its own flags.
    catalogue = table.rename(columns={"flags": "lightcurve_flags"})
    spectra = Spectra(STORE_PHASES, flux, ivar, "vacuum", arm_names=("phase",), table=catalogue)
    if overwrite and path.exists():
        _remove(path)
    store = SurveyStore.create(path, spectra, provenance={"made_by": "siderea lightcurves"})
    store.manifest["kind"] = "lightcurves"
    store.manifest["axis"] = {"name": "orbital phase", "unit": "", "primary_eclipse": PRIMARY_AT}
    store.write_manifest()
    _write_products(store, table, {"tsne": "tsne", "groups": method, "classes": "network"})
    return store


def _on_grid(curves: list[LightCurve], fit: TwoGaussianFit) -> tuple[NDArray, NDArray]:
    """Return flux and ivar of every curve at `STORE_PHASES`."""
    grid = np.arange(400) / 400
    model = fit.curve(grid)
    top = np.where(np.isfinite(model).all(axis=1), np.nanmax(np.nan_to_num(model), axis=1), 1.0)
    top = np.where(top > 0, top, 1.0)
    first = np.nan_to_num(np.where(np.isfinite(fit.position_1), fit.position_1, fit.position_e))
    n = len(STORE_PHASES)
    flux, ivar = np.ones((len(curves), n)), np.zeros((len(curves), n))
    for row, curve in enumerate(curves):
        turned = np.mod(curve.time - first[row] + PRIMARY_AT, 1.0)
        shown = binned(LightCurve(turned, curve.flux, curve.flux_err, folded=True), n)
        place = np.minimum((shown.time * n).astype(int), n - 1)
        phase = np.mod(STORE_PHASES + first[row] - PRIMARY_AT, 1.0)
        if np.isfinite(model[row]).all():
            flux[row] = np.interp(phase, grid, model[row] / top[row], period=1.0)
        flux[row, place] = shown.flux / top[row]
        ivar[row, place] = (top[row] / shown.flux_err) ** 2
    return flux, ivar


def _write_products(store: SurveyStore, table: pd.DataFrame, methods: dict[str, str]) -> None:
    chances = [name for name in table if str(name).startswith("p_")]
    full = table.assign(p=table[chances].max(axis=1)) if chances else table
    for name, columns in PRODUCTS.items():
        if set(columns.values()) <= set(full):
            frame = full[["id", *columns.values()]].set_axis(["id", *columns], axis=1)
            store.write_product(name, frame.replace({"": None}), method=methods[name])


def _remove(path: Path) -> None:
    """Delete an older store, and nothing that is not one."""
    import shutil

    SurveyStore.open(path)
    shutil.rmtree(path)
