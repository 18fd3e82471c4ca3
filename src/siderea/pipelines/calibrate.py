"""What a store's own spectra say that the model gets wrong, kept with the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siderea.binaries.model_calibration import ModelCalibration
from siderea.binaries.survey_control import calibrate_on_survey
from siderea.binaries.survey_correction import SurveyCorrection
from siderea.errors import DataError
from siderea.io.files import atomic_write
from siderea.io.store import SurveyStore

__all__ = ["CalibrateResult", "calibrate_model", "own_calibration"]

CORRECTION, CALIBRATION = "binary_correction.npz", "binary_calibration.json"


@dataclass(frozen=True)
class CalibrateResult:
    """What `calibrate_model` wrote.

    Parameters
    ----------
    correction, calibration : Path
    n_stars : int
        That the correction was learned from.
    metrics : dict
        See `siderea.binaries.model_calibration.recalibrate`.
    """

    correction: Path
    calibration: Path
    n_stars: int
    metrics: dict[str, float]


def calibrate_model(
    path: str | Path,
    *,
    n_stars: int = 2000,
    n_controls: int = 4096,
    random_state: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CalibrateResult:
    """Learn correction, probability and threshold of the model channel from a store's spectra.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder, of real spectra.
    n_stars : int
        At most; of more, as many are drawn.
    n_controls : int
        Control stars, made from what the real ones leave of their fits.
    random_state : int
    progress : callable, optional
        Called with (done, in all) control stars.

    Returns
    -------
    CalibrateResult
        `siderea detect --method model` uses both files from now on.

    Raises
    ------
    SidereaError
        If there is no complete store, or too few stars that the model fits.
    """
    store = SurveyStore.open(path)
    rows = np.arange(len(store))
    if rows.size > n_stars:
        rows = np.sort(np.random.default_rng(random_state).permutation(rows)[:n_stars])
    spectra = store.spectra(rows)
    learned = calibrate_on_survey(
        spectra, n_controls=n_controls, rng=random_state, progress=progress
    )
    folder = store.path / "models"
    folder.mkdir(exist_ok=True)
    with atomic_write(folder / CORRECTION) as handle:
        learned.correction.save(handle)
    with atomic_write(folder / CALIBRATION, "w") as text:
        text.write(learned.calibration.to_json() + "\n")
    return CalibrateResult(
        folder / CORRECTION,
        folder / CALIBRATION,
        learned.correction.n_stars,
        dict(learned.calibration.metrics),
    )


def own_calibration(path: str | Path) -> tuple[SurveyCorrection, ModelCalibration] | None:
    """Return what `calibrate_model` learned of a store, or None.

    Raises
    ------
    DataError
        If one of the two files is missing or broken.
    """
    folder = Path(path) / "models"
    there = [(folder / name).is_file() for name in (CORRECTION, CALIBRATION)]
    if not any(there):
        return None
    if not all(there):
        raise DataError(
            f"{folder}: found one of {CORRECTION} and {CALIBRATION}; expected both: run siderea "
            "calibrate again"
        )
    text = (folder / CALIBRATION).read_text(encoding="utf-8")
    return SurveyCorrection.load(folder / CORRECTION), ModelCalibration.from_json(text)
