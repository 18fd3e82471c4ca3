import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import Table
from astropy.time import Time

from siderea.data import LightCurve, Photometry, RVSeries, Spectra
from siderea.errors import DataError, MediumError


def spectra(n=3, **changes):
    given = {
        "wavelength": np.r_[np.arange(5000.0, 5004.0), np.arange(4000.0, 4003.0)],
        "flux": np.ones((n, 7)),
        "ivar": np.ones((n, 7)),
        "medium": "air",
        "arms": (slice(0, 4), slice(4, 7)),
        "arm_names": ("a", "b"),
    }
    return Spectra(**{**given, **changes})


def test_defaults_fill_ids_and_resolution():
    one = spectra()
    assert one.table["id"].tolist() == ["0", "1", "2"]
    assert np.isnan(one.resolution).all()
    assert len(one.resolution) == 2
    assert len(one) == 3
    assert one.n_pixels == 7


def test_one_resolution_serves_all_arms():
    assert spectra(resolution=28000.0).resolution == (28000.0, 28000.0)


def test_quantities_are_converted():
    one = spectra(wavelength=np.r_[500:500.4:0.1, 400:400.3:0.1][:7] * u.nm)
    assert one.wavelength[0] == pytest.approx(5000.0)


def test_an_astropy_table_becomes_a_frame_with_string_ids():
    one = spectra(table=Table({"id": [7, 8, 9]}))
    assert isinstance(one.table, pd.DataFrame)
    assert one.ids.tolist() == ["7", "8", "9"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ivar": -np.ones((3, 7))}, "negative"),
        ({"ivar": np.full((3, 7), np.nan)}, "negative or NaN"),
        ({"flux": np.ones((3, 6))}, "expected both"),
        ({"flux": np.ones(7), "ivar": np.ones(7)}, "expected both"),
        ({"arms": (slice(0, 4), slice(5, 7))}, "tile"),
        ({"arms": (slice(0, 4),), "arm_names": ("a",)}, "covered"),
        ({"arms": (), "arm_names": ()}, "not positive and increasing"),
        ({"arm_names": ("a",)}, "2 arms"),
        ({"resolution": (1.0, 2.0, 3.0)}, "3 resolutions"),
        ({"table": pd.DataFrame({"id": ["1"]})}, "1 rows"),
        ({"wavelength": np.array([])}, "expected \\(P,\\)"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said):
    with pytest.raises(DataError, match=said):
        spectra(**changes)


def test_the_medium_is_never_assumed():
    with pytest.raises(MediumError, match="'air' or 'vacuum'"):
        spectra(medium="Air")


def test_rows_by_slice_mask_and_index_keep_table_and_flux_together():
    one = spectra(flux=np.arange(3)[:, None] * np.ones(7))
    for rows in (slice(1, None), np.array([False, True, True]), [1, 2]):
        some = one[rows]
        assert some.ids.tolist() == ["1", "2"]
        assert some.flux[:, 0].tolist() == [1.0, 2.0]
    assert one[-1].ids.tolist() == ["2"]


def test_an_arm_is_a_set_of_its_own():
    arm = spectra(resolution=(1.0, 2.0)).arm("b")
    assert arm.wavelength[0] == 4000.0
    assert arm.flux.shape == (3, 3)
    assert arm.resolution == (2.0,)


def test_float32_stays_float32():
    assert spectra(flux=np.ones((3, 7), "f4")).flux.dtype == np.float32


def test_photometry_rv_and_light_curves_check_their_shapes():
    assert len(Photometry(("g", "r"), np.ones((2, 2)), np.ones((2, 2)))) == 2
    with pytest.raises(DataError, match="expected \\(N, 2\\)"):
        Photometry(("g", "r"), np.ones((2, 3)), np.ones((2, 3)))
    series = RVSeries(
        ["a", "a"], Time([50000.0, 50001.0], format="mjd"), [1, 2] * u.m / u.s, [1, 1]
    )
    assert series.rv.tolist() == [0.001, 0.002]
    assert series.time.tolist() == [50000.0, 50001.0]
    with pytest.raises(DataError, match="one length"):
        RVSeries(["a"], [1.0, 2.0], [1.0], [1.0])
    with pytest.raises(DataError, match="three arrays"):
        LightCurve([1.0, 2.0], [1.0], [1.0])
    assert len(LightCurve([0.1], [1.0], [0.01], folded=True)) == 1
