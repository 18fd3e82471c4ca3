"""What a table says of stars, brought into the arrays that training and prediction use."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.stellar.features import CONTEXT
from siderea.stellar.heads import CAUSAL_ORDER
from siderea.stellar.splits import groups_of, repeated_rows, sky_blocks

__all__ = ["ScaledLabels", "context_of", "default_groups", "scaled_labels"]

PLAUSIBLE = {"teff": (1_000.0, 100_000.0), "fe_h": (-9.0, 3.0), "logg": (-3.0, 10.0)}
"""Label values beyond are sentinels."""


@dataclass(frozen=True)
class ScaledLabels:
    """Labels of N stars, centred and divided by their robust widths.

    Parameters
    ----------
    names : tuple of str
        L labels in causal order.
    values, errors : (N, L) ndarray
        Scaled; NaN where not known, errors 0 where not given.
    centre, width : (L,) ndarray
        Of the scaling.
    giant : (N,) ndarray
        1, 0, or NaN where not known.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    centre: NDArray[np.float64]
    width: NDArray[np.float64]
    giant: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which stars (N,) have at least one label."""
        return np.asarray(np.isfinite(self.values).any(axis=1))

    @property
    def has_giants(self) -> bool:
        """Whether both giants and dwarfs were there to learn from."""
        return bool(np.nanmax(self.giant, initial=0) > np.nanmin(self.giant, initial=1))

    def sha256(self, mag: NDArray, used: NDArray) -> str:
        """Fingerprint of the training set."""
        digest = hashlib.sha256()
        for array in (mag, self.values[used], self.errors[used]):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def scaled_labels(
    labels: pd.DataFrame | Mapping[str, ArrayLike], n: int, *, giant_logg: float
) -> ScaledLabels:
    """Read and scale the labels of a training set.

    Parameters
    ----------
    labels : DataFrame or mapping
        ``teff``, ``fe_h``, ``logg``: at least one; ``<label>_err``; ``giant``.
    n : int
        Number of stars.
    giant_logg : float
        A star of lower log g is a giant, where ``giant`` is not given.

    Returns
    -------
    ScaledLabels

    Raises
    ------
    DataError
        If there is no label, or a column is not (N,).
    """
    names = tuple(name for name in CAUSAL_ORDER if name in labels)
    if not names:
        raise DataError(f"labels: found {', '.join(map(str, labels))}; expected teff, fe_h or logg")
    values = np.stack([_column(labels, name, n) for name in names], axis=1)
    for k, name in enumerate(names):
        low, high = PLAUSIBLE[name]
        values[~((values[:, k] >= low) & (values[:, k] <= high)), k] = np.nan
    errors = np.stack(
        [_column(labels, f"{name}_err", n) if f"{name}_err" in labels else np.zeros(n)
         for name in names], axis=1,
    )  # fmt: skip
    values[~(errors >= 0)] = np.nan  # a label whose error is negative or NaN is not a measurement
    giant = np.full(n, np.nan)
    if "giant" in labels:
        giant = _column(labels, "giant", n)
    elif "logg" in names:
        logg = values[:, names.index("logg")]
        giant = np.where(np.isfinite(logg), logg < giant_logg, np.nan)
    lower, centre, upper = (_quantiles(values, level) for level in (0.16, 0.5, 0.84))
    width = np.maximum((upper - lower) / 2, 1e-6)
    return ScaledLabels(
        names, (values - centre) / width, np.nan_to_num(errors) / width, centre, width, giant
    )


def context_of(photometry: Photometry) -> NDArray[np.float64]:
    """Return what the table says besides magnitudes, (N, 3): `CONTEXT`, NaN where not known."""
    table = photometry.table
    columns = [
        pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
        if name in table
        else np.full(len(photometry), np.nan)
        for name in CONTEXT
    ]
    context = np.stack(columns, axis=1) if len(photometry) else np.empty((0, len(CONTEXT)))
    context[~np.isfinite(context)] = np.nan
    context[np.abs(context) > 1e3] = np.nan  # sentinels: no reddening or parallax is so large
    context[~(context[:, 2] > 0), 1:] = np.nan  # a parallax without an error says nothing
    return context


def default_groups(photometry: Photometry) -> NDArray[np.int64]:
    """Group stars that share a ``star_id``, a sky block, or all their magnitudes."""
    table = photometry.table
    groups = [repeated_rows(photometry.mag)]
    if "star_id" in table:
        groups.append(table["star_id"].to_numpy())
    if {"ra", "dec"} <= set(table):
        groups.append(sky_blocks(table["ra"], table["dec"]))
    return groups_of(*groups)


def _column(labels: pd.DataFrame | Mapping[str, ArrayLike], name: str, n: int) -> NDArray:
    column = np.array(labels[name], dtype=np.float64)
    if column.shape != (n,):
        raise DataError(f"labels: {name} has shape {column.shape}; expected ({n},)")
    return column


def _quantiles(values: NDArray, level: float) -> NDArray[np.float64]:
    known = (column[np.isfinite(column)] for column in values.T)
    return np.array([np.quantile(c, level) if c.size else 0.0 for c in known])
