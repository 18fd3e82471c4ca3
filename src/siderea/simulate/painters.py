"""All that is put on the spectra of single stars before their light is added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.simulate.bands import BandPainter
from siderea.simulate.draw import Columns
from siderea.simulate.emission import EmissionPainter
from siderea.simulate.light import Stars
from siderea.simulate.peculiar import COLD, emission_of
from siderea.spectra.instruments import InstrumentGrid

__all__ = ["Painters"]

Array = NDArray[np.float64]

FAINT = 0.003
"""Share of the light below which the bands of a cold companion are left out."""


@dataclass(frozen=True)
class Painters:
    """Bands (where the instrument is in the GALAH arms) and emission."""

    bands: BandPainter | None
    emission: EmissionPainter

    @classmethod
    def on(cls, grid: InstrumentGrid) -> Painters:
        """Make them for the pixels of an instrument."""
        try:
            bands = BandPainter(grid)
        except DataError:  # another instrument: its model has the molecules of its own
            bands = None
        return cls(bands, EmissionPainter(grid))

    def paint(
        self,
        lines: NDArray[np.float32],
        light: NDArray[np.float32],
        stars: Stars,
        table: Columns,
        share: NDArray[np.float64],
    ) -> Array:
        """Change the normalised spectra of stars in place.

        Parameters
        ----------
        lines, light : (S, P) ndarray
            Normalised spectra and continua of the stars.
        stars : Stars
        table : columns
            N systems, with what `siderea.simulate.peculiar.draw` drew.
        share : (N, 3) ndarray
            Of each star in the light.

        Returns
        -------
        (N,) ndarray
            Light added to Hβ, Å; NaN without emission.
        """
        if self.bands is not None:
            self._bands(self.bands, lines, stars, table, share)
        ew_hbeta = np.full(len(share), np.nan)
        for row in np.flatnonzero(table["emission"] != "").tolist():
            emission = emission_of(table, row)
            ew_hbeta[row] = self.emission.paint(
                lines[row], light[row], stars.labels[row, -1], emission
            )
        return ew_hbeta

    @staticmethod
    def _bands(
        painter: BandPainter,
        lines: NDArray[np.float32],
        stars: Stars,
        table: Columns,
        share: NDArray[np.float64],
    ) -> None:
        """Put bands on cold stars, on carbon stars, and lithium on lithium-rich ones."""
        primary = stars.rank == 0
        a_li = np.where(primary, table["a_li"][stars.row], np.nan)
        c_fe = np.where(primary, table["c_fe"][stars.row], np.nan)
        c_fe = np.where(np.isnan(c_fe) & (stars.true[:, 0] < COLD), 0.0, c_fe)
        c_fe = np.where(share[stars.row, stars.rank] > FAINT, c_fe, np.nan)
        some = np.flatnonzero(np.isfinite(a_li) | np.isfinite(c_fe))
        for start in range(0, some.size, 16):  # depths of 16 stars stay in the cache
            part = some[start : start + 16]
            lines[part] *= painter.transmission(
                stars.true[part, :4], stars.labels[part, 5:], c_fe=c_fe[part], a_li=a_li[part]
            )
