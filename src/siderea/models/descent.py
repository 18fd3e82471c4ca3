"""Descents of one batch of stars: from many starts, fast, to one optimum in double precision."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.models.composite import Binary, Composite
from siderea.models.levenberg_marquardt import Minimum, Quadratic, minimise
from siderea.models.objective import Objective
from siderea.models.shifted_grid import Kernel

__all__ = ["Descents"]

LOOSE = 1.0
"""Tolerance in χ² while the surrogate of the fit's kernel is used."""

COARSE = 3e-4
"""... and in parts of χ², while several starts of a star are still compared."""

ROUGH = 1e-3
"""... and where a simpler model only gives the labels to start from."""

STEPS = 2
"""Steps from the starts whose χ² is the lowest, one more than a star has components.

As many as it has components then go on to the end."""

POOR = 2.0
"""Reduced χ² above which the model is visibly wrong, so that its kinks need a search."""

HOPELESS = 2.0
"""A start of more than this times the smallest χ² of its star, after its steps, is given up."""

KINK_ROUNDS = 4

NEAR_TWIN = 0.93
"""Mass ratio above which either star may be the primary."""

SAME_VELOCITY = 5.0
SAME_RATIO = 0.1
"""Starts closer than this (km/s; q or radius ratio) have met in one valley."""


@dataclass(eq=False)
class Descents:
    """The data of a batch, and the ways down.

    Parameters
    ----------
    composite : Composite
    wavelength : (P,) ndarray
    flux, ivar : (N, V, P) ndarray
    device : torch.device
    """

    composite: Composite
    wavelength: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    device: torch.device

    def objective(self, dtype: torch.dtype, kernel: Kernel) -> Objective:
        """Return χ² in a precision and with an interpolation."""
        return Objective(
            self.composite,
            self.wavelength,
            self.flux,
            self.ivar,
            dtype=dtype,
            device=self.device,
            kernel=kernel,
            projector=self._projector,
        )

    @cached_property
    def _projector(self) -> NDArray[np.float64] | None:
        """The pseudo-continuum's operator, shared by all precisions."""
        continuum = self.composite.continuum
        if continuum is None:
            return None
        flat = continuum.projector(self.ivar.reshape(-1, self.ivar.shape[-1]))
        return flat.reshape(*self.ivar.shape[:2], *flat.shape[1:])

    def model_flux(self, theta: torch.Tensor) -> NDArray[np.float64]:
        """Return the models (N, V, P) at parameters (N, D); the data where ivar is 0."""
        objective = self.objective(torch.float64, self.composite.kernel)
        rows = torch.arange(len(theta), device=self.device)
        left = objective.residuals(theta, rows).cpu().numpy()
        root = np.sqrt(self.ivar)
        return self.flux - np.divide(left, root, out=np.zeros_like(root), where=root > 0)

    def run(self, starts: NDArray, *, tolerance: float, max_iterations: int) -> Minimum:
        """Return the best optimum of every star from its starts (N, K, D).

        The linear kernel blurs lines by an amount that depends on the fraction of a pixel, so
        χ² has a kink, and often a false minimum, at every whole pixel of velocity. The descents
        therefore use the cubic, which is smooth, and the fit's own kernel from there.
        """
        n, k, d = starts.shape
        theta = torch.as_tensor(starts.reshape(n * k, d), device=self.device)
        star = torch.arange(n, device=self.device).repeat_interleave(k)
        fast = self.objective(torch.float32, "cubic")
        fast.star_of_row = star
        kept = self.composite.n_stars
        if k > kept + 1:
            chi2 = fast.value(theta, torch.arange(len(theta), device=self.device))
            rows = self._prune(theta, star, chi2.cpu(), kept + 1)
            theta, star = theta[rows], star[rows]
        known = None
        if k > kept:
            found = self._down(fast, theta, star, LOOSE, STEPS)
            rows = self._prune(found.theta, star, found.at.chi2.cpu(), kept)
            theta, star, known = found.theta[rows], star[rows], found.at[rows]
        found = self._down(fast, theta, star, LOOSE, max_iterations, relative=COARSE, known=known)
        best = _first_of_each(star, found.at.chi2)
        star = star[best]
        theta = self._unmirrored(fast, found.theta[best], found.at.chi2[best], star, max_iterations)
        if self.composite.kernel != "cubic":
            fast = self.objective(torch.float32, self.composite.kernel)
        found = self._down(fast, theta, star, tolerance, max_iterations)
        if self.composite.kernel == "linear" and _one_star_many_visits(self.composite):
            theta = self._across_kinks(fast, found, star, tolerance, max_iterations)
        else:
            theta = found.theta
        exact = self.objective(torch.float64, self.composite.kernel)
        return self._down(exact, theta, star, tolerance, max_iterations, damping=1e-6)

    def _unmirrored(
        self,
        objective: Objective,
        theta: torch.Tensor,
        chi2: torch.Tensor,
        star: torch.Tensor,
        max_iterations: int,
    ) -> torch.Tensor:
        """Try near-twins, and stars at one velocity, with velocities and widths exchanged.

        Either order has a valley of its own.
        """
        names = self.composite.label_names
        if not isinstance(self.composite, Binary) or "q" not in names:
            return theta
        ratio = theta[:, names.index("q")]
        apart = (theta[:, names.index("rv_1")] - theta[:, names.index("rv_2")]).abs()
        near = torch.nonzero((ratio > NEAR_TWIN) | (apart < SAME_VELOCITY)).flatten()
        if near.numel() == 0:
            return theta
        other = {"1": "2", "2": "1"}
        order = [
            names.index(n[:-1] + other[n[-1]]) if n[-1] in other else i for i, n in enumerate(names)
        ]
        start = theta[near][:, order]
        start[:, names.index("q")] = ratio[near].clamp(max=NEAR_TWIN)
        found = self._down(objective, start, star[near], LOOSE, max_iterations)
        better = found.at.chi2 < chi2[near]
        theta = theta.clone()
        theta[near[better]] = found.theta[better]
        return theta

    def _across_kinks(
        self,
        objective: Objective,
        found: Minimum,
        star: torch.Tensor,
        tolerance: float,
        max_iterations: int,
    ) -> torch.Tensor:
        """Try the neighbouring pixels of every velocity where the model fits badly.

        Where the model is right the cubic has led to the right side of the kinks; where it is
        not (one star fitted to two) its minimum can lie pixels away from the kernel's own.
        """
        theta, chi2 = found.theta.clone(), found.at.chi2.clone()
        n_good = (objective.data.root > 0).sum((1, 2))[star]
        poor = torch.nonzero(chi2 > POOR * n_good).flatten()
        velocities = [i for i, n in enumerate(self.composite.label_names) if n.startswith("rv")]
        step = objective.grid.pixel_velocity
        for _ in range(KINK_ROUNDS):
            if poor.numel() == 0:
                break
            moves = torch.as_tensor(_moves(len(velocities), step), device=self.device)
            trial = theta[poor].repeat_interleave(len(moves), 0)
            for number, move in enumerate(moves):
                trial[number :: len(moves), velocities] += move
            mine = star[poor].repeat_interleave(len(moves))
            tried = self._down(objective, trial, mine, tolerance, max_iterations)
            best = tried.at.chi2.reshape(-1, len(moves)).argmin(1)
            row = torch.arange(poor.numel(), device=self.device) * len(moves) + best
            better = tried.at.chi2[row] < chi2[poor] - tolerance
            moved = poor[better]
            theta[moved], chi2[moved] = tried.theta[row[better]], tried.at.chi2[row[better]]
            poor = moved
        return theta

    def quick(self, start: NDArray, *, max_iterations: int = 30) -> torch.Tensor:
        """Return where one rough descent per star ends in single precision, (N, D)."""
        theta = torch.as_tensor(start, device=self.device)
        star = torch.arange(len(start), device=self.device)
        objective = self.objective(torch.float32, "cubic")
        return self._down(objective, theta, star, LOOSE, max_iterations, relative=ROUGH).theta

    def _down(
        self,
        objective: Objective,
        theta: torch.Tensor,
        star: torch.Tensor,
        tolerance: float,
        steps: int,
        damping: float = 1e-3,
        relative: float = 0.0,
        known: Quadratic | None = None,
    ) -> Minimum:
        objective.star_of_row = star
        return minimise(
            objective,
            theta,
            self.composite.bounds,
            tolerance=tolerance,
            max_iterations=steps,
            damping=damping,
            relative=relative,
            known=known,
        )

    def _prune(
        self, theta: torch.Tensor, star: torch.Tensor, chi2: torch.Tensor, kept: int
    ) -> torch.Tensor:
        """Return the best few rows of each star that are not in one valley."""
        names = self.composite.label_names
        place = theta.cpu().numpy() / np.array([_valley(name) for name in names])
        chosen = []
        order, owner = _by_star_and_chi2(star.cpu(), chi2).tolist(), star.tolist()
        taken: dict[int, list[int]] = {}
        for row in order:
            mine = taken.setdefault(owner[row], [])
            if mine and chi2[row] > HOPELESS * chi2[mine[0]]:
                continue
            apart = all(np.abs(place[row] - place[other]).max() > 1 for other in mine)
            if len(mine) < kept and apart:
                mine.append(row)
                chosen.append(row)
        return torch.as_tensor(chosen, device=theta.device)


def _one_star_many_visits(composite: Composite) -> bool:
    return composite.n_stars == 1 and composite.n_visits > 1


def _moves(n: int, step: float) -> NDArray[np.float64]:
    """Return steps (M, n) of a pixel: all combinations of up to three, else one by one."""
    if n <= 3:
        return np.array([m for m in product((-step, 0.0, step), repeat=n) if any(m)])
    return np.concatenate([step * np.eye(n), -step * np.eye(n)])


def _valley(name: str) -> float:
    if name.startswith(("rv", "gamma")):
        return SAME_VELOCITY
    return SAME_RATIO if name.startswith(("q", "radius_ratio")) else float("inf")


def _by_star_and_chi2(star: torch.Tensor, chi2: torch.Tensor) -> torch.Tensor:
    by_chi2 = torch.argsort(chi2.nan_to_num(torch.inf))
    return by_chi2[torch.argsort(star[by_chi2], stable=True)]


def _first_of_each(star: torch.Tensor, chi2: torch.Tensor) -> torch.Tensor:
    """Return the row of the smallest χ² of every star."""
    order = _by_star_and_chi2(star, chi2)
    sorted_star = star[order]
    first = torch.ones_like(sorted_star, dtype=torch.bool)
    first[1:] = sorted_star[1:] != sorted_star[:-1]
    return order[first]
