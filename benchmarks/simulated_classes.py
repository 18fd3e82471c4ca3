"""A simulated survey with rare classes added, measured for its classes: what the others share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from siderea.classify.measure import Measurements, Meter
from siderea.simulate.instruments import galah
from siderea.simulate.population import Survey, SurveySettings
from siderea.simulate.spectra import SpectralSurvey, SpectraSettings

RANGES = (("teff", 3500.0, 6950.0), ("logg", 0.75, 4.75), ("fe_h", -2.5, 0.4))
RARE = (("HAE", 0.07), ("CEH", 0.07), ("WRD", 0.2), ("LIR", 0.25))
PROBLEMS = ("fringing", "cosmic")


@dataclass(frozen=True)
class MeasuredSurvey:
    """Measurements and truth; ``natural`` rows have classes as often as a survey has them."""

    measured: Measurements
    truth: pd.DataFrame
    natural: np.ndarray
    meter: Meter

    @property
    def classes(self) -> np.ndarray:
        return self.truth["class"].to_numpy().astype(str)


def _survey(n: int, seed: int, peculiar: tuple | None) -> SpectralSurvey:
    settings = SurveySettings(ranges=RANGES)
    if peculiar is not None:
        settings = SurveySettings(ranges=RANGES, peculiar=peculiar)
    population = Survey(n, seed=seed, settings=settings)
    return SpectralSurvey(population, n, galah(), SpectraSettings(), seed)


def measured_survey(n: int, n_rare: int, *, library: int = 2500) -> MeasuredSurvey:
    """Simulate n stars, and of n_rare others with more rare classes those that are not NOR."""
    natural, extra = _survey(n, 11, None), _survey(n_rare, 7, RARE)
    blocks = [natural.block(i) for i in range(-(-library // 128))]
    spectra = [block.spectra for block in blocks]
    first = spectra[0]
    table = pd.concat([one.table[["id"]] for one in spectra], ignore_index=True)
    meter = Meter(
        type(first)(
            first.wavelength,
            np.concatenate([one.flux for one in spectra]),
            np.concatenate([one.ivar for one in spectra]),
            first.medium,
            first.arms,
            first.arm_names,
            first.resolution,
            table,
        )
    )
    pieces, truths = [], []
    for number in range(natural.n_blocks):
        block = blocks[number] if number < len(blocks) else natural.block(number)
        pieces.append(meter.measure(block.spectra))
        truths.append(block.truth)
    for number in range(extra.n_blocks):
        block = extra.block(number)
        kept = (block.truth["class"] != "NOR").to_numpy()
        if kept.any():
            named = block.spectra[kept]
            pieces.append(meter.measure(named))
            truths.append(block.truth[kept].assign(id="rare-" + block.truth["id"][kept]))
    truth = pd.concat(truths, ignore_index=True)
    return MeasuredSurvey(Measurements.joined(pieces), truth, np.arange(len(truth)) < n, meter)


def told_apart(truth: pd.DataFrame) -> np.ndarray:
    """Spectra that do not sit on a boundary of the simulator's own definition of their class.

    BIN: |Δv| > 30 km/s and a tenth and more of the light twice over (ratio > .25); HFR: v sin i >
    36 km/s; CMP: [Fe/H] < -1.1; MAB: below 4,200 K; WRD: fringes or cosmic rays (a dead arm, a
    veil or a wrong velocity is in the flags, or nowhere in a normalised spectrum); NOR: no visible
    companion, v sin i < 24, 4,400 to 6,700 K, giants above [Fe/H] -0.9; no TRI.
    """
    t, code = truth, truth["class"].to_numpy().astype(str)
    ratio, dv = t["flux_ratio"].fillna(0.0), t["dv"].fillna(0.0).abs()
    seen = (t["n_stars"] > 1) & (ratio > 0.03) & (dv > 7.0)
    giant = (t["logg"] < 3.5) & (t["teff"] < 5300.0)
    plain = ~seen & (t["vsini"] < 24) & t["teff"].between(4400, 6700)
    clear = {
        "BIN": (dv > 30) & (ratio > 0.25),
        "HFR": (t["vsini"] > 36) & ~seen,
        "CMP": (t["fe_h"] < -1.1) & ~seen,
        "MAB": (t["teff"] < 4200) & ~seen,
        "WRD": t["problem"].isin(PROBLEMS),
        "NOR": plain & ~(giant & (t["fe_h"] < -0.9)),
        "TRI": pd.Series(False, index=t.index),
    }
    keep = ~seen.to_numpy()
    for name, rule in clear.items():
        keep[code == name] = rule.to_numpy()[code == name]
    return keep
