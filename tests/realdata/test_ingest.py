"""The first real job: GALAH files in, a map and a report out; and every other product at hand."""

import numpy as np
import pytest

from siderea.flags import SpectrumFlag
from siderea.io import galah
from siderea.pipelines.embed import embed
from siderea.pipelines.ingest import ingest
from siderea.pipelines.report import write_report

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def store(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("galah")
    files = real_data / "galah_dr3" / "spectra"
    result = ingest("galah", [files], folder / "galah.siderea")
    assert result.failures == ()
    return result.store


def test_every_star_is_read_with_velocity_and_snr(store):
    table = store.catalogue
    assert len(table) == 61
    assert np.isfinite(table["rv"]).all()
    assert table["rv"].abs().max() < 500
    assert np.median(table["snr_green"]) == pytest.approx(32, abs=3)
    missing = (table["flags"].to_numpy() & int(SpectrumFlag.MISSING_ARM)) > 0
    assert missing.sum() == 2
    assert table["snr_ir"].isna().sum() == 2
    rows = store.spectra(np.flatnonzero(missing))
    assert not rows.ivar[:, rows.arms[3]].any()


def test_ours_agree_with_the_surveys_own_normalised_spectra(store, real_data):
    files = (real_data / "galah_dr3" / "spectra").glob("*.fits")
    survey = galah.read_spectra(files, extension="normalised")
    ours = store.spectra()
    assert ours.ids.tolist() == survey.ids.tolist()
    for name, arm, _ in ours.iter_arms():
        good = (ours.ivar[:, arm] > 0) & (survey.ivar[:, arm] > 0)
        difference = np.where(good, ours.flux[:, arm] - survey.flux[:, arm], 0.0)
        rms = np.sqrt((difference**2).sum(axis=1) / np.maximum(good.sum(axis=1), 1))
        bright = ours.table[f"snr_{name}"].to_numpy() > 40
        assert np.median(rms[bright]) < 0.03
        # two IR spectra have an overcorrected O2 band that bends the survey's own continuum
        assert np.mean(rms[bright] < 0.03) >= (0.94 if name == "ir" else 1.0)


def test_lines_stand_at_rest(store):
    """The mean spectrum of the sample has its strong lines where the laboratory has them."""
    spectra = store.spectra()
    good = spectra.ivar > 0
    mean = (spectra.flux * good).sum(axis=0) / np.maximum(good.sum(axis=0), 1)
    lines = (
        4861.33,
        5711.09,
        5782.13,
        5857.45,
        6546.24,
        6562.80,
        6592.91,
        6643.63,
        6717.68,
        7748.27,
    )
    offsets = []
    for line in lines:  # Balmer, Mg, Cu, Ca, Fe, Ni; NIST, air; some are blended, so their median
        near = np.abs(spectra.wavelength - line) < 0.5
        weight = 1 - mean[near]
        centre = (weight * spectra.wavelength[near]).sum() / weight.sum()
        offsets.append((centre / line - 1) * 299792.458)
    assert np.median(offsets) == pytest.approx(0.0, abs=1.0)
    assert np.abs(offsets).max() < 5.0


def test_a_map_and_a_report_come_out(store, tmp_path):
    with pytest.warns(UserWarning, match="perplexity lowered"):
        result = embed(store.path, method="tsne", colour="ew_halpha")
    assert result.n_mapped == 61
    places = store.product("tsne")
    assert np.isfinite(places[["x", "y"]]).all(axis=None)
    report = write_report(store.path, output=tmp_path / "report.html").read_text()
    assert "61 spectra" in report
    assert report.count("data:image/png;base64,") == 2


@pytest.mark.parametrize(
    ("product", "pattern", "n_spectra"),
    [
        ("apogee", "apogee_fits/*.fits", 3),
        ("lamost", "lamost_kic8098300/spec-*.gz", 1),
        ("lamost", "lamost_kic8098300/med-*.gz", 7),
    ],
)
def test_other_products_go_through_the_same_job(real_data, tmp_path, product, pattern, n_spectra):
    store = ingest(product, real_data.glob(pattern), tmp_path / "a.siderea").store
    spectra = store.spectra()
    assert len(spectra) == n_spectra
    good = spectra.ivar > 0
    # two MRS sums hold no star (the files say S/N 0 and 1): flagged, and nothing of them is kept
    bright = spectra.table["snr"].to_numpy() > 3
    assert bright.sum() >= min(n_spectra, 5)
    assert (good.any(axis=1) == bright).all()
    assert np.median(spectra.flux[good]) == pytest.approx(1.0, abs=0.05)


def test_spectra_of_one_star_share_its_name_across_files(real_data, tmp_path):
    """The files carry two designations, 0.3 arcsec apart."""
    files = real_data.glob("lamost_kic8098300/med-*.gz")
    store = ingest("lamost", files, tmp_path / "a.siderea").store
    assert store.catalogue["star_id"].nunique() == 1
    assert store.catalogue["id"].nunique() == 7


def test_two_surveys_in_one_job_are_told_apart(real_data, tmp_path):
    result = ingest("lamost", [real_data / "lamost_kic8098300"], tmp_path / "a.siderea")
    assert len(result.store) == 7
    assert "ingest the two apart" in result.failures[0].reason
