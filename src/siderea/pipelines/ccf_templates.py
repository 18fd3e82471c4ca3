"""Templates of the cross-correlation, by a word or a file: what a recipe of a store is given.

A file is a list of lines (columns ``wavelength`` in Å and ``depth``; ``mask`` names the mask where
there are several), or normalised spectra as `siderea.io.table` reads them. Wavelengths are in the
medium of the store unless the file says otherwise.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.binaries.masks import star_masks
from siderea.binaries.templates import mask_template
from siderea.data import Spectra
from siderea.errors import DataError, MediumError
from siderea.io import artefacts
from siderea.io.catalogue import read_table
from siderea.io.store import SurveyStore
from siderea.io.table import PRODUCTS, read_spectra
from siderea.spectra.resample import interpolate

if TYPE_CHECKING:
    from siderea.embeddings.autoencoder import SpectrumAutoencoder

__all__ = ["WORDS", "AutoencoderReference", "file_templates", "map_reference", "mask_templates"]

WORDS = ("emulator", "masks", "reference")
"""Choices that are no file."""


@dataclass(frozen=True)
class AutoencoderReference:
    """What an autoencoder makes of each spectrum: a template of its own, without noise.

    Parameters
    ----------
    path : Path
        The artefact that `siderea.pipelines.embed.embed` keeps. It is read where it is used.

    Raises
    ------
    NotThisProductError, DataError
        When first used, if there is no such artefact, or it is of another grid.
    """

    path: Path

    def digest(self) -> str:
        """Return what tells this autoencoder from others."""
        arrays, metadata = artefacts.load(self.path)
        content = hashlib.sha256(str(metadata["training_set_sha256"]).encode())
        for name in sorted(arrays):
            content.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
        return content.hexdigest()[:16]

    def __getstate__(self) -> dict[str, Path]:
        """Send the path alone: the network is read on the other side."""
        return {"path": self.path}

    @cached_property
    def _model(self) -> tuple[SpectrumAutoencoder, NDArray[np.float64]]:
        from siderea.embeddings.autoencoder import SpectrumAutoencoder  # torch takes its time

        arrays, metadata = artefacts.load(self.path)
        return SpectrumAutoencoder.from_state(arrays, metadata), arrays["wavelength"]

    def _pixels(self, spectra: Spectra) -> NDArray[np.intp]:
        """Return the pixels that the autoencoder saw: those of the arms it was trained on."""
        wavelength = self._model[1]
        if np.array_equal(spectra.wavelength, wavelength):
            return np.arange(spectra.n_pixels)
        pixels = np.searchsorted(spectra.wavelength, wavelength)
        pixels = np.minimum(pixels, spectra.n_pixels - 1)
        if not np.array_equal(spectra.wavelength[pixels], wavelength):
            raise DataError(
                f"{self.path.name}: found an autoencoder of other wavelengths than the spectra's; "
                "make its map again (siderea embed --autoencoder K)"
            )
        return pixels

    def mean(self, spectra: Spectra) -> NDArray[np.float32]:
        """Return what the middle of the latent space stands for, (1, P)."""
        model, _ = self._model
        return self._spread(spectra, model.inverse_transform(np.zeros((1, model.latent_dim_))))

    def __call__(self, spectra: Spectra) -> NDArray[np.float32]:
        """Return the reconstructions (N, P); no lines where a spectrum has no good pixel."""
        model, _ = self._model
        pixels = self._pixels(spectra)
        latent = model.transform(spectra.flux[:, pixels], ivar=spectra.ivar[:, pixels])
        return self._spread(spectra, model.inverse_transform(latent))

    def _spread(self, spectra: Spectra, flux: NDArray) -> NDArray[np.float32]:
        out = np.ones((len(flux), spectra.n_pixels), np.float32)
        out[:, self._pixels(spectra)] = np.where(np.isfinite(flux), flux, 1.0)
        return out


def map_reference(store: SurveyStore, map_name: str) -> AutoencoderReference:
    """Return the autoencoder of a map of a store.

    Raises
    ------
    ProductError, DataError
        If there is no such map, or it was made of principal components.
    """
    model = store.product_info(map_name)["parameters"].get("model")
    if model is None:
        raise DataError(
            f"templates: found the map {map_name!r}, made without an autoencoder; expected one of "
            f"siderea embed --autoencoder K, named by --map"
        )
    return AutoencoderReference(store.path / model)


def mask_templates(store: SurveyStore) -> NDArray[np.float32]:
    """Return the masks of the emulator's kinds of stars on the grid of a store."""
    return star_masks(store.spectra([0]))


def file_templates(store: SurveyStore, path: Path) -> NDArray[np.float32]:
    """Return the templates (T, P) of a file of lines or spectra on the grid of a store.

    Raises
    ------
    DataError
        If there is no such file, it holds neither, or it covers no pixel.
    MediumError
        If the wavelengths are in another medium.
    """
    if not path.is_file():
        raise DataError(
            f"templates: found {str(path)!r}; expected {', '.join(WORDS)}, or a file of lines "
            f"(wavelength, depth) or of normalised spectra ({', '.join(PRODUCTS)})"
        )
    example = store.spectra([0])
    if path.suffix.lower() != ".npz":
        table = read_table(path).rename(columns=lambda name: str(name).strip().lower())
        if {"wavelength", "depth"} <= set(table):
            return _of_lines(example, table, path)
    given = read_spectra(path, medium=example.medium, error=0.01)
    if given.medium != example.medium:
        raise MediumError(f"{path}: found {given.medium} wavelengths; expected {example.medium}")
    flux = np.ones((len(given), example.n_pixels), np.float32)
    for _, arm, _ in example.iter_arms():
        values, ivar = interpolate(
            given.wavelength, given.flux, given.ivar, example.wavelength[arm]
        )
        flux[:, arm] = np.where(ivar > 0, values, 1.0)
    return _with_lines(flux, path)


def _of_lines(example: Spectra, table: pd.DataFrame, path: Path) -> NDArray[np.float32]:
    lines = table[["wavelength", "depth"]].to_numpy(dtype=float)
    if not (np.isfinite(lines).all() and (lines > 0).all() and (lines[:, 1] <= 1).all()):
        raise DataError(f"{path}: expected lines of finite wavelengths, and depths in (0, 1]")
    names = table["mask"].astype(str) if "mask" in table else pd.Series("", index=table.index)
    masks = [mask_template(example, *lines[names == name].T) for name in names.unique()]
    return _with_lines(np.concatenate(masks), path)


def _with_lines(flux: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    empty = (flux == 1).all(axis=1)
    if empty.any() or not len(flux):
        raise DataError(
            f"{path}: {int(empty.sum())} of {len(flux)} templates have no line on the grid of the "
            "store; check their wavelengths (Å)"
        )
    return flux
