"""Which class of the survey's taxonomy a spectrum would show, from the truth alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from siderea.simulate.draw import Columns

__all__ = ["classes"]

VISIBLE_DV = 15.0
"""km/s by which two sets of lines must differ to be told apart at R = 28,000."""

VISIBLE_FLUX = 0.1
"""Share of the first star's light that a second must have to leave a mark of its own."""

FAST = 30.0
HOT = 6800.0
MOLECULAR = 4300.0
METAL_POOR = -1.0


def classes(
    table: Columns, peculiar: Sequence[tuple[str, float]], rng: np.random.Generator
) -> NDArray[np.object_]:
    """Return the code of the class that each system's spectrum shows.

    Parameters
    ----------
    table : columns
        As in `siderea.simulate.truth`.
    peculiar : sequence of (code, share)
        Classes that the population does not bring by itself, drawn among the stars of class NOR;
        ``LIR`` among its giants.
    rng : numpy.random.Generator

    Returns
    -------
    (N,) ndarray of str
        TRI and BIN where other stars are bright enough and apart in velocity, HFR hot or fast, CMP
        cool metal-poor giants, MAB molecular bands, a peculiar class, else NOR. A companion that
        cannot be seen leaves NOR: ``n_stars`` counts it all the same.
    """
    n = table["teff"].size
    code = np.full(n, "NOR", dtype=object)
    cool = table["teff"] < MOLECULAR
    code[cool] = "MAB"
    giant = (table["logg"] < 3.5) & (table["teff"] < 5300.0) & ~cool
    code[giant & (table["fe_h"] < METAL_POOR)] = "CMP"
    code[(table["teff"] > HOT) | (table["vsini"] > FAST)] = "HFR"
    seen = np.stack([_seen(table, number) for number in (2, 3)])
    apart = np.abs(table["rv_3"] - table["rv_2"]) > VISIBLE_DV
    code[seen.any(0)] = "BIN"
    code[seen.all(0) & apart] = "TRI"
    u, below = rng.random(n), 0.0
    normal = code == "NOR"
    for name, share in peculiar:
        drawn = normal & (u >= below) & (u < below + share)
        code[drawn & (giant if name == "LIR" else True)] = name
        below += share
    return code


def _seen(table: Columns, number: int) -> NDArray[np.bool_]:
    """Tell whether star ``number`` stands apart from the first (luminosity for light, roughly)."""
    share = table[f"luminosity_{number}"] / table["luminosity"]
    apart = np.abs(table[f"rv_{number}"] - table["rv_1"]) > VISIBLE_DV
    return np.asarray((share > VISIBLE_FLUX) & apart)
