"""What a synthesis starts from: model atmospheres, interpolated, and a list of atomic lines."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import LinearNDInterpolator

from siderea.data import Medium
from siderea.errors import DataError
from siderea.spectra.wavelength import convert_medium

__all__ = ["ELEMENTS", "Atmosphere", "AtmosphereGrid", "LineList"]

Array = NDArray[np.float64]

BOLTZMANN = 1.380649e-16
"""erg/K (exact; SI)."""

_SYMBOLS = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se
    Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy
    Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"""
ELEMENTS = tuple(_SYMBOLS.split())
"""Chemical symbols by atomic number, hydrogen first."""

COLUMNS = ("log_tau", "log_temperature", "log_electron_pressure", "log_gas_pressure", "log_rho")
"""Layers of an atmosphere, base-10 logarithms: τ at 5000 Å, K, dyn cm⁻² (twice), g cm⁻³."""

NODE_SCALE = np.array([200.0, 0.4, 0.3])
"""Usual spacing of the nodes in teff, logg, fe_h: makes the triangulation's cells compact."""


@dataclass(frozen=True)
class Atmosphere:
    """One plane-parallel atmosphere of D depths, from the surface inward.

    Parameters
    ----------
    teff, logg, fe_h : float
    column_mass : (D,) ndarray
        g cm⁻².
    tau : (D,) ndarray
        Continuum optical depth at 5000 Å.
    temperature : (D,) ndarray
        K.
    electrons, atoms : (D,) ndarray
        Number densities, cm⁻³.
    density : (D,) ndarray
        g cm⁻³.
    """

    teff: float
    logg: float
    fe_h: float
    column_mass: Array
    tau: Array
    temperature: Array
    electrons: Array
    atoms: Array
    density: Array


@dataclass(frozen=True)
class AtmosphereGrid:
    """Model atmospheres at scattered nodes.

    Parameters
    ----------
    nodes : (M, 3) ndarray
        teff, logg, fe_h.
    layers : (M, 5, D) ndarray
        `COLUMNS`; a model with a value that is not finite is left out.
    """

    nodes: Array
    layers: Array

    def __post_init__(self) -> None:
        nodes, layers = np.asarray(self.nodes, float), np.asarray(self.layers, float)
        if nodes.ndim != 2 or nodes.shape[1] != 3 or layers.shape[:2] != (len(nodes), len(COLUMNS)):
            raise DataError(
                f"nodes {nodes.shape}, layers {layers.shape}; expected (M, 3), (M, 5, D)"
            )
        whole = np.isfinite(layers).all(axis=(1, 2))
        object.__setattr__(self, "nodes", nodes[whole])
        object.__setattr__(self, "layers", layers[whole])

    @cached_property
    def _interpolator(self) -> LinearNDInterpolator:
        flat = self.layers.reshape(len(self.layers), -1)
        return LinearNDInterpolator(self.nodes / NODE_SCALE, flat)

    def covers(self, labels: ArrayLike) -> NDArray[np.bool_]:
        """Tell which labels (N, 3 or more; teff, logg, fe_h first) lie among the nodes.

        Returns
        -------
        (N,) ndarray of bool
        """
        points = np.asarray(labels, dtype=np.float64)[:, :3] / NODE_SCALE
        return np.asarray(self._interpolator.tri.find_simplex(points)) >= 0

    def at(self, teff: float, logg: float, fe_h: float) -> Atmosphere:
        """Interpolate an atmosphere.

        Parameters
        ----------
        teff, logg, fe_h : float

        Returns
        -------
        Atmosphere

        Raises
        ------
        DataError
            If the labels lie outside the nodes.

        Notes
        -----
        Each logarithm is interpolated at constant τ₅₀₀₀, linearly in teff, logg and fe_h, within
        the tetrahedron of a Delaunay triangulation of the nodes: they are not on a regular grid.
        The column mass follows from hydrostatic equilibrium, m = P_gas / g.
        """
        point = np.array([teff, logg, fe_h]) / NODE_SCALE
        layers = self._interpolator(point).reshape(len(COLUMNS), -1)
        if not np.isfinite(layers).all():
            low, high = self.nodes.min(axis=0), self.nodes.max(axis=0)
            raise DataError(
                f"atmosphere: found teff {teff:g}, logg {logg:g}, fe_h {fe_h:g}; expected a point "
                f"within the model atmospheres ({low[0]:g}-{high[0]:g} K, {low[1]:g}-{high[1]:g}, "
                f"{low[2]:g}-{high[2]:g})"
            )
        tau, temperature, electron_pressure, gas_pressure, density = 10.0**layers
        thermal = BOLTZMANN * temperature
        return Atmosphere(
            teff,
            logg,
            fe_h,
            column_mass=gas_pressure / 10.0**logg,
            tau=tau,
            temperature=temperature,
            electrons=electron_pressure / thermal,
            atoms=(gas_pressure - electron_pressure) / thermal,
            density=density,
        )


def _name(code: int) -> str:
    """Spell a molecule as spectroscopists do: the metal, or carbon, before hydrogen and oxygen."""
    light, heavy = divmod(code, 100)
    if not light:
        return ELEMENTS[heavy - 1]
    first, second = ELEMENTS[light - 1], ELEMENTS[heavy - 1]
    if light == heavy:
        return f"{first}2"
    return f"{second}{first}" if light == 1 or (light == 8 and heavy > 8) else f"{first}{second}"


@dataclass(frozen=True)
class LineList:
    """Lines of atoms and molecules, sorted by wavelength.

    Parameters
    ----------
    wavelength : (N,) ndarray
        Å, in ``medium``.
    element : (N,) ndarray of int
        Atomic number; of a diatomic molecule 100 Z₁ + Z₂, the lighter atom first (Kurucz's code).
    ionisation : (N,) ndarray of int
        1 is neutral.
    excitation : (N,) ndarray
        Energy of the lower level, eV.
    log_gf : (N,) ndarray
    gamma_radiative, gamma_stark, van_der_waals : (N,) ndarray
        Base-10 logarithms, as the synthesis code takes them (van der Waals may also be the packed
        σ.α of Anstee, Barklem and O'Mara).
    medium : {"air", "vacuum"}
    """

    wavelength: Array
    element: NDArray[np.int64]
    ionisation: NDArray[np.int64]
    excitation: Array
    log_gf: Array
    gamma_radiative: Array
    gamma_stark: Array
    van_der_waals: Array
    medium: Medium

    def __post_init__(self) -> None:
        arrays = [f.name for f in fields(self) if f.name != "medium"]
        shapes = {getattr(self, name).shape for name in arrays}
        if shapes != {(self.wavelength.size,)}:
            raise DataError(f"lines: found arrays of shapes {sorted(shapes)}; expected one length")
        order = np.argsort(self.wavelength, kind="stable")
        if any(a > b for a, b in pairwise(order)):
            for name in arrays:
                object.__setattr__(self, name, getattr(self, name)[order])

    def __len__(self) -> int:
        return int(self.wavelength.size)

    def __getitem__(self, rows: NDArray) -> LineList:
        """Return the chosen lines as a new list."""
        arrays = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "medium"}
        return replace(self, **arrays)

    def to(self, medium: Medium) -> LineList:
        """Return the lines with their wavelengths in another medium."""
        moved = convert_medium(self.wavelength, self.medium, medium)
        return replace(self, wavelength=moved, medium=medium)

    def between(self, start: float, end: float, *, margin: float = 3.0) -> LineList:
        """Return the lines of a band, with those ``margin`` Å beyond it, and all of hydrogen.

        Parameters
        ----------
        start, end : float
            Å, in the medium of the lines.
        margin : float
            Å; the wings of hydrogen reach farther, and are always kept.

        Returns
        -------
        LineList
        """
        near = (self.wavelength > start - margin) & (self.wavelength < end + margin)
        return self[near | (self.element == 1)]

    @property
    def species(self) -> list[str]:
        """Names such as ``"Fe 1"`` and ``"CN 1"``."""
        pairs = zip(self.element.tolist(), self.ionisation.tolist(), strict=True)
        return [f"{_name(code)} {ion}" for code, ion in pairs]

    @property
    def molecular(self) -> NDArray[np.bool_]:
        """Which lines are of molecules."""
        return self.element > len(ELEMENTS)

    def strong(self, teff: float, decades: float) -> LineList:
        """Return the lines without those of molecules that are too weak to matter.

        Parameters
        ----------
        teff : float
            K, at which the lower levels are populated (Boltzmann).
        decades : float
            How far below the strongest line of its molecule a line may be.

        Returns
        -------
        LineList
        """
        strength = self.log_gf - 5040.0 / teff * self.excitation
        keep = ~self.molecular
        for code in np.unique(self.element[self.molecular]):
            mine = self.element == code
            keep |= mine & (strength > strength[mine].max() - decades)
        return self[keep]
