"""The orbit of one star with enough epochs: a search over periods, then all elements by descent.

With the true anomaly ν, v = A cos ν + B sin ν + C is linear in A = K cos ω, B = −K sin ω and
C = γ + K e cos ω: only the period, the eccentricity and the time of periastron are searched for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from siderea.errors import DataError
from siderea.simulate.orbits import kepler, radial_velocity, true_anomaly

__all__ = ["Orbit", "fit_orbit", "search_periods"]

ECCENTRICITIES = (0.0, 0.2, 0.4, 0.6, 0.75, 0.87)
PHASES = 16
NODES = 2048
MOST_CELLS = 4_000_000
"""Epochs times trial orbits that are worked on at once."""


@dataclass(frozen=True)
class Orbit:
    """A Keplerian orbit and how well it fits.

    Parameters
    ----------
    period, time_periastron : float
        d, BMJD.
    amplitude : float
        K, km/s.
    eccentricity, arg_periastron : float
        ω in rad, of the star itself.
    rv_system : float
        γ, km/s.
    errors : dict
        1σ of each, scaled so that χ² per degree of freedom is at least 1.
    chi2 : float
    n_epochs : int
    jitter : float
        √(χ² per degree of freedom), at least 1: what the errors were scaled with.
    rivals : tuple of float
        Other periods whose χ² is within 25 (times jitter²) of the best: empty if it is unimodal.
    """

    period: float
    time_periastron: float
    amplitude: float
    eccentricity: float
    arg_periastron: float
    rv_system: float
    errors: dict[str, float]
    chi2: float
    n_epochs: int
    jitter: float
    rivals: tuple[float, ...]

    @property
    def unimodal(self) -> bool:
        """Whether one period alone fits."""
        return not self.rivals

    def velocity(self, time: ArrayLike) -> NDArray[np.float64]:
        """Return the radial velocity at times (BMJD), km/s."""
        return radial_velocity(
            time,
            self.period,
            self.time_periastron,
            self.amplitude,
            self.eccentricity,
            self.arg_periastron,
            self.rv_system,
        )


def search_periods(
    time: ArrayLike, rv: ArrayLike, rv_err: ArrayLike, *, shortest: float, longest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the χ² of the best orbit over eccentricity and phase, at every trial period.

    Parameters
    ----------
    time, rv, rv_err : (M,) array-like
        BMJD (d), km/s.
    shortest, longest : float
        d.

    Returns
    -------
    period : (T,) ndarray
        Even in frequency: an eighth of a cycle over the time spanned, between neighbours.
    chi2 : (T,) ndarray
    """
    t, v, e = (np.asarray(values, dtype=float) for values in (time, rv, rv_err))
    step = 0.125 / max(float(np.ptp(t)), shortest)
    frequency = np.arange(1 / longest, 1 / shortest + step, step)
    shapes = [(0.0, 0.0)] + [
        (e0, phase) for e0 in ECCENTRICITIES[1:] for phase in np.arange(PHASES) / PHASES
    ]
    # A table of one revolution: the search needs no more than a thousandth of a turn.
    nodes = (np.arange(NODES) + 0.5) / NODES
    tables = {e0: _cos_sin(nodes, e0) for e0 in ECCENTRICITIES}
    best = np.full(frequency.size, np.inf)
    for e0, phase in shapes:
        size = max(1, MOST_CELLS // t.size)
        for start in range(0, frequency.size, size):
            rows = slice(start, start + size)
            turns = np.mod((t - t[0]) * frequency[rows, None] - phase, 1.0)
            chi2 = _linear_chi2((turns * NODES).astype(np.intp), tables[e0], v, e)
            best[rows] = np.minimum(best[rows], chi2)
    return 1 / frequency, best


def _cos_sin(turns: NDArray, eccentricity: float) -> tuple[NDArray, NDArray]:
    """Return cos ν and sin ν at turns since periastron."""
    nu = true_anomaly(kepler(2 * np.pi * turns, eccentricity), eccentricity)
    return np.cos(nu), np.sin(nu)


def _linear_chi2(
    place: NDArray[np.intp], table: tuple[NDArray, NDArray], v: NDArray, e: NDArray
) -> NDArray[np.float64]:
    """Return the χ² (T,) of the best A cos ν + B sin ν + C, at places (T, M) of the table."""
    cosine, sine = table[0][place], table[1][place]
    weight = e**-2
    y = v - np.average(v, weights=weight)
    wy, total = weight * y, weight.sum()
    # Centred on the weighted means, C drops out and two elements are left.
    c0, s0 = cosine @ weight / total, sine @ weight / total
    cc = (cosine**2) @ weight - total * c0**2
    cs = (cosine * sine) @ weight - total * c0 * s0
    ss = total - (cosine**2) @ weight - total * s0**2
    cy, sy = cosine @ wy, sine @ wy
    ridge = 1e-9 * total
    determinant = np.maximum((cc + ridge) * (ss + ridge) - cs**2, ridge**2)
    explained = (cy**2 * (ss + ridge) - 2 * cy * sy * cs + sy**2 * (cc + ridge)) / determinant
    return np.asarray((wy * y).sum() - np.clip(explained, 0.0, (wy * y).sum()))


def fit_orbit(
    time: ArrayLike,
    rv: ArrayLike,
    rv_err: ArrayLike,
    *,
    shortest: float = 1.0,
    longest: float | None = None,
    candidates: int = 6,
) -> Orbit:
    """Fit an orbit to the velocities of one star.

    Parameters
    ----------
    time, rv, rv_err : (M,) array-like
        BMJD (d), km/s; at least 7 epochs, one more than elements.
    shortest : float
        Shortest period, d.
    longest : float, optional
        d; the time spanned by default.
    candidates : int
        Minima of the search that are descended from.

    Returns
    -------
    Orbit

    Raises
    ------
    DataError
        If there are too few epochs, or the periods make no sense. With few epochs, sample instead:
        `siderea.binaries.orbit_samples`.
    """
    t, v, e = (np.asarray(values, dtype=float) for values in (time, rv, rv_err))
    good = np.isfinite(t) & np.isfinite(v) & (e > 0)
    t, v, e = t[good], v[good], e[good]
    if t.size < 7:
        raise DataError(f"orbit: found {t.size} epochs; expected at least 7, or sample_orbits")
    longest = float(np.ptp(t)) if longest is None else longest
    if not 0 < shortest < longest < np.inf:
        raise DataError(
            f"periods: found {shortest} to {longest} d; expected 0 < shortest < longest"
        )
    period, chi2 = search_periods(t, v, e, shortest=shortest, longest=longest)
    fits = [_descend(t, v, e, one) for one in _minima(period, chi2, candidates)]
    fits.sort(key=lambda fit: fit[1])
    values, lowest, covariance = fits[0]
    dof = max(1, t.size - 6)
    jitter = max(1.0, float(np.sqrt(lowest / dof)))
    rivals = tuple(
        float(np.exp(other[0]))
        for other, c, _ in fits[1:]
        if c - lowest < 25 * jitter**2 and abs(other[0] - values[0]) > 0.01
    )
    return _orbit(values, covariance * jitter**2, t, lowest, jitter, rivals)


def _minima(period: NDArray, chi2: NDArray, most: int) -> list[float]:
    """Return the periods of the deepest local minima."""
    padded = np.concatenate([[np.inf], chi2, [np.inf]])
    low = np.flatnonzero((padded[1:-1] <= padded[:-2]) & (padded[1:-1] <= padded[2:]))
    return [float(period[i]) for i in low[np.argsort(chi2[low])][:most]]


def _descend(t: NDArray, v: NDArray, e: NDArray, period: float) -> tuple[NDArray, float, NDArray]:
    """Descend in (ln P, phase, √e cos ω, √e sin ω, K, γ) from the best starts at a period."""
    starts = [
        (_start(t, v, e, period, e0, phase), (e0, phase))
        for e0 in ECCENTRICITIES
        for phase in np.arange(PHASES) / PHASES
    ]
    starts.sort(key=lambda start: start[0][1])
    best = None
    for (vector, _), _ in starts[:3]:
        low = [vector[0] - 0.1, -np.inf, -0.99, -0.99, 0.0, -np.inf]
        high = [vector[0] + 0.1, np.inf, 0.99, 0.99, np.inf, np.inf]
        vector = np.clip(vector, np.array(low) + 1e-9, np.array(high) - 1e-9)
        fit = least_squares(
            lambda x: (_model(x, t) - v) / e,
            vector,
            bounds=(low, high),
            x_scale="jac",
            max_nfev=100,
        )
        if best is None or fit.cost < best.cost:
            best = fit
    assert best is not None
    covariance = np.linalg.pinv(best.jac.T @ best.jac)
    return best.x, 2 * float(best.cost), covariance


def _start(
    t: NDArray, v: NDArray, e: NDArray, period: float, e0: float, phase: float
) -> tuple[NDArray, float]:
    """Return the vector of the best orbit of given shape, and its χ²."""
    cosine, sine = _cos_sin(np.mod((t - t[0]) / period - phase, 1.0), e0)
    design = np.stack([cosine, sine, np.ones_like(t)], axis=1) / e[:, None]
    (a, b, c), *_ = np.linalg.lstsq(design, v / e, rcond=None)
    chi2 = float((((design @ [a, b, c]) - v / e) ** 2).sum())
    k, omega = np.hypot(a, b), np.arctan2(-b, a)
    root = np.sqrt(max(e0, 0.01))
    vector = np.array(
        [np.log(period), phase, root * np.cos(omega), root * np.sin(omega), k, c - a * e0]
    )
    return vector, chi2


def _model(x: NDArray, t: NDArray) -> NDArray[np.float64]:
    period = np.exp(x[0])
    e = min(x[2] ** 2 + x[3] ** 2, 0.99)
    return radial_velocity(t, period, t[0] + x[1] * period, x[4], e, np.arctan2(x[3], x[2]), x[5])


def _orbit(
    x: NDArray, covariance: NDArray, t: NDArray, chi2: float, jitter: float, rivals: tuple
) -> Orbit:
    """Turn the vector of the descent into elements, errors to first order."""
    period = float(np.exp(x[0]))
    e2 = x[2] ** 2 + x[3] ** 2
    root = max(np.sqrt(e2), 1e-6)
    jacobian = np.zeros((6, 6))
    jacobian[0, 0] = period
    jacobian[1, :2] = x[1] * period, period
    jacobian[2, 4] = jacobian[5, 5] = 1.0
    jacobian[3, 2:4] = 2 * x[2], 2 * x[3]
    jacobian[4, 2:4] = -x[3] / root**2, x[2] / root**2
    sigma = np.sqrt(np.maximum(np.diag(jacobian @ covariance @ jacobian.T), 0.0))
    names = (
        "period",
        "time_periastron",
        "amplitude",
        "eccentricity",
        "arg_periastron",
        "rv_system",
    )
    values = (period, t[0] + x[1] * period, x[4], min(e2, 0.99), np.arctan2(x[3], x[2]), x[5])
    elements = dict(zip(names, map(float, values), strict=True))
    errors = dict(zip(names, map(float, sigma), strict=True))
    return Orbit(
        **elements, errors=errors, chi2=chi2, n_epochs=t.size, jitter=jitter, rivals=rivals
    )
