"""The seven models of the two-Gaussian family, many light curves at once, with exact derivatives.

f(φ) = C − Σᵢ dᵢ Σₖ exp[−(φ − μᵢ + k)²/2σᵢ²] − ½ A cos 4π(φ − μₑ)

(Mowlavi et al. 2017, A&A 606, A92). The sums over k make the eclipses periodic; φ − μ is first
brought to ±½, so that k from −1 to 1 is enough for σ up to `WIDEST`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from siderea.models.levenberg_marquardt import Quadratic

__all__ = ["FAMILY", "WIDEST", "Model", "Points", "quadratic", "values"]

WIDEST = 0.16
"""Largest σ, in phase: wider Gaussians run into each other and into the constant."""

FAR = 12.0
"""A Gaussian is nothing (5e-32) from here on, in σ; smaller numbers would be denormal, and slow."""

FOUR_PI = 4.0 * torch.pi


@dataclass(frozen=True)
class Model:
    """One member of the family.

    Parameters
    ----------
    name : str
        As in the literature.
    eclipses : int
        Number of Gaussians.
    tide : int or None
        Eclipse whose position is that of the ellipsoidal minimum; None for no ellipsoidal term.

    Notes
    -----
    Parameters stand in the order C, (μ, d, σ) of each eclipse, A. CE alone has no eclipse to hold
    on to: its parameters are C, μₑ, A.
    """

    name: str
    eclipses: int
    tide: int | None

    @property
    def size(self) -> int:
        """Number of parameters."""
        free = self.tide is not None and self.eclipses == 0
        return 1 + 3 * self.eclipses + (self.tide is not None) + free


FAMILY = (
    Model("C", 0, None),
    Model("CE", 0, 0),
    Model("CG", 1, None),
    Model("CGE", 1, 0),
    Model("CG12", 2, None),
    Model("CG12E1", 2, 0),
    Model("CG12E2", 2, 1),
)


@dataclass
class Points:
    """Light curves padded to one length: weight 0 where there is no point.

    Parameters
    ----------
    phase, flux, weight : (R, M) tensor
        weight is 1/σ².
    """

    phase: torch.Tensor
    flux: torch.Tensor
    weight: torch.Tensor

    def __getitem__(self, rows: torch.Tensor) -> Points:
        return Points(self.phase[rows], self.flux[rows], self.weight[rows])


def values(model: Model, theta: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
    """Return the flux (R, M) of parameters (R, D) at phases (R, M)."""
    flux = theta[:, :1].expand_as(phase).clone()
    for number in range(model.eclipses):
        mu, depth, sigma = theta[:, 1 + 3 * number : 4 + 3 * number, None].unbind(1)
        flux -= depth * _bell(phase, mu, sigma)[0]
    if model.tide is not None:
        position = theta[:, _tide_column(model), None]
        flux -= 0.5 * theta[:, -1:] * torch.cos(FOUR_PI * (phase - position))
    return flux


def _tide_column(model: Model) -> int:
    """Return the column of the position of the ellipsoidal minimum."""
    return 1 + 3 * (model.tide or 0)


def _bell(
    phase: torch.Tensor, mu: torch.Tensor, sigma: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the periodic Gaussian and its first and second moments about μ in units of σ."""
    x = phase - mu
    x = ((x - torch.round(x)) / sigma).clamp(-FAR, FAR)
    bell = torch.exp(-0.5 * x**2)
    first = bell * x
    second = first * x
    wide = (sigma[:, 0] > 0.08).nonzero()[:, 0]  # the next period adds less than 4e-9 otherwise
    if wide.numel():
        for turn in (-1.0, 1.0):
            shifted = x[wide] + turn / sigma[wide]
            other = torch.exp(-0.5 * shifted**2)
            bell[wide] += other
            first[wide] += other * shifted
            second[wide] += other * shifted**2
    return bell, first, second


def quadratic(model: Model, theta: torch.Tensor, points: Points) -> Quadratic:
    """Return χ² and its first two derivatives (Gauss–Newton) at parameters (R, D)."""
    phase = points.phase
    jacobian = torch.empty((len(theta), model.size, phase.shape[1]), dtype=phase.dtype)
    jacobian[:, 0] = 1.0
    flux = theta[:, :1].expand_as(phase).clone()
    for number in range(model.eclipses):
        column = 1 + 3 * number
        mu, depth, sigma = theta[:, column : column + 3, None].unbind(1)
        bell, first, second = _bell(phase, mu, sigma)
        flux -= depth * bell
        slope = -depth / sigma
        torch.mul(slope, first, out=jacobian[:, column])
        torch.neg(bell, out=jacobian[:, column + 1])
        torch.mul(slope, second, out=jacobian[:, column + 2])
    if model.tide is not None:
        column = _tide_column(model)
        angle = FOUR_PI * (phase - theta[:, column, None])
        cosine = torch.cos(angle)
        flux -= 0.5 * theta[:, -1:] * cosine
        jacobian[:, -1] = -0.5 * cosine
        # d/dμ of −½ A cos 4π(φ − μ)
        turn = -0.5 * FOUR_PI * theta[:, -1:] * torch.sin(angle)
        jacobian[:, column] = turn + (jacobian[:, column] if model.eclipses else 0.0)
    residual = points.flux - flux
    weighted = jacobian * points.weight[:, None, :]
    return Quadratic(
        (points.weight * residual**2).sum(1),
        (weighted @ residual[..., None])[..., 0],
        weighted @ jacobian.mT,
    )
