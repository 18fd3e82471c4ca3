"""Training of an ensemble: learning-rate finder, one cycle, early stop, checkpoint and resume.

Each member leaves one fold of the stars out, and is judged on it: its best epoch is kept, and what
it says of those stars is free of having seen them, which is what the calibration is made from.
Everything random is keyed by (seed, epoch), so a resumed training is the uninterrupted one.
"""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.tuner import Tuner
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from siderea.stellar.ensemble import Ensemble

__all__ = ["History", "TrainingSet", "TrainingSettings", "member_folds", "train"]

GIANT_WEIGHT = 0.5
"""Weight of the class's cross-entropy next to the labels' mean −ln p."""
MIN_STEPS = 20
"""Steps that an epoch has at least: with few stars the batches are smaller."""
FINDER_TOP = 0.3
"""Largest learning rate that the finder tries."""
FIRST_STEPS = 10
"""Steps of the finder whose mean loss says too little yet."""
SMOOTHING = 0.98
"""Of the finder's running mean; Lightning's."""
CLIP = 1.0
"""Largest norm of the gradient, per member."""


@dataclass(frozen=True)
class TrainingSettings:
    """How an ensemble is trained.

    Parameters
    ----------
    max_epochs : int
        Epochs of the one cycle.
    batch_size : int
        Stars per step and member.
    learning_rate : float or "find"
        Peak of the cycle; "find" asks the learning-rate finder (Smith 2017) first.
    weight_decay : float
        Of AdamW.
    patience : int
        Epochs without a better validation loss after which training stops.
    noise : float
        Photometric-error augmentation: each time a star is seen, noise of so many times its own
        magnitude errors is added.
    masking : float
        Share of the stars of a batch that lose some of their bands, so that the network knows what
        to do without them.
    seed : int
    """

    max_epochs: int = 60
    batch_size: int = 256
    learning_rate: float | Literal["find"] = 4e-3
    weight_decay: float = 0.05
    patience: int = 10
    noise: float = 0.2
    masking: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class TrainingSet:
    """N stars as tensors.

    Parameters
    ----------
    mag, err : (N, B) tensor
    context : (N, 3) tensor
    labels, label_errors : (N, L) tensor
        Scaled; a NaN label is not known and does not count.
    giant : (N,) tensor
        1 giant, 0 dwarf, NaN unknown.
    fold : (N,) tensor of int
        Member m never trains on the stars of fold m modulo the number of folds.
    """

    mag: Tensor
    err: Tensor
    context: Tensor
    labels: Tensor
    label_errors: Tensor
    giant: Tensor
    fold: Tensor

    def __len__(self) -> int:
        return len(self.mag)


@dataclass(frozen=True)
class History:
    """What happened in training.

    Parameters
    ----------
    epochs : pandas.DataFrame
        epoch, train_loss, val_loss (mean over the members), learning_rate.
    finder : pandas.DataFrame
        learning_rate, loss of the finder; empty when it was not asked.
    learning_rate : float
        The peak used.
    """

    epochs: pd.DataFrame
    finder: pd.DataFrame
    learning_rate: float


@dataclass
class _Batches:
    """An iterable of (M, b) star numbers, new every time it is walked."""

    sets: list[NDArray[np.int64]]
    size: int
    seed: int
    shuffle: bool
    epoch: int = 0

    def __len__(self) -> int:
        return -(-min(map(len, self.sets)) // self.size)

    def __iter__(self) -> Iterator[Tensor]:
        rng = np.random.default_rng([self.seed, self.epoch])
        least = min(map(len, self.sets))
        order = [rng.permutation(s) if self.shuffle else s for s in self.sets]
        index = torch.from_numpy(np.stack([one[:least] for one in order]))
        yield from index.split(self.size, dim=1)


@dataclass
class _Kept:
    """The best weights of each member so far."""

    loss: Tensor
    state: dict[str, Tensor] = field(default_factory=dict)


def member_folds(members: int, fold: Tensor) -> Tensor:
    """Return which fold each of the M members leaves out, (M,)."""
    return torch.arange(members) % (int(fold.max()) + 1)


class _Module(pl.LightningModule):
    """The ensemble with its loss and its optimiser."""

    def __init__(self, net: Ensemble, stars: TrainingSet, settings: TrainingSettings) -> None:
        super().__init__()
        self.net, self.stars, self.settings = net, stars, settings
        self.learning_rate = (
            1e-3 if settings.learning_rate == "find" else float(settings.learning_rate)
        )
        left_out = member_folds(net.members, stars.fold)
        outside = [(stars.fold == fold).numpy() for fold in left_out]
        size = min(settings.batch_size, max(len(stars) // MIN_STEPS, 16))
        self.training_batches = _Batches(
            [np.flatnonzero(~out) for out in outside], size, settings.seed, True
        )
        self.validation_batches = _Batches(
            [np.flatnonzero(out) for out in outside], 4096, settings.seed, False
        )
        self.kept = _Kept(torch.full((net.members,), torch.inf))
        self.rows: list[dict[str, float]] = []
        self._losses: list[Tensor] = []
        self._train_losses: list[Tensor] = []

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.settings.seed * 100_003 + self.current_epoch)
        self.training_batches.epoch = self.current_epoch

    def training_step(self, index: Tensor) -> Tensor:
        losses = self._member_losses(index, augment=True)
        self._train_losses.append(losses.detach().mean())
        return losses.sum()  # each member has its own weights: the sum keeps their steps apart

    def validation_step(self, index: Tensor) -> None:
        self._losses.append(self._member_losses(index, augment=False) * index.shape[1])

    def on_validation_epoch_end(self) -> None:
        total = torch.stack(self._losses).sum(0) / len(self.validation_batches.sets[0])
        self._losses.clear()
        if self.trainer.sanity_checking:
            return
        self._keep(total)
        self.log("val_loss", total.mean())
        trained = torch.stack(self._train_losses).mean() if self._train_losses else torch.nan
        self._train_losses.clear()
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        row = {
            "epoch": self.current_epoch,
            "train_loss": float(trained),
            "val_loss": float(total.mean()),
            "learning_rate": float(rate),
        }
        self.rows.append(row)

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(
            self.net.parameters(),
            lr=self.learning_rate,
            weight_decay=self.settings.weight_decay,
            betas=(0.9, 0.95),
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=self.learning_rate,
            total_steps=self.settings.max_epochs * len(self.training_batches) + 1,
            pct_start=0.15,
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["kept"] = {"loss": self.kept.loss, "state": self.kept.state}
        checkpoint["rows"] = list(self.rows)
        checkpoint["rate"] = self.learning_rate

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.kept = _Kept(**checkpoint["kept"])
        self.rows = list(checkpoint["rows"])
        self.learning_rate = checkpoint["rate"]

    def _member_losses(self, index: Tensor, *, augment: bool) -> Tensor:
        """Return the loss of each member (M,) on its stars (M, b)."""
        stars = self.stars
        mag, err, context = stars.mag[index], stars.err[index], stars.context[index]
        if augment:
            mag, context = _augmented(mag, err, context, self.settings)
        mixtures, logit = self.net(mag, err, context)
        labels, errors = stars.labels[index], stars.label_errors[index]
        losses = [
            _mean_where(
                mixture.negative_log_likelihood(torch.nan_to_num(labels[..., k]), errors[..., k]),
                ~labels[..., k].isnan(),
            )
            for k, mixture in enumerate(mixtures)
        ]
        giant = stars.giant[index]
        cross = functional.binary_cross_entropy_with_logits(
            logit, torch.nan_to_num(giant), reduction="none"
        )
        return torch.stack(losses).mean(0) + GIANT_WEIGHT * _mean_where(cross, ~giant.isnan())

    def _keep(self, losses: Tensor) -> None:
        better = losses < self.kept.loss
        self.kept.loss = torch.where(better, losses, self.kept.loss)
        for name, value in self.net.named_parameters():
            held = self.kept.state.get(name)
            if held is None:
                self.kept.state[name] = value.detach().clone()
            else:
                held[better] = value.detach()[better]


def _mean_where(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum(-1) / known.sum(-1).clamp(min=1)


def _augmented(
    mag: Tensor, err: Tensor, context: Tensor, settings: TrainingSettings
) -> tuple[Tensor, Tensor]:
    """Add noise of the stars' own errors, and take bands (or the parallax) away from some."""
    if settings.noise:
        mag = mag + settings.noise * torch.nan_to_num(err) * torch.randn_like(mag)
    if settings.masking:
        chosen = torch.rand(mag.shape[:-1]) < settings.masking
        rate = 0.6 * torch.rand(mag.shape[:-1]) * chosen
        dropped = torch.rand_like(mag) < rate[..., None]
        left = (~mag.isnan() & ~dropped).sum(-1) >= 2
        mag = torch.where(dropped & left[..., None], torch.nan, mag)
        lost = torch.rand(mag.shape[:-1]) < 0.25 * settings.masking
        context = torch.where(lost[..., None] & _IS_PARALLAX, torch.nan, context)
    return mag, context


_IS_PARALLAX = torch.tensor([False, True, True])


def train(
    net: Ensemble,
    stars: TrainingSet,
    settings: TrainingSettings,
    *,
    checkpoint: Path | None = None,
    callbacks: tuple[Callback, ...] = (),
) -> History:
    """Train an ensemble in place; each member ends with its best epoch's weights.

    Parameters
    ----------
    net : Ensemble
        With its features fitted.
    stars : TrainingSet
        What to train on.
    settings : TrainingSettings
        How.
    checkpoint : Path, optional
        A folder that keeps the state after every epoch; when it holds one already, the training
        goes on from there.
    callbacks : tuple of lightning Callback
        Called along, for instance a progress bar's.

    Returns
    -------
    History
        Losses and learning rates.
    """
    with torch.random.fork_rng(), warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # of Lightning, on loaders and devices not used here
        torch.manual_seed(settings.seed)
        module = _Module(net, stars, settings)
        resumed = checkpoint / "last.ckpt" if checkpoint else None
        going_on = resumed is not None and resumed.exists()
        finder = pd.DataFrame({"learning_rate": [], "loss": []})
        with tempfile.TemporaryDirectory() as scratch:
            if settings.learning_rate == "find" and not going_on:
                finder = _find_rate(module, scratch)
            trainer = _trainer(net.members, settings, checkpoint, scratch, callbacks)
            trainer.fit(
                module,
                module.training_batches,
                module.validation_batches,
                ckpt_path=str(resumed) if going_on else None,
                weights_only=False if going_on else None,
            )
    if module.kept.state:
        net.load_state_dict(module.kept.state, strict=False)
    net.eval()
    return History(pd.DataFrame(module.rows), finder, module.learning_rate)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning from telling of devices and of its other products."""
    names = ("lightning.pytorch", "lightning.fabric")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _trainer(
    members: int,
    settings: TrainingSettings,
    checkpoint: Path | None,
    scratch: str,
    callbacks: tuple[Callback, ...] = (),
) -> pl.Trainer:
    watching: list[Callback] = [EarlyStopping("val_loss", patience=settings.patience), *callbacks]
    if checkpoint is not None:
        watching.append(ModelCheckpoint(checkpoint, save_last=True, save_top_k=0))
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=settings.max_epochs,
        callbacks=watching,
        gradient_clip_val=CLIP * members,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=checkpoint is not None,
        num_sanity_val_steps=0,
        default_root_dir=scratch,
    )


def _find_rate(module: _Module, scratch: str) -> pd.DataFrame:
    """Raise the learning rate step by step; take a tenth of the one of least smoothed loss."""
    endless = replace(module.settings, max_epochs=100_000)
    trainer = _trainer(module.net.members, endless, None, scratch)
    with redirect_stderr(io.StringIO()):  # the finder's own progress bar
        found = Tuner(trainer).lr_find(
            module,
            train_dataloaders=module.training_batches,
            val_dataloaders=module.validation_batches,
            min_lr=1e-5,
            max_lr=FINDER_TOP,
            num_training=100,
        )
    module.rows.clear()
    module.kept = _Kept(torch.full((module.net.members,), torch.inf))
    results = found.results if found else {"lr": [], "loss": []}
    rate, loss = np.asarray(results["lr"]), np.asarray(results["loss"]) / module.net.members
    step = np.arange(1, loss.size + 1)
    # Lightning divides its running mean by 1 - 0.98^(step + 1): one power too many at the start
    loss = loss * (1 - SMOOTHING ** (step + 1)) / (1 - SMOOTHING**step)
    if loss.size > FIRST_STEPS:
        least = rate[FIRST_STEPS + np.argmin(loss[FIRST_STEPS:])]
        module.learning_rate = float(np.clip(least / 10, 3e-4, 2e-2))
    return pd.DataFrame({"learning_rate": rate, "loss": loss})
