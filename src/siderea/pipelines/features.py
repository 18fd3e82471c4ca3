"""A few numbers for every spectrum of a store: principal components, or an autoencoder's latent."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import siderea
from siderea.data import Spectra
from siderea.embeddings.pca import PCA
from siderea.errors import DataError
from siderea.io import artefacts
from siderea.io.store import SurveyStore

__all__ = ["CLIP", "MIN_GOOD", "Features", "Selection", "by_autoencoder", "by_pca"]

CLIP = (-0.5, 2.0)
"""Normalised flux is clipped to this range: one wild pixel must not be a component of its own."""
MIN_GOOD = 0.5
"""A spectrum with a smaller share of good pixels in the chosen arms is left out of the map."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Features:
    """Numbers of the usable spectra.

    Parameters
    ----------
    values : (M, K) ndarray
        One row per usable spectrum.
    kind : str
        ``"pca"`` or ``"latent"``.
    parameters : dict
        How they were made.
    """

    values: NDArray
    kind: str
    parameters: dict[str, Any]


class Selection:
    """The chosen arms of a store, and the spectra that have enough good pixels in them.

    Parameters
    ----------
    store : SurveyStore
    arms : tuple of str, optional
        All by default.

    Attributes
    ----------
    pixels : (P,) ndarray
        Pixels of the chosen arms.
    arms : tuple of slice
        The chosen arms among these pixels.
    usable : (N,) ndarray of bool
        Spectra with enough good pixels.

    Raises
    ------
    DataError
        If an arm does not exist.
    """

    def __init__(self, store: SurveyStore, arms: Sequence[str] | None = None) -> None:
        unknown = set(arms or ()) - set(store.arm_names)
        if unknown:
            raise DataError(
                f"arms: found {', '.join(sorted(unknown))}; expected {', '.join(store.arm_names)}"
            )
        chosen = [
            np.arange(arm.start, arm.stop)
            for name, arm in zip(store.arm_names, store.arms, strict=True)
            if arms is None or name in arms
        ]
        ends = np.cumsum([piece.size for piece in chosen])
        self.store, self.pixels = store, np.concatenate(chosen)
        self.arms = tuple(
            slice(int(end - piece.size), int(end)) for end, piece in zip(ends, chosen, strict=True)
        )
        self.usable = self._usable()

    def chunks(self, progress: Progress | None = None) -> Iterator[tuple[NDArray, NDArray]]:
        """Stream flux and ivar of the usable spectra."""
        start = 0
        for spectra in self.store.iter_chunks():
            kept = self.usable[start : start + len(spectra)]
            start += len(spectra)
            if kept.any():
                yield self._cut(spectra[kept] if not kept.all() else spectra)
            if progress is not None:
                progress(start, len(self.store))

    def _cut(self, spectra: Spectra) -> tuple[NDArray, NDArray]:
        if self.pixels.size == spectra.n_pixels:
            return np.clip(spectra.flux, *CLIP), spectra.ivar
        return np.clip(spectra.flux[:, self.pixels], *CLIP), spectra.ivar[:, self.pixels]

    def _usable(self) -> NDArray[np.bool_]:
        """Return which spectra have enough good pixels, among those that any spectrum has."""
        good = np.zeros(len(self.store), dtype=np.int64)
        ever = np.zeros(self.pixels.size, dtype=bool)
        start = 0
        for spectra in self.store.iter_chunks():
            lit = spectra.ivar[:, self.pixels] > 0
            good[start : start + len(spectra)] = lit.sum(axis=1)
            ever |= lit.any(axis=0)
            start += len(spectra)
        return good >= MIN_GOOD * max(1, int(ever.sum()))


def by_pca(
    selection: Selection,
    n_components: int,
    *,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Features:
    """Find the principal components of a store, chunk by chunk, and project its spectra.

    Parameters
    ----------
    selection : Selection
    n_components : int
        Components kept; fewer where there are fewer spectra.
    random_state : int
        Seed.
    progress : callable, optional
        Called with (done, in all), once per pass.

    Returns
    -------
    Features
    """
    n = int(selection.usable.sum())
    pca = PCA(n_components=min(n_components, n - 1), random_state=random_state)
    pca.fit_chunks(lambda: selection.chunks(progress))
    scores = [pca.transform(flux, ivar=ivar) for flux, ivar in selection.chunks(progress)]
    share = round(float(pca.explained_variance_ratio_.sum()), 4)
    values = np.concatenate(scores)
    return Features(
        values, "pca", {"n_components": int(values.shape[1]), "explained_variance": share}
    )


def by_autoencoder(
    selection: Selection,
    latent_dim: int,
    *,
    name: str,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Features:
    """Train an autoencoder on a store, keep it in ``models/``, and encode the store's spectra.

    A run that was stopped goes on from the last epoch when it is started again.

    Parameters
    ----------
    selection : Selection
    latent_dim : int
        Neurons of the bottleneck.
    name : str
        The artefact is ``models/<name>_autoencoder``.
    random_state : int
        Seed.
    progress : callable, optional
        Called with (done, in all) as spectra are read, and with epochs as the network learns.

    Returns
    -------
    Features
    """
    from siderea.embeddings.autoencoder import SpectrumAutoencoder  # torch takes its time

    folder = selection.store.path / "models"
    training = folder / f"{name}_training"

    def heard(epoch: int, most: int, _loss: float) -> None:
        if progress is not None:
            progress(epoch, most)

    model = SpectrumAutoencoder(latent_dim, random_state=random_state)
    model.fit_chunks(
        selection.chunks(progress), arms=selection.arms, checkpoint=training, callback=heard
    )
    latent = [model.transform(flux, ivar=ivar) for flux, ivar in selection.chunks(progress)]
    _save(model, selection, folder / f"{name}_autoencoder")
    shutil.rmtree(training, ignore_errors=True)
    loss = round(float(min(pair[1] for pair in model.history_)), 4)
    return Features(
        np.concatenate(latent),
        "latent",
        {
            "autoencoder": model.latent_dim_,
            "epochs": len(model.history_),
            "validation_loss": loss,
            "model": f"models/{name}_autoencoder",
        },
    )


def _save(model: Any, selection: Selection, path: Any) -> None:
    arrays, metadata = model.state()
    store = selection.store
    path.parent.mkdir(parents=True, exist_ok=True)
    resolution = [None if not r > 0 else float(r) for r in store.manifest["resolution"]]
    artefacts.save(
        path,
        arrays | {"wavelength": store.wavelength[selection.pixels]},
        metadata
        | {
            "label_names": [f"latent_{k + 1}" for k in range(model.latent_dim_)],
            "label_range": None,
            "scaling": "1 - flux, clipped; see the parameters",
            "medium": store.medium,
            "resolution": resolution,
            "training_set_sha256": model.training_set_,
            "siderea_version": siderea.__version__,
            "seed": model.random_state,
            "metrics": {"validation_loss": min(pair[1] for pair in model.history_)},
        },
    )
