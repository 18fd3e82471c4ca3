"""Figures of what a store holds: read it, hand arrays to `siderea.figures`, write PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from siderea.errors import ProductError
from siderea.figures.map import embedding_map
from siderea.figures.spectra import spectrum_panels
from siderea.io.files import atomic_write
from siderea.io.store import SurveyStore

__all__ = ["UNITS", "example_figure", "map_figure", "png", "save_figure"]

UNITS = {
    "teff": "K",
    "logg": "dex",
    "fe_h": "dex",
    "alpha_fe": "dex",
    "rv": "km/s",
    "vsini": "km/s",
    "vbroad": "km/s",
    "vmic": "km/s",
    "barycentric_velocity": "km/s",
    "ew_halpha": "Å",
    "ew_hbeta": "Å",
    "ra": "deg",
    "dec": "deg",
    "mjd": "d",
    "snr": "per pixel",
}
"""Units of the catalogue's columns, by the names of CONVENTIONS.md."""

LABELS = {
    "teff": "effective temperature",
    "logg": "log g",
    "fe_h": "[Fe/H]",
    "alpha_fe": "[α/Fe]",
    "rv": "radial velocity",
    "snr": "S/N",
    "ew_halpha": "equivalent width of Hα",
    "ew_hbeta": "equivalent width of Hβ",
}
"""How columns are written on a figure; others by their own names."""

_AXES = {
    "tsne": "t-SNE",
    "pca": "PCA",
    "umap": "UMAP",
    "isomap": "Isomap",
    "lle": "LLE",
    "spectral": "spectral embedding",
    "sammon": "Sammon",
    "mds": "MDS",
}


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as handle:
        handle.write(png(figure))


def map_figure(store: SurveyStore, name: str, *, colour: str | None = None) -> Figure:
    """Draw a map of the store, coloured by a column of the catalogue.

    Parameters
    ----------
    store : SurveyStore
    name : str
        A product with columns ``id``, ``x`` and ``y``.
    colour : str, optional
        A continuous column, or one of words; by default the one that the map was made with, else
        `default_colour`.
    """
    product = store.product(name)
    if not {"x", "y"} <= set(product):
        raise ProductError(f"{store.path}: product {name!r} is not a map: it has no x and y")
    info = store.product_info(name)
    colour = colour or info["parameters"].get("colour") or default_colour(store)
    # A product follows the catalogue, but only its ids say so.
    column = store.read_catalogue(["id", colour] if colour else ["id"]).set_index("id")
    values = column[colour].reindex(product["id"]) if colour else None
    method = _AXES.get(info["method"], name)
    options: dict = {}
    if values is not None and _is_words(values):
        options["categories"] = values.astype(object).where(values.notna(), None).to_numpy()
    elif values is not None:
        options["values"] = values.to_numpy(dtype=float)
    unit = UNITS.get(colour or "", "per pixel" if (colour or "").startswith("snr") else "")
    return embedding_map(
        product[["x", "y"]].to_numpy(),
        label=LABELS.get(colour or "", colour or ""),
        unit=unit,
        title=f"{store.path.stem}: {name}",
        axis_name=method,
        **options,
    )


def default_colour(store: SurveyStore) -> str | None:
    """Return the column that says most about a map: temperature, or what stands for it."""
    table = store.catalogue
    for name in ("teff", "ew_halpha", "snr"):
        if name in table and np.isfinite(table[name].to_numpy(dtype=float)).any():
            return name
    return None


def _is_words(values: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)


def example_figure(store: SurveyStore, n: int = 3) -> Figure:
    """Draw a few spectra: the rows at the quantiles of S/N, best first."""
    table = store.catalogue
    snr = table["snr"].to_numpy(float) if "snr" in table else np.arange(len(table), dtype=float)
    order = np.argsort(np.nan_to_num(snr, nan=-1.0))[::-1]
    rows = order[np.linspace(0, 0.9 * (len(order) - 1), min(n, len(order))).astype(int)]
    spectra = store.spectra(rows)
    labels = [
        f"{one}, S/N {value:.0f}" if np.isfinite(value) else str(one)
        for one, value in zip(spectra.ids, snr[rows], strict=True)
    ]
    return spectrum_panels(
        spectra.wavelength,
        spectra.arms,
        spectra.flux,
        ivar=spectra.ivar,
        labels=labels,
        medium=spectra.medium,
        arm_names=spectra.arm_names,
        offset=0.6,
    )
