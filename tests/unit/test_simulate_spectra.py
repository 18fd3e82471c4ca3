from dataclasses import replace

import numpy as np
import pytest

from siderea.errors import DataError
from siderea.flags import SpectrumFlag
from siderea.io.galah import ARM_NAMES
from siderea.pipelines.simulate import instrument_of
from siderea.simulate import simulate_spectra
from siderea.simulate.noise import mask_telluric
from siderea.simulate.population import Survey, SurveySettings
from siderea.simulate.spectra import (
    SpectralSurvey,
    SpectraSettings,
    TableOfStars,
    join,
    stars_per_block,
)
from siderea.spectra import masks
from siderea.spectra.instruments import GALAH_GRID

PLAIN = SpectraSettings(noise=False, continuum_error=0.0, cosmic_rays=0.0, telluric=False)
PECULIAR = (("HAE", 0.1), ("CEH", 0.1), ("WRD", 0.3), ("LIR", 0.2))


@pytest.fixture(scope="module")
def galah():
    return instrument_of("galah")


@pytest.fixture
def observe(galah, given):
    def observe(*rows, settings=PLAIN, seed=1):
        population = TableOfStars(given.table(*rows))
        return SpectralSurvey(population, len(rows), galah, settings, seed).block(0)

    return observe


@pytest.fixture(scope="module")
def survey(galah):
    population = Survey(150, seed=5, settings=SurveySettings(peculiar=PECULIAR, ranges=()))
    return SpectralSurvey(population, 150, galah, seed=5)


@pytest.fixture(scope="module")
def whole(survey):
    return join([survey.block(number) for number in range(survey.n_blocks)])


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_bits_do_not_depend_on_the_chunks(survey, whole, size):
    parts = list(survey.chunks(size))
    assert {len(part.truth) for part in parts[:-1]} == {size}
    again = join(parts)
    assert again.spectra.flux.tobytes() == whole.spectra.flux.tobytes()
    assert again.spectra.ivar.tobytes() == whole.spectra.ivar.tobytes()
    assert again.spectra.table.equals(whole.spectra.table)
    assert again.truth.equals(whole.truth)


def test_the_bits_do_not_depend_on_the_order_and_do_on_the_seed(survey, whole):
    later = survey.block(1)
    n = len(later.truth)
    assert later.spectra.flux.tobytes() == whole.spectra.flux[-n:].tobytes()
    other = replace(survey, seed=6).block(1)
    assert not np.array_equal(other.spectra.flux, later.spectra.flux)


def test_a_survey_is_whole_and_honest(whole):
    spectra, truth = whole
    assert spectra.flux.dtype == spectra.ivar.dtype == np.float32
    assert np.isfinite(spectra.flux).all()
    assert truth["id"].is_unique
    assert (spectra.table["id"] == truth["id"]).all()
    assert set(truth["class"]) >= {"NOR", "HAE", "CEH", "WRD", "HFR"}
    plain = (truth["problem"] == "").to_numpy()
    good = spectra.ivar > 0
    assert good[plain].mean() > 0.9
    assert np.nanmedian(np.where(good, spectra.flux, np.nan)[plain]) == pytest.approx(1, abs=0.03)


def test_the_catalogue_has_the_columns_of_an_ingest(whole):
    ingested = "id star_id sobject_id ra dec field_ra field_dec mjd rv barycentric_velocity snr"
    ingested += " n_arms telluric_corrected flags path ew_halpha ew_halpha_err ew_hbeta"
    ingested += " ew_hbeta_err " + " ".join(f"snr_{name}" for name in ARM_NAMES)
    table = whole.spectra.table
    assert set(ingested.split()) <= set(table)
    assert not {"teff", "class", "dv", "rv_1", "q"} & set(table)  # nobody would know these
    ratio = table["snr_ir"] / table["snr_green"]
    assert 1.2 < ratio.median() < 2.0


def test_noise_is_what_the_inverse_variance_says(observe):
    rows = [{"snr": 30.0}, {"snr": 100.0}]
    noisy = observe(*rows, settings=replace(PLAIN, noise=True))
    clean = observe(*rows)
    pull = (noisy.spectra.flux - clean.spectra.flux) * np.sqrt(noisy.spectra.ivar)
    assert pull.std(axis=1) == pytest.approx(1.0, abs=0.02)
    assert noisy.spectra.table["snr_green"].to_numpy() == pytest.approx([30, 100], rel=0.1)


def test_the_star_is_at_rest_by_its_measured_velocity(observe, galah):
    one = observe({"rv_1": 80.0, "snr": 1e5})
    measured = one.truth["rv_measured"].iloc[0]
    assert measured == pytest.approx(80.0, abs=0.5)
    assert one.spectra.table["rv"].iloc[0] == measured
    still = galah.stars.lines(np.array([[5772, 4.44, 0, 0, 1.1, 2.0, 3.5, 80 - measured]]))
    np.testing.assert_allclose(one.spectra.flux[0], still[0], atol=2e-4)
    seen = observe({"rv_1": 80.0}, settings=replace(PLAIN, frame="barycentric"))
    moved = galah.stars.lines(np.array([[5772, 4.44, 0, 0, 1.1, 2.0, 3.5, 80.0]]))
    np.testing.assert_allclose(seen.spectra.flux[0], moved[0], atol=1e-6)


def test_the_measured_velocity_of_a_binary_is_weighed_with_the_light(observe, given):
    pair = {**given.TWIN, "rv_1": 60.0, "rv_2": -20.0, "snr": 1e6}
    truth = observe(pair).truth.iloc[0]
    assert truth["rv_light"] == pytest.approx(20.0)
    assert truth["share_2"] == pytest.approx(0.5)


def test_visits_follow_the_orbit(galah):
    settings = replace(PLAIN, visits=5)
    population = Survey(12, seed=2, settings=SurveySettings(binary_fraction=1.0))
    survey = SpectralSurvey(population, 12, galah, settings, seed=2)
    truth = survey.block(0).truth
    assert len(truth) == len(survey) == 60
    assert stars_per_block(5) * 5 <= 128
    stars = population.stars(0, 12)
    first = truth[truth["visit"] == 0]
    np.testing.assert_allclose(first["rv_1"], stars["rv_1"], atol=1e-6)
    assert (truth.groupby("star_id")["time"].diff().dropna() > 0).all()
    swing = truth.groupby("star_id", sort=False)["rv_1"].agg(np.ptp).to_numpy()
    e, k = stars["eccentricity"].to_numpy(), stars["k_1"].to_numpy()
    outer = np.nan_to_num(stars["k_1_outer"].to_numpy())
    assert (swing <= 2 * (k + outer) * (1 + 1e-9)).all()
    close = stars["period"].to_numpy() < 300
    assert (swing[close] > 0.05 * k[close] * (1 - e[close])).any()


@pytest.mark.parametrize("frame", ["rest", "barycentric"])
def test_telluric_bands_are_those_of_an_ingest(frame):
    bary, rv = np.array([25.0, -20.0, 0.0]), np.array([-150.0, 30.0, 0.0])
    theirs = masks.telluric(
        GALAH_GRID.wavelength, "air", frame=frame, barycentric_velocity=bary, rv=rv
    )
    from siderea.simulate.defects import sky_velocity

    ivar = np.ones((3, GALAH_GRID.wavelength.size), dtype=np.float32)
    sky = sky_velocity({"barycentric_velocity": bary, "rv_measured": rv}, frame)
    mask_telluric(ivar, GALAH_GRID, sky)
    np.testing.assert_array_equal(ivar == 0, theirs)
    assert theirs.any(axis=1).all()


def test_peculiar_stars_show_what_the_truth_says(whole, observe):
    spectra, truth = whole
    emitting = (truth["emission"] != "").to_numpy()
    others = ((truth["class"] == "NOR") & (truth["teff"] < 6500)).to_numpy()
    width = spectra.table["ew_halpha"].to_numpy()
    assert np.median(width[emitting]) < np.percentile(width[others], 5)
    expected = np.median(width[others]) - truth["emission_ew"].to_numpy()[emitting]
    single = truth["emission"].to_numpy()[emitting] == "single"
    np.testing.assert_allclose(width[emitting][single], expected[single], atol=1.2)
    rich, plain = observe({"class": "LIR"}), observe({})
    near = np.abs(spectra.wavelength - 6707.85) < 0.3
    assert (plain.spectra.flux - rich.spectra.flux)[0, near].max() > 0.05
    far = np.abs(spectra.wavelength - 6707.85) > 3
    np.testing.assert_allclose(rich.spectra.flux[0, far], plain.spectra.flux[0, far], atol=1e-4)


def test_problems_are_flagged_as_a_reader_would(galah, given):
    n = 120
    population = TableOfStars(given.table(*[{"class": "WRD"}] * n))
    spectra, truth = SpectralSurvey(population, n, galah, PLAIN, 4).block(0)
    clean = SpectralSurvey(TableOfStars(given.table({})), 1, galah, PLAIN, 4).block(0)
    assert set(truth["problem"]) == {
        "fringing", "cosmic", "sky", "velocity", "dead", "scattered", "saturated", "gaps",
    }  # fmt: skip
    flags = spectra.table["flags"].to_numpy()
    dead, gaps = (truth["problem"] == "dead").to_numpy(), (truth["problem"] == "gaps").to_numpy()
    np.testing.assert_array_equal((flags & int(SpectrumFlag.MISSING_ARM)) > 0, dead)
    np.testing.assert_array_equal((flags & int(SpectrumFlag.NON_FINITE)) > 0, gaps)
    assert (spectra.table["n_arms"][dead] == 3).all()
    wrong = (truth["problem"] == "velocity").to_numpy()
    off = np.abs(truth["rv_measured"] - truth["rv_light"]).to_numpy()
    assert off[wrong].min() > 20
    assert off[~wrong].max() < 2
    change = np.abs(spectra.flux - clean.spectra.flux[0]).max(axis=1)
    assert change[~wrong].min() > 0.05


def test_bad_settings_are_refused(galah, given):
    with pytest.raises(DataError, match="frame"):
        SpectraSettings(frame="galactic")
    with pytest.raises(DataError, match="visits"):
        SpectraSettings(visits=0)
    with pytest.raises(DataError, match="at least one star"):
        simulate_spectra(0)
    with pytest.raises(DataError, match="at least one star"):
        SpectralSurvey(TableOfStars(given.table({})), 0, galah)


def test_the_short_way_in(galah):
    spectra, truth = simulate_spectra(3, rng=np.random.default_rng(1), instrument=galah)
    assert len(spectra) == len(truth) == 3
    again, _ = simulate_spectra(3, rng=np.random.default_rng(1), instrument=galah)
    assert again.flux.tobytes() == spectra.flux.tobytes()
