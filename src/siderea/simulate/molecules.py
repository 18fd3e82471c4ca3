"""Molecular bands and lithium: what a star absorbs beyond the emulator's atomic lines.

C₂ (the Swan bands, heads at 4737, 4715 and 4698 Å), CN, TiO, MgH and CaH, from their lines in the
GALAH DR3 line list: ``data/molecular_bands.npz`` holds Σ gf e^(−E/kT) φ on the pixels of the GALAH
arms at three temperatures (``benchmarks/molecular_bands.py``). The number of molecules follows
from dissociation equilibrium in one layer of the atmosphere, where CO and N₂ take their share of
the carbon, oxygen and nitrogen first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from siderea.constants import C_KMS
from siderea.simulate.one_layer import ABUNDANCE, BOLTZMANN, Layer, h_minus, ionised
from siderea.spectra.instruments import GALAH_GRID

__all__ = [
    "LITHIUM_LINES",
    "Bands",
    "Composition",
    "lithium_opacity",
    "load_bands",
    "molecular_opacity",
]

Array = NDArray[np.float64]

OSCILLATOR = 0.026540
"""π e²/(m c), cm² Hz."""
PLANCK = 6.62607015e-27  # erg s (CODATA, exact)
MASS_UNIT = 1.660539e-24  # g
EV = 1.602176634e-12  # erg
LIGHT = 2.99792458e18  # Å/s
WAVE_NUMBER = 1.438777  # hc/k, cm K

MASS = {"C": 12.011, "N": 14.007, "O": 15.999, "Mg": 24.305, "Ca": 40.078, "Ti": 47.867, "H": 1.008}
STATES = {"C": 9.3, "N": 4.1, "O": 8.7, "Mg": 1.0, "Ca": 1.2, "Ti": 30.0, "H": 2.0}
"""Partition functions of the atoms near 4,500 K: the degeneracy of the ground term, and for Ti and
Ca the low states too."""
IONISATION = {"Mg": (7.65, 2.0), "Ca": (6.11, 1.9), "Ti": (6.83, 1.8)}
"""Potential, eV (NIST), and the ion's partition function over the atom's."""
DISSOCIATION = {"C2": 6.2, "CN": 7.7, "MgH": 1.3, "CaH": 1.7, "TiO": 6.9, "CO": 11.1, "N2": 9.8}
"""Dissociation energies, eV, to 0.1 eV (which is 30 % of a molecule's number at 4,000 K)."""
LOCKED = {"CO": (1.93, 2170.0, 1.0), "N2": (2.00, 2359.0, 2.0)}
"""Rotational constant and vibration, cm⁻¹, and symmetry, of the molecules that lock atoms up."""
ATOMS = {
    "C2": ("C", "C"),
    "CN": ("C", "N"),
    "MgH": ("Mg", "H"),
    "CaH": ("Ca", "H"),
    "TiO": ("Ti", "O"),
}

LITHIUM_LINES = ((6707.764, 0.920), (6707.915, 0.536), (6708.066, 0.038))
"""Å in air, and gf with the isotopes' solar shares, of the lithium doublet (GALAH DR3 list)."""
LITHIUM_SIGMA = 1.9
"""km/s: thermal motion of lithium at 5,000 K (b = 3.5 km/s would be 2.5) and turbulence, as the
standard deviation of a Gaussian that includes the pixel."""


@dataclass(frozen=True)
class Composition:
    """Numbers of atoms per hydrogen atom, each (N,)."""

    numbers: dict[str, Array]

    @classmethod
    def of(cls, fe_h: Array, alpha_fe: Array, *, c_fe: Array, a_li: Array) -> Composition:
        """Scale the solar mixture; α for O, Mg, Ca and Ti, [C/Fe] for carbon, A(Li) as given."""
        alpha = ("O", "Mg", "Ca", "Ti")
        logs = {
            name: value
            + fe_h
            + (alpha_fe if name in alpha else 0.0)
            + (c_fe if name == "C" else 0.0)
            for name, value in ABUNDANCE.items()
            if name != "Li"
        }
        numbers = {name: 10.0 ** (np.asarray(value) - 12) for name, value in logs.items()}
        return cls(
            {**numbers, "Li": 10.0 ** (np.asarray(a_li, float) - 12), "H": np.ones_like(fe_h)}
        )


@dataclass(frozen=True)
class Bands:
    """Opacities on the GALAH arms with a margin on either side.

    Parameters
    ----------
    wavelength : (A, n) ndarray
        Å in air; pixels of the GALAH grid.
    margin : int
        Pixels before the first of each arm.
    temperature : (3,) ndarray
        K: the middle one, a cool and a hot one.
    logarithm : dict of (3, A, n) ndarray
        ln Σ gf e^(−E/kT) φ per molecule, per Hz.
    """

    wavelength: Array
    margin: int
    temperature: Array
    logarithm: dict[str, NDArray[np.float32]]

    def strength(self, molecule: str, temperature: Array) -> Array:
        """Return Σ gf e^(−E/kT) φ (N, A, n), its logarithm a parabola in 1/T."""
        x = 1e3 / np.asarray(temperature, float)[:, None]
        nodes = 1e3 / self.temperature
        weights = [
            np.prod([(x - nodes[k]) / (nodes[j] - nodes[k]) for k in range(3) if k != j], axis=0)
            for j in range(3)
        ]
        values = self.logarithm[molecule]
        logs = np.concatenate(weights, axis=1).astype(np.float32) @ values.reshape(3, -1)
        return np.exp(logs).reshape(-1, *values.shape[1:])


@lru_cache(maxsize=1)
def load_bands() -> Bands:
    """Load the opacities that are shipped in the package."""
    path = resources.files("siderea.simulate") / "data" / "molecular_bands.npz"
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as content:
        step, margin = float(content["step"]), int(content["margin"])
        logarithm = {}
        for name in ATOMS:
            main = content[f"{name}.main"].astype(np.float32)
            change = content[f"{name}.change"].astype(np.float32)
            logs = np.stack([main, main + change[0], main + change[1]])
            logarithm[name] = logs * np.float32(step) + np.float32(content[f"{name}.top"])
        temperature = content["temperature"]
    arms = [GALAH_GRID.wavelength[arm] for arm in GALAH_GRID.arms]
    steps = [np.log(arm[-1] / arm[0]) / (arm.size - 1) for arm in arms]
    number = np.arange(-margin, arms[0].size + margin)
    pixels = np.stack([a[0] * np.exp(s * number) for a, s in zip(arms, steps, strict=True)])
    return Bands(pixels, margin, temperature, logarithm)


def molecular_opacity(molecules: tuple[str, ...], layer: Layer, composition: Composition) -> Array:
    """Return molecular over continuous opacity, η.

    Parameters
    ----------
    molecules : tuple of str
        Of C2, CN, MgH, CaH, TiO.
    layer, composition
        Of N stars.

    Returns
    -------
    (N, A, n) ndarray
        On the pixels of `load_bands`.
    """
    bands = load_bands()
    free = _free_atoms(layer, composition)
    total = np.zeros((len(layer.temperature), *bands.wavelength.shape))
    for molecule in molecules:
        one, other = ATOMS[molecule]
        # n(AB)/Q(AB) of the equilibrium: the partition function of the molecule cancels.
        per_state = free[one] * free[other] / _constant(one, other, DISSOCIATION[molecule], layer)
        number = OSCILLATOR * per_state / layer.hydrogen
        total += number[:, None, None] * bands.strength(molecule, layer.temperature)
    return total / _continuum(layer)


def lithium_opacity(layer: Layer, composition: Composition) -> Array:
    """Return the opacity of the lithium doublet over that of the continuum (N, A, n).

    Neutral lithium by Saha's equation (5.39 eV, both lines from the ground state, whose
    degeneracy 2 is all of its partition function).
    """
    bands = load_bands()
    neutral = composition.numbers["Li"] * (1 - ionised(layer, 5.392, 0.5))
    velocity = np.zeros_like(bands.wavelength)
    for line, gf in LITHIUM_LINES:
        x = C_KMS * np.log(bands.wavelength / line) / LITHIUM_SIGMA
        profile = np.exp(-0.5 * x**2) / (np.sqrt(2 * np.pi) * LITHIUM_SIGMA)
        velocity += gf / 2 * profile * line * 1e-13  # per km/s to per Hz: λ in Å is 1e-13 km
    kelvin = layer.temperature[:, None, None]
    emission = -np.expm1(-WAVE_NUMBER * 1e8 / (bands.wavelength * kelvin))
    return OSCILLATOR * neutral[:, None, None] * velocity * emission / _continuum(layer)


def _continuum(layer: Layer) -> Array:
    pixels = load_bands().wavelength
    return h_minus(pixels.ravel(), layer).reshape(-1, *pixels.shape)


def _free_atoms(layer: Layer, composition: Composition) -> dict[str, Array]:
    """Number densities of free neutral atoms, cm⁻³, after CO and N₂ have formed."""
    free = {name: value * layer.hydrogen for name, value in composition.numbers.items()}
    for name, (potential, ratio) in IONISATION.items():
        free[name] = free[name] * (1 - ionised(layer, potential, ratio))
    constant = _locked("CO", "C", "O", layer)
    carbon, oxygen = free["C"], free["O"]
    half = (carbon + oxygen + constant) / 2
    # n(CO)² − 2 half n(CO) + n(C) n(O) = 0, in the form that does not cancel
    locked = carbon * oxygen / (half + np.sqrt(np.maximum(half**2 - carbon * oxygen, 0)))
    free["C"] = constant * carbon / (constant + np.maximum(oxygen - locked, 0))
    free["O"] = constant * oxygen / (constant + np.maximum(carbon - locked, 0))
    constant = _locked("N2", "N", "N", layer)
    free["N"] = 2 * free["N"] / (1 + np.sqrt(1 + 8 * free["N"] / constant))
    return free


def _constant(one: str, other: str, energy: float, layer: Layer) -> Array:
    """(2π μ kT/h²)^1.5 Q_A Q_B e^(−D/kT), cm⁻³: n_A n_B Q_AB/n_AB."""
    mass = MASS_UNIT * MASS[one] * MASS[other] / (MASS[one] + MASS[other])
    thermal = BOLTZMANN * layer.temperature
    volume = (2 * np.pi * mass * thermal / PLANCK**2) ** 1.5
    return volume * STATES[one] * STATES[other] * np.exp(-energy * EV / thermal)


def _locked(molecule: str, one: str, other: str, layer: Layer) -> Array:
    """n_A n_B/n_AB of a molecule whose partition function is a rotor's and an oscillator's."""
    rotation, vibration, symmetry = LOCKED[molecule]
    t = layer.temperature
    states = t / (WAVE_NUMBER * rotation * symmetry) / -np.expm1(-WAVE_NUMBER * vibration / t)
    return _constant(one, other, DISSOCIATION[molecule], layer) / states
