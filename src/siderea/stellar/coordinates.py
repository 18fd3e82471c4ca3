"""What places a star along the isochrones, and how much fainter real stars are there."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COORDINATES", "TEFF_OFFSET", "Coordinate", "Offset", "log_teff"]

Offset = tuple[tuple[float, float, float], ...]

TEFF_OFFSET: Offset = (
    (3.68, 0.22, 0.03),
    (3.70, 0.10, 0.03),
    (3.72, 0.05, 0.03),
    (3.75, 0.12, 0.03),
    (3.80, 0.12, 0.03),
    (3.85, 0.05, 0.03),
    (3.90, -0.12, 0.03),
)
PS1_OFFSET: Offset = (
    (0.30, 0.08, 0.0),
    (0.43, 0.20, 0.0),
    (0.55, 0.25, 0.0),
    (0.70, 0.18, 0.0),
    (0.85, 0.17, 0.0),
    (1.00, 0.10, 0.0),
    (1.22, -0.10, 0.0),
)
GAIA_OFFSET: Offset = (
    (0.25, -0.19, 0.0),
    (0.47, 0.10, 0.0),
    (0.65, 0.21, 0.0),
    (0.75, 0.22, 0.0),
    (0.85, 0.32, 0.0),
    (1.00, 0.22, 0.0),
    (1.15, 0.17, 0.0),
    (1.25, 0.10, 0.0),
    (1.42, -0.03, -0.08),
)
GAIA_2MASS_OFFSET: Offset = (
    (0.37, -0.20, 0.0),
    (0.65, 0.19, 0.0),
    (0.87, 0.24, 0.0),
    (1.00, 0.30, 0.0),
    (1.26, 0.28, 0.0),
    (1.46, 0.22, 0.0),
    (1.67, 0.09, -0.05),
    (1.88, 0.09, -0.30),
    (2.40, 0.09, -0.30),
    (2.58, 0.01, -0.30),
    (2.75, -0.16, -0.30),
    (2.92, -0.31, -0.30),
)
"""How much fainter real stars are than the isochrones', (x, dwarf, giant): Gaia DR2 parallaxes of
half of the stars of Green et al. (2021) and, for G − J > 2.4, APOGEE's M_G; smoothed, see
`benchmarks/distances.py offsets`. None for SDSS, which has no parallaxes at hand."""


@dataclass(frozen=True)
class Coordinate:
    """What stands for the temperature.

    Parameters
    ----------
    colour : (str, str), optional
        Bands of a colour, blue and red; log₁₀ Teff when None.
    band : str
        Band of the absolute magnitude.
    low, high : float
        Range.
    floor : float
        Error that is added in quadrature: calibration of the colour (mag) or Teff scale (dex).
    offset : tuple of (x, dwarf, giant)
        Knots of how much fainter real dwarfs and giants are than the isochrones', mag.
    """

    colour: tuple[str, str] | None
    band: str
    low: float
    high: float
    floor: float
    offset: Offset = ()

    def bands(self) -> tuple[str, ...]:
        """Return the bands needed."""
        return tuple(dict.fromkeys((self.band, *(self.colour or ()))))


COORDINATES = (
    Coordinate(("sdss_g", "sdss_i"), "sdss_r", -0.4, 3.4, 0.02),
    Coordinate(("ps1_g", "ps1_i"), "ps1_r", -0.4, 3.2, 0.02, PS1_OFFSET),
    Coordinate(("gaia_bp", "gaia_rp"), "gaia_g", -0.2, 3.4, 0.02, GAIA_OFFSET),
    Coordinate(("gaia_g", "twomass_j"), "gaia_g", -0.2, 3.6, 0.025, GAIA_2MASS_OFFSET),
)
"""Colours in the order of preference."""


def log_teff(band: str, offset: Offset = ()) -> Coordinate:
    """Return the coordinate log₁₀ Teff with the absolute magnitude of a band."""
    return Coordinate(None, band, 3.46, 4.0, 0.004, offset)
