"""Stars of the isochrones in torch, with gradients in mass, age and [Fe/H].

The phase is found as in `siderea.isochrones.phase`, without a gradient; within the cell found,
phase, weights and columns are written out in closed form, which torch differentiates (also in
forward mode). Gradients are exact for the interpolant, and step from cell to cell as it does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from siderea.isochrones.phase import Place, place
from siderea.isochrones.table import IsochroneTable

__all__ = ["star_function"]

Star = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def star_function(
    table: IsochroneTable, *, log_teff_sun: float, logg_sun: float
) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Star]:
    """Return (mass, age, fe_h) -> (teff, logg, radius) in torch.

    Parameters
    ----------
    table : IsochroneTable
        The grid.
    log_teff_sun, logg_sun : float
        log10 of the Sun's effective temperature (K) and surface gravity (cgs).

    Returns
    -------
    callable
        Tensors of one shape in (solar, Gyr, dex) and out (K, dex, solar). What lies off the grid
        is taken at its edge, with gradient 0 across it: a fit stays finite.
    """
    masses = torch.as_tensor(table.log_mass.reshape(-1).copy())
    rows = torch.as_tensor(table.columns[..., :2].reshape(-1, 2).copy())
    log_ages, metals = torch.as_tensor(np.log10(table.age)), torch.as_tensor(table.fe_h.copy())
    shape = (table.age.size, table.log_mass.shape[-1])

    def star(mass: torch.Tensor, age: torch.Tensor, fe_h: torch.Tensor) -> Star:
        mass, age, fe_h = torch.broadcast_tensors(mass, age, fe_h)
        # Off the cpu the table would have to follow; the fits that call this run on the cpu.
        m, t, z = (x.reshape(-1).to("cpu", torch.float64) for x in (mass, age, fe_h))
        t = t.clamp(float(table.age[0]), float(table.age[-1]))
        z = z.clamp(float(metals[0]), float(metals[-1]))
        at = _place(table, m, t, z)
        first = torch.as_tensor(at.nodes) * shape[1]
        weights = _weights(torch.log10(t), z, log_ages, metals, first // shape[1], shape[0])
        low, high = first + torch.as_tensor(at.below), first + torch.as_tensor(at.below) + 1
        bottom, top = (weights * masses[low]).sum(0), (weights * masses[high]).sum(0)
        log_mass = torch.log10(m.clamp(min=1e-9))
        part = ((log_mass - bottom) / (top - bottom)).clamp(0, 1)[:, None]
        under = (weights[..., None] * rows[low]).sum(0)
        over = (weights[..., None] * rows[high]).sum(0)
        log_teff, log_luminosity = (under + part * (over - under)).unbind(-1)
        log_radius = 0.5 * log_luminosity - 2 * (log_teff - log_teff_sun)
        alive_mass = bottom + part[:, 0] * (top - bottom)
        logg = logg_sun + alive_mass - 2 * log_radius
        teff, logg, radius = (
            x.reshape(mass.shape).to(mass) for x in (10**log_teff, logg, 10**log_radius)
        )
        return teff, logg, radius

    return star


def _place(
    table: IsochroneTable, mass: torch.Tensor, age: torch.Tensor, fe_h: torch.Tensor
) -> Place:
    return place(table, *(x.detach().numpy() for x in (mass, age, fe_h)), clip=True)


def _weights(
    log_age: torch.Tensor,
    fe_h: torch.Tensor,
    log_ages: torch.Tensor,
    metals: torch.Tensor,
    nodes: torch.Tensor,
    n_ages: int,
) -> torch.Tensor:
    """Return the bilinear weights (4, N) of the nodes, in the order of `phase.neighbours`."""
    row, column = nodes[0] // n_ages, nodes[0] % n_ages
    up = (fe_h - metals[row]) / (metals[row + 1] - metals[row])
    later = (log_age - log_ages[column]) / (log_ages[column + 1] - log_ages[column])
    down, sooner = 1 - up, 1 - later
    return torch.stack([down * sooner, down * later, up * sooner, up * later])
