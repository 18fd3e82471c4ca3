"""The best single star, pair and triple of every spectrum: starts, first steps, descents."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.companions import Companions, default_companions
from siderea.binaries.composite_fit import CompositeFit, CompositeFitter, Observed
from siderea.binaries.composite_starts import Starts
from siderea.binaries.star_bank import StarBank
from siderea.data import Spectra
from siderea.models.emulator import Emulator
from siderea.models.model_error import ModelError

__all__ = ["CompositeSearch", "Found"]

FIRST_STEPS = 2
"""Steps from every start; then the best of each kind goes on."""

STEPS = 14
HOPELESS = 0.2
"""A pair at two velocities goes on where its χ² lies below that of the pair at one, or above by
less than this share of what that one gained, or `NEAR`."""

NEAR = 25.0


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
    """

    def __init__(
        self,
        model: Emulator,
        spectra: Spectra,
        *,
        companions: Companions | None = None,
        model_error: ModelError | None = None,
    ) -> None:
        self.bank = StarBank(model, spectra)
        self.fitter = CompositeFitter(self.bank, companions or default_companions())
        self.starts = Starts(self.fitter)
        self.model_error = model_error

    def __call__(self, spectra: Spectra, *, n_stars: int = 2) -> Found:
        """Fit one star, and more up to ``n_stars`` (2 or 3)."""
        data = Observed.of(spectra, self.bank)
        one = self.fitter.descend(self.starts.single(data), data, steps=STEPS)
        if self.model_error is not None:
            data = self._weighed(data, one, self.model_error)
            one = self.fitter.descend(one.theta, data, steps=STEPS)
        fits = [one, self._two(data, one)]
        if n_stars > 2:
            fits.append(self._three(data, fits[1]))
        return Found(data, tuple(fits))

    def _weighed(self, data: Observed, fit: CompositeFit, error: ModelError) -> Observed:
        """Return the data with the model's own error in their weights: for all fits the same.

        A pixel counts as what the worst of noise, depth seen and depth of the single star allow, so
        that the single star's failures are not weighed down for being failures.
        """
        model = self.fitter.flux(fit.theta, data)
        deepest = np.minimum(np.minimum(model, data.flux), 1.0)
        weight = replace(error, soft=np.inf).ivar(data.root.astype(float) ** 2, deepest, deepest)
        kept = np.ones(data.root.shape, dtype=bool)
        for low, high in error.excluded:
            kept &= ~((self.bank.wavelength > low) & (self.bank.wavelength < high))
        root = np.where(kept, np.sqrt(weight), 0.0).astype(np.float32)
        return Observed(data.flux, root)

    def _two(self, data: Observed, one: CompositeFit) -> CompositeFit:
        """Return the best pair: of the valley of one velocity, and of that of two."""
        near = self._first(data, self.starts.together(one))
        far = self._first(data, self.starts.apart(data, one))
        near = self.fitter.descend(near.theta, data, steps=STEPS)
        gained = np.maximum(one.chi2 - near.chi2, 0.0)
        rows = np.flatnonzero(far.chi2 < near.chi2 + np.maximum(NEAR, HOPELESS * gained))
        far = self.fitter.descend(far.theta[rows], data[rows], steps=STEPS)
        best = _better(near, far, rows)
        return self._nested(data, one, best)

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
        best = self._first(data, self.starts.third(data, model, two))
        return self.fitter.descend(best.theta, data, steps=STEPS)

    def _first(self, data: Observed, starts: NDArray) -> CompositeFit:
        """Return the best of several starts (N, K, D) after a few steps."""
        n, k, d = starts.shape
        rows = np.repeat(np.arange(n), k)
        fits = self.fitter.descend(starts.reshape(n * k, d), data[rows], steps=FIRST_STEPS)
        return fits[np.arange(n) * k + fits.chi2.reshape(n, k).argmin(axis=1)]


def _better(first: CompositeFit, second: CompositeFit, rows: NDArray[np.intp]) -> CompositeFit:
    """Return the first fits, with those of the second (of some rows) where χ² is smaller."""
    wins = second.chi2 < first.chi2[rows]
    parts = []
    for name in ("theta", "chi2", "normal", "converged"):
        values = getattr(first, name).copy()
        values[rows[wins]] = getattr(second, name)[wins]
        parts.append(values)
    return CompositeFit(first.names, *parts)
