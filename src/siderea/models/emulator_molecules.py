"""What molecules change in the spectra of the emulator, learned from few spectra.

The grid of the emulator has atomic lines only. A few of its models repeated with molecules give
the molecular optical depth τ = −ln(flux with molecules / flux without), whose logarithm is nearly
linear in 1/teff and the logarithmic abundances: few spectra tell it for all the grid. What then
changes in the flux of the grid is learned as the emulator learns the flux itself, by components.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import siderea
from siderea.errors import DataError
from siderea.models.emulator import Emulator, Network, label_inputs
from siderea.models.emulator_training import SpectralGrid, principal, rescaled, seen
from siderea.models.kernel_network import KernelNetwork

__all__ = ["Molecules", "train_molecules"]

FAINTEST = 1e-3
"""Optical depth below which the logarithm levels off: less is not worth learning."""

DARKEST = 0.02
"""Flux below which a ratio says nothing of molecules."""

N_COMPONENTS = 20


@dataclass(frozen=True)
class _Both:
    """Two networks of the same inputs, their outputs one after the other."""

    atoms: Network
    molecules: Network

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.atoms(inputs), self.molecules(inputs)], dim=1)

    def state(self, prefix: str) -> dict[str, NDArray]:
        raise DataError(
            "emulator with molecules: found no form to save it in; save the emulator, it is "
            "shipped without them and takes them on when it is loaded"
        )


@dataclass(frozen=True)
class Molecules:
    """The change of flux by molecules: mean and components, as in `Emulator`.

    Parameters
    ----------
    wavelength : (P,) ndarray
        The emulator's.
    mean : (P,) ndarray
    components : (K, P) ndarray
    network : KernelNetwork
        Labels to coefficients.
    metadata : dict
    """

    wavelength: NDArray[np.float64]
    mean: NDArray
    components: NDArray
    network: KernelNetwork
    metadata: dict[str, Any]

    def added_to(self, emulator: Emulator) -> Emulator:
        """Return the emulator with molecules.

        Raises
        ------
        DataError
            If it is an emulator of other wavelengths.
        """
        if not np.array_equal(self.wavelength, emulator.wavelength):
            raise DataError(
                f"molecules: found an emulator of {emulator.wavelength.size} pixels; expected "
                f"the {self.wavelength.size} that the molecules were trained on"
            )
        return replace(
            emulator,
            mean=(emulator.mean + self.mean).astype(np.float32),
            components=np.concatenate([emulator.components, self.components]),
            lines=_Both(emulator.lines, self.network),
            metadata={**emulator.metadata, "molecules": self.metadata},
        )

    def state(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return arrays and metadata that `from_state` makes the same of."""
        arrays = {
            "wavelength": self.wavelength,
            "mean": self.mean,
            "components": self.components,
            **self.network.state("network."),
        }
        return arrays, self.metadata

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray], metadata: dict[str, Any]) -> Molecules:
        """Make it from what `state` returned."""
        if metadata.get("kind") != "molecules":
            raise DataError(f"kind: found {metadata.get('kind')!r}; expected 'molecules'")
        network = KernelNetwork.from_state(arrays, "network.")
        return cls(arrays["wavelength"], arrays["mean"], arrays["components"], network, metadata)


def train_molecules(grid: SpectralGrid, rows: NDArray[np.intp], flux: NDArray) -> Molecules:
    """Learn what molecules change from some models of the grid, repeated with them.

    Parameters
    ----------
    grid : SpectralGrid
        M spectra of atomic lines.
    rows : (S,) ndarray of int
        The repeated models.
    flux : (S, P) ndarray
        Their normalised flux with molecules.

    Returns
    -------
    Molecules
        The leave-one-out errors, at R = 28,000, in its metadata.

    Raises
    ------
    DataError
        If the shapes do not fit.
    """
    if flux.shape != (len(rows), grid.wavelength.size) or len(rows) < 3:
        raise DataError(
            f"flux: found {flux.shape} for {len(rows)} rows; expected 3 or more of "
            f"{grid.wavelength.size} pixels"
        )
    inputs = _inputs(grid.labels)
    atoms = grid.flux[rows].astype(np.float32)
    ratio = np.clip(flux / np.maximum(atoms, DARKEST), DARKEST, 1.0)
    depth = np.log(FAINTEST - np.log(ratio))
    mean = depth.mean(axis=0)
    components = principal(depth - mean, len(rows) - 1)
    coefficients = (depth - mean) @ components.T
    network, missed = KernelNetwork.fit(inputs[rows], coefficients, max_iterations=40)
    left_out = _with(atoms, mean + (coefficients - missed) @ components)
    everywhere = network(torch.from_numpy(inputs)).numpy()
    every = grid.flux.astype(np.float32)
    change = np.concatenate(
        [
            _with(every[i : i + 50], mean + everywhere[i : i + 50] @ components) - every[i : i + 50]
            for i in range(0, len(grid), 50)
        ]
    )
    change[rows] = flux - atoms
    metrics = _metrics(grid, flux - atoms, left_out - flux)
    return _compressed(grid, change, len(rows), metrics)


def _inputs(labels: NDArray) -> NDArray[np.float64]:
    labels = np.asarray(labels, dtype=np.float64)
    return np.c_[5040 / labels[:, 0], labels[:, 1:]]


def _with(atoms: NDArray, log_depth: NDArray) -> NDArray[np.float32]:
    depth = np.maximum(np.exp(np.minimum(log_depth, 3.0)) - FAINTEST, 0.0)
    return (atoms * np.exp(-depth)).astype(np.float32)


def _metrics(grid: SpectralGrid, change: NDArray, error: NDArray) -> dict[str, float]:
    signal, left = (np.sqrt((seen(grid, x) ** 2).mean(axis=1)) for x in (change, error))
    return {
        "median_rms_of_molecules_at_28000": float(np.median(signal)),
        "largest_rms_of_molecules_at_28000": float(signal.max()),
        "leave_one_out_median_rms_at_28000": float(np.median(left)),
        "leave_one_out_largest_rms_at_28000": float(left.max()),
        "leave_one_out_share_of_power": float((left**2).sum() / (signal**2).sum()),
    }


def _compressed(
    grid: SpectralGrid, change: NDArray, n_rows: int, metrics: dict[str, float]
) -> Molecules:
    """Turn the change of every spectrum of the grid into components."""
    mean = change.mean(axis=0, dtype=np.float64).astype(np.float32)
    components = principal(change - mean, N_COMPONENTS)
    inputs = label_inputs(torch.from_numpy(grid.labels.astype(np.float64))).numpy()
    network, missed = KernelNetwork.fit(inputs, (change - mean) @ components.T)
    largest = np.abs(components).max(axis=1)
    metrics["emulation_rms_native"] = float(np.sqrt((missed**2).sum() / change.size))
    metadata = {
        "kind": "molecules",
        "label_names": ["teff", "logg", "fe_h", "alpha_fe", "vmic"],
        "label_range": [
            [float(low), float(high)]
            for low, high in zip(grid.labels.min(0), grid.labels.max(0), strict=True)
        ],
        "scaling": "inputs to [-1, 1]: network.low, network.high",
        "medium": grid.medium,
        "resolution": None,
        "training_set_sha256": grid.sha256(),
        "training_spectra": n_rows,
        "siderea_version": siderea.__version__,
        "seed": 0,
        "metrics": metrics,
    }
    return Molecules(
        grid.wavelength,
        mean,
        (components / largest[:, None]).astype(np.float16),
        rescaled(network, largest),
        metadata,
    )
