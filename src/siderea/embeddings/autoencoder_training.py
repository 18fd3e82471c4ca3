"""Training of the autoencoder by Lightning: rate finder, early stop, checkpoint and resume."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.tuner import Tuner
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from siderea.embeddings.autoencoder_network import SpectrumNetwork, weighted_loss
from siderea.errors import DataError

__all__ = ["Heard", "Schedule", "train"]

Heard = Callable[[int, int, float], object]
"""Called after every epoch with (epochs made, at most, validation loss)."""

_RATE_STEPS = 50
_RATE_SKIP = 10
"""Steps of the range test, and those at its start whose running mean of the loss is too low."""

_RATES = (3e-4, 5e-3)
"""The rate that is found is kept within these: the range test sees few steps, and is noisy."""

_DEFAULT_RATE = 1e-3


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Parameters
    ----------
    learning_rate : float, optional
        Adam's; found by Lightning's range test if not given.
    batch_size : int
        Spectra per step.
    max_epochs, patience : int
        At most so many epochs; it ends when the validation loss has not fallen for ``patience``.
    random_state : int
        Seed of the order of the spectra.
    fingerprint : str
        What a checkpoint must have been made with to be taken up.
    """

    learning_rate: float | None
    batch_size: int
    max_epochs: int
    patience: int
    random_state: int
    fingerprint: str


class _Rows(Dataset):
    """Spectra that are handed out by whole batches."""

    def __init__(self, absorbed: NDArray, weight: NDArray, rows: NDArray) -> None:
        self._absorbed, self._weight, self._rows = absorbed, weight, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, batch: list[int]) -> tuple[Tensor, Tensor]:
        rows = np.sort(self._rows[batch])  # in the order of memory
        flux = 1.0 - torch.from_numpy(self._absorbed[rows]).float()
        return flux, torch.from_numpy(self._weight[rows]).float()


class _Training(lightning.LightningModule):
    """The network with its loss and its optimiser."""

    def __init__(self, network: SpectrumNetwork, rate: float, fingerprint: str) -> None:
        super().__init__()
        self.network, self.rate, self.fingerprint = network, rate, fingerprint
        self.history: list[tuple[float, float]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = self._loss(batch)
        self.log("training", loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.log("validation", self._loss(batch), batch_size=len(batch[0]))

    def configure_optimizers(self) -> Any:
        adam = torch.optim.Adam(self.network.parameters(), lr=self.rate)
        slower = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, factor=0.3, patience=1)
        return {
            "optimizer": adam,
            "lr_scheduler": {"scheduler": slower, "monitor": "validation"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["fingerprint"] = self.fingerprint
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = [tuple(losses) for losses in checkpoint["history"]]

    def _loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        flux, weight = batch
        return weighted_loss(self.network(flux, (weight > 0).float()), flux, weight)


class _Reporter(Callback):
    """Keeps the losses, and tells them to whoever listens."""

    def __init__(self, heard: Heard | None) -> None:
        self._heard = heard

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Add this epoch's losses to the history; the checkpoint is written after."""
        losses = trainer.callback_metrics
        module.history.append((float(losses["training"]), float(losses["validation"])))
        if self._heard is not None:
            self._heard(trainer.current_epoch + 1, trainer.max_epochs, module.history[-1][1])


def train(
    network: SpectrumNetwork,
    absorbed: NDArray,
    weight: NDArray,
    schedule: Schedule,
    *,
    checkpoint: str | Path | None = None,
    heard: Heard | None = None,
) -> tuple[list[tuple[float, float]], float]:
    """Train a network in place; it ends with the weights of the best epoch.

    Parameters
    ----------
    network : SpectrumNetwork
        Changed in place.
    absorbed, weight : (N, B) ndarray
        1 − flux of the bins, and their weights; half precision will do.
    schedule : Schedule
    checkpoint : path-like, optional
        Folder of the checkpoints: the state is written there after every epoch, and a training that
        finds one of its own goes on from it.
    heard : callable, optional
        Told of every epoch.

    Returns
    -------
    history : list of (float, float)
        Training and validation loss by epoch (those before an interruption included).
    rate : float
        Learning rate the training started with.

    Raises
    ------
    DataError
        If the checkpoint was made with other data or parameters.
    """
    training, validation = _loaders(absorbed, weight, schedule)
    with _folder(checkpoint) as folder, _quiet():
        last = folder / "last.ckpt"
        rate = schedule.learning_rate or _DEFAULT_RATE
        module = _Training(network, rate, schedule.fingerprint)
        if last.exists():
            _check(last, schedule.fingerprint)
        elif schedule.learning_rate is None:
            module.rate = _found_rate(module, training, validation, folder)
        best = ModelCheckpoint(
            folder,
            "best",
            monitor="validation",
            save_last=True,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        stop = EarlyStopping("validation", patience=schedule.patience, min_delta=1e-4)
        trainer = _trainer(folder, schedule.max_epochs, [_Reporter(heard), stop, best])
        trainer.fit(module, training, validation, ckpt_path=str(last) if last.exists() else None)
        state = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
        module.load_state_dict(state)
        return module.history, module.rate


def _loaders(
    absorbed: NDArray, weight: NDArray, schedule: Schedule
) -> tuple[DataLoader, DataLoader]:
    """Return training and validation batches; a tenth of the spectra, at least one, validates."""
    n = len(absorbed)
    order = np.random.default_rng(schedule.random_state).permutation(n)
    kept = max(1, n // 10) if n > 1 else 0
    parts = order[kept:], order[:kept] if kept else order
    shuffled = torch.Generator().manual_seed(schedule.random_state)
    loaders = []
    for rows, training in zip(parts, (True, False), strict=True):
        data = _Rows(absorbed, weight, rows)
        order_of = RandomSampler(data, generator=shuffled) if training else SequentialSampler(data)
        batches = BatchSampler(order_of, min(schedule.batch_size, len(rows)), drop_last=False)
        loaders.append(DataLoader(data, sampler=batches, batch_size=None))
    return loaders[0], loaders[1]


def _trainer(folder: Path, max_epochs: int, callbacks: list[Callback]) -> Any:
    return lightning.Trainer(
        accelerator="cpu",
        max_epochs=max_epochs,
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
    )


def _found_rate(
    module: _Training, training: DataLoader, validation: DataLoader, folder: Path
) -> float:
    """Return the rate that Lightning's range test leads to, within `_RATES`."""
    trainer = _trainer(folder, _RATE_STEPS, [])  # epochs; the steps end it before
    with redirect_stderr(StringIO()):  # its progress bar cannot be turned off
        found = Tuner(trainer).lr_find(
            module,
            training,
            validation,
            min_lr=1e-5,
            max_lr=1e-1,
            num_training=_RATE_STEPS,
            attr_name="rate",
            update_attr=False,
        )
    if found is None or not np.isfinite(found.results["loss"][_RATE_SKIP:]).any():
        return _DEFAULT_RATE
    # A tenth of the rate of the lowest loss: the steepest fall, which Lightning itself suggests,
    # is often among the first, tiny rates where the loss only flutters.
    lowest = found.results["lr"][_RATE_SKIP:][np.nanargmin(found.results["loss"][_RATE_SKIP:])]
    return float(np.clip(lowest / 10, *_RATES))


def _check(last: Path, fingerprint: str) -> None:
    found = torch.load(last, weights_only=True).get("fingerprint")
    if found != fingerprint:
        raise DataError(
            f"{last}: found a checkpoint of other spectra or parameters; "
            "remove it, or name another folder"
        )


@contextmanager
def _folder(given: str | Path | None) -> Iterator[Path]:
    if given is not None:
        Path(given).mkdir(parents=True, exist_ok=True)
        yield Path(given)
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice on workers, loggers and GPUs; leave its errors."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning.*")
        warnings.filterwarnings("ignore", module=r"torch.*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
