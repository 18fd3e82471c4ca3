"""Train the emulator on a grid of synthetic spectra, and measure it on spectra it never saw."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import siderea
from siderea.data import Medium, Spectra
from siderea.errors import DataError
from siderea.models.emulator import Emulator, continuum_design, label_inputs
from siderea.models.kernel_network import KernelNetwork
from siderea.spectra.broadening import to_resolution

__all__ = ["SpectralGrid", "held_out", "measure", "principal", "rescaled", "seen", "train"]

UNBROADENED = 1e9
"""Resolving power that stands for a spectrum which no instrument has seen."""


@dataclass(frozen=True)
class SpectralGrid:
    """M synthetic spectra.

    Parameters
    ----------
    labels : (M, 5) ndarray
        teff, logg, fe_h, alpha_fe, vmic.
    wavelength : (P,) ndarray
        Å, the arms one after another.
    arms : tuple of slice
    arm_names : tuple of str
    flux : (M, P) ndarray
        Normalised.
    continuum_wavelength : (A, C) ndarray
        Å, C points per arm.
    continuum : (M, A, C) ndarray
        Surface flux density of the continuum, erg s⁻¹ cm⁻² Å⁻¹.
    medium : {"air", "vacuum"}
    """

    labels: NDArray
    wavelength: NDArray[np.float64]
    arms: tuple[slice, ...]
    arm_names: tuple[str, ...]
    flux: NDArray
    continuum_wavelength: NDArray[np.float64]
    continuum: NDArray
    medium: Medium

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: NDArray) -> SpectralGrid:
        """Return the chosen rows as a new grid."""
        return SpectralGrid(
            self.labels[rows],
            self.wavelength,
            self.arms,
            self.arm_names,
            self.flux[rows],
            self.continuum_wavelength,
            self.continuum[rows],
            self.medium,
        )

    def sha256(self) -> str:
        """Fingerprint of the labels and the spectra."""
        digest = hashlib.sha256()
        for values in (self.labels, self.wavelength, self.flux, self.continuum):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def held_out(n: int, *, fraction: float = 0.1, seed: int = 0) -> NDArray[np.bool_]:
    """Choose the spectra that are never trained on.

    Parameters
    ----------
    n : int
        Size of the grid.
    fraction : float
        Share that is held out.
    seed : int

    Returns
    -------
    (n,) ndarray of bool
    """
    mask = np.zeros(n, dtype=bool)
    mask[np.random.default_rng(seed).permutation(n)[: int(fraction * n)]] = True
    return mask


def train(
    grid: SpectralGrid,
    *,
    n_components: int = 100,
    continuum_degree: int = 4,
    label_range: ArrayLike | None = None,
) -> Emulator:
    """Train an emulator, in closed form but for a dozen length scales.

    Parameters
    ----------
    grid : SpectralGrid
        The training set.
    n_components : int
        Spectral components: 100 leave 2e-4 of rms at R = 28,000 and keep the file below 10 MB.
    continuum_degree : int
        Of the polynomial that ln(continuum) is in each arm.
    label_range : (5, 2) array-like, optional
        Range in which the labels of the grid were drawn; what they cover by default.

    Returns
    -------
    Emulator
        With the leave-one-out errors of the training in its metadata.

    Raises
    ------
    DataError
        If there are fewer spectra than components.

    Notes
    -----
    The components are the principal ones of the training spectra. Outputs stay on the scale of
    flux, so that the length scales minimise the leave-one-out error of the spectrum itself.
    """
    if len(grid) <= n_components:
        raise DataError(f"grid: found {len(grid)} spectra; expected more than {n_components}")
    inputs = label_inputs(torch.from_numpy(grid.labels.astype(np.float64))).numpy()
    mean = grid.flux.mean(axis=0, dtype=np.float64)
    components = principal(grid.flux - mean.astype(np.float32), n_components)
    lines, missed = KernelNetwork.fit(inputs, (grid.flux - mean) @ components.T)
    continuum, off = KernelNetwork.fit(inputs, _continuum_coefficients(grid, continuum_degree))
    largest = np.abs(components).max(axis=1)  # half precision is best used up to 1
    covered = np.stack([grid.labels.min(axis=0), grid.labels.max(axis=0)], axis=1)
    metadata = {
        "training_set_sha256": grid.sha256(),
        "training_spectra": len(grid),
        "scaling": "inputs to [-1, 1]: lines.low, lines.high, continuum.low, continuum.high",
        "siderea_version": siderea.__version__,
        "seed": 0,
        "metrics": {
            "leave_one_out_rms_native": float(np.sqrt((missed**2).sum() / grid.flux.size)),
            "leave_one_out_ln_continuum_rms": float(
                np.sqrt((off[:, :: continuum_degree + 1] ** 2).mean())
            ),
        },
    }
    return Emulator(
        wavelength=grid.wavelength,
        arms=grid.arms,
        arm_names=grid.arm_names,
        mean=mean.astype(np.float32),
        components=(components / largest[:, None]).astype(np.float16),
        lines=rescaled(lines, largest),
        continuum=continuum,
        label_range=np.array(covered if label_range is None else label_range, dtype=np.float64),
        medium=grid.medium,
        metadata=metadata,
    )


def principal(centred: NDArray, n_components: int) -> NDArray:
    """Return the leading right singular vectors (K, P), by the smaller Gram matrix."""
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    leading = vectors[:, ::-1][:, :n_components] / np.sqrt(values[::-1][:n_components])
    return leading.T @ centred


def _continuum_coefficients(grid: SpectralGrid, degree: int) -> NDArray[np.float64]:
    """Chebyshev coefficients (M, A (degree + 1)) of ln(continuum) over each arm."""
    pieces = []
    for i, arm in enumerate(grid.arms):
        span = float(grid.wavelength[arm][0]), float(grid.wavelength[arm][-1])
        design = continuum_design(grid.continuum_wavelength[i], span, degree)
        pieces.append(np.linalg.lstsq(design, np.log(grid.continuum[:, i]).T, rcond=None)[0].T)
    return np.concatenate(pieces, axis=1)


def rescaled(network: KernelNetwork, factor: NDArray) -> KernelNetwork:
    """Return the network with its outputs multiplied by ``factor`` (K,)."""
    arrays = network.state("")
    for name in ("weights", "slope", "offset"):
        arrays[name] = arrays[name] * factor
    return KernelNetwork.from_state(arrays, "")


def seen(grid: SpectralGrid, flux: NDArray, *, resolution: float = 28_000.0) -> NDArray:
    """Return spectra (M, P) on the wavelengths of a grid at a resolving power."""
    spectra = Spectra(grid.wavelength, flux, np.ones_like(flux), grid.medium, arms=grid.arms)
    return to_resolution(spectra, resolution, from_resolution=UNBROADENED).flux


@dataclass(frozen=True)
class Accuracy:
    """How an emulator reproduces spectra it never saw, at one resolving power.

    Parameters
    ----------
    median : float
        Median |Δflux| over all pixels of all spectra.
    rms : (M,) ndarray
        rms Δflux of each spectrum.
    continuum : (M, A) ndarray
        rms error of ln(continuum) of each spectrum in each arm.
    """

    median: float
    rms: NDArray[np.float64]
    continuum: NDArray[np.float64]

    @property
    def rms_99(self) -> float:
        """99th percentile of the per-spectrum rms."""
        return float(np.percentile(self.rms, 99))


def measure(model: Emulator, grid: SpectralGrid, *, resolution: float = 28_000.0) -> Accuracy:
    """Compare an emulator with spectra, both brought to one resolving power.

    Parameters
    ----------
    model : Emulator
    grid : SpectralGrid
        Spectra that it was not trained on, on its own wavelengths.
    resolution : float

    Returns
    -------
    Accuracy
    """
    difference = model.predict(grid.labels) - grid.flux.astype(np.float32)
    low = seen(grid, difference, resolution=resolution)
    errors = []
    coefficients = model.continuum(label_inputs(torch.from_numpy(grid.labels.astype(float))))
    pieces = coefficients.numpy().reshape(len(grid), len(grid.arms), -1)
    for i in range(len(grid.arms)):
        design = continuum_design(
            grid.continuum_wavelength[i], model.arm_span(i), model.continuum_degree
        )
        error = pieces[:, i] @ design.T - np.log(grid.continuum[:, i])
        errors.append(np.sqrt((error**2).mean(axis=1)))
    return Accuracy(
        float(np.median(np.abs(low))),
        np.sqrt((low.astype(np.float64) ** 2).mean(axis=1)),
        np.stack(errors, axis=1),
    )
