"""The smooth functions that a continuum is made of: Chebyshev polynomials and cubic B-splines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from siderea.errors import DataError

__all__ = ["ChebyshevBasis", "SplineBasis"]

_CUBIC = 3


def _unit(wavelength: NDArray, domain: tuple[float, float]) -> NDArray[np.float64]:
    low, high = domain
    return (2.0 * np.asarray(wavelength, dtype=float) - low - high) / (high - low)


def _domain(wavelength: NDArray) -> tuple[float, float]:
    low, high = float(wavelength[0]), float(wavelength[-1])
    return (low, high) if high > low else (low - 1.0, low + 1.0)


@dataclass(frozen=True)
class ChebyshevBasis:
    """Chebyshev polynomials of the first kind, up to a degree, over a domain.

    Parameters
    ----------
    degree : int
        Highest degree; there are ``degree + 1`` functions.
    domain : (float, float)
        Wavelengths (or pixel numbers) that map to −1 and 1.
    """

    degree: int
    domain: tuple[float, float]

    @classmethod
    def over(cls, wavelength: NDArray, degree: int) -> ChebyshevBasis:
        """Span a grid (P,) with polynomials of a degree."""
        if degree < 0:
            raise DataError(f"degree: found {degree}; expected 0 or more")
        return cls(int(degree), _domain(wavelength))

    def design(self, wavelength: NDArray) -> NDArray[np.float64]:
        """Return the functions at the wavelengths, (P, K)."""
        return np.asarray(
            np.polynomial.chebyshev.chebvander(_unit(wavelength, self.domain), self.degree), float
        )

    def penalty(self) -> NDArray[np.float64]:
        """Return the (K, K) matrix that keeps undetermined coefficients at zero."""
        return np.eye(self.degree + 1)


@dataclass(frozen=True)
class SplineBasis:
    """Cubic B-splines on evenly spaced knots.

    Parameters
    ----------
    n_spans : int
        Number of polynomial pieces; there are ``n_spans + 3`` functions.
    domain : (float, float)
        First and last knot, Å.
    """

    n_spans: int
    domain: tuple[float, float]

    @classmethod
    def over(cls, wavelength: NDArray, spacing: float) -> SplineBasis:
        """Span a grid (P,) with knots about ``spacing`` apart (in the unit of the grid)."""
        domain = _domain(wavelength)
        if not spacing > 0:
            raise DataError(f"spacing: found {spacing}; expected a positive knot distance")
        return cls(max(1, round((domain[1] - domain[0]) / spacing)), domain)

    def design(self, wavelength: NDArray) -> NDArray[np.float64]:
        """Return the functions at the wavelengths, (P, K); constant beyond the domain."""
        step = 2.0 / self.n_spans
        knots = -1.0 + step * np.arange(-_CUBIC, self.n_spans + _CUBIC + 1)
        inside = np.clip(_unit(wavelength, self.domain), -1.0, 1.0)
        return BSpline.design_matrix(inside, knots, _CUBIC).toarray()

    def penalty(self) -> NDArray[np.float64]:
        """Return the second-difference matrix that carries the spline across empty spans.

        Eilers & Marx 1996 (P-splines).
        """
        size = self.n_spans + _CUBIC
        rows = np.diff(np.eye(size), n=min(2, size - 1), axis=0)
        return rows.T @ rows
