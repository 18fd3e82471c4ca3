"""Single, double and triple stars of any model with physical flux, as a survey would see them.

f(λ) = Σ Rᵢ² Fᵢ(λ; vᵢ) / C(λ): each star's flux density, shifted by its velocity to the common grid
and weighted with its radius; C is the pseudo-continuum fitted to the sum exactly as to the data
(where the model has one), else the sum of the continua.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.models.pairing import ByMassRatio, FreeRadii, Pairing
from siderea.models.protocol import DifferentiableModel
from siderea.models.renormalise import PseudoContinuum
from siderea.models.shifted_grid import Kernel, grid_of
from siderea.models.wrapped import OnGrid

__all__ = ["Binary", "Components", "Composite", "Single", "Triple", "pairing_of"]

RV_RANGE = (-300.0, 300.0)
"""Default range of a star's radial velocity, km/s: what binds a star to the Galaxy nearby."""

COOLER = 50.0
"""K by which a companion may be cooler than the model's range (El-Badry et al. 2018's practice)."""

CHUNK = 32


@dataclass(frozen=True)
class Components:
    """The stars that a row of parameters stands for.

    Parameters
    ----------
    labels : (N, S, L) tensor
        Labels of the model for each of S stars.
    weight : (N, S) tensor
        R² in a common unit.
    rv : (N, V, S) tensor
        Velocity of each star at each of V visits, km/s.
    """

    labels: torch.Tensor
    weight: torch.Tensor
    rv: torch.Tensor


def pairing_of(model: DifferentiableModel, pairing: Pairing | None) -> Pairing:
    """Return the pairing, or the model's own: by its main sequence, else free radii."""
    if pairing is not None:
        return pairing
    sequence = getattr(model, "main_sequence", None)
    return FreeRadii() if sequence is None else ByMassRatio(sequence)


class Composite(OnGrid, ABC):
    """What all composites share; the parameters and their meaning are the subclasses'.

    Attributes
    ----------
    label_names : tuple of str
        D parameters.
    label_range : (D, 2) ndarray
        Bounds of a fit.
    n_stars, n_visits : int
        S and V.
    """

    model: DifferentiableModel
    continuum: PseudoContinuum | None
    kernel: Kernel
    n_stars: int
    n_visits: int
    label_names: tuple[str, ...]
    label_range: NDArray[np.float64]

    @abstractmethod
    def components(self, theta: torch.Tensor) -> Components:
        """Return the stars for parameters (N, D), differentiable."""

    def bounds(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the box (N, D), (N, D) of fits that are at ``theta`` (N, D)."""
        low, high = torch.as_tensor(self.label_range.T.copy(), device=theta.device)
        lower, upper = low.expand_as(theta).clone(), high.expand_as(theta).clone()
        smallest_q = getattr(getattr(self, "pairing", None), "smallest_q", None)
        if smallest_q is not None:
            columns = dict(zip(self.label_names, theta.clamp(lower, upper).unbind(-1), strict=True))
            ranges = dict(zip(self.model.label_names, self.model.label_range, strict=True))
            lowest = smallest_q(columns, float(ranges["teff"][0]) - COOLER)
            for column, name in enumerate(self.label_names):
                if name in ("q", "q_2", "q_3"):
                    lower[:, column] = lowest
        return lower, upper

    @property
    def max_velocity(self) -> float:
        """Largest |rv| that the bounds allow, km/s."""
        velocities = [n.startswith(("rv", "gamma")) for n in self.label_names]
        return float(np.abs(self.label_range[velocities]).max())

    def predict(self, labels: ArrayLike, *, ivar: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the normalised spectrum for parameters, on the model's grid.

        Parameters
        ----------
        labels : (N, D) or (D,) array-like
            Parameters in the order of ``label_names``; a NaN gives a NaN spectrum.
        ivar : (P,) or (V, P) array-like, optional
            Weights of the pseudo-continuum: those of the data that the spectrum is compared to.
            Equal weights by default.

        Returns
        -------
        (N, P) ndarray, or (N, V, P) for V visits
        """
        theta = np.atleast_2d(np.asarray(labels, dtype=float))
        if theta.ndim != 2 or theta.shape[1] != len(self.label_names):
            names = ", ".join(self.label_names)
            raise DataError(
                f"labels: found {theta.shape}; expected (N, {len(self.label_names)}): {names}"
            )
        out = np.full((len(theta), self.n_visits, self.wavelength.size), np.nan)
        known = np.flatnonzero(np.isfinite(theta).all(axis=1))
        for start in range(0, known.size, CHUNK):
            rows = known[start : start + CHUNK]
            out[rows] = self._normalised(torch.from_numpy(theta[rows]), ivar).cpu().numpy()
        return out[:, 0] if self.n_visits == 1 else out

    def shape(self, labels: ArrayLike) -> NDArray[np.float64]:
        """Return the pseudo-continuum of the flux density (N, P), equal weights, one visit.

        What spectra that were normalised otherwise are multiplied with before
        `PseudoContinuum.normalise`, so that they are treated as the model is.
        """
        if self.continuum is None:
            raise DataError("shape: the composite has no pseudo-continuum; nothing to renormalise")
        theta = torch.from_numpy(np.atleast_2d(np.array(labels, dtype=float)))
        density = self._density(theta, 0)[:, 0].cpu().numpy()
        return self.continuum.fit(density, np.ones_like(density))

    def _normalised(self, theta: torch.Tensor, ivar: ArrayLike | None) -> torch.Tensor:
        weights = None if ivar is None else np.atleast_2d(np.asarray(ivar, dtype=float))
        visits = []
        for visit in range(self.n_visits):
            total = self._density(theta, visit)
            if self.continuum is None:
                visits.append(total[:, 0] / total[:, 1])
            else:
                w = None if weights is None else weights[min(visit, len(weights) - 1)]
                visits.append(self.continuum.divide(total[:, 0], w))
        return torch.stack(visits, dim=1)

    def _density(self, theta: torch.Tensor, visit: int) -> torch.Tensor:
        """Return the weighted sum of flux densities (N, 1, P), with that of continua if known."""
        stars = self.components(theta)
        shape = stars.labels.shape
        flat = stars.labels.reshape(-1, shape[-1])
        columns = self.model.density(flat)[:, None]
        if self.continuum is None:
            columns = torch.cat([columns, columns / self.model.normalised(flat)[:, None]], dim=1)
        grid = grid_of(
            self.wavelength,
            self.wavelength,
            arms=self.arms,
            max_velocity=float(stars.rv.abs().max()),
            kernel=self.kernel,
        )
        prepared = grid.prepare(columns)
        moved = prepared.new_empty((len(prepared), columns.shape[1] + 1, grid.n_pixels))
        grid.shift(prepared, stars.rv[:, visit].reshape(-1), moved)
        moved = moved[:, :-1].unflatten(0, shape[:2])
        return grid.gather((moved * stars.weight[..., None, None]).sum(dim=1))


def _settings(
    model: DifferentiableModel, continuum: PseudoContinuum | None, kernel: Kernel | None
) -> tuple[PseudoContinuum | None, Kernel]:
    own: PseudoContinuum | None = getattr(model, "pseudo_continuum", None)
    usual: Kernel = getattr(model, "kernel", "cubic")
    return own if continuum is None else continuum, usual if kernel is None else kernel


@dataclass(eq=False)
class Single(Composite):
    """One star at a radial velocity: the model's labels and ``rv``.

    Parameters
    ----------
    model : DifferentiableModel
    continuum : PseudoContinuum, optional
        What renormalises; by default the model's own ``pseudo_continuum``, if it has one.
    kernel : {"linear", "cubic"}, optional
        Interpolation; by default the model's own, else cubic.
    rv_range : (float, float)
        Bounds of the velocity, km/s.
    """

    model: DifferentiableModel
    continuum: PseudoContinuum | None = None
    kernel: Kernel = None  # type: ignore[assignment]
    rv_range: tuple[float, float] = RV_RANGE
    n_stars: int = field(default=1, init=False)
    n_visits: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        self.continuum, self.kernel = _settings(self.model, self.continuum, self.kernel)
        self.label_names = (*self.model.label_names, "rv")
        self.label_range = np.vstack([self.model.label_range, self.rv_range])

    def components(self, theta: torch.Tensor) -> Components:
        """See `Composite.components`."""
        weight = torch.ones_like(theta[:, :1])
        return Components(theta[:, None, :-1], weight, theta[:, None, -1:])


class _Multiple(Composite):
    """Several stars: the model's labels once where shared or derived, else once per star."""

    pairing: Pairing
    shared: tuple[str, ...]
    rv_range: tuple[float, float]

    def _name_parameters(self) -> None:
        model, stars = self.model, range(1, self.n_stars + 1)
        unknown = set(self.shared) - set(model.label_names)
        if unknown:
            raise DataError(f"shared: {sorted(unknown)} not among the model's {model.label_names}")
        missing = (self.pairing.derived() | self.pairing.own()) - set(model.label_names)
        if missing:
            raise DataError(f"pairing: the model has no {sorted(missing)}; it cannot pair stars")
        ranges = dict(zip(model.label_names, model.label_range.tolist(), strict=True))
        own_parameters = self.pairing.parameters(self.n_stars)
        from_isochrone = "mass" in own_parameters
        once, each = {}, {}
        for name in model.label_names:
            if name in self.pairing.derived():
                once.update({} if from_isochrone else {name: ranges[name]})
            elif name in self.shared and name not in self.pairing.own():
                once[name] = ranges[name]
            else:
                each.update({f"{name}_{star}": ranges[name] for star in stars})
        velocities = {f"rv_{star}": self.rv_range for star in stars}
        parameters = {**once, **own_parameters, **each, **velocities}
        self.label_names = tuple(parameters)
        self.label_range = np.array(list(parameters.values()), dtype=float)

    def components(self, theta: torch.Tensor) -> Components:
        """See `Composite.components`."""
        columns = dict(zip(self.label_names, theta.unbind(-1), strict=True))
        labels, weights = [], []
        paired = self.pairing.stars(columns, self.n_stars)
        for number, (derived, weight) in enumerate(paired, 1):
            star = [
                derived[name]
                if name in derived
                else columns.get(name, columns.get(f"{name}_{number}"))
                for name in self.model.label_names
            ]
            labels.append(torch.stack(star, -1))
            weights.append(weight)
        rv = [columns[f"rv_{number}"] for number in range(1, self.n_stars + 1)]
        return Components(
            torch.stack(labels, 1), torch.stack(weights, 1), torch.stack(rv, -1)[:, None]
        )


@dataclass(eq=False)
class Binary(_Multiple):
    """Two stars of one model.

    With El-Badry's networks the parameters are teff, logg, fe_h, alpha_fe, q, vmac_1, vmac_2,
    rv_1, rv_2. Without a pairing by mass ratio every star has its teff_i and logg_i, and
    ``radius_ratio`` weighs them.

    Parameters
    ----------
    model : DifferentiableModel
        With physical flux density.
    pairing : Pairing, optional
        By default by mass ratio, from the model's own ``main_sequence``, else free radii.
    shared : sequence of str
        Labels that both stars have in common; any other label that the pairing does not give
        is a parameter of each star.
    continuum, kernel, rv_range
        See `Single`.
    """

    model: DifferentiableModel
    pairing: Pairing = None  # type: ignore[assignment]
    shared: tuple[str, ...] | None = None  # type: ignore[assignment]
    continuum: PseudoContinuum | None = None
    kernel: Kernel = None  # type: ignore[assignment]
    rv_range: tuple[float, float] = RV_RANGE
    n_stars: int = field(default=2, init=False)
    n_visits: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        self.continuum, self.kernel = _settings(self.model, self.continuum, self.kernel)
        self.pairing = pairing_of(self.model, self.pairing)
        self.shared = _shared(self.model, self.shared)
        self._name_parameters()


@dataclass(eq=False)
class Triple(_Multiple):
    """Three stars of one model; parameters and options as in `Binary`, with q_2, q_3 for q."""

    model: DifferentiableModel
    pairing: Pairing = None  # type: ignore[assignment]
    shared: tuple[str, ...] | None = None  # type: ignore[assignment]
    continuum: PseudoContinuum | None = None
    kernel: Kernel = None  # type: ignore[assignment]
    rv_range: tuple[float, float] = RV_RANGE
    n_stars: int = field(default=3, init=False)
    n_visits: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        self.continuum, self.kernel = _settings(self.model, self.continuum, self.kernel)
        self.pairing = pairing_of(self.model, self.pairing)
        self.shared = _shared(self.model, self.shared)
        self._name_parameters()


def _shared(model: DifferentiableModel, shared: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the shared labels: composition, which stars of one birth have in common."""
    if shared is not None:
        return tuple(shared)
    return tuple(name for name in ("fe_h", "alpha_fe") if name in model.label_names)
