"""Stars for the tests of the simulator: rows of the population table, without a population."""

import numpy as np
import pandas as pd

SUN = {
    "teff": 5772.0,
    "logg": 4.44,
    "fe_h": 0.0,
    "alpha_fe": 0.0,
    "vmic": 1.1,
    "radius": 1.0,
    "vsini": 2.0,
    "vmac": 3.5,
    "rv_system": 0.0,
    "rv_1": 0.0,
    "rv_2": np.nan,
    "rv_3": np.nan,
    "rv": 0.0,
    "dv": np.nan,
    "time": 57400.0,
    "snr": 100.0,
    "ra": 10.0,
    "dec": -30.0,
    "n_stars": 1,
    "class": "NOR",
    "v_jk": 13.0,
}
TWIN = {
    "n_stars": 2,
    "teff_2": 5772.0,
    "logg_2": 4.44,
    "radius_2": 1.0,
    "vmic_2": 1.1,
    "vsini_2": 2.0,
    "vmac_2": 3.5,
    "rv_2": 0.0,
}


def table(*rows):
    """Return a table of suns with the differences that are given."""
    stars = pd.DataFrame([{**SUN, **row} for row in rows])
    return stars.assign(star_id=[f"s{i}" for i in range(len(rows))])


def columns(*rows):
    """Return the same as arrays by name."""
    frame = table(*rows)
    return {
        name: frame[name].to_numpy(dtype=None if frame[name].dtype.kind in "fi" else object)
        for name in frame
    }
