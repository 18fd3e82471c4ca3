"""Distances of real stars against Gaia's parallaxes, compared as parallaxes."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from siderea.data import Photometry
from siderea.photometry.extinction import coefficient
from siderea.stellar.distances import DistanceModel, distances, sample_distances
from siderea.stellar.parallax import GAIA_DR2
from siderea.stellar.photometric_parallax import distance_of
from siderea.stellar.scores import mad_sigma

pytestmark = pytest.mark.realdata
BANDS = (
    "gaia_g", "gaia_bp", "gaia_rp", "ps1_g", "ps1_r", "ps1_i", "ps1_z", "ps1_y",
    "twomass_j", "twomass_h", "twomass_ks", "wise_w1", "wise_w2",
)  # fmt: skip


@pytest.fixture(scope="module")
def green(real_data):
    h5py = pytest.importorskip("h5py")
    with h5py.File(real_data / "photometry" / "green2020.h5") as file:
        raw = file["data"][:]
    # the half that the offsets of siderea.stellar.absolute_magnitude were not measured on
    raw = raw[np.random.default_rng(20_080_601).random(len(raw)) < 0.5]
    reddening = 1.14 * raw["r"].astype(float)
    sigma = np.sqrt(np.einsum("nii->ni", raw["atm_param_cov"]).astype(float))
    labels = pd.DataFrame(raw["atm_param"].astype(float), columns=["teff", "logg", "fe_h"])
    labels = labels.assign(teff_err=sigma[:, 0], logg_err=sigma[:, 1], fe_h_err=sigma[:, 2])
    mag = raw["mag"].astype(float) - reddening[:, None] * [coefficient(b) for b in BANDS]
    table = pd.DataFrame({"ebv": 0.0, "ebv_err": 1.14 * raw["r_err"].astype(float)})
    stars = Photometry(BANDS, mag, raw["mag_err"].astype(float), table)
    parallax, parallax_err = GAIA_DR2.apply(raw["parallax"], raw["parallax_err"])
    return stars, labels, parallax, parallax_err


def test_bright_stars_are_where_gaia_sees_them(green):
    stars, labels, parallax, _ = green
    found = distances(stars, labels, model=DistanceModel.of_spectra())["distance"]
    ratio = parallax * found.to_numpy()
    dwarf = (labels["logg"] > 4.1) & (stars.mag[:, 0] < 14.5)
    giant = (labels["logg"] < 3.5) & (stars.mag[:, 0] < 13)
    # benchmarks/RESULTS.md has the figures
    assert np.nanmedian(ratio[dwarf]) == pytest.approx(1, abs=0.05)
    assert np.nanmedian(ratio[giant]) == pytest.approx(1, abs=0.08)
    assert mad_sigma(ratio[dwarf]) < 0.13
    assert np.isfinite(found).mean() > 0.99


def test_parallaxes_fall_into_what_the_posteriors_predict(green):
    stars, labels, parallax, sigma = green
    drawn = sample_distances(
        stars, labels, 100, rng=np.random.default_rng(1), model=DistanceModel.of_spectra()
    )
    pit = ndtr((parallax[:, None] - 1 / drawn) / sigma[:, None]).mean(axis=1)
    pit = pit[np.isfinite(pit)]
    assert np.mean(np.abs(pit - 0.5) < 0.341) == pytest.approx(0.683, abs=0.08)
    assert np.mean(np.abs(pit - 0.5) < 0.477) > 0.9


def test_cool_dwarfs_from_one_colour_and_metallicity(real_data):
    raw = pd.read_csv(real_data / "photometry" / "apogee_gaia_wise.csv.gz").iloc[::3]
    raw = raw[(raw["M_G"] > 6.2) & (raw["M_G"] < 8.5)]
    mag = raw[["phot_g_mean_mag", "Jmag"]].to_numpy()
    stars = Photometry(("gaia_g", "twomass_j"), mag, np.full(mag.shape, 0.02))
    labels = {"fe_h": raw["FE_H"], "fe_h_err": 0.05, "p_giant": 0.0}
    found = distances(stars, labels, ebv=0.0)["distance"].to_numpy()
    ratio = found / distance_of(raw["phot_g_mean_mag"], raw["M_G"])
    assert np.nanmedian(ratio) == pytest.approx(1, abs=0.03)
    assert mad_sigma(ratio) < 0.08
