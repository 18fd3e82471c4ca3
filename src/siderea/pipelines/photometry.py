"""Photometry jobs on a table: train on it, fill its missing bands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.figures import labels as figures
from siderea.io import artefacts
from siderea.io.catalogue import read_table
from siderea.io.files import atomic_write
from siderea.io.photometry_table import read_photometry, write_table
from siderea.pipelines.predict import Predicted, free_of_extinction
from siderea.stellar.imputation import BandImputer, Method
from siderea.stellar.network import LabelNetwork
from siderea.stellar.scores import completeness_purity, mad_sigma
from siderea.stellar.training import TrainingSettings

__all__ = ["Trained", "impute", "train"]


@dataclass(frozen=True)
class Trained:
    """What `train` did.

    Parameters
    ----------
    model : Path
        The artefact's weights.
    n_stars : int
        Stars of the table.
    scores : dict of str to float
        MAD-sigma of each label, on stars while they were held out; completeness and purity of the
        giants.
    figures : tuple of Path
        PNGs.
    """

    model: Path
    n_stars: int
    scores: dict[str, float]
    figures: tuple[Path, ...]


def train(
    table: str | Path,
    output: str | Path,
    *,
    labels: str | Path | None = None,
    max_epochs: int | None = None,
    find_rate: bool = False,
    dereddened: bool = False,
    checkpoint: Path | None = None,
    seed: int = 0,
) -> Trained:
    """Train a `LabelNetwork` on a table and write it, with figures of how well it does.

    Parameters
    ----------
    table : path-like
        Columns ``mag_<band>``, ``mag_<band>_err``; labels ``teff``, ``fe_h``, ``logg`` and their
        ``_err``; optionally ``ebv``, ``parallax``, ``parallax_err``, ``star_id``, ``ra``, ``dec``.
    output : path-like
        Name of the model.
    labels : path-like, optional
        A table of ``id`` and labels, where they are not in ``table`` itself.
    max_epochs : int, optional
        Epochs of the cycle.
    find_rate : bool
        Ask the learning-rate finder first.
    dereddened : bool
        Remove the extinction by the column ``ebv`` first. (By default the network is given the
        colours as they are, and the reddening as an input.)
    checkpoint : Path, optional
        Folder to save the training in after every epoch, and to resume from.
    seed : int

    Returns
    -------
    Trained
    """
    photometry = _read(table, dereddened=dereddened)
    if labels is not None:
        photometry = replace(photometry, table=_labelled(photometry.table, labels))
    settings = TrainingSettings(learning_rate="find" if find_rate else 4e-3)
    if max_epochs is not None:
        settings = replace(settings, max_epochs=max_epochs)
    model = LabelNetwork(training=settings, random_state=seed)
    model.fit(photometry, photometry.table, checkpoint=checkpoint)
    arrays, metadata = model.artefact()
    scores = _scores(model, photometry.table)
    metadata["metrics"] |= scores
    metadata["dereddened"] = dereddened
    weights, _ = artefacts.save(output, arrays, metadata)
    drawn = _draw(model, photometry.table, weights)
    return Trained(weights, len(photometry), scores, drawn)


def _labelled(stars: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """Return the table of the stars with the labels of another one, NaN where it lacks a star."""
    table = read_table(path)
    wanted = [f"{name}{end}" for name in ("teff", "fe_h", "logg") for end in ("", "_err")]
    found = [name for name in wanted if name in table]
    if "id" not in table or not found:
        columns = ", ".join(map(str, table.columns))
        raise DataError(f"{path}: found {columns}; expected id and some of {', '.join(wanted)}")
    known = table.assign(id=table["id"].astype(str)).drop_duplicates("id").set_index("id")[found]
    if not stars["id"].isin(known.index).any():
        raise DataError(f"{path}: found none of the stars of the photometry; expected the same ids")
    return stars.drop(columns=found, errors="ignore").join(known, on="id")


def impute(
    table: str | Path,
    output: str | Path,
    *,
    train_on: str | Path | None = None,
    method: Method = "masked",
    seed: int = 0,
) -> Predicted:
    """Fill the missing magnitudes of a table.

    Parameters
    ----------
    table, output : path-like
        The table to fill, and to write; a column ``filled`` counts the bands that were filled.
    train_on : path-like, optional
        The table to learn from, with labels for the autoencoder; the same table by default.
    method : {"masked", "autoencoder", "neighbours"}
        See `siderea.stellar.imputation`.
    seed : int

    Returns
    -------
    Predicted
        ``n_flagged`` counts the stars that had a band filled.
    """
    known = read_photometry(train_on or table)
    labels = known.table if method == "autoencoder" else None
    imputer = BandImputer(method=method, random_state=seed).fit(known, labels)
    photometry = read_photometry(table, bands=imputer.bands_)
    full = imputer.impute(photometry)
    had = dict(zip(photometry.bands, np.isfinite(photometry.mag).T, strict=True))
    none = np.zeros(len(full), dtype=bool)
    filled = sum(
        (np.isfinite(full.mag[:, k]) & ~had.get(name, none)).astype(int)
        for k, name in enumerate(full.bands)
    )
    columns = {f"mag_{name}": full.mag[:, k] for k, name in enumerate(full.bands)}
    columns |= {f"mag_{name}_err": full.mag_err[:, k] for k, name in enumerate(full.bands)}
    frame = photometry.table.assign(**columns, filled=filled)
    return Predicted(write_table(frame, output), len(frame), int((frame["filled"] > 0).sum()))


def _read(table: str | Path, *, dereddened: bool) -> Photometry:
    photometry = read_photometry(table)
    if not dereddened:
        return photometry
    if "ebv" not in photometry.table:
        raise DataError(f"{table}: found no column ebv; dereddening needs it")
    return free_of_extinction(photometry.table, photometry.bands)


def _scores(model: LabelNetwork, table: pd.DataFrame) -> dict[str, float]:
    held = model.held_out_
    scores = {
        f"mad_sigma_{name}": mad_sigma(held[name] - table[name]) for name in model.label_names_
    }
    if model.labels_.has_giants and "logg" in table:
        truth, found = table["logg"] < model.giant_logg, held["p_giant"] > 0.5
        complete, pure = completeness_purity(truth, found)
        scores |= {"giants_completeness": complete, "giants_purity": pure}
    return scores


def _draw(model: LabelNetwork, table: pd.DataFrame, weights: Path) -> tuple[Path, ...]:
    """Draw the standard figures beside the model."""
    truth, held = table[list(model.label_names_)], model.held_out_
    drawn = {
        "labels": figures.predicted_against_true(truth, held),
        "residuals": figures.residual_histograms(truth, held),
        "losses": figures.loss_history(model.history_.epochs),
    }
    if len(model.history_.finder):
        drawn["finder"] = figures.rate_finder(model.history_.finder, model.history_.learning_rate)
    if "logg" in table and model.labels_.has_giants:
        known = np.isfinite(table["logg"])
        drawn["giants"] = figures.confusion_matrix(
            (table["logg"] < model.giant_logg)[known], (held["p_giant"] > 0.5)[known]
        )
    paths = []
    for name, figure in drawn.items():
        path = weights.with_name(f"{weights.stem}_{name}.png")
        with atomic_write(path) as handle:
            figure.savefig(handle, format="png")
        paths.append(path)
    return tuple(paths)
