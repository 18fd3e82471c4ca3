"""Missing bands filled in: by an autoencoder through the labels, a masked network, or neighbours.

All three give each band with an error; all three work on colours, so a star needs two bands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.photometry.quality import clean, select_bands
from siderea.stellar.blocks import Linear, ResDense
from siderea.stellar.features import average_star
from siderea.stellar.inputs import scaled_labels
from siderea.stellar.network import GIANT_LOGG

__all__ = ["METHODS", "BandImputer", "ImputerSettings", "Method"]

Method = Literal["masked", "autoencoder", "neighbours"]
METHODS: tuple[Method, ...] = ("masked", "autoencoder", "neighbours")
LAPLACE_SIGMA = 1.148
"""Half the central 68.3 % of a Laplace distribution, in units of its scale: -ln(1 - 0.6827)."""


@dataclass(frozen=True)
class ImputerSettings:
    """How an imputer is built and trained.

    Parameters
    ----------
    members : int
        Networks of the ensemble.
    max_epochs, batch_size : int
    learning_rate : float
        Peak of the one cycle.
    width : int
        Of the masked network; the autoencoder's sandwiches grow to four times as much.
    n_neighbours : int
        Of the neighbours' fill.
    label_weight : float
        Weight of the autoencoder's label loss next to that of the colours.
    """

    members: int = 4
    max_epochs: int = 40
    batch_size: int = 256
    learning_rate: float = 4e-3
    width: int = 96
    n_neighbours: int = 15
    label_weight: float = 0.5


class BandImputer:
    """Fill missing bands.

    Parameters
    ----------
    method : {"masked", "autoencoder", "neighbours"}
        ``masked``: a network that sees the bands that are there, any of them, and says all.
        ``autoencoder``: the report's: bands to (teff, fe_h, logg), and from these three numbers
        alone to the missing band, both losses at once (its errors are those of an average gap: too
        large when one band is missing). ``neighbours``: the median of the training
        stars nearest in the bands that are there.
    settings : ImputerSettings, optional
    random_state : int

    References
    ----------
    Ramuz (2020), section 6, for the autoencoder.
    """

    bands_: tuple[str, ...]

    def __init__(
        self,
        *,
        method: Method = "masked",
        settings: ImputerSettings | None = None,
        random_state: int = 0,
    ) -> None:
        if method not in METHODS:
            raise DataError(f"method: found {method!r}; expected one of {', '.join(METHODS)}")
        self.method = method
        self.settings = settings or ImputerSettings()
        self.random_state = random_state

    def fit(
        self,
        photometry: Photometry,
        labels: pd.DataFrame | Mapping[str, ArrayLike] | None = None,
    ) -> Self:
        """Learn from stars, of which each may lack some bands.

        Parameters
        ----------
        photometry : Photometry
            N stars.
        labels : DataFrame or mapping, optional
            teff, fe_h, logg; the autoencoder needs them, the others do not look at them.

        Returns
        -------
        BandImputer
            Itself.

        Raises
        ------
        DataError
            If a band has no star, or the autoencoder has no labels.
        """
        cleaned, _ = clean(photometry)
        if not np.isfinite(cleaned.mag).any(axis=0).all():
            raise DataError("photometry: found a band without one star; leave it out")
        usable = np.isfinite(cleaned.mag).sum(axis=1) >= 2
        self.bands_ = cleaned.bands
        self.average_ = average_star(cleaned.mag[usable])
        shape = (cleaned.mag - self.average_)[usable]
        shape -= _offset(shape)
        spread = np.nanquantile(shape, [0.16, 0.84], axis=0)
        self.width_ = np.maximum((spread[1] - spread[0]) / 2, 0.01)
        if self.method == "neighbours":
            self.stars_ = shape
            return self
        values = None
        if self.method == "autoencoder":
            if labels is None:
                raise DataError("the autoencoder goes through the labels: give teff, fe_h, logg")
            values = scaled_labels(labels, len(photometry), giant_logg=GIANT_LOGG).values[usable]
        self._fit_network(shape, values)
        return self

    def impute(self, photometry: Photometry) -> Photometry:
        """Fill what is missing; what was measured is not touched.

        Parameters
        ----------
        photometry : Photometry
            N stars in any of the bands learned.

        Returns
        -------
        Photometry
            All bands, in the order learned; filled magnitudes carry the error of the filling. A
            star with fewer than two bands stays as it was.

        Raises
        ------
        DataError
            If a band was not learned, or `fit` was not called.
        """
        if not hasattr(self, "bands_"):
            raise DataError("BandImputer: not trained yet; call fit first")
        cleaned, _ = clean(select_bands(photometry, self.bands_))
        missing = np.isnan(cleaned.mag)
        able = (~missing).sum(axis=1) >= 2
        mag, err = cleaned.mag.copy(), cleaned.mag_err.copy()
        if (missing[able]).any():
            relative = cleaned.mag[able] - self.average_
            offset = _offset(relative)
            shape, sigma = self._shape(relative - offset)
            filled = shape + offset + self.average_
            gaps = missing[able]
            mag[able] = np.where(gaps, filled, mag[able])
            err[able] = np.where(gaps, sigma, err[able])
        return replace(cleaned, mag=mag, mag_err=err)

    def _shape(self, shape: NDArray) -> tuple[NDArray, NDArray]:
        if self.method == "neighbours":
            return self._from_neighbours(shape)
        with torch.inference_mode():
            pieces = [self.net_(part) for part in torch.from_numpy(shape).float().split(1024)]
        mean = torch.cat([piece[0] for piece in pieces], dim=-1)  # (M, B, N)
        scale = LAPLACE_SIGMA * torch.exp(torch.cat([piece[1] for piece in pieces], dim=-1))
        spread = mean.var(dim=0, correction=0) + (scale**2).mean(0)
        return mean.mean(0).T.double().numpy() * self.width_, spread.sqrt().T.numpy() * self.width_

    def _from_neighbours(self, shape: NDArray) -> tuple[NDArray, NDArray]:
        """Return the median (N, B), and half the 68 % range, of each star's neighbours."""
        out, sigma = shape.copy(), np.zeros_like(shape)
        known = ~np.isnan(shape)
        code = known @ (1 << np.arange(shape.shape[1], dtype=np.int64))
        for pattern in np.unique(code):
            rows = np.flatnonzero(code == pattern)
            have = known[rows[0]]
            for b in np.flatnonzero(~have):
                pool = self.stars_[np.isfinite(self.stars_[:, have | _one(b, have.size)]).all(1)]
                pool = pool if len(pool) else np.nan_to_num(self.stars_)
                offset = np.mean(pool[:, have], axis=1, keepdims=True)
                pool = pool - offset  # brightness from the bands that this star has
                k = min(self.settings.n_neighbours, len(pool))
                search = NearestNeighbors(n_neighbors=k).fit(pool[:, have] / self.width_[have])
                near = search.kneighbors(shape[rows][:, have] / self.width_[have])[1]
                low, middle, high = np.quantile(pool[near, b], [0.16, 0.5, 0.84], axis=1)
                out[rows, b], sigma[rows, b] = middle, (high - low) / 2
        return out, sigma

    def _fit_network(self, shape: NDArray, labels: NDArray | None) -> None:
        settings = self.settings
        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            n_labels = 0 if labels is None else labels.shape[1]
            width = torch.from_numpy(self.width_).float()
            self.net_ = _ShapeNetwork(width, n_labels, settings)
            stars = torch.from_numpy(shape).float()
            known = None if labels is None else torch.from_numpy(labels).float()
            _train(self.net_, stars, known, settings)
        self.net_.eval()


def _offset(relative: NDArray) -> NDArray:
    known = np.isfinite(relative)
    total = np.where(known, relative, 0).sum(axis=1, keepdims=True)
    return total / np.maximum(known.sum(axis=1, keepdims=True), 1)


def _one(b: np.intp, n: int) -> NDArray[np.bool_]:
    return np.arange(n) == b


class _ShapeNetwork(nn.Module):
    """Bands that are there to all bands; with labels, through the labels alone."""

    width: Tensor

    def __init__(self, width: Tensor, n_labels: int, settings: ImputerSettings) -> None:
        super().__init__()
        self.register_buffer("width", width)
        self.members, self.n_labels, n_bands = settings.members, n_labels, len(width)
        sandwich = {"n_first": settings.width // 2, "n_max": 2 * settings.width, "depth": 6}
        if n_labels:
            self.encoder: nn.Module = ResDense(self.members, 2 * n_bands, **sandwich)  # type: ignore[arg-type]
            self.labels = Linear(self.members, settings.width // 2, n_labels)
            self.decoder: nn.Module = ResDense(self.members, n_labels, **sandwich)  # type: ignore[arg-type]
            last = settings.width // 2
        else:
            self.encoder = _TwoLayers(self.members, 2 * n_bands, settings.width)
            last = settings.width
        self.output = Linear(self.members, last, 2 * n_bands, gain=0.3)

    def encode(self, shape: Tensor) -> Tensor:
        """(M, N, B) or (N, B) to the encoder's features (M, ., N)."""
        known = ~shape.isnan()
        inputs = torch.cat(
            [torch.nan_to_num(shape / self.width).clamp(-8, 8), known.to(shape.dtype)], dim=-1
        )
        features: Tensor = self.encoder(inputs.transpose(-1, -2).expand(self.members, -1, -1))
        return features

    def forward(self, shape: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return all bands and the ln of their Laplace scales, (M, B, N) in units of the width.

        With labels, also these, (M, L, N).
        """
        features, labels = self.encode(shape), None
        if self.n_labels:
            labels = self.labels(features)
            features = self.decoder(labels)
        mean, log_sigma = self.output(features).chunk(2, dim=1)
        return mean, log_sigma.clamp(-5, 3), labels


class _TwoLayers(nn.Module):
    def __init__(self, members: int, n_in: int, width: int) -> None:
        super().__init__()
        self.first, self.second = Linear(members, n_in, width), Linear(members, width, width)

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.second(functional.silu(self.first(x))))


def _hidden(shape: Tensor) -> Tensor:
    """Take bands away at random, at least one and leaving at least two, and recentre the rest."""
    rate = 0.1 + 0.5 * torch.rand(shape.shape[:-1])[..., None]
    keep = torch.rand_like(shape) > rate
    gone = torch.randint(shape.shape[-1], shape.shape[:-1])[..., None]
    keep &= torch.arange(shape.shape[-1]) != gone
    enough = (keep & ~shape.isnan()).sum(-1, keepdim=True) >= 2
    return torch.where(keep | ~enough, shape, torch.nan)


def _batches(n: int, settings: ImputerSettings) -> Iterator[Tensor]:
    order = torch.stack([torch.randperm(n) for _ in range(settings.members)])
    yield from order.split(settings.batch_size, dim=1)


def _train(
    net: _ShapeNetwork, stars: Tensor, labels: Tensor | None, settings: ImputerSettings
) -> None:
    """Minimise −ln p of the bands (Laplace), and the labels' absolute error, by one cycle."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=0.02)
    steps = settings.max_epochs * -(-len(stars) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=steps, pct_start=0.15
    )
    for _ in range(settings.max_epochs):
        for index in _batches(len(stars), settings):
            whole = stars[index]
            seen = _hidden(whole)
            shift = torch.nanmean(seen, dim=-1, keepdim=True)
            mean, log_sigma, found = net(seen - shift)
            target = ((whole - shift) / net.width).transpose(1, 2)
            # only what is hidden counts: to copy what is seen would drown the rest
            known = ~target.isnan() & seen.isnan().transpose(1, 2)
            miss = torch.abs(torch.nan_to_num(target) - mean)
            loss = ((miss * torch.exp(-log_sigma) + log_sigma) * known).sum((1, 2))
            loss = (loss / known.sum((1, 2)).clamp(min=1)).sum()
            if labels is not None and found is not None:
                wanted = labels[index].transpose(1, 2)
                off = torch.abs(torch.nan_to_num(wanted) - found) * ~wanted.isnan()
                loss = loss + settings.label_weight * off.mean((1, 2)).sum()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), float(settings.members))
            optimiser.step()
            schedule.step()
