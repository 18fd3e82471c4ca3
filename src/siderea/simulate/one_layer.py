"""A stellar atmosphere of one layer: enough physics for lines that the emulator does not know.

Where a line or a band is η times as opaque as the continuum beside it, a Milne-Eddington
atmosphere shows f = 1 − A η/(1 + η) of its light [1]_: a curve of growth in one expression. The
continuum is bound-free absorption by H⁻, the layers are those of optical depth 0.4 and 0.2.

References
----------
.. [1] Gray 2005, The Observation and Analysis of Stellar Photospheres, chapters 8 and 13.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ABUNDANCE", "BOLTZMANN", "Layer", "absorbed", "h_minus", "ionised"]

Array = NDArray[np.float64]

BOLTZMANN = 1.380649e-16
"""erg/K (CODATA, exact)."""

ABUNDANCE = {"Li": 1.05, "C": 8.43, "N": 7.83, "O": 8.69, "Mg": 7.60, "Ca": 6.34, "Ti": 4.95}
"""Solar abundances, 12 + log(n/n_H) (Asplund et al. 2009, ARA&A 47, 481)."""

HELIUM = 0.085
"""n_He/n_H (the same source)."""

DEEPEST = 0.85
"""A: what a very strong line takes away; the rest is what the cool surface still emits. At 3,500
to 6,000 K and 5,000 Å, 1 − B(0.8 Teff)/B(Teff) is 0.87 to 0.70; and bands are seen deeper."""

DEPTHS = {
    "lines": (
        (0.981, 0.034, -0.003, 0.025, 0.103, -0.001, 0.005, 0.047, 0.008, -0.004),
        (0.634, -2.651, 0.404, 0.358, 3.882, -0.002, 0.047, 0.500, 0.751, -0.010),
        (4.819, 0.813, 0.533, -0.320, -2.555, -0.029, -0.027, -0.221, -0.643, -0.033),
    ),
    "bands": (
        (0.923, 0.046, -0.003, 0.019, 0.096, -0.002, 0.004, 0.036, 0.008, -0.003),
        (0.353, -2.321, 0.427, 0.396, 3.409, -0.002, 0.044, 0.499, 0.855, -0.003),
        (4.672, 0.763, 0.523, -0.328, -2.304, -0.032, -0.026, -0.177, -0.635, -0.039),
    ),
}
"""T/Teff, log Pe and log Pg as quadratics in x = 5040/Teff − 1, y = log g − 4, z = [Fe/H] (1, x, y,
z, x², y², z², xy, xz, yz): least squares over the 2,582 model atmospheres behind the emulator's
grid (3,400 to 7,000 K), rms 0.011, 0.083 dex, 0.083 dex. Weak lines form about log τ₅₀₀₀ = −0.4,
molecules in the cooler gas above (−0.7)."""

_H_MINUS = (152.519, 49.534, -118.858, 92.536, -34.194, 4.982)
_H_MINUS_EDGE = 1.6419  # μm
_H_MINUS_ALPHA = 1.439e4  # μm K


@dataclass(frozen=True)
class Layer:
    """Where the lines of N stars are formed.

    Parameters
    ----------
    temperature : (N,) ndarray
        K.
    electron_pressure, gas_pressure : (N,) ndarray
        dyn/cm².
    """

    temperature: Array
    electron_pressure: Array
    gas_pressure: Array

    @classmethod
    def of(cls, what: str, teff: Array, logg: Array, fe_h: Array) -> Layer:
        """Return the layer of "lines" or "bands", held at the ends of the fit (3,400, 7,000 K)."""
        teff = np.asarray(teff, dtype=float)
        x = 5040 / teff.clip(3400, 7000) - 1
        y, z = np.asarray(logg, float).clip(-0.5, 5.2) - 4, np.asarray(fe_h, float).clip(-3, 0.6)
        terms = np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z])
        fraction, electrons, gas = np.array(DEPTHS[what]) @ terms
        return cls(teff * fraction, 10.0**electrons, 10.0**gas)

    @property
    def hydrogen(self) -> Array:
        """Number density of hydrogen, cm⁻³."""
        return self.gas_pressure / (BOLTZMANN * self.temperature * (1 + HELIUM))


def h_minus(wavelength: Array, layer: Layer) -> Array:
    """Return the bound-free opacity of H⁻ per hydrogen atom, cm².

    Parameters
    ----------
    wavelength : (P,) ndarray
        Å, below 16,419.
    layer : Layer
        N stars.

    Returns
    -------
    (N, P) ndarray
        The fit of John (1988, A&A 193, 189), stimulated emission included.
    """
    micron = np.asarray(wavelength, dtype=float) * 1e-4
    beyond = 1 / micron - 1 / _H_MINUS_EDGE
    series = sum(c * beyond ** (i / 2) for i, c in enumerate(_H_MINUS))
    section = 1e-18 * micron**3 * beyond**1.5 * series
    t = layer.temperature[:, None]
    factor = np.exp(_H_MINUS_ALPHA / (_H_MINUS_EDGE * t)) * -np.expm1(
        -_H_MINUS_ALPHA / (micron * t)
    )
    return 0.750 * t**-2.5 * factor * section * layer.electron_pressure[:, None]


def ionised(layer: Layer, potential: float, ratio: float) -> Array:
    """Return the ionised fraction (N,) by Saha's equation.

    Parameters
    ----------
    layer : Layer
    potential : float
        eV.
    ratio : float
        Partition function of the ion over that of the atom.
    """
    theta = 5040 / layer.temperature
    x = 1.2020e9 * ratio * theta**-2.5 * 10.0 ** (-theta * potential) / layer.electron_pressure
    return x / (1 + x)


def absorbed(ratio: Array) -> Array:
    """Return the light that is left, f = 1 − A η/(1 + η), for opacity ratios η."""
    return 1 - DEEPEST * ratio / (1 + ratio)
