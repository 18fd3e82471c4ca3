"""Descents of one batch of stars: from many starts, fast, to one optimum in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.models.composite import Composite
from siderea.models.levenberg_marquardt import Minimum, minimise
from siderea.models.objective import Objective
from siderea.models.shifted_grid import Kernel

__all__ = ["Descents"]

LOOSE = 0.5
"""Tolerance in χ² while the surrogate of the fit's kernel is used."""

FIRST_STEPS, FIRST_KEPT = 1, 4
"""Steps from all starts, and how many starts a star keeps after them."""

SECOND_STEPS, SECOND_KEPT = 3, 2
"""Steps from what was kept, and how many go on to the end."""

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
        options = {"dtype": dtype, "device": self.device, "kernel": kernel}
        return Objective(self.composite, self.wavelength, self.flux, self.ivar, **options)

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
        if k > FIRST_KEPT:
            theta, star = self._prune(fast, theta, star, FIRST_STEPS, FIRST_KEPT)
        if k > SECOND_KEPT:
            theta, star = self._prune(fast, theta, star, SECOND_STEPS, SECOND_KEPT)
        found = self._down(fast, theta, star, LOOSE, max_iterations)
        best = _first_of_each(star, found.at.chi2)
        theta, star = found.theta[best], star[best]
        if self.composite.kernel != "cubic":
            fast = self.objective(torch.float32, self.composite.kernel)
        theta = self._down(fast, theta, star, tolerance, max_iterations).theta
        exact = self.objective(torch.float64, self.composite.kernel)
        return self._down(exact, theta, star, tolerance, max_iterations, damping=1e-6)

    def quick(self, start: NDArray, *, tolerance: float, max_iterations: int = 30) -> torch.Tensor:
        """Return where one descent per star ends in single precision, (N, D)."""
        theta = torch.as_tensor(start, device=self.device)
        star = torch.arange(len(start), device=self.device)
        objective = self.objective(torch.float32, "cubic")
        return self._down(objective, theta, star, tolerance, max_iterations).theta

    def _down(
        self,
        objective: Objective,
        theta: torch.Tensor,
        star: torch.Tensor,
        tolerance: float,
        steps: int,
        damping: float = 1e-3,
    ) -> Minimum:
        objective.star_of_row = star
        lower, upper = self.composite.bounds(theta)
        options = {"tolerance": tolerance, "max_iterations": steps, "damping": damping}
        return minimise(objective, theta, lower, upper, **options)

    def _prune(
        self, objective: Objective, theta: torch.Tensor, star: torch.Tensor, steps: int, kept: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Step down from every start; keep the best few of each star that are not in one valley."""
        found = self._down(objective, theta, star, LOOSE, steps)
        names = self.composite.label_names
        scale = torch.tensor([_valley(name) for name in names], dtype=theta.dtype)
        place = found.theta / scale.to(theta.device)
        chosen = []
        order = _by_star_and_chi2(star, found.at.chi2)
        taken: dict[int, list[int]] = {}
        for row in order.tolist():
            mine = taken.setdefault(int(star[row]), [])
            apart = all((place[row] - place[other]).abs().max() > 1 for other in mine)
            if len(mine) < kept and apart:
                mine.append(row)
                chosen.append(row)
        rows = torch.as_tensor(chosen, device=theta.device)
        return found.theta[rows], star[rows]


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
