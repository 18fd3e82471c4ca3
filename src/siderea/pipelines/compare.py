"""Which channel finds what in a store: one probability per star, overlaps, figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.binaries.combination import Combination, default_combination, found
from siderea.binaries.compare import overlap_table
from siderea.errors import ProductError
from siderea.figures.binaries import overlap_figure, who_finds_what
from siderea.io.files import atomic_write
from siderea.io.store import SurveyStore
from siderea.pipelines.draw import save_figure

__all__ = ["COMBINED", "CompareResult", "compare", "detections"]

PREFIX = "detections_"
COMBINED = f"{PREFIX}combined"
"""Product: the probability of all channels together."""

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class CompareResult:
    """What `compare` wrote.

    Parameters
    ----------
    channels : tuple of str
        That were compared.
    overlap : pandas.DataFrame
        See `siderea.binaries.compare.overlap_table`.
    n_found : int
        Stars that the channels together call binary.
    table : Path
        The overlap as CSV.
    figures : tuple of Path
    """

    channels: tuple[str, ...]
    overlap: pd.DataFrame
    n_found: int
    table: Path
    figures: tuple[Path, ...]


def detections(store: SurveyStore) -> Tables:
    """Return the tables of all channels that searched a store, in the order of its catalogue."""
    ids = store.read_catalogue(["id"])["id"]
    tables: Tables = {}
    for product in sorted(store.products):
        name = product.removeprefix(PREFIX)
        if product == COMBINED or name == product:
            continue
        frame = store.product(product)
        if frame["id"].is_unique and ({"is_binary", "probability"} <= set(frame) or name == "ccf"):
            frame = frame.set_index("id").reindex(ids).reset_index()
            tables[name] = _filled(frame)
    return tables


def _filled(frame: pd.DataFrame) -> pd.DataFrame:
    """Stars that a table does not hold were not searched."""
    for name, missing in (("n_components", 0), ("is_binary", False)):
        if name in frame:
            frame[name] = frame[name].astype(object).fillna(missing).astype(type(missing))
    return frame


def compare(path: str | Path, *, combination: Combination | None = None) -> CompareResult:
    """Compare the channels that searched a store, and combine them.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    combination : Combination, optional
        The shipped one by default.

    Returns
    -------
    CompareResult

    Raises
    ------
    ProductError
        If no channel has searched the store.

    Notes
    -----
    The figure of who finds what shows true velocities and light where the store is a simulated one,
    else those that the model or the correlation measured of the stars that any channel found.
    """
    store = SurveyStore.open(path)
    tables = detections(store)
    chosen = combination or default_combination()
    if not set(tables) & set(chosen.channels):
        raise ProductError(
            f"{store.path}: no channel has searched it; first run siderea detect {store.path} "
            "--method ccf (then map, model)"
        )
    together = chosen(tables)
    together.insert(0, "id", store.read_catalogue(["id"])["id"])
    parameters = {
        "channels": sorted(tables),
        "false_positives": chosen.false_positives,
        "prior": chosen.prior,
    }
    store.write_product(COMBINED, together, method="combination", parameters=parameters)
    sets = {name: found(name, table) for name, table in tables.items()}
    sets["combined"] = together["is_binary"].to_numpy(dtype=bool)
    overlap = overlap_table(sets)
    table = store.path / "tables" / "compare.csv"
    table.parent.mkdir(exist_ok=True)
    with atomic_write(table, "w") as handle:
        overlap.to_csv(handle, index=False)
    figures = _draw(store, tables, sets)
    return CompareResult(tuple(tables), overlap, int(sets["combined"].sum()), table, tuple(figures))


def _draw(store: SurveyStore, tables: Tables, sets: dict[str, NDArray[np.bool_]]) -> list[Path]:
    overlap = store.path / "figures" / "compare_overlap.png"
    save_figure(overlap_figure(sets, title=store.path.stem), overlap)
    plane = _plane(store, tables, sets)
    if plane is None:
        return [overlap]
    rows, dv, ratio, words = plane
    path = store.path / "figures" / "compare_plane.png"
    chosen = {name: calls[rows] for name, calls in sets.items()}
    save_figure(who_finds_what(dv[rows], ratio[rows], chosen, axis_words=words), path)
    return [overlap, path]


def _plane(
    store: SurveyStore, tables: Tables, sets: dict[str, NDArray[np.bool_]]
) -> tuple[NDArray, NDArray, NDArray, tuple[str, str]] | None:
    """Return the rows that are drawn, their Δv and light ratio, and what the axes are."""
    ids = store.read_catalogue(["id"])["id"]
    if "truth" in store.products:
        truth = store.product("truth").set_index("id").reindex(ids)
        rows = np.flatnonzero(truth["n_stars"].to_numpy() > 1)
        dv, ratio = truth["dv"].to_numpy(float), truth["flux_ratio"].fillna(0.0).to_numpy(float)
        return rows, dv, ratio, ("true |Δv|", "true light of the second star over the first's")
    if "model" in tables:
        dv, ratio = (tables["model"][name].to_numpy(float) for name in ("dv", "flux_ratio"))
    elif "ccf" in tables:
        table = tables["ccf"]
        dv = (table["rv_2"] - table["rv_1"]).to_numpy(float)
        ratio = table["flux_ratio"].to_numpy(float)
    else:
        return None
    anyone = np.any(list(sets.values()), axis=0)
    rows = np.flatnonzero(anyone & np.isfinite(dv) & np.isfinite(ratio))
    words = ("measured |Δv|", "measured light of the second star over the first's")
    return (rows, dv, ratio, words) if rows.size else None
