"""How peculiar stars are peculiar: drawn star by star, each from a generator of its own.

Which stars are is the population's to say (column ``class``, codes of GALAH's t-SNE classes):

- HAE, Balmer emission (`siderea.simulate.emission`);
- LIR, lithium-rich: A(Li) far above what a star of its age keeps;
- CEH, carbon-enhanced: [C/Fe] of 0.6 to 1.6, whose C₂ shows by its Swan bands;
- WRD, problematic spectra (`siderea.simulate.defects`).

Hot and fast rotators (HFR), cool metal-poor giants (CMP), binaries and triples are what their
labels make them, and stars below `COLD` have molecular bands (MAB).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siderea.simulate import emission
from siderea.simulate.defects import KINDS as DEFECTS
from siderea.simulate.draw import Columns
from siderea.simulate.emission import Emission

__all__ = ["COLD", "emission_of", "peculiarities", "star_generator"]

COLD = 4400.0
"""K: below, where the emulator ends, molecular bands are added to a star's spectrum."""

_EMISSION = (
    "emission_ew",
    "emission_width",
    "emission_velocity",
    "emission_violet",
    "emission_depth",
    "balmer_decrement",
)
_STREAM = 7
_N_DRAWS = 24


def star_generator(seed: int, stream: int, number: int) -> np.random.Generator:
    """Return the generator of one star (or spectrum) for one purpose."""
    return np.random.default_rng([seed, stream, number])


def peculiarities(stars: Columns, first: int, *, seed: int) -> Columns:
    """Draw what is peculiar about the stars whose class says that they are.

    Parameters
    ----------
    stars : columns
        Of the population table, arrays by name.
    first : int
        Number of the first of them in the survey.
    seed : int

    Returns
    -------
    columns
        ``a_li`` and ``c_fe`` (dex; NaN where they are not peculiar), ``problem`` (a kind of
        `siderea.simulate.defects`, or ""), ``problem_arm``, ``problem_size``, and the parameters of
        the emission: ``emission`` (a kind, or ""), ``emission_ew`` (Å added to Hα),
        ``emission_width``, ``emission_velocity`` (km/s), ``emission_violet``, ``emission_depth``,
        ``balmer_decrement``.
    """
    numbers = range(first, first + stars["teff"].size)
    u = np.array([star_generator(seed, _STREAM, i).random(_N_DRAWS) for i in numbers])
    u = u.reshape(-1, _N_DRAWS)
    code = np.asarray(stars["class"], dtype=object)
    plain_lithium = np.where(stars["logg"] < 3.5, 1.8, 2.6)  # a giant has diluted its own
    spoiled = code == "WRD"
    return {
        "a_li": np.where(code == "LIR", plain_lithium + 1.6 * u[:, 2], np.nan),
        "c_fe": np.where(code == "CEH", 0.6 + u[:, 3], np.nan),
        "problem": np.where(spoiled, _pick(DEFECTS, u[:, 4]), ""),
        "problem_arm": np.where(spoiled, (4 * u[:, 5]).astype(int), -1),
        "problem_size": np.where(spoiled, u[:, 6], np.nan),
    } | _emissions(code == "HAE", stars["vsini"], u[:, 8:16])


def _pick(options: tuple[str, ...], u: NDArray) -> NDArray[np.object_]:
    return np.array(options, dtype=object)[(len(options) * u).astype(int)]


def _emissions(chosen: NDArray, vsini: NDArray, u: NDArray) -> dict[str, NDArray]:
    """Draw the parameters of the emission; NaN for stars without."""
    kind = _pick(emission.KINDS, u[:, 0])
    disc = np.isin(kind, ("double", "asymmetric"))
    wind = np.isin(kind, ("pcygni", "inverted"))
    # a disc of 2 to 12 stellar radii about a star that turns
    keplerian = np.maximum(vsini, 80 + 120 * u[:, 1]) / np.sqrt(2 + 10 * u[:, 2])
    uneven = np.where(u[:, 3] < 0.5, 0.2 + 0.2 * u[:, 4], 0.6 + 0.2 * u[:, 4])
    values = {
        "emission_ew": 0.5 * 16.0 ** u[:, 5],
        "emission_width": np.where(disc, 0.35 * keplerian, 25 + 60 * u[:, 6]),
        "emission_velocity": np.where(disc, keplerian, np.where(wind, 60 + 140 * u[:, 1], 0.0)),
        "emission_violet": np.where(kind == "asymmetric", uneven, 0.5),
        "emission_depth": np.where(wind, 0.3 + 0.6 * u[:, 2], 0.0),
        "balmer_decrement": 1.5 + 2.5 * u[:, 7],
    }
    drawn = {name: np.where(chosen, value, np.nan) for name, value in values.items()}
    return {"emission": np.where(chosen, kind, ""), **drawn}


def emission_of(table: Columns, row: int) -> Emission:
    """Return the emission of a row of the table."""
    star = {name: table[name][row] for name in ("emission", *_EMISSION)}
    return Emission(
        kind=str(star["emission"]),
        ew=float(star["emission_ew"]),
        width=float(star["emission_width"]),
        velocity=float(star["emission_velocity"]),
        violet=float(star["emission_violet"]),
        depth=float(star["emission_depth"]),
        decrement=float(star["balmer_decrement"]),
    )
