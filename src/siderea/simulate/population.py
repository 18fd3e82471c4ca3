"""A survey of the Milky Way whose truth is known: one row per system.

The rows are drawn in blocks of `BLOCK` systems, each block from a generator of its own, so that
system i is the same whatever rows were asked for, on however many workers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from siderea.errors import DataError
from siderea.isochrones import load_default
from siderea.simulate.clump import RedClump
from siderea.simulate.components import MILKY_WAY, Component
from siderea.simulate.draw import Sampler
from siderea.simulate.galaxy_model import DustDisc
from siderea.simulate.multiplicity import MultiplicityLaw
from siderea.simulate.selection import GALAH_SELECTION, SNR_FAINT, Selection
from siderea.simulate.truth import truth

__all__ = ["BLOCK", "EMULATOR_RANGES", "Survey", "SurveySettings"]

BLOCK = 1024
"""Systems per block."""

STREAM = 1
"""First word after the seed in every block's generator: other draws use other streams."""

EMULATOR_RANGES = (("teff", 4450.0, 6950.0), ("logg", 0.75, 4.75), ("fe_h", -2.5, 0.4))
"""Primaries that the shipped emulator can give a spectrum, with a margin to its edges."""


PECULIAR = (("HAE", 0.0008), ("CEH", 0.0015), ("WRD", 0.0056), ("LIR", 0.011))
"""Hα emission, carbon-enhanced, problematic: the numbers of the published class lists over GALAH's
588,681 spectra of the time (Čotar et al. 2019); lithium-rich: share of giants (Martell et al. 2021,
MNRAS 505, 5340)."""


@dataclass(frozen=True)
class SurveySettings:
    """What a survey is made of.

    Parameters
    ----------
    binary_fraction : float, optional
        Share of systems with companions; by the primary's mass when None.
    selection : Selection
        Limits in magnitude, colour, distance and place.
    ranges : tuple of (name, low, high)
        Ranges of the primary's ``teff``, ``logg``, ``fe_h``; empty to take every star.
    components : tuple of Component
        Populations of the Galaxy.
    multiplicity : MultiplicityLaw
    dust : DustDisc
    bands : tuple of str, optional
        Bands of the columns ``mag_<band>``; all of the isochrones' when None.
    snr_at_14 : float
        S/N per pixel in the green arm at V = 14.
    dates : (float, float)
        Epochs are even between, BMJD: the nights of GALAH's third data release.
    peculiar : tuple of (code, share)
        Classes that the population does not bring by itself, and their shares among the stars of
        class NOR (``LIR``: among its giants).
    """

    binary_fraction: float | None = None
    selection: Selection = GALAH_SELECTION
    ranges: tuple[tuple[str, float, float], ...] = EMULATOR_RANGES
    components: tuple[Component, ...] = MILKY_WAY
    multiplicity: MultiplicityLaw = MultiplicityLaw()  # noqa: RUF009 - frozen
    dust: DustDisc = DustDisc()  # noqa: RUF009 - frozen
    bands: tuple[str, ...] | None = None
    snr_at_14: float = SNR_FAINT
    dates: tuple[float, float] = (56_600.0, 58_540.0)
    peculiar: tuple[tuple[str, float], ...] = PECULIAR

    def __post_init__(self) -> None:
        if self.binary_fraction is not None and not 0 <= self.binary_fraction <= 1:
            raise DataError(f"binary_fraction: found {self.binary_fraction}; expected 0 to 1")
        shares = [share for _, share in self.peculiar]
        if min(shares, default=0.0) < 0 or sum(shares) > 1:
            raise DataError(f"peculiar: found shares {shares}; expected a sum from 0 to 1")

    @property
    def law(self) -> MultiplicityLaw:
        """The multiplicity with the survey's own fraction."""
        if self.binary_fraction is None:
            return self.multiplicity
        return replace(self.multiplicity, fraction=self.binary_fraction)


@dataclass(frozen=True)
class Survey:
    """A survey of n systems.

    Parameters
    ----------
    n : int
    seed : int
    settings : SurveySettings

    Examples
    --------
    >>> survey = Survey(2000, seed=1)
    >>> part = survey.stars(1000, 1010)
    >>> part.equals(survey.stars().iloc[1000:1010].reset_index(drop=True))
    True
    """

    n: int
    seed: int = 0
    settings: SurveySettings = SurveySettings()

    def __post_init__(self) -> None:
        if self.n < 0 or self.seed < 0:
            raise DataError(f"survey: found n {self.n}, seed {self.seed}; expected neither below 0")

    def __len__(self) -> int:
        return self.n

    def stars(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """Return the truth of systems start to stop.

        Parameters
        ----------
        start, stop : int
            Half-open range of systems, within 0 to n.

        Returns
        -------
        pandas.DataFrame
            See `siderea.simulate.truth` for the columns.

        Raises
        ------
        DataError
            If the range is not within the survey.
        """
        stop = self.n if stop is None else stop
        if not 0 <= start <= stop <= self.n:
            raise DataError(f"stars: found {start} to {stop}; expected a range in 0 to {self.n}")
        first, last = start // BLOCK, max(start, stop - 1) // BLOCK
        blocks = [_block(self.settings, self.seed, number) for number in range(first, last + 1)]
        table = pd.concat(blocks, ignore_index=True) if len(blocks) > 1 else blocks[0]
        offset = first * BLOCK
        return table.iloc[start - offset : stop - offset].reset_index(drop=True)


@lru_cache(maxsize=1)
def isochrones() -> RedClump:
    """Return the shipped isochrones with the red clump."""
    return RedClump(load_default())


@lru_cache(maxsize=4)
def sampler(settings: SurveySettings) -> Sampler:
    """Return the sampler of some settings: its tables take a second, and serve every seed."""
    return Sampler(
        isochrones(),
        settings.components,
        settings.law,
        settings.selection,
        settings.dust,
        settings.ranges,
    )


@lru_cache(maxsize=4)
def _block(settings: SurveySettings, seed: int, number: int) -> pd.DataFrame:
    """Draw one block; the last few are kept, for those who ask in smaller chunks."""
    rng = np.random.default_rng([seed, STREAM, number])
    source = sampler(settings)
    columns = source.draw(BLOCK, rng)
    table = truth(
        columns,
        source,
        rng,
        bands=settings.bands,
        snr_at_14=settings.snr_at_14,
        dates=settings.dates,
        peculiar=settings.peculiar,
    )
    names = [f"{index:09d}" for index in range(number * BLOCK, (number + 1) * BLOCK)]
    return table.assign(id=names, star_id=[f"s{seed}-{name}" for name in names])
