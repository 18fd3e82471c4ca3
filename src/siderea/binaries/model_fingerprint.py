"""What a calibration holds for: a model, a grid, a model error and a correction, as digests."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from siderea.binaries.model_composites import digest, holding_grid
from siderea.binaries.survey_correction import SurveyCorrection
from siderea.data import Spectra
from siderea.models.composite import Binary
from siderea.models.emulator import Emulator
from siderea.models.model_error import ModelError
from siderea.models.protocol import DifferentiableModel

__all__ = ["error_values", "fingerprint", "model_digest"]


def fingerprint(
    model: Emulator | DifferentiableModel | Binary,
    spectra: Spectra,
    model_error: ModelError | None,
    correction: SurveyCorrection | None = None,
) -> dict[str, Any]:
    """Return what a calibration holds for: digests of model, grid, correction, the model error."""
    if not isinstance(model, Emulator):
        spectra = holding_grid(spectra, model)
    grid = np.round(np.r_[spectra.wavelength, np.atleast_1d(spectra.resolution)], 3)
    return {
        "model": model_digest(model),
        "grid": hashlib.sha256(np.ascontiguousarray(grid).tobytes()).hexdigest()[:16],
        "model_error": error_values(model_error),
        "correction": None if correction is None else correction.digest,
    }


def model_digest(model: Emulator | DifferentiableModel | Binary) -> str:
    """Return a word that tells a model from others."""
    if not isinstance(model, Emulator):
        return digest(model)
    parts = (model.mean, model.components, model.label_range)
    arrays = [np.ascontiguousarray(part, dtype=np.float32).tobytes() for part in parts]
    return hashlib.sha256(b"".join(arrays)).hexdigest()[:16]


def error_values(error: ModelError | None) -> list[Any] | None:
    """Return a model error as JSON holds it."""
    if error is None:
        return None
    return [error.depth, error.floor, [list(window) for window in error.excluded]]
