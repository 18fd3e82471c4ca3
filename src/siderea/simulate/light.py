"""The light of systems of one, two and three stars on the pixels of an instrument.

f(λ) = Σ Rᵢ² Cᵢ(λ) nᵢ(λ; vᵢ) / Σ Rᵢ² Cᵢ(λ): the normalised spectrum n of each star, at its own
velocity, weighed with the flux density C of its continuum and the area of its disc.

A star beyond the range of the model has the lines of the nearest atmosphere within it; where that is
for its temperature, the continuum is scaled by the ratio of the two black bodies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from siderea.simulate.draw import Columns
from siderea.simulate.instruments import BROADENING, STAR_LABELS, Instrument

__all__ = ["SUFFIXES", "Stars", "blend", "brightness", "planck", "shares"]

SUFFIXES = ("", "_2", "_3")
"""Of the columns of the first, second and third star."""

UNSEEN = 3e-4
"""Share of the light below which a companion is a featureless continuum: its lines would change no
pixel by more than this."""

SECOND_RADIATION = 1.438777e8
"""hc/k, Å K (CODATA)."""


@dataclass(frozen=True)
class Stars:
    """Single stars: those of a table of systems, one after another.

    Parameters
    ----------
    labels : (S, 8) ndarray
        `STAR_LABELS` and `BROADENING`, within the model's range; the velocity is that in the frame
        of the spectrum.
    true : (S, 8) ndarray
        The same before they were moved to the edge of the range.
    radius : (S,) ndarray
        Solar.
    row : (S,) ndarray of int
        System of each star; the first stars of all systems come first.
    rank : (S,) ndarray of int
        0, 1, 2.
    label_range : (8, 2) ndarray
        The model's.
    """

    labels: NDArray[np.float64]
    true: NDArray[np.float64]
    radius: NDArray[np.float64]
    row: NDArray[np.int64]
    rank: NDArray[np.int64]
    label_range: NDArray[np.float64]

    @classmethod
    def of(cls, table: Columns, label_range: NDArray) -> Stars:
        """Gather the stars of systems (N rows), not yet moving."""
        pieces, rows, ranks, radii = [], [], [], []
        for rank, suffix in enumerate(SUFFIXES):
            if rank and f"radius{suffix}" not in table:
                continue
            # a companion too light for the isochrones has no radius, and gives no light
            there = np.flatnonzero(np.isfinite(table[f"radius{suffix}"]))
            rows.append(there)
            ranks.append(np.full(there.size, rank))
            radii.append(table[f"radius{suffix}"][there])
            pieces.append(_labels(table, suffix, there))
        true = np.concatenate(pieces)
        return cls(
            true.clip(label_range[:, 0], label_range[:, 1]),
            true,
            np.concatenate(radii),
            np.concatenate(rows),
            np.concatenate(ranks),
            label_range,
        )

    def moving(self, velocity: NDArray) -> Stars:
        """Return the stars at velocities (N, 3) in the frame of the spectra, km/s."""
        true = self.true.copy()
        true[:, -1] = velocity[self.row, self.rank]
        labels = true.clip(self.label_range[:, 0], self.label_range[:, 1])
        return replace(self, labels=labels, true=true)

    def bright(self, share: NDArray) -> NDArray[np.int64]:
        """Tell which stars' lines can be seen, by their share (N, 3) of the light: indices."""
        return np.flatnonzero((share[self.row, self.rank] > UNSEEN) | (self.rank == 0))

    def outside(self, n_rows: int) -> NDArray[np.object_]:
        """Say which labels (N, 3) lie beyond the model's range: names, comma-separated."""
        names = np.array((*STAR_LABELS, *BROADENING))
        found = np.full((n_rows, len(SUFFIXES)), "", dtype=object)
        moved = self.labels != self.true
        for star in np.flatnonzero(moved.any(axis=1)):
            found[self.row[star], self.rank[star]] = ",".join(names[moved[star]])
        return found


def _labels(table: Columns, suffix: str, there: NDArray[np.int64]) -> NDArray[np.float64]:
    """Labels (N, 8) of the stars of one rank, at rest; composition is the system's."""
    shared = ("fe_h", "alpha_fe")
    names = (*STAR_LABELS, "vsini", "vmac")
    columns = [table[name if name in shared else f"{name}{suffix}"][there] for name in names]
    return np.column_stack([*columns, np.zeros(there.size)]).astype(np.float64)


def planck(wavelength: NDArray, teff: NDArray, other: NDArray) -> NDArray[np.float64]:
    """Ratio (S, P) of the black bodies of ``teff`` and of ``other``, both (S,)."""
    x = SECOND_RADIATION / wavelength
    return np.asarray(np.expm1(x / other[:, None]) / np.expm1(x / teff[:, None]))


def brightness(stars: Stars, instrument: Instrument) -> NDArray[np.float32]:
    """Return R² C (S, P), solar radii squared times erg s⁻¹ cm⁻² Å⁻¹."""
    light = instrument.stars.continuum(stars.labels)
    moved = np.flatnonzero(stars.true[:, 0] != stars.labels[:, 0])
    if moved.size:
        ratio = planck(instrument.grid.wavelength, stars.true[moved, 0], stars.labels[moved, 0])
        light[moved] *= ratio.astype(np.float32)
    light *= (stars.radius[:, None] ** 2).astype(np.float32)
    return light


def shares(
    stars: Stars, light: NDArray[np.float32], n_rows: int, instrument: Instrument
) -> NDArray[np.float64]:
    """Return the share (N, 3) of each star in the light of its system, in the pivot arm."""
    share = np.zeros((n_rows, len(SUFFIXES)))
    share[stars.row, stars.rank] = light[:, instrument.pivot_pixels].mean(axis=1)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def blend(
    lines: NDArray[np.float32], light: NDArray[np.float32], stars: Stars, n_rows: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add the light of the stars of each system.

    Parameters
    ----------
    lines, light : (S, P) ndarray
        Normalised spectra and `brightness` of the stars; both are overwritten.
    stars : Stars
    n_rows : int
        N systems.

    Returns
    -------
    flux, total : (N, P) ndarray
        Normalised flux, and the light of all stars' continua. A single star's are its own, bit for
        bit.
    """
    flux, total = lines[:n_rows], light[:n_rows]
    multiple = np.unique(stars.row[n_rows:])
    flux[multiple] *= total[multiple]
    for star in range(n_rows, len(stars.row)):
        row = stars.row[star]
        flux[row] += lines[star] * light[star]
        total[row] += light[star]
    flux[multiple] /= total[multiple]
    return flux, total
