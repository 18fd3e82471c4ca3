"""Levenberg–Marquardt for many small least-squares problems at once, within bounds.

Every row is a problem of its own; rows leave the batch as they converge. The damping follows
Nielsen 1999 (IMM-REP-1999-05, Technical University of Denmark), scaled by the diagonal of the
normal matrix (Marquardt 1963); a step that would leave the box is solved again with the parameters
that hit a bound held there, so that the others still take their best step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

__all__ = ["Minimum", "Quadratic", "minimise"]

START_DAMPING = 1e-3
LARGEST_DAMPING = 1e12

REFUSED_DAMPING = 1e-2
"""λ after a refused step at least: the diagonal is 1, and less would give the same step again."""

PASSES = 12
"""Changes of the set of held parameters in the search of one step."""


@dataclass
class Quadratic:
    """χ² of R problems about a point: χ²(θ + s) ≈ χ² − 2 g·s + s·A·s.

    Parameters
    ----------
    chi2 : (R,) tensor
    gradient : (R, D) tensor
        g = Jᵀ W (data − model), minus half the derivative of χ².
    normal : (R, D, D) tensor
        A = Jᵀ W J.
    """

    chi2: torch.Tensor
    gradient: torch.Tensor
    normal: torch.Tensor

    def __getitem__(self, rows: torch.Tensor) -> Quadratic:
        return Quadratic(self.chi2[rows], self.gradient[rows], self.normal[rows])

    def update(self, rows: torch.Tensor, other: Quadratic) -> None:
        """Replace the values of some rows."""
        self.chi2[rows] = other.chi2
        self.gradient[rows] = other.gradient
        self.normal[rows] = other.normal


@dataclass
class Minimum:
    """Where the descent ended.

    Parameters
    ----------
    theta : (R, D) tensor
    at : Quadratic
        χ² and its derivatives there.
    converged : (R,) tensor of bool
    """

    theta: torch.Tensor
    at: Quadratic
    converged: torch.Tensor


Objective = Callable[[torch.Tensor, torch.Tensor], Quadratic]
Box = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def minimise(
    objective: Objective,
    start: torch.Tensor,
    box: Box,
    *,
    tolerance: float = 1e-2,
    max_iterations: int = 50,
    relative: float = 0.0,
    damping: float = START_DAMPING,
    known: Quadratic | None = None,
) -> Minimum:
    """Minimise χ² of every row within its box.

    Parameters
    ----------
    objective : callable
        (theta (r, D), rows (r,)) -> `Quadratic` of those rows.
    start : (R, D) tensor
        Moved into the box first.
    box : callable
        theta (r, D) -> lower, upper (r, D): the box may depend on where a row is.
    tolerance : float
        A row has converged when the next step promises to lower its χ² by less than this.
    max_iterations : int
        Evaluations beyond the first.
    relative : float
        ... or by less than this part of its χ²: a model that does not fit, or a start that others
        are compared with, is not worth the last digits.
    damping : float
        λ of the first step; small trusts the quadratic.
    known : Quadratic, optional
        The objective at ``start``, where it was evaluated already.

    Returns
    -------
    Minimum
    """
    low, high = box(start)
    theta = start.clamp(low, high)
    everything = torch.arange(len(theta), device=theta.device)
    at = objective(theta, everything) if known is None else known
    lam, growth = torch.full_like(at.chi2, damping), torch.full_like(at.chi2, 2.0)
    done = ~torch.isfinite(at.chi2)
    for iteration in range(max_iterations + 1):
        active = everything[~done]
        low, high = box(theta[active])
        step, promised = box_step(at[active], theta[active], low, high, lam[active])
        # A damped step promises little however far the minimum is: only a free one tells.
        free = lam[active] <= START_DAMPING
        enough = torch.where(free, relative * at.chi2[active], 0.0).clamp(min=tolerance)
        settled = (promised < enough) | (lam[active] > LARGEST_DAMPING)
        done[active[settled]] = True
        active, step, promised = active[~settled], step[~settled], promised[~settled]
        if active.numel() == 0 or iteration == max_iterations:
            break
        trial = (theta[active] + step).clamp(low[~settled], high[~settled])
        new = objective(trial, active)
        gain = (at.chi2[active] - new.chi2) / promised
        better = gain > 1e-4  # False for NaN: a step into nothing is refused
        accepted = active[better]
        theta[accepted] = trial[better]
        at.update(accepted, new[better])
        shrink = (1 - (2 * gain[better].clamp(max=2.0) - 1) ** 3).clamp(min=0.1)
        lam[accepted], growth[accepted] = (lam[accepted] * shrink).clamp(min=1e-9), 2.0
        refused = active[~better]
        larger = (lam[refused] * growth[refused]).clamp(min=REFUSED_DAMPING)
        lam[refused], growth[refused] = larger, growth[refused] * 2
    return Minimum(theta, at, done & torch.isfinite(at.chi2))


def box_step(
    at: Quadratic,
    theta: torch.Tensor,
    lower: torch.Tensor,
    upper: torch.Tensor,
    lam: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the damped step (R, D) that stays in the box, and the drop of χ² it promises (R,)."""
    diagonal = torch.diagonal(at.normal, dim1=1, dim2=2)
    scale = torch.sqrt(diagonal.clamp(min=1e-300))
    dead = diagonal <= 1e-14 * diagonal.amax(dim=1, keepdim=True).clamp(min=1e-300) * 1e-6
    scaled = at.normal / (scale[:, :, None] * scale[:, None, :])
    scaled = scaled + torch.diag_embed(lam[:, None].expand_as(theta))
    low, high = (lower - theta) * scale, (upper - theta) * scale
    right = at.gradient / scale
    held = dead | ((low >= 0) & (right < 0)) | ((high <= 0) & (right > 0))
    step = torch.zeros_like(right)
    # Active set: hold what would leave the box; once nothing does, let go what pulls inward.
    for _ in range(PASSES):
        step = torch.where(held, step, _solve(scaled, right, step, held))
        outside = ~held & ((step < low) | (step > high))
        step = torch.where(outside, step.clamp(low, high), step)
        pull = right - (scaled @ step[..., None])[..., 0]
        inward = held & ~dead & (((step <= low) & (pull > 0)) | ((step >= high) & (pull < 0)))
        inward &= ~outside.any(1, keepdim=True)
        strength = torch.where(inward, pull.abs(), 0.0)
        inward &= strength == strength.amax(1, keepdim=True)
        if not bool((outside | inward).any()):
            break
        held = (held | outside) & ~inward
    step = step.clamp(low.clamp(max=0), high.clamp(min=0))
    curvature = (step[:, None] @ (scaled @ step[..., None]))[:, 0, 0]
    promised = 2 * (right * step).sum(1) - curvature
    return step / scale, promised


def _solve(
    matrix: torch.Tensor, right: torch.Tensor, step: torch.Tensor, held: torch.Tensor
) -> torch.Tensor:
    """Solve for the free parameters with the held ones at ``step``."""
    free = (~held).to(matrix.dtype)
    fixed = (matrix @ (step * held)[..., None])[..., 0]
    reduced = matrix * free[:, :, None] * free[:, None, :] + torch.diag_embed(1 - free)
    ridge = 1e-12 * torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return torch.linalg.solve(reduced + ridge, ((right - fixed) * free)[..., None])[..., 0]
