"""Wide binaries: pairs of stars that move together, and the probability that this is chance.

Pairs are those whose proper motions and parallaxes agree, up to the errors and the motion of the
orbit itself. How many agree by chance is counted in the catalogue shifted against itself: there no
pair is real. The ratio of the densities of shifted and of real pairs at the same separation, χ² and
parallax is the probability of a chance alignment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from siderea.errors import DataError

__all__ = ["PairFlag", "common_motion_pairs", "find_pairs"]

COLUMNS = ("id", "ra", "dec", "pmra", "pmdec", "parallax")
ORBIT = 0.44
"""Δμ of a circular orbit of 5 solar masses, mas/yr, at a parallax of 1 mas and 1 arcsec:
2.1 km/s (s/1000 AU)^−½ at s = 1000 AU θ/ϖ, over 4.74."""

LARGEST_CHI2 = 25.0
"""Of the three differences; real pairs exceed it with probability 1.5e-5."""

SHIFTS = 16
"""Shifted catalogues; the chance alignments of all of them are averaged."""

BANDWIDTH = (0.15, 0.25, 0.15)
"""σ of the kernels, dex, in separation, χ² and parallax."""


class PairFlag(IntFlag):
    """What is known of a star's partner."""

    NONE = 0
    NO_DATA = 1  #: position, proper motion or parallax is missing
    NO_PARTNER = 2  #: no star moves alike within the largest separation
    SEVERAL = 4  #: more than one partner of probability above one half: a triple, or a cluster


@dataclass(frozen=True)
class _Field:
    """Positions (deg), motions (mas/yr), parallaxes (mas), and their errors."""

    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    motion: NDArray[np.float64]
    motion_err: NDArray[np.float64]
    parallax: NDArray[np.float64]
    parallax_err: NDArray[np.float64]

    def vectors(self, east: float = 0.0, north: float = 0.0) -> NDArray[np.float64]:
        """Return unit vectors (N, 3) of the positions, moved by so many degrees."""
        dec = np.deg2rad(self.dec + north)
        ra = np.deg2rad(self.ra + east / np.maximum(np.cos(np.deg2rad(self.dec)), 1e-3))
        return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], 1)


def find_pairs(
    frame: pd.DataFrame, *, max_separation: float = 60.0, min_parallax_snr: float = 3.0
) -> pd.DataFrame:
    """Find pairs of common parallax and proper motion.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``id``, ``ra``, ``dec`` (deg), ``pmra``, ``pmdec`` (mas/yr), ``parallax`` (mas), with
        ``pmra_err``, ``pmdec_err``, ``parallax_err``.
    max_separation : float
        arcsec.
    min_parallax_snr : float
        Least parallax over its error, of both stars.

    Returns
    -------
    pandas.DataFrame
        One row per pair, the most probable first: ``id_1``, ``id_2``, ``separation`` (arcsec),
        ``chi2`` (of two differences of motion and one of parallax), ``parallax`` (mas, mean),
        ``chance`` (probability of a chance alignment) and ``probability`` (1 − chance).

    Raises
    ------
    DataError
        If columns are missing, or the separation is not positive.

    References
    ----------
    El-Badry & Rix (2018), MNRAS 480, 4884 (orbital motion); El-Badry, Rix & Heintz (2021), MNRAS
    506, 2269 (chance alignments from shifted catalogues).
    """
    if not max_separation > 0:
        raise DataError(f"max_separation: found {max_separation}; expected arcsec above 0")
    rows, field = _field(frame, min_parallax_snr)
    names = frame["id"].to_numpy()[rows]
    one, two, features, separation, chi2 = _agreeing(field, field.vectors(), max_separation)
    once = one < two
    one, two, separation, chi2 = (value[once] for value in (one, two, separation, chi2))
    chance = _chance(field, features[once], max_separation)
    order = np.argsort(chance, kind="stable")
    table = pd.DataFrame(
        {
            "id_1": names[one],
            "id_2": names[two],
            "separation": separation,
            "chi2": chi2,
            "parallax": 0.5 * (field.parallax[one] + field.parallax[two]),
            "chance": chance,
            "probability": 1 - chance,
        }
    )
    return table.iloc[order].reset_index(drop=True)


def common_motion_pairs(
    frame: pd.DataFrame, *, max_separation: float = 60.0, min_parallax_snr: float = 3.0
) -> pd.DataFrame:
    """Find each star's most probable partner.

    Parameters
    ----------
    frame, max_separation, min_parallax_snr
        As of `find_pairs`.

    Returns
    -------
    pandas.DataFrame
        A row per star: ``id``, ``partner`` (its id, "" without), ``separation`` (arcsec), ``chi2``,
        ``chance``, ``probability`` (that the best partner is one; 0 without) and ``flags``
        (`PairFlag`).
    """
    pairs = find_pairs(frame, max_separation=max_separation, min_parallax_snr=min_parallax_snr)
    turned = pairs.rename(columns={"id_1": "id_2", "id_2": "id_1"})
    both = pd.concat([pairs, turned], ignore_index=True).sort_values("chance", kind="stable")
    likely = both[both["probability"] > 0.5].groupby("id_1").size()
    best = both.drop_duplicates("id_1").set_index("id_1")
    out = best.reindex(frame["id"]).reset_index(drop=True)
    rows, _ = _field(frame, min_parallax_snr)
    flags = np.full(len(frame), int(PairFlag.NO_DATA))
    flags[rows] = np.where(out["id_2"].isna().to_numpy()[rows], int(PairFlag.NO_PARTNER), 0)
    several = frame["id"].map(likely).fillna(0).to_numpy() > 1
    flags |= np.where(several, int(PairFlag.SEVERAL), 0)
    known = np.isin(np.arange(len(frame)), rows)
    return pd.DataFrame(
        {
            "id": frame["id"].to_numpy(),
            "partner": out["id_2"].fillna("").astype(str),
            "separation": out["separation"],
            "chi2": out["chi2"],
            "chance": out["chance"],
            "probability": np.where(known, out["probability"].fillna(0.0), np.nan),
            "flags": flags,
        }
    )


def _field(frame: pd.DataFrame, least: float) -> tuple[NDArray[np.intp], _Field]:
    errors = ("pmra_err", "pmdec_err", "parallax_err")
    missing = [name for name in (*COLUMNS, *errors) if name not in frame]
    if missing:
        raise DataError(f"pairs: found no column {', '.join(missing)}")
    values = {
        name: pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float)
        for name in (*COLUMNS[1:], *errors)
    }
    good = np.isfinite(np.stack(list(values.values()))).all(axis=0)
    good &= values["parallax"] > least * values["parallax_err"]
    rows = np.flatnonzero(good)
    values = {name: value[rows] for name, value in values.items()}
    return rows, _Field(
        values["ra"],
        values["dec"],
        np.stack([values["pmra"], values["pmdec"]], axis=1),
        np.stack([values["pmra_err"], values["pmdec_err"]], axis=1),
        values["parallax"],
        values["parallax_err"],
    )


def _agreeing(
    field: _Field, moved: NDArray, max_separation: float
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    """Return pairs of a star of the field and one of the moved field, their place and χ²."""
    reach = 2 * np.sin(np.deg2rad(max_separation / 3600) / 2)
    tree, own = cKDTree(moved), cKDTree(field.vectors())
    close = own.sparse_distance_matrix(tree, reach, output_type="ndarray")
    different = close["i"] != close["j"]
    one, two = close["i"][different], close["j"][different]
    angle = 2 * np.arcsin(close["v"][different] / 2)
    separation = np.maximum(np.rad2deg(angle) * 3600, 1e-3)
    parallax = 0.5 * (field.parallax[one] + field.parallax[two])
    orbit = ORBIT * parallax**1.5 / np.sqrt(separation)
    variance = field.motion_err[one] ** 2 + field.motion_err[two] ** 2
    variance = variance + (0.5 * orbit[:, None]) ** 2
    chi2 = ((field.motion[one] - field.motion[two]) ** 2 / variance).sum(axis=1)
    apart = field.parallax[one] - field.parallax[two]
    chi2 += apart**2 / (field.parallax_err[one] ** 2 + field.parallax_err[two] ** 2)
    agree = chi2 < LARGEST_CHI2
    one, two, chi2 = one[agree], two[agree], chi2[agree]
    separation, parallax = separation[agree], parallax[agree]
    features = np.stack([np.log10(value) for value in (separation, chi2 + 0.3, parallax)], axis=1)
    return one, two, features / np.array(BANDWIDTH), separation, chi2


def _chance(field: _Field, features: NDArray, max_separation: float) -> NDArray[np.float64]:
    """Return the density of shifted pairs over that of real ones, at the places of real pairs."""
    if not len(features):
        return np.zeros(0)
    shifted, weight = [], []
    distance = 3 * max_separation / 3600
    for number in range(SHIFTS):
        angle = 2 * np.pi * (number + 0.5) / SHIFTS
        size = distance * (1 + number % 3)
        east, north = size * np.cos(angle), size * np.sin(angle)
        _, _, place, _, _ = _agreeing(field, field.vectors(east, north), max_separation)
        overlap = _overlap(field, east, north, max_separation)
        shifted.append(place)
        # Each real pair is counted once, and each shifted one twice: (i, j) and (j, i).
        weight.append(np.full(len(place), 0.5 / (SHIFTS * max(overlap, 0.05))))
    chance = _density(np.concatenate(shifted), np.concatenate(weight), features)
    real = _density(features, np.ones(len(features)), features)
    return np.clip(chance / np.maximum(real, 1e-12), 0.0, 1.0)


def _overlap(field: _Field, east: float, north: float, max_separation: float) -> float:
    """Return the share of the moved stars that fall where the field has stars."""
    size = 4 * max_separation / 3600
    cosine = np.cos(np.deg2rad(np.median(field.dec)))

    def cells(e: float, n: float) -> NDArray:
        x, y = field.ra * cosine + e, field.dec + n
        return np.floor(x / size).astype(np.int64) * 1_000_003 + np.floor(y / size).astype(np.int64)

    return float(np.isin(cells(east, north), cells(0.0, 0.0)).mean())


def _density(points: NDArray, weight: NDArray, at: NDArray) -> NDArray[np.float64]:
    """Return a kernel density, up to a factor that is the same for all."""
    if not len(points):
        return np.zeros(len(at))
    pairs = cKDTree(at).sparse_distance_matrix(cKDTree(points), 4.0, output_type="ndarray")
    value = weight[pairs["j"]] * np.exp(-0.5 * pairs["v"] ** 2)
    return np.asarray(np.bincount(pairs["i"], value, len(at)), dtype=float)
