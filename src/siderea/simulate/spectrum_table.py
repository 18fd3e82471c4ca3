"""The two tables of a simulated survey: what a survey would know, and the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.data import Spectra
from siderea.flags import SpectrumFlag
from siderea.simulate.defects import wrong_velocity
from siderea.simulate.draw import Columns
from siderea.simulate.instruments import Instrument
from siderea.spectra.lines import BALMER, equivalent_width

__all__ = ["finished", "measured"]

FIRST_ID = 990_101_000_100_000
"""Number of the first spectrum: a ``sobject_id`` of 1 January of a year that GALAH did not see."""

EARTH = 29.8
"""Mean speed of the Earth in its orbit, km/s."""

RV_FLOOR = 0.1
RV_PHOTONS = 8.0
"""Error of a measured velocity, km/s: √(floor² + (photons (1 + (v sin i/10)^1.5)/(S/N))²), of the
form that line widths and photon noise give."""

MEDIAN_STEP = 4
"""Every fourth pixel is enough for the median S/N of an arm."""


def measured(
    table: Columns, share: NDArray[np.float64], generators: list[np.random.Generator]
) -> Columns:
    """Add what is measured of the velocity.

    Parameters
    ----------
    table : columns
        N spectra, with ``rv_1``, ``rv_2``, ``rv_3``.
    share : (N, 3) ndarray
        Of each star in the light.
    generators : list of numpy.random.Generator
        One per spectrum.

    Returns
    -------
    columns
        With ``rv_light`` (the mean of the components, weighed with their light: what a
        cross-correlation of blended lines finds), ``rv_measured``, ``rv_err`` (km/s),
        ``barycentric_velocity`` (km/s) and ``share_2``, ``share_3``.
    """
    moving = np.stack([table["rv_1"], table["rv_2"], table["rv_3"]], axis=1)
    light_weighted = np.where(share > 0, share * moving, 0.0).sum(axis=1)
    draws = np.array([[one.standard_normal(), one.uniform(-1, 1)] for one in generators])
    broad = 1 + (table["vsini"] / 10) ** 1.5
    error = np.hypot(RV_FLOOR, RV_PHOTONS * broad / table["snr"])
    wrong = [
        wrong_velocity(*one) for one in zip(table["problem"], table["problem_size"], strict=True)
    ]
    return table | {
        "rv_light": light_weighted,
        "rv_measured": light_weighted + error * draws[:, 0] + np.array(wrong),
        "rv_err": error,
        "barycentric_velocity": EARTH * np.sin(0.5 * np.pi * draws[:, 1]),
        "share_2": share[:, 1],
        "share_3": share[:, 2],
    }


def finished(
    spectra: Spectra, table: Columns, *, first_row: int, instrument: Instrument
) -> tuple[Spectra, pd.DataFrame]:
    """Give spectra the catalogue that an ingest would, and the truth its identifiers.

    Parameters
    ----------
    spectra : Spectra
        With ``flags`` in its table.
    table : columns
        All that is known.
    first_row : int
        Number of the first spectrum in the survey.
    instrument : Instrument

    Returns
    -------
    spectra, truth
        The catalogue has the columns of an ingested GALAH store, ``rv_err`` and the apparent
        magnitudes; nothing in it is known from the simulation only.
    """
    numbers = FIRST_ID + first_row + np.arange(len(spectra))
    identity = {
        "id": np.array([f"{number:015d}" for number in numbers], dtype=object),
        "star_id": table["star_id"],
        "sobject_id": numbers,
    }
    known = identity | _catalogue(spectra, table, instrument)
    known |= _balmer_widths(spectra)
    truth = identity | {name: v for name, v in table.items() if name not in identity}
    truth["flags"] = known["flags"]
    return replace(spectra, table=pd.DataFrame(known)), pd.DataFrame(truth)


def _catalogue(spectra: Spectra, table: Columns, instrument: Instrument) -> Columns:
    snr, overall = _median_snr(spectra)
    flags = spectra.table["flags"].to_numpy(dtype=np.int64)
    flags = flags | np.where(np.isnan(snr).all(axis=1), int(SpectrumFlag.NO_GOOD_PIXELS), 0)
    n = len(spectra)
    magnitudes = [name for name in table if name == "v_jk" or name.startswith("mag_")]
    return {
        "ra": table["ra"],
        "dec": table["dec"],
        "field_ra": table["ra"],
        "field_dec": table["dec"],
        "mjd": table["time"],
        "rv": table["rv_measured"],
        "rv_err": table["rv_err"],
        "barycentric_velocity": table["barycentric_velocity"],
        "snr": overall,
        **{f"snr_{name}": snr[:, arm] for arm, name in enumerate(instrument.grid.arm_names)},
        "n_arms": np.isfinite(snr).sum(axis=1),
        "telluric_corrected": np.ones(n, dtype=bool),
        "flags": flags,
        "path": np.full(n, "", dtype=object),
        **{name: table[name] for name in magnitudes},
    }


def _median_snr(spectra: Spectra) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median S/N per pixel (N, A) of the arms, NaN for one that is missing, and of all of them."""
    sampled = slice(None, None, MEDIAN_STEP)
    ratio = spectra.flux[:, sampled] * np.sqrt(spectra.ivar[:, sampled])
    out = np.full((len(spectra), len(spectra.arms)), np.nan)
    edges = [-(-arm.start // MEDIAN_STEP) for arm in spectra.arms] + [ratio.shape[1]]
    for arm in range(len(spectra.arms)):
        piece = ratio[:, edges[arm] : edges[arm + 1]]
        there = (piece != 0).any(axis=1)
        out[there, arm] = np.median(piece[there], axis=1)
    return out, np.median(ratio, axis=1).astype(float)


def _balmer_widths(spectra: Spectra) -> Columns:
    """Return the widths of Hα and Hβ, as an ingest does."""
    columns: Columns = {}
    for name, line in BALMER.items():
        if spectra.wavelength.min() < line < spectra.wavelength.max():
            columns[f"ew_{name}"], columns[f"ew_{name}_err"] = equivalent_width(spectra, line)
    return columns
