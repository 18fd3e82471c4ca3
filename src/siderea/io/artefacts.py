"""Fitted models on disk: ``NAME.safetensors`` with the arrays, ``NAME.json`` with the rest.

No pickle: a file that someone sends can be opened without running what is in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from siderea.errors import DataError, NotThisProductError
from siderea.io.files import atomic_write, write_json

__all__ = ["FORMAT", "REQUIRED", "load", "save"]

FORMAT = 1
REQUIRED = (
    "kind",
    "label_names",
    "label_range",
    "scaling",
    "medium",
    "resolution",
    "training_set_sha256",
    "siderea_version",
    "seed",
    "metrics",
)
"""What every model says of itself, next to an array ``wavelength`` (Å)."""

EXPECTED = "a fitted model (NAME.safetensors with NAME.json beside it)"


def save(
    path: str | Path, arrays: Mapping[str, NDArray], metadata: Mapping[str, Any]
) -> tuple[Path, Path]:
    """Write a fitted model; each of the two files appears whole or not at all.

    Parameters
    ----------
    path : path-like
        ``NAME``, with or without a suffix ``.safetensors`` or ``.json``.
    arrays : mapping of str to ndarray
        Weights; ``wavelength`` among them.
    metadata : mapping
        What JSON can say; at least `REQUIRED`. Infinite and NaN numbers are not JSON: use None.

    Returns
    -------
    weights, description : Path

    Raises
    ------
    DataError
        If something required is missing.
    """
    missing = [name for name in REQUIRED if name not in metadata]
    if missing or "wavelength" not in arrays:
        lacking = ", ".join(missing or ["wavelength (array)"])
        raise DataError(f"{path}: found no {lacking}; every model must say it")
    weights, description = _names(path)
    content = save_arrays({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    head = {"format": FORMAT, "weights_sha256": hashlib.sha256(content).hexdigest()}
    json.dumps(dict(metadata), allow_nan=False)  # fails here, before anything is written
    with atomic_write(weights) as handle:
        handle.write(content)
    write_json(description, head | dict(metadata))
    return weights, description


def load(path: str | Path) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """Read a fitted model.

    Parameters
    ----------
    path : path-like
        As for `save`.

    Returns
    -------
    arrays : dict of str to ndarray
    metadata : dict

    Raises
    ------
    NotThisProductError
        If a file is missing, damaged, of a later format, or not of the other file.
    """
    weights, description = _names(path)
    try:
        metadata = json.loads(description.read_text(encoding="utf-8"))
        content = weights.read_bytes()
        arrays = load_arrays(content)
    except OSError as error:
        raise NotThisProductError(error.filename, "no such file", EXPECTED) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NotThisProductError(description, f"damaged JSON ({error})", EXPECTED) from error
    except SafetensorError as error:
        raise NotThisProductError(weights, f"damaged weights ({error})", EXPECTED) from error
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        found = metadata.get("format") if isinstance(metadata, dict) else type(metadata).__name__
        raise NotThisProductError(description, f"format {found}", f"format {FORMAT}")
    if metadata["weights_sha256"] != hashlib.sha256(content).hexdigest():
        raise NotThisProductError(weights, "weights of another model", f"those of {description}")
    return arrays, metadata


def _names(path: str | Path) -> tuple[Path, Path]:
    path = Path(path)
    if path.suffix in (".safetensors", ".json"):
        path = path.with_suffix("")
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")
