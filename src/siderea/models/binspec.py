"""The networks of El-Badry et al. 2018 for APOGEE dwarfs, read from a folder of their weights.

One small network per pixel gives the normalised flux, another the flux density whose
pseudo-continuum weighs the two stars of a binary. Networks trained on isochrones give the radius
of a star and the temperature and gravity of its companion of mass ratio q.

Reference: El-Badry, Ting, Rix et al. 2018, MNRAS 473, 5043 and MNRAS 476, 528.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.data import Medium
from siderea.errors import DataError, NotThisProductError
from siderea.models.renormalise import PseudoContinuum

__all__ = ["BinspecModel", "MainSequence", "load"]

ARM_STARTS = (0, 2920, 5320)
"""First pixel of the three APOGEE detectors on the published grid of 7,214 pixels."""

APOGEE_RESOLUTION = 22_500.0
"""Resolving power of APOGEE (Majewski et al. 2017, AJ 154, 94)."""

FNU_TO_FLAMBDA = 4 * np.pi * 2.997_924_58e18 * 1e-6
"""c in Å/s, 4π sr, and the factor 10⁻⁶ by which the flux network's output is scaled."""

CHUNK = 64
"""Spectra evaluated at once: the hidden units of a chunk are P × 5 × CHUNK numbers."""


@dataclass(frozen=True)
class _PixelNetwork:
    """P networks of L inputs, H sigmoids and one output, evaluated together."""

    weight: torch.Tensor  # (L + 1, H, P), the bias last
    output: torch.Tensor  # (H, P)
    bias: torch.Tensor  # (P,)
    low: torch.Tensor  # (L,)
    width: torch.Tensor  # (L,)

    @classmethod
    def of(cls, arrays: dict[str, NDArray], pixels: NDArray | slice = slice(None)) -> _PixelNetwork:
        hidden = np.concatenate([arrays["w_array_0"], arrays["b_array_0"][..., None]], axis=2)
        tensors = (
            hidden[pixels].transpose(2, 1, 0),
            arrays["w_array_1"][pixels].T,
            arrays["b_array_1"][pixels],
            arrays["x_min"],
            arrays["x_max"] - arrays["x_min"],
        )
        return cls(*(torch.tensor(np.ascontiguousarray(t), dtype=torch.float64) for t in tensors))

    def to(self, device: torch.device | str, dtype: torch.dtype) -> _PixelNetwork:
        return _PixelNetwork(
            self.weight.to(device, dtype),
            self.output.to(device, dtype),
            self.bias.to(device, dtype),
            self.low.to(device),
            self.width.to(device),
        )

    def _hidden(self, labels: torch.Tensor) -> torch.Tensor:
        scaled = (labels.to(self.low.dtype) - self.low) / self.width - 0.5
        inputs = torch.cat([scaled, torch.ones_like(scaled[:, :1])], 1).to(self.weight.dtype)
        n_inputs, n_hidden, n_pixels = self.weight.shape
        product = inputs @ self.weight.reshape(n_inputs, -1)
        return torch.sigmoid(product).reshape(-1, n_hidden, n_pixels)

    def __call__(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, P) for labels (N, L)."""
        return (self._hidden(labels) * self.output).sum(1) + self.bias

    def with_jacobian(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the outputs and their derivatives by the labels, (N, 1 + L, P)."""
        hidden = self._hidden(labels)
        n_inputs, n_hidden, n_pixels = self.weight.shape
        out = hidden.new_empty((len(labels), n_inputs, n_pixels))
        out[:, 0] = self.bias
        # ∂σ/∂z = σ (1 − σ), times the weight of the output, in one pass over the memory
        slope = torch.ops.aten.sigmoid_backward(self.output.expand_as(hidden), hidden)
        torch.mul(slope[:, :1], self.by_label[:, 0], out=out[:, 1:])
        for unit in range(n_hidden):  # elementwise: faster than P tiny products
            out[:, 0].addcmul_(hidden[:, unit], self.output[unit])
            if unit:
                out[:, 1:].addcmul_(slope[:, unit, None], self.by_label[:, unit])
        return out

    @cached_property
    def by_label(self) -> torch.Tensor:
        """Derivatives of the hidden units' inputs by the labels (L, H, P)."""
        return self.weight[:-1] / self.width.to(self.weight.dtype)[:, None, None]


@dataclass(frozen=True)
class _LabelNetwork:
    """A small dense network with sigmoids between its layers."""

    weights: tuple[torch.Tensor, ...]
    biases: tuple[torch.Tensor, ...]
    low: torch.Tensor
    width: torch.Tensor

    @classmethod
    def of(cls, arrays: dict[str, NDArray]) -> _LabelNetwork:
        depth = sum(name.startswith("w_array") for name in arrays)

        def tensor(values: NDArray) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float64)

        return cls(
            tuple(tensor(arrays[f"w_array_{i}"]) for i in range(depth)),
            tuple(tensor(arrays[f"b_array_{i}"]) for i in range(depth)),
            tensor(arrays["x_min"]),
            tensor(arrays["x_max"] - arrays["x_min"]),
        )

    def to(self, device: torch.device | str) -> _LabelNetwork:
        return _LabelNetwork(
            tuple(w.to(device) for w in self.weights),
            tuple(b.to(device) for b in self.biases),
            self.low.to(device),
            self.width.to(device),
        )

    def __call__(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the outputs (..., O) for labels (..., L), differentiable."""
        return _Evaluated.apply(labels, self.beside(labels))

    @cached_property
    def _elsewhere(self) -> dict[torch.device, _LabelNetwork]:
        """Hold the network on each device that was asked for."""
        return {self.low.device: self}

    def beside(self, labels: torch.Tensor) -> _LabelNetwork:
        """Return the network on the device of the labels."""
        if labels.device not in self._elsewhere:
            self._elsewhere[labels.device] = self.to(labels.device)
        return self._elsewhere[labels.device]

    def layers(self, labels: torch.Tensor) -> list[torch.Tensor]:
        """Return the output of every layer; the network is on the device of the labels."""
        out = [(labels - self.low) / self.width - 0.5]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            if len(out) > 1:
                out[-1] = torch.sigmoid(out[-1])
            out.append(torch.matmul(out[-1], weight.T) + bias)
        return out


class _Evaluated(torch.autograd.Function):
    """A label network with its derivatives by hand: ten times faster than torch's forward mode."""

    @staticmethod
    def forward(ctx: Any, labels: torch.Tensor, network: _LabelNetwork) -> torch.Tensor:
        ctx.network = network
        ctx.layers = network.layers(labels)
        return ctx.layers[-1]

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        change = tangent / ctx.network.width
        for number, weight in enumerate(ctx.network.weights):
            if number:
                change = change * (ctx.layers[number] * (1 - ctx.layers[number]))
            change = change @ weight.T
        return change

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        network, layers = ctx.network, ctx.layers
        for number in reversed(range(len(network.weights))):
            gradient = gradient @ network.weights[number]
            if number:
                gradient = gradient * (layers[number] * (1 - layers[number]))
        return gradient / network.width, None


class _WithSlope(torch.autograd.Function):
    """The value of the first, and the derivatives of both."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def jvp(ctx: Any, of_value: torch.Tensor | None, of_slope: torch.Tensor | None) -> torch.Tensor:
        return sum(t for t in (of_value, of_slope) if t is not None)  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return gradient, gradient


@dataclass(frozen=True)
class MainSequence:
    """Radii and companions of main-sequence stars, networks trained on isochrones.

    Parameters
    ----------
    radius_network, companion_network : callable
        (teff, logg, fe_h) -> radius; (teff, logg, fe_h, q) -> (teff, logg).
    """

    radius_network: _LabelNetwork
    companion_network: _LabelNetwork

    def to(self, device: torch.device | str) -> MainSequence:
        """Return the same networks on a device."""
        return MainSequence(self.radius_network.to(device), self.companion_network.to(device))

    def radius(self, teff: torch.Tensor, logg: torch.Tensor, fe_h: torch.Tensor) -> torch.Tensor:
        """Return radii, solar, of the shape of the labels."""
        return self.radius_network(torch.stack([teff, logg, fe_h], -1))[..., 0]

    def companion(
        self, teff: torch.Tensor, logg: torch.Tensor, fe_h: torch.Tensor, q: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (teff, logg) of the companion of mass ratio q, of the same age and [Fe/H].

        Never hotter and never larger than the primary; q = 1 is the primary exactly. Where the
        companion equals the primary the derivative by q is still the network's, so that a fit
        that has come there can leave again.
        """
        out = self.companion_network(torch.stack([teff, logg, fe_h, q], -1))
        cool, dense = out.unbind(-1)
        cooler, denser = cool.detach() < teff.detach(), dense.detach() > logg.detach()
        twin = ((q.detach() - 1.0).abs() <= 1e-5) | ~(cooler | denser)
        cool, dense = torch.where(cooler, cool, teff), torch.where(denser, dense, logg)
        if not bool(twin.any()):
            return cool, dense
        fixed = torch.stack([teff, logg, fe_h], -1).detach()
        by_q = self.companion_network(torch.cat([fixed, q[..., None]], -1))
        return (
            torch.where(twin, _WithSlope.apply(teff, by_q[..., 0]), cool),
            torch.where(twin, _WithSlope.apply(logg, by_q[..., 1]), dense),
        )


class BinspecModel:
    """APOGEE spectra of one star, at rest, from per-pixel networks.

    Made by `load`; follows `siderea.models.protocol.DifferentiableModel`.

    Attributes
    ----------
    label_names : tuple of str
        teff, logg, fe_h, alpha_fe, vmac.
    label_range : (5, 2) ndarray
        Range of the training set; vmac not below 0.
    arms : tuple of slice
        The three detectors.
    pseudo_continuum : PseudoContinuum
        What normalises data and composites of this model.
    main_sequence : MainSequence
        Radii and companions.
    kernel : str
        How composites interpolate it: linearly, as the networks' authors do.
    """

    label_names = ("teff", "logg", "fe_h", "alpha_fe", "vmac")
    medium: Medium = "vacuum"
    resolution = APOGEE_RESOLUTION
    kernel = "linear"

    def __init__(
        self,
        normalised_network: _PixelNetwork,
        flux_network: _PixelNetwork,
        main_sequence: MainSequence,
        wavelength: NDArray[np.float64],
        pseudo_continuum: PseudoContinuum,
    ) -> None:
        self._elsewhere: dict[tuple[str, torch.dtype], BinspecModel] = {}
        self.wavelength = wavelength
        self.main_sequence = main_sequence
        self.pseudo_continuum = pseudo_continuum
        self.arms = pseudo_continuum.arms
        self._normalised, self._flux = normalised_network, flux_network
        low = normalised_network.low.cpu().numpy()
        self.label_range = np.stack([low, low + normalised_network.width.cpu().numpy()], axis=1)
        self.label_range[4, 0] = max(0.0, self.label_range[4, 0])
        like = normalised_network.weight
        projector = pseudo_continuum.projector(np.ones(wavelength.size))[0]
        shape = pseudo_continuum.basis().T * (FNU_TO_FLAMBDA / wavelength**2)
        # Only the pseudo-continuum of the flux network is used: it needs the continuum pixels only.
        self._reduce = torch.from_numpy(projector.T.copy()).to(like)
        self._shape = torch.from_numpy(shape).to(like)

    def to(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64
    ) -> BinspecModel:
        """Return the same model on a device and in a precision; made once, then remembered."""
        key = (str(device), dtype)
        if key not in self._elsewhere:
            self._elsewhere[key] = BinspecModel(
                self._normalised.to(device, dtype),
                self._flux.to(device, dtype),
                self.main_sequence.to(device),
                self.wavelength,
                self.pseudo_continuum,
            )
        return self._elsewhere[key]

    def normalised(self, labels: torch.Tensor) -> torch.Tensor:
        """Return normalised flux (N, P) for labels (N, 5), differentiable."""
        return self._normalised(labels)

    def continuum(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the continuum flux density (N, P), erg s⁻¹ cm⁻² Å⁻¹, differentiable."""
        return self._flux(labels[:, :4]) @ self._reduce @ self._shape

    def density(self, labels: torch.Tensor) -> torch.Tensor:
        """Return flux density (N, P), erg s⁻¹ cm⁻² Å⁻¹, lines included, differentiable."""
        return self.normalised(labels) * self.continuum(labels)

    def density_jacobian(self, labels: torch.Tensor) -> torch.Tensor:
        """Return flux density and its derivatives by the labels (N, 1 + 5, P), by hand."""
        columns = self._normalised.with_jacobian(labels)
        level = self._flux.with_jacobian(labels[:, :4]) @ self._reduce @ self._shape
        lines = columns[:, :1].clone()
        columns *= level[:, :1]
        columns[:, 1:5].addcmul_(level[:, 1:], lines)
        return columns

    def predict(self, labels: ArrayLike) -> NDArray[np.float64]:
        """Return normalised flux (N, P) at rest for labels (N, 5); NaN labels give NaN."""
        return self._in_chunks(self.normalised, labels)

    def flux_density(self, labels: ArrayLike) -> NDArray[np.float64]:
        """Return surface flux density (N, P), erg s⁻¹ cm⁻² Å⁻¹, for labels (N, 5)."""
        return self._in_chunks(self.density, labels)

    def _in_chunks(self, function: object, labels: ArrayLike) -> NDArray[np.float64]:
        values = np.atleast_2d(np.asarray(labels, dtype=float))
        if values.ndim != 2 or values.shape[1] != len(self.label_names):
            raise DataError(
                f"labels: found shape {values.shape}; expected (N, 5): "
                f"{', '.join(self.label_names)}"
            )
        rows = torch.as_tensor(values, device=self._normalised.low.device)
        out = np.empty((len(values), self.wavelength.size))
        for start in range(0, len(values), CHUNK):
            part = slice(start, start + CHUNK)
            out[part] = function(rows[part]).cpu().numpy()  # type: ignore[operator]
        return out


def _read(folder: Path, name: str, *wanted: str) -> dict[str, NDArray]:
    path = folder / name
    if not path.is_file():
        raise NotThisProductError(path, "no such file", f"{name} with {', '.join(wanted)}")
    with np.load(path, allow_pickle=False) as archive:
        missing = [key for key in wanted if key not in archive.files]
        if missing:
            raise NotThisProductError(path, f"no {', '.join(missing)}", ", ".join(wanted))
        return {key: archive[key] for key in archive.files}


def load(folder: str | Path) -> BinspecModel:
    """Read the published networks from the folder that holds their ``.npz`` files.

    Parameters
    ----------
    folder : str or Path
        With NN_normalized_spectra.npz, NN_unnormalized_spectra.npz, NN_radius.npz,
        NN_Teff2_logg2.npz, apogee_wavelength.npz and cannon_cont_pixels_apogee.npz.

    Returns
    -------
    BinspecModel
        In double precision on the CPU; `BinspecModel.to` moves it.

    Raises
    ------
    NotThisProductError
        If a file is absent or holds something else.
    """
    folder = Path(folder)
    network = ("w_array_0", "w_array_1", "b_array_0", "b_array_1", "x_min", "x_max")
    lines = _read(folder, "NN_normalized_spectra.npz", *network)
    flux = _read(folder, "NN_unnormalized_spectra.npz", *network)
    radius = _LabelNetwork.of(_read(folder, "NN_radius.npz", *network))
    arrays = _read(folder, "NN_Teff2_logg2.npz", *network)
    kelvin = np.array([1000.0, 1.0])  # the network gives teff / 1000
    arrays["w_array_1"] = arrays["w_array_1"] * kelvin[:, None]
    arrays["b_array_1"] = arrays["b_array_1"] * kelvin
    companion = _LabelNetwork.of(arrays)
    wavelength = _read(folder, "apogee_wavelength.npz", "wavelength")["wavelength"]
    pixels = _read(folder, "cannon_cont_pixels_apogee.npz", "pixels_cannon")["pixels_cannon"]
    n_pixels = wavelength.size
    if pixels.shape != (n_pixels,) or lines["b_array_1"].shape != (n_pixels,):
        found = f"{pixels.shape} continuum pixels, {lines['b_array_1'].shape} networks"
        raise NotThisProductError(folder, found, f"{n_pixels} of each")
    stops = (*ARM_STARTS[1:], n_pixels)
    arms = tuple(slice(a, b) for a, b in zip(ARM_STARTS, stops, strict=True))
    return BinspecModel(
        _PixelNetwork.of(lines),
        _PixelNetwork.of(flux, pixels),
        MainSequence(radius, companion),
        np.asarray(wavelength, dtype=float),
        PseudoContinuum(arms, pixels),
    )
