"""Missing bands: each method finds them, and leaves what was measured alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.stellar.imputation import METHODS, BandImputer, ImputerSettings
from siderea.stellar.scores import mad_sigma

BANDS = ("sdss_u", "sdss_g", "sdss_r", "sdss_i")
SMALL = ImputerSettings(members=1, max_epochs=40, batch_size=64, width=32)


def survey(n, seed=0):
    rng = np.random.default_rng(seed)
    gr, fe_h = rng.uniform(0.2, 0.6, n), rng.uniform(-2, 0.3, n)
    shape = np.stack([1 + 2.2 * gr + 0.2 * fe_h, gr, 0 * gr, -0.9 * gr], axis=1)
    mag = shape + rng.uniform(15, 18, (n, 1)) + 0.01 * rng.normal(size=(n, 4))
    labels = pd.DataFrame({"teff": 8000 - 4500 * gr, "fe_h": fe_h, "logg": 4.0 + gr})
    return Photometry(BANDS, mag, np.full(mag.shape, 0.01)), labels


def without(stars, band):
    mag, err = stars.mag.copy(), stars.mag_err.copy()
    mag[:, band], err[:, band] = np.nan, np.nan
    return replace(stars, mag=mag, mag_err=err)


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_band_is_found_with_its_error(method):
    stars, labels = survey(600)
    imputer = BandImputer(method=method, settings=SMALL).fit(stars, labels)
    fresh, _ = survey(300, seed=1)
    filled = imputer.impute(without(fresh, 1))
    miss = filled.mag[:, 1] - fresh.mag[:, 1]
    spread = np.std(fresh.mag[:, 1] - fresh.mag[:, 2])  # what knowing nothing would leave
    assert mad_sigma(miss) < 0.4 * spread
    # 0.67 for a Gaussian; the autoencoder sees the labels alone, not how many bands were missing,
    # and states the error of the average gap, which is larger than that of one band
    least = 0.25 if method == "autoencoder" else 0.4
    assert least < np.median(np.abs(miss) / filled.mag_err[:, 1]) < 1.2
    np.testing.assert_array_equal(filled.mag[:, 0], fresh.mag[:, 0])


def test_what_is_complete_or_hopeless_is_not_touched():
    stars, _ = survey(200)
    imputer = BandImputer(method="neighbours").fit(stars)
    np.testing.assert_array_equal(imputer.impute(stars).mag, stars.mag)
    one_band = Photometry(BANDS, [[np.nan, 15.0, np.nan, 99.0]], np.full((1, 4), 0.1))
    assert np.isfinite(imputer.impute(one_band).mag).sum() == 1


def test_bad_input_is_refused():
    stars, _ = survey(50)
    with pytest.raises(DataError, match="found 'magic'"):
        BandImputer(method="magic")
    with pytest.raises(DataError, match="through the labels"):
        BandImputer(method="autoencoder").fit(stars)
    with pytest.raises(DataError, match="without one star"):
        BandImputer().fit(without(stars, 0))
    with pytest.raises(DataError, match="call fit"):
        BandImputer().impute(stars)
