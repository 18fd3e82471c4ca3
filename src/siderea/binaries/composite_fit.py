"""One, two or three stars of the emulator fitted to many spectra at once.

f(λ) = c_a(λ) Σₖ ℓₖ(λ) nₖ(λ; vₖ): normalised spectra n weighed with their shares ℓ of the light,
ℓₖ ∝ Rₖ² Cₖ(λ) with the continua C of the emulator. Companions follow from the first star's labels
and the mass ratio by isochrones (`Companions`); one star is the case q = 1 at equal velocities, so
χ² of two stars is never above that of one. c_a is a polynomial per arm that is near 1: what the
normalisation of data leaves. Added to it, Σⱼ bⱼ ∂ʲf/∂vʲ, j = 1 to 4, per arm: an arm's wavelengths
and the shape of its line profile (resolution differs between fibres; macroturbulence is not of one
form) are not known exactly. Both enter linearly and are projected out of every step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from siderea.binaries.companions import Companions
from siderea.binaries.profile_freedom import PROFILE_ERRORS, derivatives, reprofiled
from siderea.binaries.star_bank import LABELS, StarBank
from siderea.data import Spectra

__all__ = ["CompositeFit", "CompositeFitter", "Observed", "Point", "parameter_names"]

Array = NDArray[np.float64]

DEGREE = 3
"""Of the polynomial of every arm."""

CONTINUUM_ERROR = 0.02
"""Standard deviation of its coefficients, beyond the 1."""

EDGE = 10
"""Pixels at either end of an arm that do not count: normalisation is worst there."""

BEYOND = 0.1
"""By how much, beyond 6 σ, a pixel of a star may lie above its continuum or below 0."""

Q_RANGE = (0.2, 1.0)
Q_STEP = 0.01
TEFF_STEP, LOGG_STEP, FE_H_STEP = 10.0, 0.01, 0.01

FIRST_DAMPING = 1e-3

BATCH = 32


def parameter_names(n_stars: int) -> tuple[str, ...]:
    """Return the names of the parameters of one, two or three stars."""
    names = [*LABELS, "vsini_1", "rv_1"]
    for star in range(2, n_stars + 1):
        names += ["q" if n_stars == 2 else f"q_{star}", f"vsini_{star}", f"rv_{star}"]
    return tuple(names)


@dataclass(frozen=True)
class Observed:
    """Spectra on the binned pixels of a bank.

    Parameters
    ----------
    flux, root : (N, A, Q) ndarray of float32
        Flux, and 1/σ: 0 where a pixel is bad.
    """

    flux: NDArray[np.float32]
    root: NDArray[np.float32]

    @classmethod
    def of(cls, spectra: Spectra, bank: StarBank) -> Observed:
        """Bin spectra by pairs of pixels; a pair with a bad pixel, or one of no star, is bad."""
        shape = (len(spectra), bank.n_arms, bank.n_pixels)
        flux, root = np.ones(shape, np.float32), np.zeros(shape, np.float32)
        good = _plausible(spectra.flux, spectra.ivar)
        for number, (arm, size) in enumerate(zip(bank.slices, bank.sizes, strict=True)):
            cut = slice(arm.start, arm.start + 2 * size)
            pair = (len(spectra), size, 2)
            f = np.where(good[:, cut], spectra.flux[:, cut], 1.0).reshape(pair)
            variance = 1.0 / np.where(good[:, cut], spectra.ivar[:, cut], 1.0).reshape(pair)
            both = np.array(good[:, cut].reshape(pair).all(axis=2))
            both[:, : EDGE // 2] = both[:, size - EDGE // 2 :] = False
            flux[:, number, :size] = f.mean(axis=2)
            root[:, number, :size] = np.where(both, 2.0 / np.sqrt(variance.sum(axis=2)), 0.0)
        return cls(flux, root)

    def __getitem__(self, rows: NDArray[np.intp]) -> Observed:
        return Observed(self.flux[rows], self.root[rows])

    @property
    def n_pixels(self) -> NDArray[np.int64]:
        """Good pixels (N,), binned."""
        return np.count_nonzero(self.root, axis=(1, 2))


def _plausible(flux: NDArray, ivar: NDArray) -> NDArray[np.bool_]:
    """Tell which pixels (N, P) a star without emission can have: the rest is sky, or a ray."""
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    sigma = 1.0 / np.sqrt(np.where(good, ivar, 1.0))
    value = np.where(good, flux, 1.0)
    likely = (value < 1.0 + BEYOND + 6 * sigma) & (value > -BEYOND - 6 * sigma)
    return np.asarray(good & likely)


@dataclass(frozen=True)
class CompositeFit:
    """Fits of N spectra with one number of stars.

    Parameters
    ----------
    names : tuple of str
        D parameters.
    theta : (N, D) ndarray
    chi2 : (N,) ndarray
    normal : (N, D, D) ndarray
        Half the curvature of χ², the continuum projected out.
    converged : (N,) ndarray of bool
    """

    names: tuple[str, ...]
    theta: Array
    chi2: Array
    normal: Array
    converged: NDArray[np.bool_]

    @property
    def errors(self) -> Array:
        """1σ errors (N, D); NaN for what is not determined."""
        diagonal = np.einsum("nii->ni", self.normal)
        scale = np.sqrt(np.maximum(diagonal, 1e-30))
        scaled = self.normal / (scale[:, :, None] * scale[:, None, :])
        dead = diagonal <= 1e-12
        eye = np.eye(scaled.shape[1])
        scaled = np.where(dead[:, :, None] | dead[:, None, :], eye, scaled) + 1e-10 * eye
        variance = np.einsum("nii->ni", np.linalg.inv(scaled))
        return np.where(dead, np.nan, np.sqrt(np.maximum(variance, 0)) / scale)

    def __getitem__(self, rows: NDArray) -> CompositeFit:
        arrays = (self.theta, self.chi2, self.normal, self.converged)
        return CompositeFit(self.names, *(a[rows] for a in arrays))


@dataclass(frozen=True)
class Point:
    """χ² (N,), half its slope downwards (N, D) and half its curvature (N, D, D)."""

    chi2: Array
    slope: Array
    normal: Array

    @property
    def arrays(self) -> tuple[Array, Array, Array]:
        """All three."""
        return self.chi2, self.slope, self.normal

    def __getitem__(self, rows: NDArray) -> Point:
        return Point(*(a[rows] for a in self.arrays))


class CompositeFitter:
    """Descents of χ² for composites of one bank.

    Parameters
    ----------
    bank : StarBank
    companions : Companions
    """

    def __init__(self, bank: StarBank, companions: Companions) -> None:
        self.bank, self.companions = bank, companions
        x = np.linspace(-1, 1, bank.n_pixels)
        self._design = chebvander(x, DEGREE).T.astype(np.float32)
        width = 2 * bank.pixel
        profile = [error / width**j for j, error in enumerate(PROFILE_ERRORS, 1)]
        self._prior = np.array([CONTINUUM_ERROR] * (DEGREE + 1) + profile) ** -2.0

    def bounds(self, n_stars: int) -> tuple[Array, Array]:
        """Return the lowest and highest parameters (D,)."""
        star = self.bank.bounds
        rows = [*star]
        for _ in range(1, n_stars):
            rows += [np.array(Q_RANGE), star[4], star[5]]
        return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])

    def flux(self, theta: Array, data: Observed) -> NDArray[np.float32]:
        """Return the models (N, A, Q) that fit best, continuum included."""
        out = np.empty_like(data.flux)
        for start in range(0, len(theta), BATCH):
            rows = slice(start, start + BATCH)
            model, _ = self._composite(theta[rows])
            found = self._nuisance(model, data.flux[rows], data.root[rows])
            smooth = 1.0 + np.einsum("nak,kq->naq", found[..., : DEGREE + 1], self._design)
            profile = np.einsum("naj,najq->naq", found[..., DEGREE + 1 :], derivatives(model))
            out[rows] = model * smooth + profile
        return out

    def model(self, theta: Array) -> NDArray[np.float32]:
        """Return the models (N, A, Q) with a continuum of 1 and the profile of the bank."""
        starts = range(0, len(theta), BATCH)
        return np.concatenate([self._composite(theta[s : s + BATCH])[0] for s in starts])

    def evaluate(self, theta: Array, data: Observed) -> Point:
        """Return χ² and its derivatives at parameters (N, D)."""
        n, d = theta.shape
        out = Point(np.empty(n), np.empty((n, d)), np.empty((n, d, d)))
        order = np.argsort(theta[:, 4])  # like rotation together: the bank's products are larger
        for rows in (order[start : start + BATCH] for start in range(0, n, BATCH)):
            model, slopes = self._composite(theta[rows])
            point = self._gram(model, slopes, data.flux[rows], data.root[rows])
            out.chi2[rows], out.slope[rows] = point.chi2, point.slope
            out.normal[rows] = point.normal
        return out

    def promised(self, theta: Array, at: Point) -> Array:
        """Return the χ² (N,) to which the next step from parameters within bounds should lead."""
        low, high = self.bounds((theta.shape[1] - 3) // 3)
        damping = np.full(len(theta), FIRST_DAMPING)
        _, fall = _step(theta, at.slope, at.normal, damping, low, high)
        return np.asarray(at.chi2 - fall)

    def descend(
        self,
        theta: Array,
        data: Observed,
        *,
        steps: int = 12,
        tolerance: float = 0.5,
        at: Point | None = None,
    ) -> CompositeFit:
        """Descend from parameters (N, D) by Levenberg's and Marquardt's method.

        Parameters
        ----------
        theta : (N, D) ndarray
        data : Observed
        steps : int
            At most; each costs one evaluation.
        tolerance : float
            A fit has converged when its next step promises to lower χ² by less.
        at : optional
            What `evaluate` returned for ``theta``.
        """
        n_stars = (theta.shape[1] - 3) // 3
        low, high = self.bounds(n_stars)
        theta = theta.clip(low, high)
        now = at or self.evaluate(theta, data)
        chi2, slope, normal = now.chi2.copy(), now.slope.copy(), now.normal.copy()
        damping = np.full(len(theta), FIRST_DAMPING)
        busy = np.ones(len(theta), dtype=bool)
        for _ in range(steps):
            rows = np.flatnonzero(busy)
            if not rows.size:
                break
            step, promised = _step(theta[rows], slope[rows], normal[rows], damping[rows], low, high)
            done = promised < tolerance
            busy[rows[done]] = False
            rows, step = rows[~done], step[~done]
            if not rows.size:
                break
            tried = self.evaluate(theta[rows] + step, data[rows])
            better = tried.chi2 < chi2[rows]
            good = rows[better]
            gain = chi2[good] - tried.chi2[better]
            theta[good] += step[better]
            chi2[good], slope[good] = tried.chi2[better], tried.slope[better]
            normal[good] = tried.normal[better]
            damping[good] *= np.where(gain > 0.25 * promised[~done][better], 0.1, 1.0)
            damping[rows[~better]] *= 10.0
            busy[rows[~better]] &= damping[rows[~better]] < 1e6
        return CompositeFit(parameter_names(n_stars), theta, chi2, normal, ~busy)

    def _composite(self, theta: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return models (N, A, Q) and slopes (N, D, A, Q)."""
        n, d = theta.shape
        first = self.bank(theta[:, :4], theta[:, 4], theta[:, 5])
        if d == 6:
            return first.flux, first.slopes
        stars, logs, jacobians, light = [first], [np.zeros_like(first.flux)], [], []
        for column in range(6, d, 3):
            labels, moves, ratio, ratio_slopes = self.companion(theta[:, :4], theta[:, column])
            other = self.bank(labels, theta[:, column + 1], theta[:, column + 2])
            weight = other.brightness - first.brightness
            weight += ratio[:, None, None].astype(np.float32)
            stars.append(other)
            logs.append(weight)
            jacobians.append(moves)
            slopes = np.einsum("nka,nkp->npa", other.brightness_slopes, moves)
            slopes[:, :4] -= first.brightness_slopes
            light.append(slopes + ratio_slopes[:, :, None])
        share = np.exp(np.stack(logs))
        share /= share.sum(axis=0)
        model = sum(part * star.flux for part, star in zip(share, stars, strict=True))
        out = np.zeros((n, d, *model.shape[1:]), dtype=np.float32)
        out[:, :6] = share[0][:, None] * first.slopes
        for number, (moves, slopes) in enumerate(zip(jacobians, light, strict=True), 1):
            column, star, part = 6 + 3 * (number - 1), stars[number], share[number][:, None]
            columns = [0, 1, 2, 3, column]
            moved = np.einsum("nkaq,nkp->npaq", star.slopes[:, :4], moves.astype(np.float32))
            contrast = (star.flux - model)[:, None]
            out[:, columns] += part * (moved + slopes[..., None].astype(np.float32) * contrast)
            out[:, column + 1 : column + 3] = part * star.slopes[:, 4:]
        return model, out

    def companion(self, labels: Array, q: Array) -> tuple[Array, Array, Array, Array]:
        """Return a companion's labels (N, 4) and their slopes, ln R² ratio and its slopes.

        Slopes are by the first star's labels and q: (N, 4, 5) and (N, 5).
        """
        n = len(labels)
        rows = np.column_stack([labels[:, :3], q])
        signs = np.where(rows + np.array([0.0, 0.0, 0.0, Q_STEP]) > Q_RANGE[1], -1.0, 1.0)
        signs[:, :3] = 1.0
        steps = np.array([TEFF_STEP, LOGG_STEP, FE_H_STEP, Q_STEP]) * signs
        moved = rows[:, None] + np.eye(4) * steps[:, None]
        flat = np.concatenate([rows[:, None], moved], axis=1).reshape(-1, 4)
        teff, logg = (x.reshape(n, 5) for x in self.companions(*flat.T))
        out = np.column_stack([teff[:, 0], logg[:, 0], labels[:, 2], labels[:, 3]])
        moves = np.zeros((n, 4, 5))
        by = steps[:, [0, 1, 2, 3]]
        moves[:, 0, [0, 1, 2, 4]] = (teff[:, 1:] - teff[:, :1]) / by
        moves[:, 1, [0, 1, 2, 4]] = (logg[:, 1:] - logg[:, :1]) / by
        moves[:, 2, 2] = moves[:, 3, 3] = 1.0
        ratio = np.log(q) + np.log(10.0) * (labels[:, 1] - logg[:, 0])
        slopes = -np.log(10.0) * moves[:, 1]
        slopes[:, 1] += np.log(10.0)
        slopes[:, 4] += 1.0 / q
        return out, moves, ratio, slopes

    def _nuisance(self, model: NDArray, flux: NDArray, root: NDArray) -> Array:
        """Return the coefficients of continuum and profile (N, A, K) that fit best."""
        return self._solved(self._columns(model, flux, root, 0))

    def _solved(self, columns: NDArray) -> Array:
        """Return the coefficients (N, A, K) of all columns (N, A, K + 1, Q) but the last."""
        gram = (columns @ columns.transpose(0, 1, 3, 2)).astype(np.float64)
        own = gram[:, :, :-1, :-1] + np.diag(self._prior)
        return np.asarray(np.linalg.solve(own, gram[:, :, :-1, -1:])[..., 0])

    def _columns(self, model: NDArray, flux: NDArray, root: NDArray, d: int) -> NDArray[np.float32]:
        """Return the weighted columns (N, A, D + K + 1, Q): D to be filled, nuisance, residual."""
        n, k = len(model), len(self._prior)
        columns = np.empty((n, model.shape[1], d + k + 1, model.shape[2]), dtype=np.float32)
        weighted, first = root * model, d + DEGREE + 1
        np.multiply(weighted[:, :, None], self._design, out=columns[:, :, d:first])
        np.multiply(derivatives(model), root[:, :, None], out=columns[:, :, first : d + k])
        np.subtract(root * flux, weighted, out=columns[:, :, -1])
        return columns

    def _gram(self, model: NDArray, slopes: NDArray, flux: NDArray, root: NDArray) -> Point:
        """Return the point with continuum and profile projected out."""
        d, k = slopes.shape[1], len(self._prior)
        columns = self._columns(model, flux, root, d)
        profile = self._solved(columns[:, :, d:])[..., DEGREE + 1 :]
        moves = [k for k in range(4, d) if k % 3 != 0]  # rotations and velocities
        slopes[:, moves] = reprofiled(slopes[:, moves], profile)
        np.multiply(slopes.transpose(0, 2, 1, 3), root[:, :, None], out=columns[:, :, :d])
        gram = (columns @ columns.transpose(0, 1, 3, 2)).astype(np.float64)
        own = slice(d, d + k)
        gram[:, :, own, own] += np.diag(self._prior)
        keep = [*range(d), d + k]
        cross = gram[:, :, own, :][..., keep]
        left = gram[:, :, keep][..., keep]
        left = (
            left - cross.transpose(0, 1, 3, 2) @ np.linalg.solve(gram[:, :, own, own], cross)
        ).sum(axis=1)
        return Point(left[:, -1, -1], left[:, :d, -1], left[:, :d, :d])


def _step(
    theta: Array, slope: Array, normal: Array, damping: Array, low: Array, high: Array
) -> tuple[Array, Array]:
    """Return steps (N, D) within the bounds, and the fall of χ² that they promise."""
    d = theta.shape[1]
    diagonal = np.einsum("nii->ni", normal)
    dead = diagonal <= 1e-12
    # a parameter at its bound that would leave it stays
    stuck = dead | ((theta <= low) & (slope < 0)) | ((theta >= high) & (slope > 0))
    scale = np.sqrt(np.where(stuck, 1.0, diagonal))
    scaled = normal / (scale[:, :, None] * scale[:, None, :])
    free = ~stuck[:, :, None] & ~stuck[:, None, :]
    more = np.where(stuck, 1.0, damping[:, None] + 1e-7)
    scaled = np.where(free, scaled, 0.0) + np.eye(d) * more[:, :, None]
    pull = np.where(stuck, 0.0, slope / scale)
    step = np.linalg.solve(scaled, pull[..., None])[..., 0] / scale
    step = np.clip(theta + step, low, high) - theta
    promised = 2 * np.einsum("ni,ni->n", step, slope)
    promised -= np.einsum("ni,nij,nj->n", step, normal, step)
    return step, promised


def withcompanion(fit: CompositeFit, q: Array, vsini: Array, rv: Array) -> Array:
    """Return parameters (N, D + 3) of the same stars and one more."""
    return np.column_stack([fit.theta, q, vsini, rv])
