"""The best single star, pair and triple of every spectrum: starts, first steps, descents."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.companions import Companions, default_companions
from siderea.binaries.composite_fit import CompositeFit, CompositeFitter, Observed, Point
from siderea.binaries.composite_starts import Starts
from siderea.binaries.star_bank import StarBank
from siderea.binaries.survey_correction import SurveyCorrection
from siderea.data import Spectra
from siderea.models.emulator import Emulator
from siderea.models.model_error import ModelError

__all__ = ["CompositeSearch", "Found"]

SCREEN = 8.0
"""Where no start promises to lower χ² by more, one step is all that is made: there is no sign of a
second star (see docs/decisions/0008)."""

KEPT, FIRST_STEPS = 2, 2
"""Most promising starts of either kind, and the steps from them; then the best of each goes on."""

STEPS, MORE_STEPS = 14, 30

OTHER_ROTATIONS = (0.6, 1.4, 2.0)
"""Of the single star's, tried after its fit."""

HOPELESS = 0.2
"""A pair at two velocities goes on where its χ² lies below that of the pair at one, or above by
less than this share of what that one gained, or `NEAR`."""


@dataclass(frozen=True)
class Found:
    """Fits of N spectra.

    Parameters
    ----------
    data : Observed
        Binned, with the errors that all fits used.
    fits : tuple of CompositeFit
        Of one star, two, three where asked.
    """

    data: Observed
    fits: tuple[CompositeFit, ...]


@dataclass(frozen=True)
class _Ranked:
    """Starts of N spectra, the best first: parameters (N, K, D), χ² there, the χ² they promise."""

    theta: NDArray[np.float64]
    at: Point
    promised: NDArray[np.float64]

    def __getitem__(self, rows: NDArray[np.intp]) -> _Ranked:
        return _Ranked(self.theta[rows], self.at[rows], self.promised[rows])


class CompositeSearch:
    """Fits on the grid of some spectra.

    Parameters
    ----------
    model : Emulator
    spectra : Spectra
        Any set on the grid.
    companions : Companions, optional
        Of the shipped isochrones by default.
    model_error : ModelError, optional
        What the model gets wrong of itself; by default the noise is all there is.
    correction : SurveyCorrection, optional
        What the survey's own stars say that the model gets wrong: added to the model, and its
        scatter to the noise, in place of the depth and floor of ``model_error``.
    """

    def __init__(
        self,
        model: Emulator,
        spectra: Spectra,
        *,
        companions: Companions | None = None,
        model_error: ModelError | None = None,
        correction: SurveyCorrection | None = None,
    ) -> None:
        bank = StarBank(model, spectra, correction=correction)
        self._use(bank, companions or default_companions())
        self.model_error = model_error

    def _use(self, bank: StarBank, companions: Companions) -> None:
        self.bank, self.fitter = bank, CompositeFitter(bank, companions)
        self.starts = Starts(self.fitter)

    def corrected(self, correction: SurveyCorrection) -> CompositeSearch:
        """Return the search with a correction of the model."""
        out = copy.copy(self)
        out._use(self.bank.corrected(correction), self.fitter.companions)
        return out

    def __call__(self, spectra: Spectra, *, n_stars: int = 2) -> Found:
        """Fit one star, and more up to ``n_stars`` (2 or 3)."""
        return self.observed(Observed.of(spectra, self.bank), n_stars=n_stars)

    def observed(self, data: Observed, *, n_stars: int = 2) -> Found:
        """Fit spectra that are binned."""
        data, one = self.single(data)
        fits = [one, self._two(data, one)]
        if n_stars > 2:
            fits.append(self._three(data, fits[1]))
        return Found(data, tuple(fits))

    def single(self, data: Observed) -> tuple[Observed, CompositeFit]:
        """Fit one star; return the data with the errors of all fits, and the fit."""
        one = self._turned(data, self.fitter.descend(self.starts.single(data), data, steps=STEPS))
        if self.model_error is not None or self.bank.correction is not None:
            data = self._weighed(data, one)
            one = self.fitter.descend(one.theta, data, steps=STEPS)
        return data, one

    def _turned(self, data: Observed, fit: CompositeFit) -> CompositeFit:
        """Return fits from other rotations where one of them is better.

        The width of lines is nearly the profile's, which is free within limits: descents can end at
        a rotation far off.
        """
        tried = [fit.theta]
        for factor in OTHER_ROTATIONS:
            theta = fit.theta.copy()
            theta[:, 4] = factor * theta[:, 4]
            tried.append(theta.clip(*self.fitter.bounds(1)))
        chi2 = np.stack([fit.chi2, *(self.fitter.evaluate(t, data).chi2 for t in tried[1:])])
        best = chi2.argmin(axis=0)
        rows = np.flatnonzero(best > 0)
        if not rows.size:
            return fit
        starts = np.stack(tried)[best[rows], rows]
        return _better(fit, self.fitter.descend(starts, data[rows], steps=STEPS), rows)

    def _weighed(self, data: Observed, fit: CompositeFit) -> Observed:
        """Return the data with the model's own error in their weights: for all fits the same.

        A pixel counts as what the worst of noise, depth seen and depth of the single star allow, so
        that the single star's failures are not weighed down for being failures.
        """
        model = self.fitter.flux(fit.theta, data)
        deepest = np.minimum(np.minimum(model, data.flux), 1.0)
        if self.bank.correction is not None:
            own = data.root.astype(float) ** 2 * self.bank.correction.variance(deepest)
            root = data.root / np.sqrt(1.0 + own)
        else:
            error = replace(self.model_error or ModelError(), soft=np.inf)
            root = np.sqrt(error.ivar(data.root.astype(float) ** 2, deepest, deepest))
        return Observed(data.flux, np.where(self._kept(), root, 0.0).astype(np.float32))

    def _kept(self) -> NDArray[np.bool_]:
        """Tell which pixels (A, Q) the model can have."""
        kept = np.ones(self.bank.wavelength.shape, dtype=bool)
        for low, high in () if self.model_error is None else self.model_error.excluded:
            kept &= ~((self.bank.wavelength > low) & (self.bank.wavelength < high))
        return kept

    def _two(self, data: Observed, one: CompositeFit) -> CompositeFit:
        """Return the best pair: of the valley of one velocity, and of that of two."""
        near = self._ranked(data, self.starts.together(one))
        far = self._ranked(data, self.starts.apart(data, one))
        gain = one.chi2 - np.minimum(near.promised[:, 0], far.promised[:, 0])
        found = self._shallow(data, near, far)
        rows = np.flatnonzero(gain >= SCREEN)
        if rows.size:
            found = _better(found, self._deep(data[rows], near[rows], far[rows]), rows)
        return self._nested(data, one, found)

    def _shallow(self, data: Observed, near: _Ranked, far: _Ranked) -> CompositeFit:
        """Return pairs one step from the better start: for who shows no sign of a second star."""
        theta, at = near.theta[:, 0].copy(), Point(*(a[:, 0].copy() for a in near.at.arrays))
        wins = far.promised[:, 0] < near.promised[:, 0]
        theta[wins] = far.theta[wins, 0]
        for mine, other in zip(at.arrays, far.at.arrays, strict=True):
            mine[wins] = other[wins, 0]
        return self.fitter.descend(theta, data, steps=1, at=at)

    def _deep(self, data: Observed, near: _Ranked, far: _Ranked) -> CompositeFit:
        """Return the better of the valley of one velocity and that of two."""
        one, two = self._first(data, near), self._first(data, far)
        one = self.fitter.descend(one.theta, data, steps=STEPS)
        two = self.fitter.descend(two.theta, data, steps=STEPS)
        best = _better(one, two, np.arange(len(one.theta)))
        return self._finished(data, best)

    def _finished(self, data: Observed, fit: CompositeFit) -> CompositeFit:
        """Return fits that went on where they were not at rest: blends of rotators are slow."""
        rows = np.flatnonzero(~fit.converged)
        if not rows.size:
            return fit
        more = self.fitter.descend(fit.theta[rows], data[rows], steps=MORE_STEPS)
        out = _better(fit, more, rows)
        out.converged[rows] = more.converged
        return out

    def _first(self, data: Observed, ranked: _Ranked) -> CompositeFit:
        """Return the best of the most promising starts after a few steps."""
        n, k = len(ranked.theta), min(KEPT, ranked.theta.shape[1])
        theta = ranked.theta[:, :k].reshape(n * k, -1)
        at = Point(*(a[:, :k].reshape(n * k, *a.shape[2:]) for a in ranked.at.arrays))
        rows = np.repeat(np.arange(n), k)
        fits = self.fitter.descend(theta, data[rows], steps=FIRST_STEPS, at=at)
        return fits[np.arange(n) * k + fits.chi2.reshape(n, k).argmin(axis=1)]

    def _nested(self, data: Observed, one: CompositeFit, two: CompositeFit) -> CompositeFit:
        """Return pairs no worse than the single star: where none was found, a twin at rest."""
        rows = np.flatnonzero(two.chi2 > one.chi2)
        if not rows.size:
            return two
        columns = [one.theta[rows], np.ones(rows.size), one.theta[rows, 4], one.theta[rows, 5]]
        twin = np.column_stack(columns)
        return _better(two, self.fitter.descend(twin, data[rows], steps=1), rows)

    def _three(self, data: Observed, two: CompositeFit) -> CompositeFit:
        model = self.fitter.flux(two.theta, data)
        best = self._first(data, self._ranked(data, self.starts.third(data, model, two)))
        return self.fitter.descend(best.theta, data, steps=STEPS)

    def _ranked(self, data: Observed, starts: NDArray) -> _Ranked:
        """Return starts (N, K, D) in the order of the χ² that their first steps promise."""
        n, k, d = starts.shape
        theta = starts.reshape(n * k, d).clip(*self.fitter.bounds((d - 3) // 3))
        at = self.fitter.evaluate(theta, data[np.repeat(np.arange(n), k)])
        promised = self.fitter.promised(theta, at).reshape(n, k)
        order = np.argsort(promised, axis=1)
        rows = np.arange(n)[:, None] * k + order
        return _Ranked(theta[rows], at[rows], np.take_along_axis(promised, order, axis=1))


def _better(first: CompositeFit, second: CompositeFit, rows: NDArray[np.intp]) -> CompositeFit:
    """Return the first fits, with those of the second (of some rows) where χ² is smaller."""
    wins = second.chi2 < first.chi2[rows]
    parts = []
    for name in ("theta", "chi2", "normal", "converged"):
        values = getattr(first, name).copy()
        values[rows[wins]] = getattr(second, name)[wins]
        parts.append(values)
    return CompositeFit(first.names, *parts)
