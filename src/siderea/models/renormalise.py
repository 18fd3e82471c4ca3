"""The pseudo-continuum that is fitted to data and model alike, as a linear operator.

A normalised survey spectrum was divided by a smooth curve fitted to it. Two stars added together
are no longer normalised, so their sum must go through the same fit. The fit is linear least squares
on chosen pixels: its coefficients are a matrix times the flux, so it has an exact derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

from siderea.data import Spectra
from siderea.errors import DataError

__all__ = ["PseudoContinuum"]


@dataclass(frozen=True)
class PseudoContinuum:
    """A Chebyshev polynomial per arm, fitted to continuum pixels with weights ivar.

    Minimises Σ ivar (flux − Σₖ cₖ Tₖ(x))² over the pixels of one arm that are continuum pixels,
    x the pixel number scaled to [−1, 1] (El-Badry et al. 2018, MNRAS 473, 5043; the pixels are
    those of Ness et al. 2015, ApJ 808, 16).

    Parameters
    ----------
    arms : sequence of slice
        Slices that tile the P pixels.
    pixels : (P,) array-like of bool
        Continuum pixels.
    degree : int
        Degree of the polynomial of every arm.

    Raises
    ------
    DataError
        If the arms do not tile the pixels.
    """

    arms: tuple[slice, ...]
    pixels: NDArray[np.bool_]
    degree: int = 4

    def __post_init__(self) -> None:
        pixels = np.asarray(self.pixels, dtype=bool)
        arms = tuple(slice(*arm.indices(pixels.size)[:2]) for arm in self.arms)
        edges = [0, *(arm.stop for arm in arms)]
        if (
            pixels.ndim != 1
            or [arm.start for arm in arms] != edges[:-1]
            or edges[-1] != len(pixels)
        ):
            raise DataError(f"arms {self.arms}: expected slices that tile {pixels.shape} pixels")
        object.__setattr__(self, "pixels", pixels)
        object.__setattr__(self, "arms", arms)

    @property
    def n_coefficients(self) -> int:
        """Coefficients in all arms, K."""
        return len(self.arms) * (self.degree + 1)

    def basis(self) -> NDArray[np.float64]:
        """Return the polynomials (P, K), zero outside their own arm."""
        design = np.zeros((self.pixels.size, self.n_coefficients))
        width = self.degree + 1
        for number, arm in enumerate(self.arms):
            x = np.linspace(-1.0, 1.0, arm.stop - arm.start)
            columns = slice(number * width, (number + 1) * width)
            design[arm, columns] = chebyshev.chebvander(x, self.degree)
        return design

    def usable(self, ivar: ArrayLike) -> NDArray[np.bool_]:
        """Return the pixels (N, P) of arms with more continuum pixels than coefficients.

        Parameters
        ----------
        ivar : (N, P) array-like
            0 marks a bad pixel.
        """
        good = (np.atleast_2d(ivar) > 0) & self.pixels
        usable = np.zeros(good.shape, dtype=bool)
        for arm in self.arms:
            usable[:, arm] = (good[:, arm].sum(axis=1) > self.degree)[:, None]
        return usable

    def projector(self, ivar: ArrayLike) -> NDArray[np.float64]:
        """Return the matrix that turns flux on the continuum pixels into coefficients.

        Parameters
        ----------
        ivar : (N, P) array-like
            Weights of the pixels.

        Returns
        -------
        (N, K, C) ndarray
            C the number of continuum pixels; zero for an arm that is not `usable`.
        """
        weights = np.atleast_2d(np.asarray(ivar, dtype=float))
        weights = np.where(self.usable(weights), weights, 0.0)
        weights = weights / np.maximum(weights.max(axis=1, keepdims=True), 1e-300)
        out = np.zeros((len(weights), self.n_coefficients, int(self.pixels.sum())))
        place, width = np.cumsum(self.pixels) - 1, self.degree + 1
        for number, arm in enumerate(self.arms):
            chosen = np.flatnonzero(self.pixels[arm]) + arm.start
            if chosen.size == 0:
                continue
            rows = slice(number * width, (number + 1) * width)
            design = self.basis()[chosen, rows]
            weighted = weights[:, chosen, None] * design
            normal = weighted.transpose(0, 2, 1) @ design
            inverse = np.linalg.pinv(normal, rcond=1e-13, hermitian=True)
            out[:, rows, place[chosen[0]] : place[chosen[-1]] + 1] = inverse @ weighted.transpose(
                0, 2, 1
            )
        return out

    def fit(self, flux: ArrayLike, ivar: ArrayLike) -> NDArray[np.float64]:
        """Return the pseudo-continuum (N, P) of spectra; NaN in an arm that is not `usable`.

        Parameters
        ----------
        flux, ivar : (N, P) array-like
        """
        flux, ivar = np.atleast_2d(flux), np.atleast_2d(ivar)
        known = np.where(ivar > 0, flux, 0.0)[:, self.pixels]
        coefficients = np.einsum("nkc,nc->nk", self.projector(ivar), known)
        return np.where(self.usable(ivar), coefficients @ self.basis().T, np.nan)

    def normalise(self, spectra: Spectra, *, shape: ArrayLike | None = None) -> Spectra:
        """Divide spectra by their pseudo-continuum.

        Parameters
        ----------
        spectra : Spectra
        shape : (N, P) array-like, optional
            A continuum to multiply with before the fit: spectra that another routine had
            normalised get a star's shape back, so that the weights act on them as on the model.

        Returns
        -------
        Spectra
            The ivar is that of the spectra as they came in: a survey's normalised errors are
            relative ones, and the new continuum of such spectra differs from 1 by little. A
            pixel without a continuum gets ivar 0 and flux 1.
        """
        flux = spectra.flux if shape is None else spectra.flux * np.asarray(shape)
        continuum = self.fit(flux, spectra.ivar)
        known = np.isfinite(continuum) & (continuum > 0)
        new = np.divide(flux, continuum, out=np.ones_like(flux, dtype=float), where=known)
        return replace(spectra, flux=new, ivar=np.where(known, spectra.ivar, 0.0))

    def divide(self, flux: torch.Tensor, ivar: ArrayLike | None = None) -> torch.Tensor:
        """Normalise model flux (N, P), differentiable, as data with this ivar are normalised.

        Parameters
        ----------
        flux : (N, P) tensor
        ivar : (N, P) or (P,) array-like, optional
            Weights; equal ones by default.
        """
        weights = np.ones(self.pixels.size) if ivar is None else np.asarray(ivar, dtype=float)
        projector = torch.as_tensor(self.projector(weights), dtype=flux.dtype, device=flux.device)
        basis = torch.as_tensor(self.basis(), dtype=flux.dtype, device=flux.device)
        chosen = flux[:, torch.as_tensor(np.flatnonzero(self.pixels), device=flux.device)]
        coefficients = (projector @ chosen[..., None])[..., 0]
        return flux / (coefficients @ basis.T)

    @classmethod
    def everywhere(cls, arms: Sequence[slice], degree: int = 4) -> PseudoContinuum:
        """Return the pseudo-continuum fitted to all pixels of the arms."""
        return cls(tuple(arms), np.ones(max(arm.stop for arm in arms), dtype=bool), degree)
