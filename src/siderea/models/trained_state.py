"""What trained models of labels have in common on disk: arrays and metadata, no pickle.

`Cannon.state` and `Decoder.state` return what `siderea.io.artefacts.save` writes; their
``from_state`` makes the same model of what `siderea.io.artefacts.load` reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import siderea
from siderea.data import Medium
from siderea.errors import DataError
from siderea.models.training_set import Grid, LabelScaling

__all__ = ["Trained", "adopt", "describe", "fingerprint", "named"]

Array = NDArray[np.float64]


class Trained(Protocol):
    """The attributes that training gives every such model."""

    label_names: tuple[str, ...]
    label_range: Array
    wavelength: Array
    medium: Medium
    resolution: float | Sequence[float]
    scaling_: LabelScaling
    n_starts: int
    training_set_sha256_: str
    _grid: Grid
    _anchors: Array


def fingerprint(*arrays: NDArray) -> str:
    """Return the SHA-256 of the bytes of a training set."""
    digest = hashlib.sha256()
    for values in arrays:
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def named(names: Sequence[str] | None, n_labels: int) -> tuple[str, ...]:
    """Return the names of the labels, numbered where none were given.

    Raises
    ------
    DataError
        If there are not as many as labels.
    """
    if names is None:
        return tuple(f"label_{i + 1}" for i in range(n_labels))
    if len(names) != n_labels:
        raise DataError(f"labels: found {n_labels} columns; expected {tuple(names)}")
    return tuple(names)


def describe(model: Trained, kind: str, *, seed: int) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """Return the arrays and the metadata that all such models share."""
    arrays: dict[str, NDArray] = {
        "wavelength": model.wavelength,
        "pivot": model.scaling_.pivot,
        "scale": model.scaling_.scale,
        "anchors": model._anchors,
    }
    resolution = np.atleast_1d(np.asarray(model.resolution, dtype=float))
    finite = [float(r) if np.isfinite(r) else None for r in resolution]
    metadata = {
        "kind": kind,
        "label_names": list(model.label_names),
        "label_range": model.label_range.tolist(),
        "scaling": "(label - pivot) / scale",
        "medium": model.medium,
        "resolution": finite if np.ndim(model.resolution) else finite[0],
        "training_set_sha256": model.training_set_sha256_,
        "siderea_version": siderea.__version__,
        "seed": seed,
        "metrics": {},
        "n_starts": model.n_starts,
    }
    return arrays, metadata


def adopt(
    model: Trained, arrays: Mapping[str, NDArray], metadata: Mapping[str, Any], kind: str
) -> None:
    """Give a new model what `describe` returned of another.

    Raises
    ------
    DataError
        If it is of another kind.
    """
    if metadata.get("kind") != kind:
        raise DataError(f"kind: found {metadata.get('kind')!r}; expected {kind!r}")
    power = metadata["resolution"]
    resolution = (
        [np.inf if r is None else float(r) for r in power]
        if isinstance(power, list)
        else (np.inf if power is None else float(power))
    )
    model.label_names = tuple(metadata["label_names"])
    model.label_range = np.asarray(metadata["label_range"], dtype=np.float64)
    model.wavelength, model.medium = arrays["wavelength"], metadata["medium"]
    model.resolution = resolution
    model.scaling_ = LabelScaling(arrays["pivot"], arrays["scale"])
    model.training_set_sha256_ = metadata["training_set_sha256"]
    model._grid = Grid(model.wavelength, model.medium, resolution)
    model._anchors = arrays["anchors"]
