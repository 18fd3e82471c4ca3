"""Parallaxes as data: the zero point, the errors beside the stated ones, the likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError

__all__ = ["GAIA_DR2", "GAIA_DR3", "ParallaxErrors"]


@dataclass(frozen=True)
class ParallaxErrors:
    """What is known of a catalogue's parallaxes beside the errors it states.

    Parameters
    ----------
    zero_point : float
        Parallax of a source at infinity as the catalogue has it, mas; it is subtracted.
    inflation : float
        k, the factor on the stated errors.
    systematic : float
        σ_s, mas; the error used is √(k² σ² + σ_s²).
    """

    zero_point: float = 0.0
    inflation: float = 1.0
    systematic: float = 0.0

    def __post_init__(self) -> None:
        if not (self.inflation > 0 and self.systematic >= 0 and np.isfinite(self.zero_point)):
            raise DataError(
                f"parallax errors: found {self}; expected inflation > 0, systematic >= 0"
            )

    def apply(
        self, parallax: ArrayLike, parallax_err: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return parallaxes free of the zero point, and their whole errors, mas."""
        value = np.asarray(parallax, dtype=float) - self.zero_point
        sigma = np.hypot(self.inflation * np.asarray(parallax_err, dtype=float), self.systematic)
        return value, sigma


GAIA_DR2 = ParallaxErrors(-0.029, 1.08, 0.043)
"""Quasars' mean zero point and the external errors of G > 13: Lindegren et al. (2018), A&A 616, A2,
and the notes on Gaia DR2 astrometry of the same year. Brighter stars have σ_s = 0.021."""

GAIA_DR3 = ParallaxErrors(-0.017, 1.05, 0.0)
"""Quasars' median zero point (Lindegren et al. 2021, A&A 649, A4) and the inflation of faint
sources (Fabricius et al. 2021, A&A 649, A5); bright or red stars have other zero points."""
