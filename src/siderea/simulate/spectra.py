"""Spectra of a simulated survey, with the truth beside them.

A `SpectralSurvey` makes its spectra in blocks of fixed stars, each from generators of its own: the
same seed gives the same bits whatever the order, the number of processes and the size of the chunks
that are asked for. Spectra are stored as `siderea.pipelines.ingest` stores real ones: normalised,
in the star's rest frame (by the measured velocity), telluric bands masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from siderea.data import Spectra
from siderea.errors import DataError
from siderea.simulate import defects, peculiar
from siderea.simulate.draw import Columns
from siderea.simulate.epochs import visit_times
from siderea.simulate.instruments import Instrument, galah
from siderea.simulate.light import SUFFIXES, Stars, blend, brightness, shares
from siderea.simulate.noise import (
    continuum_errors,
    inverse_variance,
    mask_telluric,
    snr_curve,
    standard_normal,
)
from siderea.simulate.painters import Painters
from siderea.simulate.spectrum_table import finished, measured
from siderea.simulate.velocities import velocities_at
from siderea.spectra.doppler import add_velocities

__all__ = [
    "Population",
    "Simulated",
    "SpectraSettings",
    "SpectralSurvey",
    "TableOfStars",
    "join",
    "simulate_spectra",
    "stars_per_block",
]

BLOCK = 128
"""Spectra made together: enough to spread the cost of their table, and 70 MB at work."""

_NOISE = 9


class Population(Protocol):
    """Where the stars come from: `siderea.simulate.population.Survey`, or a `TableOfStars`."""

    def stars(self, start: int, stop: int) -> pd.DataFrame:
        """Return rows of the population table, the same for a star whatever the range."""
        ...


@dataclass(frozen=True)
class TableOfStars:
    """A table of given stars.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns of the population table that spectra need.
    """

    table: pd.DataFrame

    def stars(self, start: int, stop: int) -> pd.DataFrame:
        """See `Population`."""
        return self.table.iloc[start:stop].reset_index(drop=True)


class Simulated(NamedTuple):
    """Spectra and the truth about them, row by row."""

    spectra: Spectra
    truth: pd.DataFrame


@dataclass(frozen=True)
class SpectraSettings:
    """How spectra are made of stars.

    Parameters
    ----------
    frame : {"rest", "barycentric"}
        Whether the measured velocity is taken out of the spectra.
    visits : int
        Spectra per star.
    baseline : float
        Longest time between visits, d.
    noise : bool
        Whether flux is noisy; the inverse variance is the same either way.
    continuum_error : float
        Standard deviation of each of the coefficients of degree 0 to 3, per arm, of a smooth error
        of the continuum.
    cosmic_rays : float
        Hits per spectrum that were found and masked (mean).
    telluric : bool
        Mask the telluric bands.
    """

    frame: Literal["rest", "barycentric"] = "rest"
    visits: int = 1
    baseline: float = 1000.0
    noise: bool = True
    continuum_error: float = 0.002
    cosmic_rays: float = 3.0
    telluric: bool = True

    def __post_init__(self) -> None:
        if self.frame not in ("rest", "barycentric"):
            raise DataError(f"frame: found {self.frame!r}; expected 'rest' or 'barycentric'")
        if self.visits < 1 or not self.baseline > 0:
            raise DataError(
                f"visits {self.visits}, baseline {self.baseline} d; expected at least one visit "
                "and a positive baseline"
            )
        if not (self.continuum_error >= 0 and self.cosmic_rays >= 0):
            raise DataError(
                "continuum_error and cosmic_rays: expected numbers that are not below 0"
            )


@dataclass(frozen=True)
class SpectralSurvey:
    """A survey that is made block by block.

    Parameters
    ----------
    population : Population
        The stars.
    n_stars : int
    instrument : Instrument
    settings : SpectraSettings
    seed : int
        Of everything that is drawn here; the population has its own.
    """

    population: Population
    n_stars: int
    instrument: Instrument
    settings: SpectraSettings = field(default_factory=SpectraSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_stars < 1 or self.seed < 0:
            raise DataError(
                f"n_stars {self.n_stars}, seed {self.seed}; expected at least one star and a seed "
                "that is not negative"
            )

    @property
    def stars_per_block(self) -> int:
        """Stars of one block: all their visits are made together."""
        return stars_per_block(self.settings.visits)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n_stars // self.stars_per_block)

    def __len__(self) -> int:
        return self.n_stars * self.settings.visits

    @cached_property
    def empty(self) -> Spectra:
        """A set without rows, on the grid of the survey."""
        return self.instrument.grid.empty()

    def chunks(self, size: int) -> Iterator[Simulated]:
        """Yield the whole survey, ``size`` spectra at a time."""
        if size < 1:
            raise DataError(f"size: found {size}; expected at least 1")
        held: list[Simulated] = []
        for number in range(self.n_blocks):
            held.append(self.block(number))
            while sum(len(one.truth) for one in held) >= size:
                joined = join(held)
                yield Simulated(joined.spectra[:size], joined.truth[:size].reset_index(drop=True))
                rest = joined.truth[size:].reset_index(drop=True)
                held = [Simulated(joined.spectra[size:], rest)] if len(rest) else []
        if held:
            yield join(held)

    def block(self, number: int) -> Simulated:
        """Make one block of spectra.

        Parameters
        ----------
        number : int
            Below `n_blocks`.

        Returns
        -------
        Simulated
            Rows star by star, visit by visit.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the order of a sum, and so its last bit, is that of one thread
        try:
            with threadpool_limits(1):
                return self._block(number)
        finally:
            torch.set_num_threads(threads)

    def _block(self, number: int) -> Simulated:
        first = number * self.stars_per_block
        frame = self.population.stars(first, min(first + self.stars_per_block, self.n_stars))
        stars = {name: _plain(frame[name]) for name in frame}
        stars |= peculiar.peculiarities(stars, first, seed=self.seed)
        table = self._visited(stars, first)
        row = first * self.settings.visits
        rows = range(row, row + table["time"].size)
        generators = [peculiar.star_generator(self.seed, _NOISE, one) for one in rows]
        flux, light, table = self._shine(table, generators)
        spectra = self._observe(flux, light, table, generators)
        return Simulated(*finished(spectra, table, first_row=row, instrument=self.instrument))

    def _visited(self, stars: Columns, first: int) -> Columns:
        """Return one row per visit, with the velocities of its time."""
        v, n = self.settings.visits, stars["time"].size
        if v == 1:
            return stars | {"visit": np.zeros(n, dtype=int)}
        baseline = self.settings.baseline
        times = visit_times(stars["time"], v, first, seed=self.seed, baseline=baseline)
        one, two, three = velocities_at(stars, times).reshape(-1, 3).T
        table = {name: np.repeat(values, v) for name, values in stars.items()}
        moving = {"rv_1": one, "rv_2": two, "rv_3": three, "rv": one, "dv": two - one}
        return table | moving | {"time": times.ravel(), "visit": np.tile(np.arange(v), n)}

    def _shine(
        self, table: Columns, generators: list[np.random.Generator]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], Columns]:
        """Return normalised flux and continuum (N, P) without noise, and what is now known."""
        instrument, n = self.instrument, len(generators)
        stars = Stars.of(table, instrument.stars.label_range)
        light = brightness(stars, instrument)
        share = shares(stars, light, n, instrument)
        table = measured(table, share, generators)
        velocity = np.stack([table["rv_1"], table["rv_2"], table["rv_3"]], axis=1)
        if self.settings.frame == "rest":
            velocity = add_velocities(velocity, -table["rv_measured"][:, None])
        stars = stars.moving(velocity)
        bright = stars.bright(share)
        lines = np.ones_like(light)
        lines[bright] = instrument.stars.lines(stars.labels[bright])
        emitted = self._painters.paint(lines, light, stars, table, share)
        outside = stars.outside(n)
        table |= {f"outside{s}": outside[:, rank] for rank, s in enumerate(SUFFIXES)}
        table["emission_ew_hbeta"] = emitted
        flux, total = blend(lines, light, stars, n)
        return flux, total, table

    def _observe(
        self,
        flux: NDArray[np.float32],
        light: NDArray[np.float32],
        table: Columns,
        generators: list[np.random.Generator],
    ) -> Spectra:
        """Add noise, defects and masks; the table of the result has ``flags`` only."""
        ivar = inverse_variance(flux, snr_curve(light, table["snr"], self.instrument))
        grid, settings = self.instrument.grid, self.settings
        if settings.noise:
            flux += standard_normal(generators, flux.shape[1]) / np.sqrt(ivar)
        smooth = continuum_errors(generators, grid, settings.continuum_error)
        flux *= smooth
        smooth *= smooth
        ivar /= smooth
        sky = defects.sky_velocity(table, settings.frame)
        flags = np.zeros(len(flux), dtype=np.int64)
        for row, generator in enumerate(generators):
            flags[row] = defects.cosmic_rays(ivar[row], settings.cosmic_rays, generator)
        for row in np.flatnonzero(table["problem"] != "").tolist():
            flags[row] |= defects.spoil(
                str(table["problem"][row]),
                flux[row],
                ivar[row],
                grid,
                arm=int(table["problem_arm"][row]),
                size=float(table["problem_size"][row]),
                sky_velocity=float(sky[row]),
                rng=generators[row],
            )
        if settings.telluric:
            mask_telluric(ivar, grid, sky)
        return replace(self.empty, flux=flux, ivar=ivar, table=pd.DataFrame({"flags": flags}))

    @cached_property
    def _painters(self) -> Painters:
        return Painters.on(self.instrument.grid)


def stars_per_block(visits: int) -> int:
    """Return the number of stars whose ``visits`` make about `BLOCK` spectra."""
    return max(1, BLOCK // visits)


def _plain(column: pd.Series) -> NDArray:
    """Return a column as numbers, or as Python strings."""
    numeric = column.dtype.kind in "fiub"
    return column.to_numpy() if numeric else column.to_numpy(dtype=object)


def join(parts: Sequence[Simulated]) -> Simulated:
    """Join parts of a survey, in order."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0].spectra
    spectra = replace(
        first,
        flux=np.concatenate([part.spectra.flux for part in parts]),
        ivar=np.concatenate([part.spectra.ivar for part in parts]),
        table=pd.concat([part.spectra.table for part in parts], ignore_index=True),
    )
    return Simulated(spectra, pd.concat([part.truth for part in parts], ignore_index=True))


def simulate_spectra(
    n: int,
    *,
    rng: np.random.Generator | int = 0,
    population: Population | None = None,
    settings: SpectraSettings | None = None,
    instrument: Instrument | Literal["galah"] = "galah",
) -> Simulated:
    """Simulate the spectra of n stars.

    Parameters
    ----------
    n : int
        Stars.
    rng : numpy.random.Generator or int
        A generator, of which one number is drawn as the seed; or the seed.
    population : Population, optional
        The stars; by default `siderea.simulate.population.Survey` with the same seed.
    settings : SpectraSettings, optional
    instrument : Instrument or "galah"
        `siderea.simulate.apogee.apogee` makes one from El-Badry's networks.

    Returns
    -------
    spectra : Spectra
        n times ``settings.visits`` rows, float32.
    truth : pandas.DataFrame
        One row per spectrum: the population table, and what was done to the spectrum.

    Raises
    ------
    DataError
        If n, the seed or a setting makes no sense.

    Notes
    -----
    All is held in memory, 131 kB per GALAH spectrum; `SpectralSurvey` streams.
    """
    seed = int(rng.integers(2**62)) if isinstance(rng, np.random.Generator) else int(rng)
    if n < 1 or seed < 0:
        raise DataError(f"n {n}, seed {seed}; expected at least one star and no negative seed")
    if population is None:
        from siderea.simulate.population import Survey

        population = Survey(n, seed=seed)
    machine = galah() if isinstance(instrument, str) else instrument
    survey = SpectralSurvey(population, n, machine, settings or SpectraSettings(), seed)
    return join([survey.block(number) for number in range(survey.n_blocks)])
