import numpy as np
import pytest

from siderea.errors import StoreError
from siderea.io.store import SurveyStore
from siderea.pipelines.demo import demo
from siderea.simulate.schematic import SchematicSurvey, line_spectrum


def test_the_demo_goes_through_the_whole_job(tmp_path):
    with pytest.warns(UserWarning, match="lowered"):
        result = demo(tmp_path, n_stars=40, seed=3)
    store = SurveyStore.open(result.store)
    assert len(store) == 40
    assert store.products == ("pca", "tsne", "tsne_kinds")
    truth = SchematicSurvey.draw(40, 3).stars
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


def test_a_star_is_the_same_however_many_are_drawn_with_it():
    wavelength = np.linspace(6500.0, 6600.0, 500)
    few, many = SchematicSurvey.draw(50, 1), SchematicSurvey.draw(50, 1)
    np.testing.assert_array_equal(few.normalised(7, wavelength), many.normalised(7, wavelength))
    assert few.noise(7).random() == many.noise(7).random()
    assert few.noise(7).random() != few.noise(8).random()


def test_lines_follow_the_star_in_the_right_sense():
    wavelength = np.arange(6480.0, 6735.0, 0.05)

    def strength(line, **labels):
        star = {"teff": 5700.0, "logg": 4.4, "fe_h": 0.0, **labels}
        near = abs(wavelength - line) < 1.0
        return (1 - line_spectrum(wavelength, **star))[near].sum()

    assert strength(6562.8, teff=6500.0) > strength(6562.8, teff=5000.0)
    assert strength(6643.63, teff=5000.0) > strength(6643.63, teff=6500.0)
    assert strength(6643.63, fe_h=0.0) > strength(6643.63, fe_h=-1.0)
    flux = line_spectrum(wavelength, 4000.0, 2.0, 0.5)
    assert flux.min() > 0
    assert flux.max() <= 1.0
