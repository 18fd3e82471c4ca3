"""A model of spectra from the path where it lies, for jobs whose workers load it themselves."""

from __future__ import annotations

from pathlib import Path

from siderea.errors import DataError
from siderea.io import artefacts
from siderea.models import binspec
from siderea.models.cannon import Cannon
from siderea.models.decoder import Decoder
from siderea.models.emulator import Emulator, load_default
from siderea.models.lit import Lit
from siderea.models.protocol import DifferentiableModel

__all__ = ["load_model"]


def load_model(path: str | Path) -> Emulator | DifferentiableModel:
    """Read a model that the model channel can fit.

    Parameters
    ----------
    path : path-like
        A folder of El-Badry's networks, or ``NAME`` of a saved emulator, Cannon or decoder
        (`siderea.io.artefacts`). The last two know normalised flux only: they get the continuum of
        the shipped emulator, at their labels.

    Raises
    ------
    NotThisProductError
        If there is no such file, or it is damaged.
    DataError
        If it holds another kind of model, or the emulator does not cover its wavelengths.
    """
    path = Path(path)
    if path.is_dir():
        return binspec.load(path)
    arrays, metadata = artefacts.load(path)
    kind = metadata.get("kind")
    if kind == "emulator":
        return Emulator.from_state(arrays, metadata)
    if kind not in ("cannon", "decoder"):
        raise DataError(
            f"{path}: found a model of kind {kind!r}; expected an emulator, a cannon or a decoder"
        )
    trained = (Cannon if kind == "cannon" else Decoder).from_state(arrays, metadata)
    try:
        light = load_default().at(
            trained.wavelength, resolution=trained.resolution, medium=trained.medium
        )
    except DataError as error:
        raise DataError(
            f"{path}: the {kind} cannot compose two stars: it knows normalised flux only, and the "
            f"shipped emulator gives it no continuum ({error})"
        ) from error
    return Lit(trained, light)
