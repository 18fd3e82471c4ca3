"""The cross-correlation of one spectrum, and the stars found in it, on demand."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from siderea.errors import SidereaError
from siderea.explorer.refusals import NotNowError
from siderea.explorer.survey import Survey

if TYPE_CHECKING:
    from siderea.binaries.detect import CCFDetector

__all__ = ["Correlations"]

_MOST = 4


class Correlations:
    """A detector made ready on the first call: its templates take a second or two.

    Parameters
    ----------
    survey : Survey
    """

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self._detector: CCFDetector | None = None
        self._lock = threading.Lock()

    def of(self, row: int) -> dict[str, Any]:
        """Return velocities, CCF, its error, and the components that `siderea detect` would find.

        Parameters
        ----------
        row : int

        Raises
        ------
        NotNowError
            If the spectra are none, or not on the emulator's wavelengths.
        """
        if self.survey.kind != "spectra":
            raise NotNowError("ccf: this store holds light curves; only spectra have one")
        spectra = self.survey.store.spectra([row])
        with self._lock:  # one at a time: the detector is not made for threads
            detector = self._ready()
            correlation = detector.correlator(spectra)
            found = detector(spectra).iloc[0]
        if not np.isfinite(correlation.error[0]):
            raise NotNowError(f"ccf: spectrum {row} has no arm with enough good pixels")
        return {
            "velocity": correlation.velocities,
            "ccf": correlation.ccf[0],
            "error": correlation.error[0],
            "template": int(correlation.template[0]),
            "significance": float(found["significance"]),
            "components": _components(found),
        }

    def _ready(self) -> CCFDetector:
        if self._detector is None:
            from siderea.binaries.detect import CCFDetector

            try:
                self._detector = CCFDetector(self.survey.store.spectra([0]))
            except SidereaError as error:
                raise NotNowError(f"ccf: {error}") from error
        return self._detector


def _components(found: Any) -> list[dict[str, float]]:
    stars = []
    for star in range(1, min(_MOST, int(found["n_components"])) + 1):
        named = {"rv": "rv_{}", "rv_err": "rv_{}_err", "height": "height_{}", "vsini": "vsini_{}"}
        stars.append({name: float(found[key.format(star)]) for name, key in named.items()})
    return stars
