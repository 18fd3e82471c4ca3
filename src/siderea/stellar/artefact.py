"""A trained `LabelNetwork` as arrays and a description, without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import siderea
from siderea.errors import NotThisProductError
from siderea.photometry.bands import BANDS
from siderea.stellar.calibration import Calibration
from siderea.stellar.density import ColourDensity
from siderea.stellar.ensemble import EnsembleSettings
from siderea.stellar.features import FeatureOptions
from siderea.stellar.inputs import ScaledLabels
from siderea.stellar.training import History, TrainingSettings

if TYPE_CHECKING:
    from siderea.stellar.network import LabelNetwork

__all__ = ["KIND", "pack", "unpack"]

KIND = "photometric labels"


def pack(model: LabelNetwork) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """Return the arrays and the description of a fitted model."""
    arrays = {f"net.{k}": v.detach().numpy() for k, v in model.net_.state_dict().items()}
    for name in ("weight", "mean", "covariance"):
        arrays[f"density.{name}"] = getattr(model.density_, name)
    for name in ("fe_h_edges", "colour_edges", "levels"):
        arrays[f"calibration.{name}"] = getattr(model.calibration_, name)
    arrays["wavelength"] = np.array(
        [BANDS[b].wavelength if b in BANDS else np.nan for b in model.bands_]
    )
    labels = model.labels_
    history = model.history_.epochs
    metadata = {
        "kind": KIND,
        "bands": list(model.bands_),
        "label_names": list(labels.names),
        "label_range": [
            [float(np.nanmin(c)), float(np.nanmax(c))]
            for c in (labels.values * labels.width + labels.centre).T
        ],
        "scaling": {"centre": labels.centre.tolist(), "width": labels.width.tolist()},
        "has_giants": labels.has_giants,
        "giant_logg": model.giant_logg,
        "density_limit": model.density_.limit,
        "ensemble": model.ensemble.as_dict(),
        "features": asdict(model.features_),
        "training": asdict(model.training),
        "medium": "vacuum",
        "resolution": None,
        "training_set_sha256": model.training_sha256_,
        "siderea_version": siderea.__version__,
        "seed": model.random_state,
        "history": {name: history[name].tolist() for name in history},
        "metrics": {
            "val_loss": float(history["val_loss"].min()),
            "learning_rate": model.history_.learning_rate,
        },
    }
    return arrays, metadata


def unpack(
    cls: type[LabelNetwork], arrays: Mapping[str, NDArray], metadata: Mapping[str, Any]
) -> LabelNetwork:
    """Build the model that `pack` described."""
    if metadata.get("kind") != KIND:
        raise NotThisProductError("artefact", f"kind {metadata.get('kind')!r}", f"{KIND!r}")
    model = cls(
        ensemble=EnsembleSettings(**metadata["ensemble"]),
        training=TrainingSettings(**metadata["training"]),
        features=FeatureOptions(**metadata["features"]),
        giant_logg=metadata["giant_logg"],
        random_state=metadata["seed"],
    )
    model.bands_, model.label_names_ = tuple(metadata["bands"]), tuple(metadata["label_names"])
    model.features_ = FeatureOptions(**metadata["features"])
    model.training_sha256_ = metadata["training_set_sha256"]
    n_labels = len(model.label_names_)
    model.labels_ = ScaledLabels(
        model.label_names_,
        (np.array(metadata["label_range"]).T - metadata["scaling"]["centre"])
        / metadata["scaling"]["width"],
        np.zeros((2, n_labels)),
        np.array(metadata["scaling"]["centre"]),
        np.array(metadata["scaling"]["width"]),
        np.array([0.0, 1.0 if metadata["has_giants"] else 0.0]),
    )
    model.net_ = model._new_net()
    state = {k[4:]: torch.from_numpy(v.copy()) for k, v in arrays.items() if k.startswith("net.")}
    model.net_.load_state_dict(state)
    model.net_.eval()
    model.density_ = ColourDensity(
        **{f.name: arrays[f"density.{f.name}"] for f in fields(ColourDensity) if f.name != "limit"},
        limit=metadata["density_limit"],
    )
    model.calibration_ = Calibration(
        **{f.name: arrays[f"calibration.{f.name}"] for f in fields(Calibration)}
    )
    model.history_ = History(
        pd.DataFrame(metadata["history"]),
        pd.DataFrame({"learning_rate": [], "loss": []}),
        metadata["metrics"]["learning_rate"],
    )
    model.held_out_ = pd.DataFrame()
    return model
