"""The model channel: one star is a case of two, and two are found where there are two."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from siderea.binaries.companions import default_companions
from siderea.binaries.composite_fit import CompositeFitter, Observed, parameter_names
from siderea.binaries.composite_search import CompositeSearch
from siderea.binaries.detect import detect_model
from siderea.binaries.model_calibration import default_calibration
from siderea.binaries.model_selection import ModelDetector, ModelFlag, improvement_fraction
from siderea.binaries.star_bank import VMAC, StarBank
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.models.emulator import load_default
from siderea.models.model_error import LTE
from siderea.models.tied import microturbulence
from siderea.spectra.instruments import GALAH_GRID

ARMS = GALAH_GRID.arms[:2]
N_PIXELS = ARMS[1].stop
SUN = np.array([[5700.0], [4.4], [-0.1]])


@pytest.fixture(scope="module")
def model():
    return load_default()


def spectra_of(flux, *, snr=150.0, seed=0):
    """Two arms of GALAH; ``snr=None`` adds no noise."""
    rng = np.random.default_rng(seed)
    sigma = 1 / (snr or 500.0)
    noisy = flux + (rng.normal(0, sigma, flux.shape) if snr else 0.0)
    return Spectra(
        GALAH_GRID.wavelength[:N_PIXELS],
        noisy,
        np.full(flux.shape, sigma**-2),
        "air",
        arms=ARMS,
        resolution=GALAH_GRID.resolution[:2],
    )


@pytest.fixture(scope="module")
def search(model):
    return CompositeSearch(model, spectra_of(np.ones((1, N_PIXELS))))


@pytest.fixture(scope="module")
def survey(model):
    return model.at(
        GALAH_GRID.wavelength[:N_PIXELS],
        resolution=28_000,
        medium="air",
        arms=ARMS,
        extra_labels=("vsini", "vmac", "rv"),
    )


def labels(*, teff=5700.0, logg=4.4, fe_h=-0.1, vsini=5.0, rv=0.0):
    named = {name: torch.tensor([value]) for name, value in (("teff", teff), ("logg", logg))}
    return [teff, logg, fe_h, 0.05, float(microturbulence(named)), vsini, VMAC, rv]


def pair(survey, q, dv, *, vsini=5.0, teff=5700.0):
    """Spectrum of a binary, from the survey's own emulator: independent of the bank."""
    first = labels(rv=-dv / 2, teff=teff, vsini=vsini)
    one = np.array([[teff], [4.4], [-0.1]])
    cool, dense = (float(x[0]) for x in default_companions()(*one, np.array([q])))
    second = labels(teff=max(cool, 4401.0), logg=dense, rv=dv / 2, vsini=vsini)
    rows = torch.tensor([first, second])
    lines = survey.normalised(rows).numpy()
    light = survey.continuum_density(rows).numpy() * np.array([[1.0], [q * 10 ** (4.4 - dense)]])
    return (lines * light).sum(axis=0) / light.sum(axis=0)


def test_the_bank_has_the_emulators_spectra(search, survey):
    rows = [labels(), labels(teff=6300.0, logg=4.1, vsini=37.0, rv=55.0), labels(rv=-71.3)]
    expected = survey.predict(rows).reshape(3, 2, -1, 2).mean(axis=-1)
    table = np.array(rows)
    found = search.bank(table[:, :4], table[:, 5], table[:, 7]).flux
    assert np.sqrt(((found - expected) ** 2).mean()) < 3e-4
    assert np.abs(found - expected).max() < 4e-3


def test_a_companion_of_equal_mass_is_the_star_and_its_light_the_same(search):
    theta = np.array([[5700.0, 4.4, -0.1, 0.05, 6.0, 3.0, 1.0, 6.0, 3.0]])
    data = Observed.of(spectra_of(np.ones((1, N_PIXELS)), snr=None), search.bank)
    one = search.fitter.evaluate(theta[:, :6], data).chi2
    two = search.fitter.evaluate(theta, data).chi2
    assert two == pytest.approx(one, rel=1e-5)


def test_companions_lie_on_the_isochrone_of_the_sun():
    one = np.ones(1)
    stars = default_companions()
    teff, logg = stars(5772 * one, 4.44 * one, 0 * one, 0.8 * one)
    assert 4800 < teff[0] < 5050
    assert 4.57 < logg[0] < 4.65
    assert [x[0] for x in stars(4800 * one, 2.5 * one, 0 * one, one)] == [4800.0, 2.5]


def test_slopes_are_those_of_the_model(search):
    theta = np.array([[5700.0, 4.4, -0.1, 0.05, 6.0, 3.0, 0.83, 8.0, 21.0]])
    slopes = search.fitter._composite(theta)[1][0]
    steps = [20.0, 0.02, 0.02, 0.02, 0.5, 0.4, 0.01, 0.5, 0.4]
    for column, step in enumerate(steps):
        up, down = theta.copy(), theta.copy()
        up[0, column] += step
        down[0, column] -= step
        change = search.fitter._composite(up)[0] - search.fitter._composite(down)[0]
        numeric = change[0] / (2 * step)
        match = (numeric * slopes[column]).sum() / (numeric**2).sum()
        assert match == pytest.approx(1.0, abs=0.15), parameter_names(2)[column]


def test_one_star_is_fitted_to_its_labels(search, survey):
    flux = survey.predict([labels(vsini=8.0, rv=7.0)])
    found = search(spectra_of(flux)).fits[0]
    best = dict(zip(found.names, found.theta[0], strict=True))
    assert best["teff"] == pytest.approx(5700, abs=25)
    assert best["fe_h"] == pytest.approx(-0.1, abs=0.02)
    assert best["rv_1"] == pytest.approx(7.0, abs=0.15)
    assert found.chi2[0] == pytest.approx(found_pixels(search, flux), rel=0.08)


def found_pixels(search, flux):
    return float(Observed.of(spectra_of(flux), search.bank).n_pixels[0])


@pytest.fixture(scope="module")
def detected(model, survey):
    """Three singles (one a fast rotator, one a giant) and four binaries."""
    rows = [
        survey.predict([labels()])[0],
        survey.predict([labels(vsini=45.0, teff=6300.0)])[0],
        survey.predict([labels(teff=4700.0, logg=2.4)])[0],
        pair(survey, 0.75, 0.0),
        pair(survey, 0.7, 4.0),
        pair(survey, 0.9, 40.0),
        pair(survey, 0.97, 90.0, vsini=10.0),
    ]
    spectra = spectra_of(np.array(rows), snr=200.0, seed=3)
    with pytest.warns(UserWarning, match="another grid"):
        return detect_model(spectra, model)


def test_two_stars_are_told_from_one_also_at_the_same_velocity(detected):
    gain = detected["delta_chi2"].to_numpy()
    assert gain[:3].max() < 45
    assert gain[3:].min() > 150
    assert (detected["f_imp"][3:] > 0.05).all()
    assert detected["probability"][3:].min() > detected["probability"][:3].max()


def test_the_pair_is_measured(detected, survey):
    rows = detected.iloc[5:]
    assert rows["q"].to_numpy() == pytest.approx([0.9, 0.97], abs=0.02)
    assert rows["dv"].abs().to_numpy() == pytest.approx([40.0, 90.0], abs=0.6)
    assert detected["q"][3] == pytest.approx(0.75, abs=0.05)
    cool, dense = (float(x[0]) for x in default_companions()(*SUN, np.array([0.9])))
    rows = torch.tensor([labels(), labels(teff=cool, logg=dense)])
    one, two = survey.continuum_density(rows).numpy().mean(axis=1)
    expected = 0.9 * 10 ** (4.4 - dense) * two / one
    assert detected["flux_ratio"][5] == pytest.approx(expected, abs=0.03)


def test_evidence_is_never_negative(detected):
    assert (detected["delta_chi2"] > -1e-2).all()
    assert (detected["chi2_binary"] <= detected["chi2_single"] + 1e-2).all()


def test_no_data_is_a_flag_and_the_other_rows_are_as_without_it(model, survey, detected):
    flux = np.array([survey.predict([labels()])[0], pair(survey, 0.9, 40.0)])
    spectra = spectra_of(flux, seed=9)
    ivar = spectra.ivar.copy()
    ivar[0] = 0.0
    with pytest.warns(UserWarning, match="do not transfer"):
        both = detect_model(replace(spectra, ivar=ivar), model)
    assert both["flags"][0] == ModelFlag.NO_DATA
    assert np.isnan(both["probability"][0])
    assert not both["is_binary"][0]
    assert both["delta_chi2"][1] > 1000


def test_a_third_star_lowers_chi2_where_there_are_three(model, survey):
    two = pair(survey, 0.95, 60.0)
    third = survey.predict([labels(teff=5500.0, rv=110.0)])[0]
    spectra = spectra_of(np.array([two, 0.75 * two + 0.25 * third]), snr=150.0)
    with pytest.warns(UserWarning, match="another grid"):
        table = ModelDetector(spectra, model, n_stars=3)(spectra)
    assert table["delta_bic_triple"][0] < 0 < table["delta_bic_triple"][1]


def test_model_error_keeps_a_wrong_line_from_being_a_companion(search, model, survey):
    flux = survey.predict([labels()])
    deep = 1 - 1.12 * (1 - flux)  # every line 12 % too deep: not a companion, not another star
    spectra = spectra_of(deep, snr=200.0)
    weighed = CompositeSearch(model, spectra, model_error=LTE)(spectra).fits
    plain = search(spectra).fits
    assert weighed[0].chi2[0] - weighed[1].chi2[0] < 0.2 * (plain[0].chi2[0] - plain[1].chi2[0]) + 5


def test_improvement_is_one_for_a_perfect_model_and_zero_for_none():
    root = np.ones((1, 1, 50), dtype=np.float32)
    flux = np.linspace(0.5, 1.0, 50, dtype=np.float32).reshape(1, 1, 50)
    data = Observed(flux, root)
    single = np.ones_like(flux)
    assert improvement_fraction(data, single, flux)[0] == pytest.approx(1.0)
    assert improvement_fraction(data, single, single)[0] == 0.0
    assert improvement_fraction(data, flux, single)[0] == pytest.approx(-1.0)


def test_another_medium_and_a_bent_grid_are_refused(model):
    spectra = spectra_of(np.ones((1, N_PIXELS)))
    with pytest.raises(DataError, match="uniform in ln"):
        StarBank(model, replace(spectra, medium="vacuum"))
    bent = spectra.wavelength.copy()
    bent[ARMS[0]] = np.linspace(bent[0], bent[ARMS[0].stop - 1], ARMS[0].stop)
    with pytest.raises(DataError, match="uniform in ln"):
        StarBank(model, replace(spectra, wavelength=bent))


def test_a_grid_of_its_own_is_accepted_without_a_warning(model):
    full = GALAH_GRID.empty()
    default_calibration().check(model, full, None)
    with pytest.warns(UserWarning, match="another model error"):
        default_calibration().check(model, full, LTE)


def test_stars_of_two_or_three(model):
    with pytest.raises(DataError, match="expected 2 or 3"):
        ModelDetector(spectra_of(np.ones((1, N_PIXELS))), model, n_stars=4)


def test_bounds_hold(search):
    fitter = search.fitter
    assert isinstance(fitter, CompositeFitter)
    low, high = fitter.bounds(2)
    data = Observed.of(spectra_of(np.full((1, N_PIXELS), 0.9)), search.bank)
    start = (0.2 * low + 0.8 * high)[None]
    found = fitter.descend(start, data, steps=6)
    assert (found.theta >= low).all()
    assert (found.theta <= high).all()
