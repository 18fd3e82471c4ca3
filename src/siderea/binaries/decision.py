"""When a second star is believed: what two stars explain that one, however it rotates, does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.components import Components
from siderea.binaries.correlation import Correlation
from siderea.binaries.refine import Refined, refine
from siderea.binaries.rotators import TURNING, best_template, steadiness, two_rotators
from siderea.binaries.wide import WIDE, find_wide
from siderea.errors import DataError

__all__ = ["FAST", "CCFSettings", "SecondStar", "best_single", "grid_velocity", "second_star"]


FAST = 25.0
"""v sin i, km/s, from which a star counts as a fast rotator."""


PEDESTAL = 2.5
"""A narrow profile on a wide one is believed if it adds this many times the least gain."""


HOPE = 0.6
"""Two rotators go on to all pixels if they gain this share of the least gain on coarse ones."""

DOUBTED = 2.0
"""A fast rotator's second star on the grid is looked at from this many times the least gain: the
rotations of the grid are far apart there, and what lies between them looks like a second star."""


@dataclass(frozen=True)
class CCFSettings:
    """When a component is believed.

    Parameters
    ----------
    significance : float
        Least √Δχ² of a further star over fewer stars of any rotation, in units of the CCF's own
        scatter; of that of the pixels for fast rotators.
    ratio : float
        Least height, relative to the primary's, of a second star...
    higher_ratio : float
        ... and of a third or fourth.
    gain : float
        Least share of the explained χ² that a second star adds...
    higher_gain : float
        ... and a third or fourth.
    rotators_gain : float
        The same of a second star where the single star would rotate faster than 25 km/s...
    steadiness : float
        ... and how evenly blocks of 128 pixels must gain there: their mean over their scatter.
    separation : float
        Least difference of velocities, in units of the resolution's FWHM, c/R.
    height : float
        Least correlation coefficient of the spectrum with the broadened template.
    """

    significance: float = 6.0
    ratio: float = 0.04
    higher_ratio: float = 0.1
    gain: float = 0.007
    higher_gain: float = 0.01
    separation: float = 0.85
    height: float = 0.1
    rotators_gain: float = 0.005
    steadiness: float = 0.23

    def __post_init__(self) -> None:
        if not (self.significance > 0 and 0 < self.ratio < 1 and self.separation > 0):
            raise DataError(
                f"significance {self.significance}, ratio {self.ratio}, separation "
                f"{self.separation}; expected positive numbers, and a ratio below 1"
            )


@dataclass(frozen=True)
class SecondStar:
    """The evidence for a second star in N spectra.

    Parameters
    ----------
    significance, gain : (N,) ndarray
        √Δχ² in units of the scatter, and Δχ² over the χ² that one star explains.
    fit : Refined
        Two stars; those of the grid where the spectrum was no candidate.
    believed, blended : (N,) ndarray of bool
    """

    significance: NDArray[np.float64]
    gain: NDArray[np.float64]
    fit: Refined
    believed: NDArray[np.bool_]
    blended: NDArray[np.bool_]


def grid_velocity(correlation: Correlation, fit: Components) -> NDArray[np.float64]:
    """Return where the stars of a fit stand on the grid, c ln λ in km/s."""
    return np.asarray((fit.stars.lag - correlation.n_lags) * correlation.step, dtype=float)


def best_single(correlation: Correlation, one: Components) -> tuple[NDArray[np.intp], Refined]:
    """Fit the one star that explains most, with its template, at any rotation."""
    source, template = correlation.source, correlation.template.copy()
    velocity, turn = grid_velocity(correlation, one), one.rotation.copy()
    height = one.height.copy()
    turning = np.flatnonzero(turn[:, 0] >= TURNING)
    if turning.size:
        template[turning], height[turning, 0] = best_template(
            source[turning], velocity[turning, 0], turn[turning, 0]
        )
    fast = np.flatnonzero(turn[:, 0] >= WIDE[0] - 5.0)
    if fast.size:
        reach = float(correlation.n_lags * correlation.step)
        wide = find_wide(source[fast], max_velocity=reach)
        template[fast] = wide.template
        velocity[fast, 0], turn[fast, 0], height[fast, 0] = (
            wide.velocity,
            wide.rotation,
            wide.height,
        )
    fit = refine(source, template, velocity, turn, height, steps=0)
    if fast.size:  # from a coarse grid, and with errors of several km/s
        start = velocity[fast], turn[fast], height[fast]
        fit = fit.replaced(fast, refine(source[fast], template[fast], *start, steps=2))
    return template, fit


def second_star(
    correlation: Correlation,
    single: Refined,
    one: Components,
    two: Components,
    settings: CCFSettings,
    fwhm: float,
) -> SecondStar:
    """Weigh two stars against the best single one.

    Parameters
    ----------
    correlation : Correlation
        N spectra, with the template of the best single star.
    single : Refined
        See `best_single`.
    one, two : Components
        On the grid.
    settings : CCFSettings
    fwhm : float
        Of the resolution, km/s.
    """
    gained = np.maximum(two.power - one.power, 0.0)
    significance = np.sqrt(gained) / (correlation.error * two.excess)
    gain = gained / np.maximum(one.power, 1e-12)
    apart = np.abs(two.velocity[:, 1] - two.velocity[:, 0]) > two.rotation.max(axis=1) + fwhm
    # What the rotation of the single star between the grid's explains needs no second star; one
    # that stands apart explains nothing of it.
    narrow = (single.rotation[:, 0] < WIDE[0]) & ~apart
    share = np.where(narrow, single.gained / np.maximum(single.total - single.left, 1e-12), 0.0)
    fast = single.rotation[:, 0] > FAST
    least = np.where(fast, DOUBTED, 0.4) * settings.gain
    seen = (significance > 0.7 * settings.significance) & (gain - share > least)
    fit, hopeful = _on_grid(correlation, two, single), np.zeros(len(gain), dtype=bool)
    gain[fast & ~seen] = significance[fast & ~seen] = 0.0  # those of the grid mean nothing
    turning = np.flatnonzero(fast & ~(seen & apart))
    if turning.size:
        source, template = correlation.source[turning], correlation.template[turning]
        rotators, promised = two_rotators(source, template, single[turning])
        fit = fit.replaced(turning, rotators)
        hopeful[turning] = promised > HOPE * settings.rotators_gain
    rows = np.flatnonzero(seen | hopeful)
    steady = np.zeros(len(gain))
    if rows.size:
        part, scatter = correlation[rows], two.excess[rows]
        alone = _once_more(part, single[rows], steps=1)
        refined = _refined(
            part, two[rows], single[rows], fit[rows], (seen[rows], hopeful[rows]), fwhm
        )
        fit = fit.replaced(rows, refined)
        better = np.maximum(alone.left - refined.left, 0.0)
        gain[rows] = better / np.maximum(alone.total - alone.left, 1e-12)
        reduced = refined.left / part.source.good.sum(axis=1)
        scatter = np.where(fast[rows], np.sqrt(np.maximum(reduced, 1.0)), scatter)
        significance[rows] = np.sqrt(better) / scatter
        steady[rows] = steadiness(part.source, part.template, alone, refined)
    least = np.where(fast, settings.rotators_gain, settings.gain)
    believed = (seen | hopeful) & (~fast | (steady > settings.steadiness))
    believed &= _credible(fit, significance, gain, least, settings, fwhm)
    blended = _apart(fit) < fit.rotation.max(axis=1) + fwhm
    return SecondStar(significance, gain, fit, believed, blended)


def _refined(
    correlation: Correlation,
    two: Components,
    single: Refined,
    rotators: Refined,
    starts: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    fwhm: float,
) -> Refined:
    """Descend from the two stars of the grid where it saw them, and from rotators of promise."""
    fit, (seen, hopeful) = rotators, starts
    turned = np.flatnonzero(hopeful)
    if turned.size:
        fit = fit.replaced(turned, _once_more(correlation[turned], rotators[turned], steps=2))
    known = np.flatnonzero(seen)
    if known.size:
        grid = _two_stars(correlation[known], two[known], single[known], fwhm)
        mine = fit[known]
        better = ~hopeful[known] | (grid.left < mine.left) | (mine.height <= 0).any(axis=1)
        fit = fit.replaced(known[better], grid[better])
    return fit


def _once_more(correlation: Correlation, stars: Refined, *, steps: int) -> Refined:
    """Descend further from where stars stand."""
    start = stars.velocity, stars.rotation, stars.height
    return refine(correlation.source, correlation.template, *start, steps=steps)


def _two_stars(correlation: Correlation, two: Components, single: Refined, fwhm: float) -> Refined:
    """Descend from the grid's best, and where the profiles overlap from two narrow, even stars."""
    source, template = correlation.source, correlation.template
    start = grid_velocity(correlation, two)
    first = refine(source, template, start, two.rotation, two.height, steps=3)
    blended = np.flatnonzero(_apart(first) < first.rotation.max(axis=1) + fwhm)
    if not blended.size:
        return first
    one = single[blended]
    half = np.maximum(0.75 * one.rotation, 0.5 * fwhm)
    second = refine(
        source[blended],
        template[blended],
        one.velocity + half * np.array([-1.0, 1.0]),
        np.full((blended.size, 2), 0.5 * fwhm),
        0.5 * np.repeat(one.height, 2, axis=1),
        steps=4,
    )
    alone, uneven = one.left - first.left[blended], _pedestal(first[blended])
    enough = np.where(uneven, 0.8, 1.0) * alone
    better = (one.left - second.left > enough) & ~_pedestal(second)
    return first.replaced(blended[better], second[better])


def _apart(fit: Refined) -> NDArray[np.float64]:
    return np.asarray(np.abs(np.diff(fit.velocity, axis=1))[:, 0])


def _pedestal(fit: Refined) -> NDArray[np.bool_]:
    """Tell where a narrow profile stands on a wide one at nearly the same velocity."""
    wide, narrow = fit.rotation.max(axis=1), fit.rotation.min(axis=1)
    return np.asarray((_apart(fit) < wide + 5.0) & (wide > 20.0) & (wide > 2.0 * narrow))


def _credible(
    fit: Refined,
    significance: NDArray,
    gain: NDArray,
    least: NDArray,
    settings: CCFSettings,
    fwhm: float,
) -> NDArray[np.bool_]:
    """Apply the settings, and refuse pedestals that add little.

    A narrow profile on a wide one at nearly the same velocity is what a single star looks like
    whose line wings the template has wrong.
    """
    pedestal = _pedestal(fit) & (gain < PEDESTAL * least)
    ratio = fit.height.min(axis=1) / np.maximum(fit.height.max(axis=1), 1e-12)
    return np.asarray(
        (significance > settings.significance)
        & (gain > least)
        & (ratio > settings.ratio)
        & (_apart(fit) > settings.separation * fwhm)
        & ~pedestal
    )


def _on_grid(correlation: Correlation, two: Components, single: Refined) -> Refined:
    return Refined(
        grid_velocity(correlation, two),
        two.velocity_err,
        two.rotation,
        two.height,
        two.height_err,
        single.left,
        single.total,
        single.gained,
    )
