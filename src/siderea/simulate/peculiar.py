"""Which stars are peculiar, and how: drawn star by star, each from a generator of its own.

Codes are those of GALAH's t-SNE classes:

- HFR, hot or fast rotators: those of the population, and more of its hot stars spun up;
- HAE, Balmer emission (`siderea.simulate.emission`);
- LIR, lithium-rich: A(Li) far above what a star of its age keeps;
- CEH, carbon-enhanced: [C/Fe] of 0.6 to 1.6, whose C₂ shows by its Swan bands;
- CMP, cool metal-poor giants, and MAB, molecular bands: what the population has of them;
- WRD, problematic spectra (`siderea.simulate.defects`);
- BIN and TRI, as the population says; NOR, all others.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.simulate import emission
from siderea.simulate.defects import KINDS as DEFECTS
from siderea.simulate.draw import Columns
from siderea.simulate.emission import Emission

__all__ = ["COLD", "SHARES", "check_shares", "draw", "emission_of", "star_generator"]

SHARES: Mapping[str, float] = {
    "HFR": 0.0,
    "HAE": 0.001,
    "LIR": 0.01,
    "CEH": 0.0015,
    "WRD": 0.0055,
}
"""Share of all stars that is drawn for each class. Of 105,363 spectra in GALAH's DR5.2 lists, out of
some 600,000, 463 show emission alone, 860 carbon and 3,286 are problematic; lithium has no list: one
giant in a hundred is rich in it. HFR come from the population's own rotation."""

COLD = 4400.0
"""K: below, where the emulator ends, molecular bands are added to a star's spectrum."""

GIVEN = ("HAE", "CEH", "LIR", "WRD")
"""Classes that the population may have drawn, of which the spectra are made here."""

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


def draw(
    stars: Columns, first: int, *, seed: int, shares: Mapping[str, float] = SHARES
) -> Columns:
    """Make some stars peculiar.

    Parameters
    ----------
    stars : columns
        Of the population table, arrays by name.
    first : int
        Number of the first of them in the survey.
    seed : int
    shares : mapping
        As `SHARES`; a class that is not named has none.

    Returns
    -------
    columns
        The same; a class of `GIVEN` that the population drew is kept. ``class`` and, for HFR, ``vsini`` are changed, and added are ``a_li``,
        ``c_fe``, ``problem``, ``problem_arm``, ``problem_size`` and the parameters of the emission.

    Raises
    ------
    DataError
        If a class is not known, or the shares are not shares.
    """
    check_shares(shares)
    numbers = range(first, first + stars["teff"].size)
    u = np.array([star_generator(seed, _STREAM, i).random(_N_DRAWS) for i in numbers])
    u = u.reshape(-1, _N_DRAWS)
    chosen = _choice(u[:, 0], dict(shares))
    told = np.array(stars["class"], dtype=object)
    chosen = np.where(np.isin(told, GIVEN), told, chosen)
    teff, logg = stars["teff"], stars["logg"]
    chosen[(chosen == "HFR") & (teff < 6000)] = ""
    chosen[(chosen == "CEH") & (teff > 6300)] = ""  # there is no C₂ left to see
    vsini = np.where(chosen == "HFR", 50 + 140 * u[:, 1], stars["vsini"])
    table = stars | {
        "vsini": vsini,
        "a_li": np.where(chosen == "LIR", np.where(logg < 3.5, 1.8, 2.6) + 1.6 * u[:, 2], np.nan),
        "c_fe": np.where(chosen == "CEH", 0.6 + u[:, 3], np.nan),
        "problem": np.where(chosen == "WRD", _pick(DEFECTS, u[:, 4]), ""),
        "problem_arm": np.where(chosen == "WRD", (4 * u[:, 5]).astype(int), -1),
        "problem_size": np.where(chosen == "WRD", u[:, 6], np.nan),
    }
    table |= _emissions(chosen == "HAE", vsini, u[:, 8:16])
    return table | {"class": _classes(table, chosen)}


def check_shares(shares: Mapping[str, float]) -> None:
    """Raise `DataError` where a class is not known, or the shares are not shares."""
    unknown = set(shares) - set(SHARES)
    if unknown:
        raise DataError(
            f"shares: found {', '.join(sorted(unknown))}; expected any of {', '.join(SHARES)}"
        )
    values = np.array(list(shares.values()), dtype=float)
    if not (np.all(values >= 0) and values.sum() <= 1):
        raise DataError(f"shares: found {dict(shares)}; expected shares of at most 1 together")


def _choice(u: NDArray, shares: Mapping[str, float]) -> NDArray[np.object_]:
    names = [name for name in SHARES if shares.get(name, 0.0) > 0]
    edges = np.cumsum([shares[name] for name in names])
    options = np.array([*names, ""], dtype=object)
    return options[np.searchsorted(edges, u, side="right")]


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


def _classes(table: Columns, chosen: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the class of each star: what was drawn here, else what the population says."""
    found = np.array(table["class"], dtype=object)
    found[found == ""] = "NOR"
    return np.where(chosen != "", chosen, found)
