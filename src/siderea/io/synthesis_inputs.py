"""Readers of what a synthesis starts from: model atmospheres and the GALAH DR3 line list."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from siderea.errors import DataError, NotThisProductError
from siderea.models.synthesis_inputs import AtmosphereGrid, LineList

__all__ = ["read_atmospheres", "read_line_list"]

FIELDS = ("logtau5000", "logT", "logPe", "logPg", "logrho")
PARAMETERS = ("teff", "logg", "feh")
EXPECTED_ATMOSPHERES = f"an npz of atmospheres ({', '.join(PARAMETERS)}; {', '.join(FIELDS)})"
EXPECTED_LINES = "an HDF5 line list (wl, formula, ionization, E_lo, log_gf, gamma_rad, ...)"


def read_atmospheres(path: str | Path) -> AtmosphereGrid:
    """Read model atmospheres.

    Parameters
    ----------
    path : path-like
        ``.npz`` with ``params`` (M, ...) named by ``param_names``, ``data`` (M, F, D) named by
        ``fields``.

    Returns
    -------
    AtmosphereGrid
        Models with a layer that is not finite are left out.

    Raises
    ------
    NotThisProductError
        If the file is not that.
    """
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as content:
            names, fields = content["param_names"].tolist(), content["fields"].tolist()
            columns = [names.index(name) for name in PARAMETERS]
            rows = [fields.index(name) for name in FIELDS]
            return AtmosphereGrid(content["params"][:, columns], content["data"][:, rows])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise NotThisProductError(path, str(error), EXPECTED_ATMOSPHERES) from error


def read_line_list(path: str | Path, *, molecules: bool = False) -> LineList:
    """Read the lines of the GALAH DR3 line list, as Korg distributes it.

    Parameters
    ----------
    path : path-like
        ``.h5``; wavelengths are in **vacuum**, single precision. A species is three atomic
        numbers: a line is atomic where only one of them is not zero.
    molecules : bool
        Whether to read those of diatomic molecules too; others are always left out.

    Returns
    -------
    LineList
        In vacuum.

    Raises
    ------
    NotThisProductError
        If the file is not that.
    DataError
        If h5py, part of the extra ``synthesis``, is not installed.
    """
    if find_spec("h5py") is None:
        raise DataError(f"{path}: found no h5py to read it; pip install 'siderea[synthesis]'")
    import h5py

    try:
        with h5py.File(path) as content:
            formula = content["formula"][:].astype(np.int64)
            atoms = np.sort(formula, axis=1)[:, ::-1]
            n_atoms = np.count_nonzero(formula, axis=1)
            chosen = (n_atoms == 1) | (molecules & (n_atoms == 2))
            code = np.where(n_atoms == 1, atoms[:, 0], 100 * atoms[:, 1] + atoms[:, 0])
            return LineList(
                wavelength=content["wl"][:].astype(np.float64)[chosen],
                element=code[chosen],
                ionisation=content["ionization"][:].astype(np.int64)[chosen],
                excitation=content["E_lo"][:].astype(np.float64)[chosen],
                log_gf=content["log_gf"][:].astype(np.float64)[chosen],
                gamma_radiative=content["gamma_rad"][:].astype(np.float64)[chosen],
                gamma_stark=content["gamma_stark"][:].astype(np.float64)[chosen],
                van_der_waals=content["vdW"][:].astype(np.float64)[chosen],
                medium="vacuum",
            )
    except (OSError, KeyError) as error:
        raise NotThisProductError(path, str(error), EXPECTED_LINES) from error
