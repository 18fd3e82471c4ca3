"""χ² of composites against spectra, its gradient and its curvature, for many rows at once.

The derivatives are exact. The stars' spectra and their derivatives by each star's own labels,
velocity and weight are shifted, summed and renormalised (a linear operator, so that its derivative
is itself); only then does the small Jacobian from the fit's parameters to the stars enter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.models.composite import Components, Composite
from siderea.models.forward_mode import row_jacobian
from siderea.models.levenberg_marquardt import Quadratic
from siderea.models.protocol import DifferentiableModel
from siderea.models.shifted_grid import Kernel, grid_of

__all__ = ["Objective"]

CPU_CHUNK = 4
"""Rows worked on at once on a CPU: their temporaries stay in its cache."""

GPU_CHUNK = 512

VELOCITY_SLACK = 1.02


def _with_jacobian(model: DifferentiableModel, labels: torch.Tensor, level: bool) -> torch.Tensor:
    """Return flux density and its derivatives, (R, 1 + L, Q); with the continuum's after them."""
    by_hand = getattr(model, "density_jacobian", None)
    if by_hand is not None and not level:
        return by_hand(labels)

    def spectra(rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        density = model.density(rows)
        return (density, density / model.normalised(rows)) if level else (density,)

    values, slopes = row_jacobian(spectra, labels)
    pairs = zip(values, slopes, strict=True)
    return torch.cat([torch.cat([value[:, None], slope], dim=1) for value, slope in pairs], dim=1)


def _moved(model: object, dtype: torch.dtype, device: torch.device) -> DifferentiableModel:
    to = getattr(model, "to", None)
    return model if to is None else to(device=device, dtype=dtype)  # type: ignore[return-value]


@dataclass
class _Data:
    """Spectra of N stars at V visits on the pixels of the grid."""

    flux: torch.Tensor  # (N, V, Pg)
    root: torch.Tensor  # (N, V, Pg), √ivar
    projector: torch.Tensor | None  # (N, V, K, C)


class Objective:
    """χ² and its derivatives; calling it gives a `Quadratic`.

    Parameters
    ----------
    composite : Composite
    wavelength : (P,) ndarray
        Grid of the data, Å, in the composite's medium.
    flux, ivar : (N, V, P) ndarray
        Finite; ivar 0 where bad.
    dtype : torch.dtype
        Precision of the spectra; sums, normal equations and parameters are in double.
    device : torch.device
    kernel : {"linear", "cubic"}, optional
        Interpolation in place of the composite's own.
    projector : (N, V, K, C) ndarray, optional
        The pseudo-continuum's operator for these ivar, where it is at hand already.
    """

    def __init__(
        self,
        composite: Composite,
        wavelength: NDArray[np.float64],
        flux: NDArray,
        ivar: NDArray,
        *,
        dtype: torch.dtype,
        device: torch.device,
        kernel: Kernel | None = None,
        projector: NDArray[np.float64] | None = None,
    ) -> None:
        self.composite, self.dtype, self.device = composite, dtype, device
        self.model = _moved(composite.model, dtype, device)
        self.grid = grid_of(
            composite.wavelength,
            wavelength,
            arms=getattr(composite.model, "arms", ()),
            max_velocity=composite.max_velocity * VELOCITY_SLACK,
            kernel=kernel or composite.kernel,
        )
        continuum = composite.continuum
        options: dict[str, Any] = {"dtype": dtype, "device": device}
        if continuum is not None:
            if projector is None:
                flat = continuum.projector(ivar.reshape(-1, ivar.shape[-1]))
                projector = flat.reshape(*ivar.shape[:2], *flat.shape[1:])
            chosen = self.grid.spread(continuum.pixels).astype(bool)
            self._pixels = torch.as_tensor(np.flatnonzero(chosen), device=device)
            self._basis = torch.as_tensor(self.grid.spread(continuum.basis().T), **options)
            self._pieces = self._arms()
        self._buffers: dict[int, torch.Tensor] = {}
        self.data = _Data(
            torch.as_tensor(self.grid.spread(flux), **options),
            torch.as_tensor(self.grid.spread(np.sqrt(ivar)), **options),
            None if projector is None else torch.as_tensor(projector, **options),
        )
        self.star_of_row = torch.arange(len(flux), device=device)
        self.chunk = CPU_CHUNK if device.type == "cpu" else GPU_CHUNK

    def _arms(self) -> list[tuple[slice, slice]]:
        """Return the pixels of each arm on the grid, and the coefficients that act there."""
        width = self.composite.continuum.degree + 1  # type: ignore[union-attr]
        pieces = []
        for first in range(0, len(self._basis), width):
            where = torch.nonzero((self._basis[first : first + width] != 0).any(0)).flatten()
            if where.numel():
                pixels = slice(int(where[0]), int(where[-1]) + 1)
                pieces.append((pixels, slice(first, first + width)))
        return pieces

    @torch.no_grad()
    def __call__(self, theta: torch.Tensor, rows: torch.Tensor) -> Quadratic:
        """Return χ², gradient and normal matrix for parameters (R, D) of the given rows."""
        stars, jacobian = self._components(theta)
        parts = []
        for start in range(0, len(theta), self.chunk):
            part = slice(start, start + self.chunk)
            chosen = Components(stars.labels[part], stars.weight[part], stars.rv[part])
            parts.append(self._chunk(chosen, jacobian[part], self.star_of_row[rows[part]]))
        return Quadratic(*(torch.cat(piece) for piece in zip(*parts, strict=True)))

    @torch.no_grad()
    def value(self, theta: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return χ² alone (R,): a third of the work."""
        return torch.cat(
            [r.to(torch.float64).square().sum((1, 2)) for r in self._residuals(theta, rows)]
        )

    @torch.no_grad()
    def residuals(self, theta: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return (data − model)/σ of the given rows, (R, V, P); 0 where a pixel is bad."""
        return torch.cat([self.grid.gather(r) for r in self._residuals(theta, rows)])

    def _residuals(self, theta: torch.Tensor, rows: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield (data − model)/σ of a chunk of rows after another, on the pixels of the grid."""
        every = self.composite.components(theta)
        for start in range(0, len(theta), self.chunk):
            part = slice(start, start + self.chunk)
            stars = Components(every.labels[part], every.weight[part], every.rv[part])
            n_rows, n_stars, _ = stars.labels.shape
            flat, weight = stars.labels.flatten(0, 1), stars.weight.to(self.dtype)
            density = self.model.density(flat).to(self.dtype)
            prepared = [self.grid.prepare(density[:, None])]
            if self.composite.continuum is None:
                level = density / self.model.normalised(flat).to(self.dtype)
                prepared.append(self.grid.prepare(level[:, None]))
            visits = []
            for visit in range(self.composite.n_visits):
                seen = self._seen(prepared, stars.rv[:, visit].reshape(-1), n_rows, n_stars)
                self._renormalise(seen, weight, self.star_of_row[rows[part]], visit)
                visits.append(seen[0][:, -1].clone())
            yield torch.stack(visits, 1)

    def _components(self, theta: torch.Tensor) -> tuple[Components, torch.Tensor]:
        """Return the stars, and the derivatives (R, V, S, L + 2, D) of (weight, labels, rv)."""

        def parts(rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
            stars = self.composite.components(rows)
            return stars.labels, stars.weight, stars.rv

        (labels, weight, rv), (by_labels, by_weight, by_rv) = row_jacobian(parts, theta)
        # Columns of pixels are per unit of flux density; all but the weight's carry the weight.
        by_labels = by_labels * weight[:, None, :, None]
        by_rv = by_rv * weight[:, None, None, :]
        still = torch.cat([by_weight[..., None], by_labels], dim=3)
        still = still[:, :, None].expand(-1, -1, self.composite.n_visits, -1, -1)
        jacobian = torch.cat([still, by_rv[..., None]], dim=4)
        return Components(labels, weight, rv), jacobian.movedim(1, -1)

    def _chunk(
        self, stars: Components, jacobian: torch.Tensor, index: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        n_rows, n_stars, _ = stars.labels.shape
        prepared, weight = self._prepared(stars)
        chi2: torch.Tensor | float = 0.0
        gradient: torch.Tensor | float = 0.0
        normal: torch.Tensor | float = 0.0
        for visit in range(self.composite.n_visits):
            seen = self._seen(prepared, stars.rv[:, visit].reshape(-1), n_rows, n_stars)
            self._renormalise(seen, weight, index, visit)
            change = jacobian[:, visit].flatten(1, 2)
            product = (seen[0][:, :-1] @ seen[0].mT).to(torch.float64)
            chi2 = chi2 + seen[0][:, -1].to(torch.float64).square().sum(1)
            gradient = gradient + (change.mT @ product[..., -1:])[..., 0]
            normal = normal + change.mT @ product[..., :-1] @ change
        return chi2, gradient, normal  # type: ignore[return-value]

    def _prepared(self, stars: Components) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return flux densities with derivatives, ready to be shifted, and the weights (R, S)."""
        n_labels = stars.labels.shape[2]
        level = self.composite.continuum is None
        columns = _with_jacobian(self.model, stars.labels.reshape(-1, n_labels), level)
        groups = columns.to(self.dtype).unflatten(1, (2 if level else 1, n_labels + 1))
        prepared = [self.grid.prepare(groups[:, i]) for i in range(groups.shape[1])]
        return prepared, stars.weight.to(self.dtype)

    def _seen(
        self, prepared: list[torch.Tensor], rv: torch.Tensor, n_rows: int, n_stars: int
    ) -> list[torch.Tensor]:
        """Return value and derivatives by labels and rv of each star, (R, S (L + 2) + 1, Pg).

        The last column is left for the residual. With a model that knows its continuum a
        second array holds the same of the continuum.
        """
        seen: list[torch.Tensor] = []
        for columns in prepared:
            n_columns = columns.shape[1] + 1
            shape = (n_rows, n_stars * n_columns + 1, self.grid.n_pixels)
            out = self._buffer(len(seen), shape)
            by_star = [out[:, s * n_columns : (s + 1) * n_columns] for s in range(n_stars)]
            for star, target in enumerate(by_star):
                self.grid.shift(columns[star::n_stars], rv[star::n_stars], target)
            seen.append(out)
        return seen

    def _buffer(self, number: int, shape: tuple[int, int, int]) -> torch.Tensor:
        """Return memory that is kept between calls: fresh pages cost more than the arithmetic."""
        held = self._buffers.get(number)
        if held is None or held.shape[1:] != shape[1:] or len(held) < shape[0]:
            held = torch.empty(shape, dtype=self.dtype, device=self.device)
            self._buffers[number] = held
        return held[: shape[0]]

    def _renormalise(
        self, seen: list[torch.Tensor], weight: torch.Tensor, index: torch.Tensor, visit: int
    ) -> None:
        """Turn columns of flux density into weighted derivatives and residual, in place."""
        columns, n_stars = seen[0][:, :-1], weight.shape[1]
        n_columns = columns.shape[1] // n_stars
        total = (weight[:, None] @ columns[:, ::n_columns])[:, 0]
        root, flux = self.data.root[index, visit], self.data.flux[index, visit]
        if self.data.projector is None:
            levels = seen[1][:, :-1]
            continuum = (weight[:, None] @ levels[:, ::n_columns])[:, 0]
            model = total / continuum
            columns.addcmul_(levels, model[:, None], value=-1)
        else:
            known = columns.index_select(-1, self._pixels)
            fitted = known @ self.data.projector[index, visit].mT
            level = (weight[:, None] @ fitted[:, ::n_columns])[:, 0]
            continuum = level @ self._basis
            # In gaps, and in arms without a continuum, nothing is weighed: keep it finite.
            continuum.masked_fill_(continuum == 0, 1.0)
            model = total / continuum
            for pixels, kept in self._pieces:
                basis = self._basis[kept, pixels] * model[:, None, pixels]
                columns[..., pixels].baddbmm_(fitted[..., kept], basis, alpha=-1)
        columns *= (root / continuum)[:, None]
        torch.mul(flux - model, root, out=seen[0][:, -1])
