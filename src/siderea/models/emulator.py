"""The emulator: labels to a spectrum at high resolution, with the flux density of its continuum.

Normalised flux is a mean spectrum plus a sum of components; a `KernelNetwork` gives their
coefficients from the labels, a second one the Chebyshev coefficients of the logarithm of the
continuum in each arm. `Emulator.at` brings the model to the grid and resolution of a survey.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import ArrayLike, NDArray

from siderea.data import Medium
from siderea.errors import DataError
from siderea.models.kernel_network import KernelNetwork

if TYPE_CHECKING:
    from siderea.models.emulator_survey import SurveyEmulator

__all__ = [
    "Emulator",
    "Network",
    "checked_labels",
    "continuum_design",
    "label_inputs",
    "load_default",
]

SHIPPED = "galah_emulator"
SHIPPED_MOLECULES = "galah_molecules"
CHUNK = 64
"""Spectra predicted at once: what stays in the cache is fastest."""

ATMOSPHERE_STEP = (-0.595, 0.02)
"""[Fe/H] at which the model atmospheres change from solar-scaled to α-enhanced opacities, and the
width of the logistic step that stands for it: the spectra of the grid jump there (the continuum of
a 4600 K giant by 20 %), and without an input of its own the network would blur the jump over
0.3 dex."""


def label_inputs(labels: torch.Tensor) -> torch.Tensor:
    """Turn labels (N, 5) into what the networks see (N, 6).

    Parameters
    ----------
    labels : (N, 5) tensor
        teff, logg, fe_h, alpha_fe, vmic.

    Returns
    -------
    (N, 6) tensor of float64
        5040/teff, in which excitation and ionisation are linear; the others; and
        `ATMOSPHERE_STEP` at work.
    """
    labels = labels.to(torch.float64)
    where, width = ATMOSPHERE_STEP
    step = torch.sigmoid((labels[:, 2:3] - where) / width)
    return torch.cat([5040 / labels[:, :1], labels[:, 1:], step], dim=1)


def continuum_design(wavelength: NDArray, arm: tuple[float, float], degree: int) -> NDArray:
    """Return Chebyshev polynomials (P, degree + 1) over one arm that spans ``arm``, Å."""
    low, high = arm
    return chebvander(2 * (wavelength - low) / (high - low) - 1, degree)


def checked_labels(
    labels: ArrayLike, names: Sequence[str], label_range: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return labels as (N, L), or say which is out of range; NaN passes.

    Raises
    ------
    DataError
        If the shape is not (N, L), or a label lies outside its range.
    """
    values = np.atleast_2d(np.asarray(labels, dtype=np.float64))
    if values.ndim != 2 or values.shape[1] != len(names):
        raise DataError(
            f"labels: found shape {np.shape(labels)}; expected (N, {len(names)}): "
            f"{', '.join(names)}"
        )
    slack = 1e-6 * np.ptp(label_range, axis=1)
    outside = (values < label_range[:, 0] - slack) | (values > label_range[:, 1] + slack)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        low, high = label_range[column]
        raise DataError(
            f"labels: found {names[column]} {values[row, column]:g} (row {row}); the emulator "
            f"holds for {low:g} to {high:g}; leave such stars out"
        )
    return values


class Network(Protocol):
    """Inputs (N, D) to coefficients (N, K), differentiable."""

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the coefficients."""
        ...

    def state(self, prefix: str) -> dict[str, NDArray]:
        """Return its arrays, their names beginning with ``prefix``."""
        ...


@dataclass(frozen=True, repr=False)
class Emulator:
    """Spectra at the resolution of the synthesis, as a function of the labels of a star.

    Parameters
    ----------
    wavelength : (P,) ndarray
        Å, the arms one after another.
    arms : tuple of slice
    arm_names : tuple of str
    mean : (P,) ndarray
        Mean normalised flux.
    components : (K, P) ndarray
        In half precision; the coefficients are of order 1 to 100.
    lines : Network
        Labels to the K coefficients.
    continuum : KernelNetwork
        Labels to the Chebyshev coefficients of ln(continuum), arm by arm.
    label_range : (5, 2) ndarray
    metadata : dict
        Where it comes from and how good it is: training-set hash, version, seed, metrics.

    Notes
    -----
    The form of The Payne [1]_, labels to spectrum by a network, with two changes that the size of
    the training set asks for: components instead of pixels as outputs, and kernel units instead
    of two hidden layers (see `KernelNetwork`).

    References
    ----------
    .. [1] Ting et al. 2019, ApJ 879, 69.
    """

    wavelength: NDArray[np.float64]
    arms: tuple[slice, ...]
    arm_names: tuple[str, ...]
    mean: NDArray
    components: NDArray
    lines: Network
    continuum: KernelNetwork
    label_range: NDArray[np.float64]
    medium: Medium = "air"
    label_names: tuple[str, ...] = ("teff", "logg", "fe_h", "alpha_fe", "vmic")
    resolution: float = np.inf
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Emulator of {', '.join(self.label_names)}: {', '.join(self.arm_names)}>"

    @property
    def continuum_degree(self) -> int:
        """Degree of the polynomial in each arm."""
        return self.continuum.offset.size // len(self.arms) - 1

    def arm_span(self, arm: int) -> tuple[float, float]:
        """First and last wavelength of an arm, Å."""
        piece = self.wavelength[self.arms[arm]]
        return float(piece[0]), float(piece[-1])

    @cached_property
    def _bases(self) -> dict[tuple[torch.dtype, torch.device], tuple[torch.Tensor, torch.Tensor]]:
        return {}

    def _basis(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and components in the precision and place of a tensor, made once."""
        key = (like.dtype, like.device)
        if key not in self._bases:
            arrays = torch.from_numpy(self.mean), torch.from_numpy(self.components)
            self._bases[key] = arrays[0].to(*key[::-1]), arrays[1].to(*key[::-1])
        return self._bases[key]

    @cached_property
    def _designs(self) -> list[torch.Tensor]:
        return [
            torch.from_numpy(
                continuum_design(self.wavelength[arm], self.arm_span(i), self.continuum_degree)
            )
            for i, arm in enumerate(self.arms)
        ]

    def normalised(self, labels: torch.Tensor) -> torch.Tensor:
        """Return normalised flux (N, P) for labels (N, 5), in the precision of the labels."""
        mean, components = self._basis(labels)
        return mean + self.lines(label_inputs(labels)).to(labels.dtype) @ components

    def continuum_density(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the surface flux density (N, P) of the continuum, erg s⁻¹ cm⁻² Å⁻¹."""
        coefficients = self.continuum(label_inputs(labels))
        pieces = coefficients.chunk(len(self.arms), dim=1)
        values = [c @ d.to(c).T for c, d in zip(pieces, self._designs, strict=True)]
        return torch.exp(torch.cat(values, dim=1)).to(labels.dtype)

    def density(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the surface flux density (N, P), lines included, erg s⁻¹ cm⁻² Å⁻¹."""
        return self.normalised(labels) * self.continuum_density(labels)

    def predict(self, labels: ArrayLike) -> NDArray[np.float32]:
        """Return normalised flux (N, P) for labels (N, 5); a NaN label gives a NaN spectrum.

        Raises
        ------
        DataError
            If a label lies outside `label_range`.
        """
        return evaluate(self, self.normalised, labels)

    def flux_density(self, labels: ArrayLike) -> NDArray[np.float32]:
        """Return the surface flux density (N, P), lines included, erg s⁻¹ cm⁻² Å⁻¹.

        Raises
        ------
        DataError
            If a label lies outside `label_range`.
        """
        return evaluate(self, self.density, labels)

    def at(
        self,
        wavelength: ArrayLike,
        *,
        resolution: float | Sequence[float],
        medium: Medium,
        arms: Sequence[slice] = (),
        extra_labels: Sequence[str] = (),
    ) -> SurveyEmulator:
        """Bring the model to the grid and the resolution of a survey.

        Parameters
        ----------
        wavelength : (Q,) array-like
            Å, in ``medium``; each arm within one arm of the emulator.
        resolution : float or sequence of float
            λ/FWHM of the Gaussian line spread function, one or one per arm.
        medium : {"air", "vacuum"}
            Of ``wavelength``.
        arms : sequence of slice, optional
            By default a new arm begins where the wavelength falls or leaps.
        extra_labels : sequence of {"vsini", "vbroad", "vmac", "rv"}
            Velocities that become labels of the new model, in this order after the five.

        Returns
        -------
        SurveyEmulator
            Also a differentiable model.

        Raises
        ------
        DataError
            If an arm is not covered, a resolution is not positive, or a label is not known.

        Notes
        -----
        A velocity brings in what lies beyond the end of an arm. Where that is also beyond the
        emulator's, the flux tends to 1. The shipped emulator reaches 180 km/s or more beyond
        the GALAH arms: only the last pixels of a faster star are touched.
        """
        from siderea.models.emulator_survey import SurveyEmulator

        return SurveyEmulator.of(
            self,
            wavelength,
            resolution=resolution,
            medium=medium,
            arms=tuple(arms),
            extra_labels=tuple(extra_labels),
        )

    def state(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return arrays and metadata that `from_state` makes the same emulator of."""
        arrays = {"wavelength": self.wavelength, "mean": self.mean, "components": self.components}
        arrays |= self.lines.state("lines.") | self.continuum.state("continuum.")
        metadata = {
            "kind": "emulator",
            "label_names": list(self.label_names),
            "label_range": self.label_range.tolist(),
            "medium": self.medium,
            "resolution": None,
            "arms": [[arm.start, arm.stop] for arm in self.arms],
            "arm_names": list(self.arm_names),
        }
        return arrays, metadata | dict(self.metadata)

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray], metadata: Mapping[str, Any]) -> Emulator:
        """Make the emulator from what `state` returned."""
        if metadata.get("kind") != "emulator":
            raise DataError(f"kind: found {metadata.get('kind')!r}; expected 'emulator'")
        return cls(
            wavelength=arrays["wavelength"],
            arms=tuple(slice(*arm) for arm in metadata["arms"]),
            arm_names=tuple(metadata["arm_names"]),
            mean=arrays["mean"],
            components=arrays["components"],
            lines=KernelNetwork.from_state(arrays, "lines."),
            continuum=KernelNetwork.from_state(arrays, "continuum."),
            label_range=np.asarray(metadata["label_range"], dtype=np.float64),
            medium=metadata["medium"],
            label_names=tuple(metadata["label_names"]),
            metadata={k: v for k, v in metadata.items() if k not in _OWN},
        )


_OWN = {"kind", "label_names", "label_range", "medium", "resolution", "arms", "arm_names"}


def evaluate(model: Any, function: Any, labels: ArrayLike) -> NDArray[np.float32]:
    """Run a PyTorch method of a model over checked labels, in chunks, without gradients."""
    values = checked_labels(labels, model.label_names, model.label_range)
    out = np.empty((len(values), model.wavelength.size), np.float32)
    with torch.no_grad():
        for start in range(0, len(values), CHUNK):
            rows = slice(start, start + CHUNK)
            out[rows] = function(torch.from_numpy(values[rows].astype(np.float32))).numpy()
    return out


def load_default(*, molecules: bool = False) -> Emulator:
    """Load the emulator that is shipped in the package: the four GALAH arms, in air.

    Parameters
    ----------
    molecules : bool
        Whether to add the lines of CN, C₂, MgH and other molecules. They matter below about
        5,700 K (metal-rich or dense stars most), and are known less well than the atomic lines.

    Returns
    -------
    Emulator

    Notes
    -----
    FGK stars, LTE. ``metadata`` holds how it was made and how accurate it is; that of the
    molecules under ``"molecules"``.
    """
    emulator = Emulator.from_state(*_shipped(SHIPPED))
    if not molecules:
        return emulator
    from siderea.models.emulator_molecules import Molecules

    return Molecules.from_state(*_shipped(SHIPPED_MOLECULES)).added_to(emulator)


def _shipped(name: str) -> tuple[dict[str, NDArray], dict[str, Any]]:
    from safetensors.numpy import load

    folder = resources.files("siderea.models") / "data"
    metadata = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return load((folder / f"{name}.safetensors").read_bytes()), metadata
