"""Make the molecular opacities that `siderea.simulate.molecules` ships, from the GALAH line list.

    python benchmarks/molecular_bands.py SYNTHESIS_INPUTS OUTPUT.npz

Per molecule, pixel and temperature: the sum over lines of gf e^(-E/kT) (1 - e^(-hc/λkT)) φ, the
mean of the profile φ over the pixel, per Hz. Lines are Gaussians of 2 km/s (microturbulence and
thermal motion). Stored as logarithms in steps of 0.05, the hot and cold ones as differences.
Needs h5py (extra `synthesis`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
from scipy.special import erf

from siderea.constants import C_KMS
from siderea.spectra.instruments import GALAH_GRID
from siderea.spectra.wavelength import vacuum_to_air

MOLECULES = {"C2": (6, 6), "CN": (6, 7), "MgH": (1, 12), "CaH": (1, 20), "TiO": (8, 22)}
TEMPERATURES = (4000.0, 2900.0, 5800.0)
MARGIN = 352
"""Pixels beyond each end of an arm: what velocities of 1,000 km/s bring in."""
SIGMA = 1.41  # km/s, of a Gaussian with b = 2 km/s
EV_K = 11604.518  # K per eV (CODATA)
HC_K = 1.438777e8  # hc/k, Å K (CODATA)
STEP = 0.05
FLOOR = 11.0  # natural units below the strongest pixel that are kept


def grid() -> np.ndarray:
    """Pixels (A, n) of the arms with their margins, Å, air."""
    arms = [GALAH_GRID.wavelength[arm] for arm in GALAH_GRID.arms]
    steps = [np.log(arm[-1] / arm[0]) / (arm.size - 1) for arm in arms]
    number = np.arange(-MARGIN, arms[0].size + MARGIN)
    return np.stack([a[0] * np.exp(s * number) for a, s in zip(arms, steps, strict=True)])


def opacity(pixels: np.ndarray, wavelength: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Sum lines over the pixels of one arm, each as the mean of a Gaussian over the pixel."""
    step = np.log(pixels[1] / pixels[0])
    sigma = SIGMA / C_KMS / step
    where = np.log(wavelength / pixels[0]) / step
    total = np.zeros(pixels.size)
    near = np.rint(where).astype(int)
    for offset in range(-4, 5):
        at = near + offset
        x = at - where
        edges = [erf((x + half) / (np.sqrt(2) * sigma)) for half in (-0.5, 0.5)]
        inside = (at >= 0) & (at < pixels.size)
        # per unit ln ν a pixel is `step` wide; per Hz divide by ν
        share = (edges[1] - edges[0]) / 2 / step * wavelength / 2.99792458e18
        np.add.at(total, at[inside], (strength * share)[inside])
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    with h5py.File(arguments.inputs / "galah_dr3_linelist.h5") as content:
        formula = np.sort(content["formula"][:].astype(int), axis=1)[:, 1:]
        vacuum = content["wl"][:].astype(float)
        energy, log_gf = content["E_lo"][:].astype(float), content["log_gf"][:].astype(float)
    # the list's wavelengths are in cm or in Å, by its version
    vacuum = vacuum * 1e8 if vacuum.max() < 1 else vacuum
    air = vacuum_to_air(vacuum)
    pixels = grid()
    arrays = {}
    for name, atoms in MOLECULES.items():
        lines = (formula == atoms).all(axis=1)
        values = np.empty((len(TEMPERATURES), *pixels.shape))
        for t, kelvin in enumerate(TEMPERATURES):
            strength = 10.0**log_gf * np.exp(-energy * EV_K / kelvin)
            strength *= -np.expm1(-HC_K / (air * kelvin))
            for arm, piece in enumerate(pixels):
                near = lines & (air > piece[0] * 0.9995) & (air < piece[-1] * 1.0005)
                values[t, arm] = opacity(piece, air[near], strength[near])
        top = np.log(values.max())
        logs = np.log(np.maximum(values, np.exp(top - FLOOR)))
        main_ = np.rint((logs[0] - top) / STEP)
        arrays[f"{name}.main"] = main_.astype(np.int16)
        arrays[f"{name}.change"] = np.rint((logs[1:] - logs[:1]) / STEP).astype(np.int8)
        arrays[f"{name}.top"] = np.float64(top)
        print(f"{name}: {lines.sum()} lines, {np.mean(main_ * STEP > -FLOOR + 0.1):.2f} covered")
    arrays |= {"temperature": np.array(TEMPERATURES), "step": np.float64(STEP)}
    np.savez_compressed(arguments.output, margin=np.int64(MARGIN), **arrays)
    print(f"{arguments.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
