"""`LabelNetwork`: colours in; temperature, metallicity, gravity, giant or dwarf, and errors out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.flags import LabelFlag
from siderea.photometry.bands import BANDS
from siderea.photometry.quality import clean, select_bands
from siderea.stellar.calibration import Calibration
from siderea.stellar.density import ColourDensity
from siderea.stellar.ensemble import Ensemble, EnsembleSettings
from siderea.stellar.features import FeatureOptions
from siderea.stellar.heads import CAUSAL_ORDER
from siderea.stellar.inputs import ScaledLabels, context_of, default_groups, scaled_labels
from siderea.stellar.mixture import Mixture, joined, merge
from siderea.stellar.splits import folds
from siderea.stellar.training import History, TrainingSet, TrainingSettings, member_folds, train

__all__ = ["GIANT_LOGG", "LabelNetwork"]

GIANT_LOGG = 3.5
"""A star of lower log g is a giant."""
N_FOLDS = 8
"""Each member leaves one of so many folds out."""
ONE_SIGMA = (0.158655, 0.5, 0.841345)
"""Levels of a normal variable's mean and of one standard deviation to either side."""
CHUNK = 512
"""Stars of one pass: the arrays of a pass stay in the processor's cache."""


class LabelNetwork:
    """An ensemble of networks from magnitudes to labels with calibrated errors.

    Parameters
    ----------
    ensemble : EnsembleSettings, optional
        Members, backbone (``"wide"``, the report's ``"resdense"`` or ``"plain"``), heads.
    training : TrainingSettings, optional
        Epochs, learning rate, augmentation.
    features : FeatureOptions, optional
        What the networks look at. By default colours and errors, and the table's ``ebv`` (mag) and
        ``parallax`` with ``parallax_err`` (mas) where the training table has them.
    giant_logg : float
        Limit between giants and dwarfs, dex.
    random_state : int
        Seed of everything random.

    Attributes
    ----------
    bands_ : tuple of str
        Bands of the training set, in the order of wavelength.
    label_names_ : tuple of str
        Labels it was trained on, of teff, fe_h, logg.
    history_ : History
        Losses of the training.
    held_out_ : pandas.DataFrame
        For each training star, what members that had not seen it say (columns as of `predict`).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mag = 15 + rng.normal(size=(400, 1)) * [0.5, 0.3, 0.2]
    >>> stars = Photometry(("sdss_g", "sdss_r", "sdss_i"), mag, np.full(mag.shape, 0.02))
    >>> labels = pd.DataFrame({"teff": 5500 - 1000 * (mag[:, 0] - mag[:, 1])})
    >>> model = LabelNetwork(ensemble=EnsembleSettings(members=2),
    ...                      training=TrainingSettings(max_epochs=2)).fit(stars, labels)
    >>> model.predict(stars).columns.tolist()[:3]
    ['teff', 'teff_err', 'fe_h']
    """

    bands_: tuple[str, ...]
    label_names_: tuple[str, ...]
    labels_: ScaledLabels
    features_: FeatureOptions
    net_: Ensemble
    calibration_: Calibration
    density_: ColourDensity
    history_: History
    held_out_: pd.DataFrame
    training_sha256_: str

    def __init__(
        self,
        *,
        ensemble: EnsembleSettings | None = None,
        training: TrainingSettings | None = None,
        features: FeatureOptions | None = None,
        giant_logg: float = GIANT_LOGG,
        random_state: int = 0,
    ) -> None:
        self.ensemble = ensemble or EnsembleSettings()
        self.training = replace(training or TrainingSettings(), seed=random_state)
        self.features = features
        self.giant_logg = giant_logg
        self.random_state = random_state

    def fit(
        self,
        photometry: Photometry,
        labels: pd.DataFrame | Mapping[str, ArrayLike],
        *,
        groups: ArrayLike | None = None,
        checkpoint: Path | None = None,
        callbacks: tuple[Any, ...] = (),
    ) -> LabelNetwork:
        """Train, calibrate, and learn where the training stars are.

        Parameters
        ----------
        photometry : Photometry
            N stars; a sentinel or a band with an impossible error counts as missing.
        labels : DataFrame or mapping
            At least one of ``teff`` (K), ``fe_h``, ``logg`` (dex), each (N,) with NaN where not
            known, and their errors ``<label>_err`` (0 where absent). A boolean ``giant`` replaces
            the limit in log g.
        groups : (N,) array-like, optional
            Stars of one group are never on both sides of a split. By default those that share the
            table's ``star_id``, a sky block of its ``ra`` and ``dec``, or all their magnitudes.
        checkpoint : Path, optional
            Folder in which the training is saved after every epoch, and resumed from.
        callbacks : tuple of lightning Callback
            Called along with the training.

        Returns
        -------
        LabelNetwork
            Itself.

        Raises
        ------
        DataError
            If there is no label, or too few stars (40) have two bands and a label.
        """
        bands = sorted(photometry.bands, key=lambda b: BANDS[b].wavelength if b in BANDS else 0)
        cleaned, _ = clean(select_bands(photometry, tuple(bands)))
        scaled = scaled_labels(labels, len(photometry), giant_logg=self.giant_logg)
        groups = default_groups(cleaned) if groups is None else np.asarray(groups)
        used = (np.isfinite(cleaned.mag).sum(axis=1) >= 2) & scaled.known
        if used.sum() < 40:
            raise DataError(
                f"training set: found {used.sum()} of {len(photometry)} stars with two bands and a "
                "label; expected at least 40"
            )
        seen = np.isfinite(cleaned.mag[used]).any(axis=0)
        self.bands_ = tuple(name for name, has in zip(bands, seen, strict=True) if has)
        self.label_names_, self.labels_ = scaled.names, scaled
        self.features_ = self.features or FeatureOptions(
            ebv="ebv" in cleaned.table, parallax="parallax" in cleaned.table
        )
        n_folds = min(N_FOLDS, max(self.ensemble.members, 2))
        fold = folds(groups[used], n_folds, seed=self.random_state)
        context = context_of(cleaned)[used]
        mag, err = cleaned.mag[used][:, seen], cleaned.mag_err[used][:, seen]
        self.training_sha256_ = scaled.sha256(mag, used)
        self.net_ = self._new_net()
        self.net_.features.fit(mag, err, context)
        arrays = (mag, err, context, *(a[used] for a in (scaled.values, scaled.errors)))
        tensors = [torch.from_numpy(array).float() for array in (*arrays, scaled.giant[used])]
        stars = TrainingSet(*tensors, torch.from_numpy(fold))  # type: ignore[call-arg]
        self.history_ = train(
            self.net_, stars, self.training, checkpoint=checkpoint, callbacks=callbacks
        )
        self.density_ = ColourDensity.fit(mag, seed=self.random_state)
        self._calibrate(stars)
        return self

    def predict(self, photometry: Photometry) -> pd.DataFrame:
        """Find the labels of stars.

        Parameters
        ----------
        photometry : Photometry
            N stars in any of the model's bands. A band that is absent, or missing for a star, is
            done without; so is an absent ``ebv`` or ``parallax``.

        Returns
        -------
        pandas.DataFrame
            N rows: ``teff``, ``teff_err`` (K), ``fe_h``, ``fe_h_err``, ``logg``, ``logg_err``
            (dex): median and half the central 68.3 % of the calibrated distribution of the true
            label; ``p_giant``; ``flags`` (`siderea.flags.LabelFlag`). Labels the model was not
            trained on, and those of stars with fewer than two bands, are NaN.

        Raises
        ------
        DataError
            If the photometry holds a band that the model does not know.
        """
        mag, err, context, flags = self._inputs(photometry)
        mixtures, giant, colour = self._mixtures(mag, err, context)
        quantiles = self._quantiles(mixtures, colour, ONE_SIGMA)
        outside = self.density_.outside(mag)
        few = np.isfinite(mag).sum(axis=1) < 2
        frame = self._frame(quantiles, giant)
        frame.loc[few] = np.nan
        flags[few] |= int(LabelFlag.TOO_FEW_BANDS)
        flags[outside & ~few] |= int(LabelFlag.OUT_OF_DISTRIBUTION)
        return frame.assign(flags=flags)

    def quantiles(
        self,
        photometry: Photometry,
        levels: Sequence[float],
        *,
        label_errors: pd.DataFrame | Mapping[str, ArrayLike] | None = None,
    ) -> dict[str, NDArray[np.float64]]:
        """Return quantiles of the calibrated distribution of each label.

        Parameters
        ----------
        photometry : Photometry
            N stars.
        levels : sequence of Q floats
            Between 0 and 1; (0.025, 0.975) is the central 95 % interval.
        label_errors : DataFrame or mapping, optional
            ``<label>_err``, each (N,): the quantiles are then of a *measurement* of the label with
            such an error, which is what intervals can be tested against.

        Returns
        -------
        dict of str to (N, Q) ndarray
            By label.
        """
        mag, err, context, _ = self._inputs(photometry)
        mixtures, _, colour = self._mixtures(mag, err, context)
        errors = self._label_errors(label_errors, len(mag))
        values = self._quantiles(mixtures, colour, tuple(levels), errors=errors)
        values[np.isfinite(mag).sum(axis=1) < 2] = np.nan
        return {name: values[:, k] for k, name in enumerate(self.label_names_)}

    def artefact(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return the fitted model as arrays and what JSON can say, for `siderea.io.artefacts`."""
        from siderea.stellar.artefact import pack

        return pack(self)

    @classmethod
    def from_artefact(
        cls, arrays: Mapping[str, NDArray], metadata: Mapping[str, Any]
    ) -> LabelNetwork:
        """Build the model that `artefact` described.

        Raises
        ------
        NotThisProductError
            If the artefact is of another kind.
        """
        from siderea.stellar.artefact import unpack

        return unpack(cls, arrays, metadata)

    def _new_net(self) -> Ensemble:
        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            return Ensemble(len(self.bands_), len(self.label_names_), self.features_, self.ensemble)

    def _inputs(self, photometry: Photometry) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return mag, err (N, B), context (N, 3) and flags (N,) in the model's own bands."""
        if not hasattr(self, "net_"):
            raise DataError("LabelNetwork: not trained yet; call fit, or load a trained one")
        cleaned, flags = clean(select_bands(photometry, self.bands_))
        missing = np.isnan(cleaned.mag).any(axis=1)
        flags = flags | np.where(missing, int(LabelFlag.MISSING_BAND), 0)
        return cleaned.mag, cleaned.mag_err, context_of(cleaned), flags

    def _mixtures(
        self, mag: NDArray, err: NDArray, context: NDArray, *, members: Tensor | None = None
    ) -> tuple[list[Mixture], NDArray, NDArray]:
        """Return L merged mixtures (K, N), the giants' probability and the colour index (N,)."""
        chosen = torch.arange(self.ensemble.members) if members is None else members
        whole = len(chosen) == self.ensemble.members
        parts: list[list[Mixture]] = []
        giants: list[Tensor] = []
        tensors = [torch.from_numpy(a).float() for a in (mag, err, context)]
        with torch.inference_mode():
            for pieces in zip(*(t.split(CHUNK) for t in tensors), strict=True):
                mixtures, logit = self.net_(*pieces)
                parts.append([merge(m if whole else m[chosen]) for m in mixtures])
                giants.append(torch.sigmoid(logit[chosen]).mean(0))
        columns = [joined([part[k] for part in parts]) for k in range(len(self.label_names_))]
        giant = self._with_gravity(torch.cat(giants), columns)
        return columns, giant.numpy(), self._colour_index(mag)

    def _with_gravity(self, giant: Tensor, mixtures: list[Mixture]) -> Tensor:
        """Average the class head with the probability that log g is below the limit."""
        if "logg" not in self.label_names_:
            return giant
        k = self.label_names_.index("logg")
        limit = (self.giant_logg - self.labels_.centre[k]) / self.labels_.width[k]
        return 0.5 * (giant + mixtures[k].cdf(torch.tensor(limit, dtype=giant.dtype)))

    def _colour_index(self, mag: NDArray) -> NDArray[np.float64]:
        """Return where a star lies from blue to red: the slope of its magnitudes over the bands."""
        relative = mag - self.net_.features.average.numpy()
        known = np.isfinite(relative)
        place = np.where(known, np.linspace(1, -1, mag.shape[1]), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            n = known.sum(axis=1)
            centred = place - (np.nansum(place, axis=1) / n)[:, None]
            slope = np.nansum(centred * relative, axis=1) / np.nansum(centred**2, axis=1)
        return np.nan_to_num(slope)

    def _quantiles(
        self,
        mixtures: list[Mixture],
        colour: NDArray,
        levels: tuple[float, ...],
        *,
        errors: NDArray | None = None,
    ) -> NDArray[np.float64]:
        """Return calibrated quantiles (N, L, Q) in the labels' own units."""
        fe_h = self._cell_fe_h(mixtures)
        wanted = self.calibration_.network_levels(np.asarray(levels), fe_h, colour)
        columns = []
        for k, mixture in enumerate(mixtures):
            if errors is not None:
                mixture = mixture.convolved(torch.from_numpy(errors[:, k]).float())
            column = mixture.quantiles(torch.from_numpy(wanted[k]).float()).numpy()
            columns.append(self.labels_.centre[k] + self.labels_.width[k] * column)
        return np.stack(columns, axis=1).astype(np.float64)

    def _cell_fe_h(self, mixtures: list[Mixture]) -> NDArray[np.float64]:
        """Return the (scaled) mean metallicity, by which the calibration is cut in cells."""
        which = self.label_names_.index("fe_h") if "fe_h" in self.label_names_ else 0
        return mixtures[which].moments()[0].numpy().astype(np.float64)

    def _label_errors(self, given: Any, n: int) -> NDArray | None:
        if given is None:
            return None
        columns = [
            np.broadcast_to(np.asarray(given[f"{name}_err"], dtype=float), n)
            if f"{name}_err" in given
            else np.zeros(n)
            for name in self.label_names_
        ]
        return np.stack(columns, axis=1) / self.labels_.width

    def _frame(self, quantiles: NDArray, giant: NDArray) -> pd.DataFrame:
        frame = {}
        for name in CAUSAL_ORDER:
            k = self.label_names_.index(name) if name in self.label_names_ else None
            low, middle, high = np.full((3, len(giant)), np.nan) if k is None else quantiles[:, k].T
            frame[name], frame[f"{name}_err"] = middle, (high - low) / 2
        return pd.DataFrame(frame | {"p_giant": giant if self.labels_.has_giants else np.nan},
                            index=range(len(giant)))  # fmt: skip

    def _calibrate(self, stars: TrainingSet) -> None:
        """Ask, of each star, the members that never saw it; learn the recalibration from that."""
        self.calibration_ = Calibration.none(len(self.label_names_))
        unseen = [self._unseen(stars, number) for number in range(int(stars.fold.max()) + 1)]
        order = torch.cat([rows for rows, *_ in unseen]).argsort()
        mixtures = [
            joined([found[k] for _, found, *_ in unseen])[(..., order)]
            for k in range(len(self.label_names_))
        ]
        giant, colour = (np.concatenate([u[i] for u in unseen])[order] for i in (2, 3))
        pit = np.full(stars.labels.shape, np.nan)
        shrink = self._ensemble_gain(stars, mixtures)
        for k, mixture in enumerate(mixtures):
            centre = mixture.moments()[0]
            label = centre + shrink[k] * (stars.labels[:, k] - centre)
            pit[:, k] = mixture.convolved(stars.label_errors[:, k]).cdf(label).numpy()
        self.calibration_ = Calibration.fit(pit, self._cell_fe_h(mixtures), colour)
        self.held_out_ = self._frame(self._quantiles(mixtures, colour, ONE_SIGMA), giant)

    def _unseen(
        self, stars: TrainingSet, number: int
    ) -> tuple[Tensor, list[Mixture], NDArray, NDArray]:
        """Return rows of a fold, and what the members that left it out say of them."""
        rows = torch.nonzero(stars.fold == number).squeeze(1)
        asked = member_folds(self.ensemble.members, stars.fold) == number
        arrays = (stars.mag[rows], stars.err[rows], stars.context[rows])
        found = self._mixtures(
            *(a.double().numpy() for a in arrays), members=torch.nonzero(asked).squeeze(1)
        )
        return rows, *found

    def _ensemble_gain(self, stars: TrainingSet, held: list[Mixture]) -> list[float]:
        """Return, per label, by how much residual / sigma of the ensemble is the smaller.

        A star's own held-out members are n of M. With b the variance between members, the mean
        squared residual of the whole ensemble is less by b (1/n − 1/M) than theirs; its variances
        differ too, and both are known without a label. (Means over the inner 90 % of the stars.)
        """
        arrays = (stars.mag, stars.err, stars.context)
        whole, *_ = self._mixtures(*(a.double().numpy() for a in arrays))
        between = self._between(stars)
        n_held = self.ensemble.members / (int(stars.fold.max()) + 1)
        gains = []
        for k, (own, all_of_them) in enumerate(zip(held, whole, strict=True)):
            error, label = stars.label_errors[:, k], stars.labels[:, k]
            known = ~label.isnan()
            squared = (label - own.moments()[0])[known] ** 2
            spare = between[k][known] * (1 / n_held - 1 / self.ensemble.members)
            residual, spread = (_inner_mean(squared), _inner_mean(spare))
            ratio = _inner_mean((own.moments()[1] ** 2 + error**2)[known]) / _inner_mean(
                (all_of_them.moments()[1] ** 2 + error**2)[known]
            )
            gains.append(float(np.sqrt(np.clip(1 - spread / residual, 0.5, 1) * min(ratio, 1))))
        return gains

    def _between(self, stars: TrainingSet) -> Tensor:
        """Return the variance between the members' means, (L, N)."""
        if self.ensemble.members == 1:
            return torch.zeros(stars.labels.shape).T
        parts = []
        with torch.inference_mode():
            for rows in torch.arange(len(stars)).split(CHUNK):
                mixtures, _ = self.net_(stars.mag[rows], stars.err[rows], stars.context[rows])
                parts.append(torch.stack([m.moments()[0].var(dim=0) for m in mixtures]))
        return torch.cat(parts, dim=-1)


def _inner_mean(values: Tensor) -> float:
    """Return the mean of values up to their 90 % quantile: single outliers do not decide."""
    return float(values[values <= torch.quantile(values, 0.9)].mean())
