import io

import numpy as np
import pytest
from matplotlib.image import imread

from siderea.errors import DataError, MediumError
from siderea.figures.spectra import LINES, comparison_panels, lines_in, spectrum_panels

ARMS = (slice(0, 400), slice(400, 800))
WAVELENGTH = np.concatenate([np.linspace(4715, 4900, 400), np.linspace(6480, 6735, 400)])


@pytest.fixture
def flux():
    rng = np.random.default_rng(0)
    line = 0.6 * np.exp(-0.5 * ((WAVELENGTH - 6562.8) / 2) ** 2)
    return 1 - line + 0.01 * rng.normal(size=(3, 800))


def picture(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    return imread(file)[..., :3]


def curves(ax):
    """The drawn spectra: lines as long as an arm."""
    return [line for line in ax.lines if len(line.get_xdata()) == 400]


def test_one_panel_per_arm_with_units(flux):
    figure = spectrum_panels(
        WAVELENGTH,
        ARMS,
        flux,
        medium="air",
        labels=["a", "b", "c"],
        arm_names=["blue", "red"],
        title="three",
    )
    blue, red = figure.axes
    assert red.get_xlabel() == "wavelength in air (Å)"
    assert blue.get_ylabel() == red.get_ylabel() == "normalised flux"
    assert [len(curves(ax)) for ax in figure.axes] == [3, 3]
    assert [text.get_text() for text in blue.get_legend().get_texts()] == ["a", "b", "c"]
    assert figure.get_suptitle() == "three"
    assert "red" in [text.get_text() for text in red.texts]
    assert len({line.get_color() for line in curves(red)}) == 3
    assert 0.01 < np.mean(picture(figure).min(axis=2) < 0.95) < 0.6


def test_lines_that_fall_into_a_panel_are_marked(flux):
    figure = spectrum_panels(WAVELENGTH, ARMS, flux[0], medium="air")
    named = [[text.get_text() for text in ax.texts if text.get_text()] for ax in figure.axes]
    assert named == [["C₂", "Hβ"], ["Hα", "Li I"]]
    own = spectrum_panels(WAVELENGTH, ARMS, flux[0], medium="air", lines={"Fe I": 6677.99})
    assert [text.get_text() for text in own.axes[1].texts if text.get_text()] == ["Fe I"]
    none = spectrum_panels(WAVELENGTH, ARMS, flux[0], medium="air", lines={})
    assert not [text for ax in none.axes for text in ax.texts if text.get_text()]


def test_marks_agree_in_air_and_vacuum():
    air, vacuum = np.array(list(LINES.values())).T
    refraction = vacuum / air - 1
    assert (refraction > 2.70e-4 - 1.5e-5).all()
    assert (refraction < 2.84e-4 + 1.5e-5).all()
    assert lines_in("vacuum")["Hα"] == 6564.6
    with pytest.raises(MediumError, match="expected 'air' or 'vacuum'"):
        lines_in("water")


def test_bad_pixels_are_not_drawn(flux):
    ivar = np.ones_like(flux)
    ivar[1, 100:150] = 0
    flux[1, 100:150] = 1e6
    figure = spectrum_panels(WAVELENGTH, ARMS, flux, medium="vacuum", ivar=ivar)
    drawn = curves(figure.axes[0])[1].get_ydata()
    assert np.isnan(drawn[100:150]).all()
    assert np.isfinite(drawn[:100]).all()
    assert figure.axes[0].get_ylim()[1] < 2
    assert figure.axes[1].get_xlabel() == "wavelength in vacuum (Å)"


def test_arm_without_good_pixels_says_so(flux):
    ivar = np.ones_like(flux)
    ivar[:, 400:] = 0
    figure = spectrum_panels(WAVELENGTH, ARMS, flux, medium="air", ivar=ivar)
    assert "no good pixels" in [text.get_text() for text in figure.axes[1].texts]
    assert picture(figure).std() > 0


def test_offset_lifts_each_spectrum(flux):
    figure = spectrum_panels(WAVELENGTH, ARMS, flux, medium="air", offset=0.5)
    medians = [np.median(line.get_ydata()) for line in curves(figure.axes[0])]
    np.testing.assert_allclose(np.diff(medians), 0.5, atol=0.01)
    assert figure.axes[0].get_ylabel() == "normalised flux + offset"


def test_emission_is_shown_whole_and_a_cosmic_ray_is_cut(flux):
    emission, spike = flux[0].copy(), flux[0].copy()
    emission += 1.2 * np.exp(-0.5 * ((WAVELENGTH - 6562.8) / 2) ** 2)
    spike[600] = 50.0
    shown = spectrum_panels(WAVELENGTH, ARMS, emission, medium="air").axes[1].get_ylim()[1]
    cut = spectrum_panels(WAVELENGTH, ARMS, spike, medium="air").axes[1].get_ylim()[1]
    assert shown > emission.max()
    assert cut < 3


def test_comparison_shows_the_difference_and_its_rms(flux):
    ivar = np.ones(800)
    ivar[:40] = 0
    other = flux[0] + 0.02
    other[:40] = 9
    figure = comparison_panels(
        WAVELENGTH, ARMS, flux[0], other, medium="air", ivar=ivar, names=("ours", "theirs")
    )
    assert len(figure.axes) == 4
    above, below = figure.axes[:2]
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["ours", "theirs"]
    assert [len(curves(ax)) for ax in figure.axes] == [2, 1, 2, 1]
    assert below.get_title(loc="right") == "rms 0.0200"
    assert below.get_ylabel() == "difference"
    assert figure.axes[-1].get_xlabel() == "wavelength in air (Å)"
    np.testing.assert_allclose(np.nanmedian(curves(below)[0].get_ydata()), -0.02)
    assert 0.01 < np.mean(picture(figure).min(axis=2) < 0.95) < 0.6


def test_errors_say_what_was_found(flux):
    with pytest.raises(DataError, match=r"expected \(N, 800\)"):
        spectrum_panels(WAVELENGTH, ARMS, flux[:, :10], medium="air")
    with pytest.raises(DataError, match="labels: found 2; expected 3"):
        spectrum_panels(WAVELENGTH, ARMS, flux, medium="air", labels=["a", "b"])
    with pytest.raises(DataError, match="ivar: found shape"):
        spectrum_panels(WAVELENGTH, ARMS, flux, medium="air", ivar=np.ones(5))
    with pytest.raises(MediumError):
        comparison_panels(WAVELENGTH, ARMS, flux[0], flux[1], medium="glass")
