"""The shipped isochrones against the published tables, another code's, and stars of the sky."""

import tarfile

import numpy as np
import pytest

from siderea.isochrones import load_default

pytestmark = pytest.mark.realdata
ISO = load_default()


def member(path, name):
    with tarfile.open(path) as archive:
        found = next(m for m in archive if name in m.name)
        return archive.extractfile(found).read().decode()


def test_nodes_are_the_published_tables(real_data):
    text = member(real_data / "isochrones/DSED.tar.xz", "FeH_m0.5/tmp1700022296.iso")
    for block in text.split("#AGE=")[1:]:
        age = float(block.split()[0])
        if age < 1:
            continue
        rows = np.array([line.split() for line in block.split("\n")[2:] if line], dtype=float)
        rows = rows[rows[:, 1] > 0.141]
        star = ISO.stars(rows[:, 1], age, -0.5)
        u_to_z = ISO.magnitudes(rows[:, 1], age, -0.5, [f"sdss_{band}" for band in "ugriz"])
        # Where the table's own masses step back no star can agree: one row in a hundred.
        assert np.nanpercentile(np.abs(np.log10(star.teff) - rows[:, 2]), 98) < 0.001
        assert np.nanpercentile(np.abs(u_to_z - rows[:, 5:]), 98) < 0.02
        assert np.isnan(star.teff).mean() < 0.02


def test_another_code_agrees_on_the_main_sequence(real_data):
    """PARSEC of 5.0 Gyr and solar metallicity: other opacities, mixing and solar mixture."""
    path = real_data / "isochrones/PARSEC.tar.xz"
    rows = np.loadtxt(member(path, "logAge9.7").split("\n"))
    rows = rows[(np.abs(rows[:, 1]) < 0.01) & (rows[:, 9] == 1)]
    rows = rows[(rows[:, 3] > 0.6) & (rows[:, 3] < 1.1)]
    star = ISO.stars(rows[:, 3], 10**9.7 / 1e9, 0.0)
    assert len(rows) > 20
    assert np.abs(star.teff / 10 ** rows[:, 7] - 1).max() < 0.035
    assert np.abs(star.logg - rows[:, 8]).max() < 0.04
    m_r = ISO.magnitudes(rows[:, 3], 10**9.7 / 1e9, 0.0, ["sdss_r"])[:, 0]
    assert np.abs(m_r - rows[:, 30]).max() < 0.2


def test_dwarfs_of_the_sky_lie_on_the_main_sequence(real_data):
    """M_G by parallax at the G−Ks and [Fe/H] of 274 dwarfs too cool to have left it.

    Unresolved companions brighten by up to 0.75: the median lies above the sequence, never below.
    """
    h5py = pytest.importorskip("h5py", reason="h5py reads these tables (extra: synthesis)")
    with h5py.File(real_data / "photometry/green2020.h5") as held:
        stars = held["data"][()]
    teff, logg, fe_h = stars["atm_param"].T
    use = (logg > 4.2) & (teff > 4600) & (teff < 5300) & (np.abs(fe_h) < 0.4)
    use &= (stars["parallax"] > 20 * stars["parallax_err"]) & (stars["r"] < 0.1)
    g = (stars["mag"][:, 0] - 2.6 * stars["r"])[use]
    colour = g - (stars["mag"][:, 10] - 0.2 * stars["r"])[use]
    absolute = g + 5 * np.log10(stars["parallax"][use] / 100)
    mass = np.linspace(0.5, 1.0, 200)
    both = ISO.magnitudes(mass, 5.0, fe_h[use][:, None], ["gaia_g", "twomass_ks"])
    offset = []
    for mine, red, bright in zip(both, colour, absolute, strict=True):
        order = np.argsort(mine[:, 0] - mine[:, 1])
        sequence = np.interp(red, (mine[:, 0] - mine[:, 1])[order], mine[order, 0])
        offset.append(bright - sequence)
    low, middle, high = np.nanpercentile(offset, [16, 50, 84])
    assert -0.12 < middle < 0.03
    assert high < 0.15
    assert low > -0.4
