"""χ² of composites against spectra, its gradient and its curvature, for many rows at once.

The derivatives are exact. The stars' spectra and their derivatives by each star's own labels,
velocity and weight are shifted, summed and renormalised (a linear operator, so that its derivative is
itself); only then does the small Jacobian from the fit's parameters to the stars enter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.models.composite import Components, Composite
from siderea.models.levenberg_marquardt import Quadratic
from siderea.models.protocol import DifferentiableModel
from siderea.models.shifted_grid import grid_of

__all__ = ["Objective"]

CPU_CHUNK = 4
"""Rows worked on at once on a CPU: their temporaries stay in its cache."""

GPU_CHUNK = 512

VELOCITY_SLACK = 1.02


def _with_jacobian(model: DifferentiableModel, labels: torch.Tensor, level: bool) -> torch.Tensor:
    """Return flux density and its derivatives, (R, 1 + L, Q); with the continuum's after them."""
    by_hand = getattr(model, "density_jacobian", None)
    if by_hand is not None and not level:
        value, slopes = by_hand(labels)
        return torch.cat([value[:, None], slopes], dim=1)

    def both(one: torch.Tensor) -> torch.Tensor:
        density = model.density(one[None])
        if not level:
            return density
        return torch.cat([density, density / model.normalised(one[None])])

    def with_value(one: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        value = both(one)
        return value, value

    jacobian, value = torch.func.vmap(torch.func.jacfwd(with_value, has_aux=True))(labels)
    columns = torch.cat([value[:, :, None], jacobian.transpose(2, 3)], dim=2)
    return columns.flatten(1, 2)


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
    ) -> None:
        self.composite, self.dtype, self.device = composite, dtype, device
        self.model = _moved(composite.model, dtype, device)
        self.grid = grid_of(
            composite.wavelength,
            wavelength,
            arms=getattr(composite.model, "arms", ()),
            max_velocity=composite.max_velocity * VELOCITY_SLACK,
            kernel=composite.kernel,
        )
        continuum = composite.continuum
        projector, options = None, {"dtype": dtype, "device": device}
        if continuum is not None:
            flat = continuum.projector(ivar.reshape(-1, ivar.shape[-1]))
            projector = torch.as_tensor(flat.reshape(*ivar.shape[:2], *flat.shape[1:]), **options)
            chosen = self.grid.spread(continuum.pixels).astype(bool)
            self._pixels = torch.as_tensor(np.flatnonzero(chosen), device=device)
            self._basis = torch.as_tensor(self.grid.spread(continuum.basis().T), **options)
        self.data = _Data(
            torch.as_tensor(self.grid.spread(flux), **options),
            torch.as_tensor(self.grid.spread(np.sqrt(ivar)), **options),
            projector,
        )
        # Where no continuum is fitted nothing is weighed either: 1 keeps the division finite.
        self._blank = None if continuum is None else (self._basis.abs().sum(0) == 0).to(dtype)
        self.star_of_row = torch.arange(len(flux), device=device)
        self.chunk = CPU_CHUNK if device.type == "cpu" else GPU_CHUNK

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

    def _components(self, theta: torch.Tensor) -> tuple[Components, torch.Tensor]:
        """Return the stars, and the derivatives (R, V, S, L + 2, D) of (weight, labels, rv)."""
        n_visits = self.composite.n_visits

        def flat(row: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
            stars = self.composite.components(row[None])
            labels, weight, rv = stars.labels[0], stars.weight[0], stars.rv[0]
            still = torch.cat([weight[:, None], labels], dim=1).expand(n_visits, -1, -1)
            return torch.cat([still, rv[..., None]], dim=2), (labels, weight, rv)

        jacobian, (labels, weight, rv) = torch.func.vmap(torch.func.jacfwd(flat, has_aux=True))(theta)
        # Columns of pixels are per unit of flux density; all but the weight's carry the weight.
        factor = weight[:, None, :, None, None].expand(-1, n_visits, -1, jacobian.shape[3], -1)
        factor = factor.clone()
        factor[:, :, :, 0] = 1.0
        return Components(labels, weight, rv), jacobian * factor

    def _chunk(
        self, stars: Components, jacobian: torch.Tensor, index: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        n_rows, n_stars, n_labels = stars.labels.shape
        level = self.composite.continuum is None
        columns = _with_jacobian(self.model, stars.labels.reshape(-1, n_labels), level)
        groups = columns.to(self.dtype).unflatten(1, (2 if level else 1, n_labels + 1))
        prepared = [self.grid.prepare(groups[:, i]) for i in range(groups.shape[1])]
        weight = stars.weight.to(self.dtype)
        chi2: torch.Tensor | float = 0.0
        gradient: torch.Tensor | float = 0.0
        normal: torch.Tensor | float = 0.0
        for visit in range(self.composite.n_visits):
            rv = stars.rv[:, visit].reshape(-1)
            seen = [self._seen(p, rv, n_stars) for p in prepared]
            residual, derivatives = self._renormalised(seen, weight, index, visit)
            change = jacobian[:, visit].flatten(1, 2)
            product = derivatives @ torch.cat([derivatives, residual[:, None]], 1).mT
            product = product.to(torch.float64)
            chi2 = chi2 + residual.to(torch.float64).square().sum(1)
            gradient = gradient + (change.mT @ product[..., -1:])[..., 0]
            normal = normal + change.mT @ product[..., :-1] @ change
        return chi2, gradient, normal  # type: ignore[return-value]

    def _seen(self, prepared: torch.Tensor, rv: torch.Tensor, n_stars: int) -> torch.Tensor:
        """Return value, derivatives by labels and by rv of each star, (R, S (L + 2), Pg)."""
        shifted, slope = self.grid.shift(prepared, rv)
        return torch.cat([shifted, slope[:, None]], 1).unflatten(0, (-1, n_stars)).flatten(1, 2)

    def _renormalised(
        self, seen: list[torch.Tensor], weight: torch.Tensor, index: torch.Tensor, visit: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weighted residuals (R, Pg), and the weighted derivatives (R, S (L + 2), Pg)."""
        columns, n_stars = seen[0], weight.shape[1]
        values = columns.unflatten(1, (n_stars, -1))[:, :, 0]
        total = (weight[:, None] @ values)[:, 0]
        root, flux = self.data.root[index, visit], self.data.flux[index, visit]
        if self.data.projector is None:
            levels = seen[1]
            sums = levels.unflatten(1, (n_stars, -1))[:, :, 0]
            continuum = (weight[:, None] @ sums)[:, 0]
        else:
            fitted = columns[..., self._pixels] @ self.data.projector[index, visit].mT
            n_columns = fitted.shape[1] // n_stars
            continuum = (weight[:, None] @ fitted[:, ::n_columns])[:, 0] @ self._basis
            continuum += self._blank
        model = total / continuum
        scale = root / continuum
        if self.data.projector is None:
            columns.addcmul_(levels, model[:, None], value=-1)
        else:
            columns.baddbmm_(fitted, self._basis * model[:, None], alpha=-1)
        columns *= scale[:, None]
        return (flux - model) * root, columns
