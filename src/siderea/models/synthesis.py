"""Synthetic spectra with PySME (Spectroscopy Made Easy), from an atmosphere and a line list.

PySME is an extra with an environment of its own (docs/decisions/0003-pysme-environment.md).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.models.synthesis_inputs import Atmosphere, AtmosphereGrid, LineList

__all__ = ["BANDS", "LABELS", "Band", "Synthesiser", "SyntheticBand", "require_pysme"]

LABELS = ("teff", "logg", "fe_h", "alpha_fe", "vmic")
ALPHA_ELEMENTS = ("O", "Ne", "Mg", "Si", "S", "Ar", "Ca", "Ti")
SOLAR = "asplund2009"
"""Abundances (Asplund et al. 2009, ARA&A 47, 481), scaled by [Fe/H], α elements by [α/Fe] more."""

CONTINUUM_POINTS = 16


@dataclass(frozen=True)
class Band:
    """A piece of spectrum.

    Parameters
    ----------
    name : str
    start, end : float
        Å, air.
    step : float
        Å: 0.03 has three pixels in the narrowest lines.
    """

    name: str
    start: float
    end: float
    step: float = 0.03

    @property
    def wavelength(self) -> NDArray[np.float64]:
        """Pixels (P,), Å."""
        n = int(np.ceil((self.end - self.start) / self.step - 1e-9))
        return self.start + self.step * np.arange(n, dtype=np.float64)


BANDS = (
    Band("blue", 4708, 4908),
    Band("green", 5643, 5878),
    Band("red", 6473, 6742),
    Band("ir", 7580, 7892),
)
"""The four arms of GALAH with a margin for Doppler shifts."""


@dataclass(frozen=True)
class SyntheticBand:
    """The spectrum of one star in one band.

    Parameters
    ----------
    flux : (P,) ndarray
        Normalised.
    continuum_wavelength, continuum : (C,) ndarray
        Å, and surface flux density, erg s⁻¹ cm⁻² Å⁻¹.
    """

    flux: NDArray[np.float64]
    continuum_wavelength: NDArray[np.float64]
    continuum: NDArray[np.float64]


def require_pysme() -> None:
    """Raise a `DataError` that says how to install PySME, where it is missing."""
    if find_spec("pysme") is None:
        raise DataError(
            "found no PySME; make an environment for it (it needs an older astropy and pandas): "
            "python -m venv pysme && pysme/bin/pip install 'siderea[synthesis]', and run "
            "pysme/bin/siderea"
        )


@dataclass(frozen=True)
class Synthesiser:
    """LTE synthesis in plane-parallel atmospheres.

    Parameters
    ----------
    atmospheres : AtmosphereGrid
    lines : LineList
        In any medium. Without molecules, stars below 5500 K lack their bands.
    bands : sequence of Band
    """

    atmospheres: AtmosphereGrid
    lines: LineList
    bands: Sequence[Band] = BANDS

    def __call__(self, labels: ArrayLike) -> list[SyntheticBand]:
        """Compute the spectrum of one star.

        Parameters
        ----------
        labels : (5,) array-like
            `LABELS`.

        Returns
        -------
        list of SyntheticBand
            One per band. No broadening beyond the thermal, microturbulent and pressure ones.

        Raises
        ------
        DataError
            If PySME is not installed, or the labels lie outside the atmospheres.
        """
        require_pysme()
        values = np.asarray(labels, dtype=np.float64)
        if values.shape != (len(LABELS),):
            raise DataError(f"labels: found shape {values.shape}; expected ({len(LABELS)},)")
        teff, logg, fe_h, alpha_fe, vmic = values.tolist()
        atmosphere = self.atmospheres.at(teff, logg, fe_h)
        lines = self.lines.to("air")
        return [_band(atmosphere, alpha_fe, vmic, lines, band) for band in self.bands]


def _band(
    atmosphere: Atmosphere, alpha_fe: float, vmic: float, lines: LineList, band: Band
) -> SyntheticBand:
    """Run PySME over one band; a fresh structure each, so that nothing is left from the last."""
    from pysme.synthesize import synthesize_spectrum

    wavelength = band.wavelength
    structure = _structure(atmosphere, alpha_fe, vmic)
    structure.linelist = _pysme_lines(lines.between(band.start, band.end))
    structure.wave = wavelength.copy()
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it warns of the wavelengths that it is given
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            structure = synthesize_spectrum(structure)
    finally:
        logging.disable(level)
    flux, level_of = np.asarray(structure.synth[0]), np.asarray(structure.cont[0])
    if flux.shape != wavelength.shape or not np.isfinite(flux).all():
        raise DataError(
            f"{band.name}: the synthesis gave no finite spectrum at teff {atmosphere.teff:g}, "
            f"logg {atmosphere.logg:g}, fe_h {atmosphere.fe_h:g}; leave this model out"
        )
    points = np.rint(np.linspace(0, wavelength.size - 1, CONTINUUM_POINTS)).astype(int)
    return SyntheticBand(flux, wavelength[points], level_of[points])


def _structure(atmosphere: Atmosphere, alpha_fe: float, vmic: float) -> Any:
    """Describe the star to PySME."""
    from pysme.abund import Abund
    from pysme.atmosphere.atmosphere import Atmosphere as PySMEAtmosphere
    from pysme.sme import SME_Structure

    structure = SME_Structure()
    structure.teff, structure.logg = atmosphere.teff, atmosphere.logg
    structure.vmic, structure.vmac, structure.vsini = vmic, 0.0, 0.0
    structure.abund = Abund(atmosphere.fe_h, SOLAR)
    for element in ALPHA_ELEMENTS:
        structure.abund.pattern[element] = structure.abund.pattern[element] + alpha_fe
    structure.atmo = PySMEAtmosphere(
        teff=atmosphere.teff,
        logg=atmosphere.logg,
        vturb=vmic,
        method="embedded",
        geom="PP",
        depth="RHOX",
        interp="RHOX",
        rhox=atmosphere.column_mass,
        tau=atmosphere.tau,
        temp=atmosphere.temperature,
        xne=atmosphere.electrons,
        xna=atmosphere.atoms,
        rho=atmosphere.density,
        wlstd=5000,
        source="siderea",
    )
    structure.atmo.abund = structure.abund
    structure.normalize_by_continuum = True
    structure.cscale_flag = structure.vrad_flag = "none"
    return structure


def _pysme_lines(lines: LineList) -> Any:
    import pandas as pd
    from pysme.linelist.linelist import LineList as PySMELineList

    table = pd.DataFrame(
        {
            "species": lines.species,
            "wlcent": lines.wavelength,
            "excit": lines.excitation,
            "gflog": lines.log_gf,
            "gamrad": lines.gamma_radiative,
            "gamqst": lines.gamma_stark,
            "gamvw": lines.van_der_waals,
            "atom_number": 1.0,
            "ionization": lines.ionisation.astype(float),
        }
    )
    return PySMELineList(table, lineformat="short", medium=lines.medium)
