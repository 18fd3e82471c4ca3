import numpy as np
import pytest

from siderea.errors import StoreError
from siderea.io.store import SurveyStore
from siderea.pipelines.demo import demo
from siderea.simulate.emulated import KINDS, EmulatedSurvey


def test_the_demo_goes_through_the_whole_job(tmp_path):
    with pytest.warns(UserWarning, match="lowered"):
        result = demo(tmp_path, n_stars=40, seed=3)
    store = SurveyStore.open(result.store)
    assert len(store) == 40
    assert store.products == ("pca", "tsne", "tsne_kinds")
    truth = EmulatedSurvey.draw(40, 3).stars
    np.testing.assert_allclose(store.catalogue["rv"], truth["rv"], atol=1e-6)
    assert store.catalogue["teff"].corr(store.catalogue["ew_halpha"], method="spearman") > 0.7
    assert result.report.stat().st_size > 100_000
    with pytest.warns(UserWarning, match="lowered"):
        demo(tmp_path, n_stars=12, seed=3)  # a second demo replaces the first
    assert len(SurveyStore.open(result.store)) == 12


def test_the_demo_does_not_remove_what_is_not_its_own(tmp_path):
    (tmp_path / "demo.siderea").mkdir()
    (tmp_path / "demo.siderea" / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="in the way"):
        demo(tmp_path, n_stars=12)


def test_a_star_does_not_depend_on_those_beside_it():
    wavelength = np.linspace(6500.0, 6600.0, 500)
    survey = EmulatedSurvey.draw(60, 1)
    np.testing.assert_allclose(
        survey.spectra([7], wavelength), survey.spectra(range(60), wavelength)[7:8], atol=1e-6
    )
    assert survey.noise(7).random() == EmulatedSurvey.draw(60, 1).noise(7).random()
    assert survey.noise(7).random() != survey.noise(8).random()


def test_kinds_look_as_they_should():
    survey = EmulatedSurvey.draw(300, 2)
    stars = survey.stars
    wavelength = np.linspace(6500.0, 6640.0, 3000)
    flux = survey.spectra(range(300), wavelength)
    assert np.isfinite(flux).all()
    halpha = flux[
        np.arange(300), np.searchsorted(wavelength, 6562.8 * (1 + stars["rv"] / 299792.5))
    ]
    emitting = (stars["kind"] == "emission").to_numpy()
    assert halpha[emitting].min() > halpha[~emitting].max()
    lines = flux[:, wavelength > 6580]
    depth = {kind: np.median(1 - lines[stars["kind"] == kind].min(axis=1)) for kind in KINDS}
    assert depth["fast rotator"] < 0.6 * depth["dwarf"]
    assert depth["binary"] < depth["dwarf"] < depth["giant"]


def test_a_binary_is_the_two_stars_weighed_with_their_light():
    survey = EmulatedSurvey.draw(200, 3)
    twins = survey.stars.query("kind == 'binary'").head(3)
    one = twins.assign(teff_2=twins["teff"], logg_2=twins["logg"], dv=0.0, vbroad=5.0)
    wavelength = np.linspace(5700.0, 5760.0, 900)
    rows = range(3)
    alike = EmulatedSurvey(one, 0).spectra(rows, wavelength)
    single = EmulatedSurvey(one.assign(radius_ratio=0.0), 0).spectra(rows, wavelength)
    np.testing.assert_allclose(alike, single, atol=1e-5)  # a star added to itself is itself
    faint = EmulatedSurvey(one.assign(radius_ratio=1e-4, dv=50.0), 0).spectra(rows, wavelength)
    np.testing.assert_allclose(faint, single, atol=1e-5)  # and one without light adds nothing
