from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from siderea.classify.carbon import HEAD, band_profile
from siderea.classify.catalogue import CODES, MAX_FALSE, class_catalogue, detection_table
from siderea.classify.clusters import Clusters
from siderea.classify.detection import NullDistribution
from siderea.classify.measure import DETECTORS, FEWEST, Measurements, Meter
from siderea.classify.propagation import ClassFlag
from siderea.cli import main
from siderea.data import Spectra
from siderea.errors import DataError, ProductError
from siderea.flags import SpectrumFlag
from siderea.io.store import SurveyStore
from siderea.pipelines.classify import classify
from siderea.pipelines.report import write_report

BLUE = np.arange(4714.0, 4900.0, 0.1)
RED = np.arange(6480.0, 6735.0, 0.1)
GRID = np.concatenate([BLUE, RED])
ARMS = (slice(0, BLUE.size), slice(BLUE.size, GRID.size))
N = 400
BROKEN, CONSTANT, TWINS = 0, 1, (2, 3)


@pytest.fixture(scope="session")
def survey(sunlike_spectrum):
    """Stars whose lines vary in depth and width; a few of each class; a few hopeless ones."""
    rng = np.random.default_rng(11)
    star = sunlike_spectrum(GRID)
    depth = rng.uniform(0.6, 1.1, N)
    flux = 1 - depth[:, None] * (1 - star)
    kind = np.full(N, "NOR", dtype=object)
    rows = rng.permutation(np.arange(10, N))
    band = band_profile(GRID, HEAD, tail=6.0, fwhm=HEAD / 28_000)
    line = np.exp(-0.5 * ((GRID - 6562.8) / 0.8) ** 2)
    li = np.exp(-0.5 * ((GRID - 6707.8) / 0.12) ** 2)
    phase = rng.uniform(0, 2 * np.pi, (12, 1))
    wave = np.where(GRID < 6000.0, 0.0, np.sin(np.arange(GRID.size) / 30.0 + phase))
    for code, chosen in zip(("HAE", "CEH", "LIR", "WRD"), rows[:48].reshape(4, 12), strict=True):
        kind[chosen] = code
        flux[chosen] += {
            "HAE": 0.8 * line,
            "CEH": -0.35 * band,
            "LIR": -0.6 * li,
            "WRD": 0.08 * wave,
        }[code]
    kind[rows[48:108]] = "BIN"
    flux[rows[48:108]] = 0.5 * (flux[rows[48:108]] + np.roll(flux[rows[48:108]], 12, axis=1))
    snr = rng.uniform(40, 90, N)
    flux = flux + rng.normal(0, 1, flux.shape) / snr[:, None]
    ivar = np.repeat(snr[:, None] ** 2, GRID.size, axis=1)
    ivar[BROKEN] = 0.0
    flux[CONSTANT] = 1.0
    flux[TWINS[1]] = flux[TWINS[0]]
    table = pd.DataFrame({"id": [f"s{row}" for row in range(N)], "kind": kind, "snr": snr})
    return Spectra(GRID, flux, ivar, "air", ARMS, ("blue", "red"), 28000.0, table)


@pytest.fixture(scope="session")
def measured(survey):
    return Meter(survey).measure(survey)


@pytest.fixture
def store(tmp_path, survey):
    made = SurveyStore.create(tmp_path / "toy.siderea", survey)
    rng = np.random.default_rng(0)
    places = rng.normal(0, 1, (N, 2)) + 12.0 * (survey.table["kind"] == "BIN").to_numpy()[:, None]
    places[BROKEN] = np.nan
    frame = pd.DataFrame({"id": survey.ids, "x": places[:, 0], "y": places[:, 1]})
    made.write_product("tsne", frame, method="tsne")
    return made


def write_labels(path, survey, per_class=8, extra=""):
    table = survey.table
    chosen = table.groupby("kind").head(per_class)
    text = "".join(
        f"{one},{kind}\n" for one, kind in zip(chosen["id"], chosen["kind"], strict=True)
    )
    path.write_text("id,class\n" + text + extra)
    return path


def test_detectors_find_what_was_put_in_and_little_else(survey, measured):
    found = detection_table(survey.ids, measured)
    kind = survey.table["kind"].to_numpy()
    for name, code in CODES.items():
        hit = found[f"{name}_found"].to_numpy()
        if code in set(kind):
            assert hit[kind == code].mean() > 0.9, name
        assert hit[kind == "NOR"].mean() < 0.01, name
        assert hit[kind == "BIN"].mean() < 0.05, name


def test_significances_of_ordinary_spectra_are_those_of_noise(survey, measured):
    plain = (survey.table["kind"] == "NOR").to_numpy() & measured.usable
    plain[[CONSTANT, *TWINS]] = False
    for name in ("halpha_emission", "hbeta_emission", "swan_c2", "li_6708"):
        values = measured.detections[name].significance[plain]
        assert abs(values.mean()) < 0.25, name
        assert 0.6 < values.std() < 1.3, name  # too large an error is no false alarm


def test_a_simulated_null_can_take_the_place_of_the_mirror(survey, measured):
    plain = (survey.table["kind"] == "NOR").to_numpy()
    null = {
        name: NullDistribution.fit(one.significance[plain])
        for name, one in measured.detections.items()
    }
    found = detection_table(survey.ids, measured, null=null)
    chance = found["swan_c2_false_alarm"].to_numpy()[plain]
    assert np.nanmean(chance <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_hopeless_spectra_are_measured_as_nothing(survey, measured):
    assert not measured.usable[BROKEN]
    assert measured.flags[BROKEN] & SpectrumFlag.NO_GOOD_PIXELS
    assert all(np.isnan(one.value[BROKEN]) for one in measured.detections.values())
    assert measured.usable[CONSTANT]
    assert np.allclose(measured.features[TWINS[0]], measured.features[TWINS[1]], rtol=0.2)


def test_measuring_in_chunks_is_measuring_at_once(survey, measured):
    meter = Meter(survey)
    pieces = Measurements.joined([meter.measure(survey[:150]), meter.measure(survey[150:])])
    np.testing.assert_allclose(pieces.features, measured.features, rtol=1e-4, atol=1e-4)
    for name in DETECTORS:
        np.testing.assert_allclose(
            pieces.detections[name].value, measured.detections[name].value, rtol=1e-3, atol=1e-5
        )


def test_a_survey_without_the_windows_still_has_features(survey):
    pixels = GRID < 4840
    flux = survey.flux[:, pixels] * 1.0
    far = Spectra(GRID[pixels] + 1000.0, flux, survey.ivar[:, pixels], "air", table=survey.table)
    found = Meter(far, k=10).measure(far)
    assert found.usable.sum() == N - 1
    assert np.isnan(found.detections["swan_c2"].value).all()
    assert not detection_table(far.ids, found)["swan_c2_found"].any()
    assert np.isfinite(found.for_classifier()[1:]).all()


def test_too_small_a_library_is_refused(survey):
    with pytest.raises(DataError, match=f"expected {FEWEST} or more"):
        Meter(survey[:FEWEST])  # the first has no good pixel


def test_labels_go_through_to_a_catalogue_with_its_provenance(store, survey, tmp_path):
    extra = "nobody,BIN\n"
    result = classify(
        store.path, map_name="tsne", labels=write_labels(tmp_path / "l.csv", survey, extra=extra)
    )
    catalogue = store.product("classes")
    kind = survey.table["kind"].to_numpy()
    assert catalogue["id"].tolist() == survey.ids.tolist()
    assert result.labels.unknown == ("nobody",)
    assert result.labels.n_labelled == 48
    assert (catalogue["source"] == "human").sum() == 48
    for code in np.unique(kind.astype(str)):
        rows = (kind == code) & (catalogue["source"] != "human").to_numpy()
        rows[[BROKEN, CONSTANT]] = False
        assert np.mean(catalogue["class"][rows] == code) > 0.7, code
    assert catalogue["class_flags"][BROKEN] & ClassFlag.UNMAPPED
    assert catalogue["class"].isna()[BROKEN] or catalogue["source"][BROKEN] == "human"
    assert set(catalogue["map"]) == {"tsne"}
    assert set(catalogue["map_version"]) == {store.product_info("tsne")["written"]}
    assert catalogue["probability"].dropna().between(0, 1).all()
    info = store.product_info("classes")["parameters"]
    assert info["map"] == "tsne"
    assert info["labels_unknown"] == 1
    assert info["classes"] == ["BIN", "CEH", "HAE", "LIR", "NOR", "WRD"]
    queue = store.product("label_queue")
    assert len(queue) == 100
    assert not set(queue["id"]) & set(catalogue["id"][catalogue["source"] == "human"])
    assert result.figure.stat().st_size > 10_000


def test_without_labels_islands_and_detectors_speak(store, survey):
    result = classify(store.path, map_name="tsne", method="hdbscan")
    catalogue = store.product("classes")
    assert set(catalogue["source"]) == {"detector", "none"}
    assert "label_queue" not in store.products
    kind = survey.table["kind"].to_numpy()
    assert (catalogue["class"][kind == "HAE"] == "HAE").mean() > 0.9
    assert (catalogue["class"][kind == "WRD"] == "WRD").mean() > 0.9
    assert np.isnan(result.accuracy)
    islands = catalogue["cluster"][kind == "BIN"]
    assert islands.value_counts().iloc[0] > 0.8 * len(islands)
    assert catalogue["cluster"][BROKEN] == -1


def test_the_same_seed_gives_the_same_catalogue(store, survey, tmp_path):
    labels = write_labels(tmp_path / "l.csv", survey)
    classify(store.path, map_name="tsne", labels=labels)
    first = store.product("classes"), store.product("label_queue")
    classify(store.path, map_name="tsne", labels=labels)
    pd.testing.assert_frame_equal(first[0], store.product("classes"))
    pd.testing.assert_frame_equal(first[1], store.product("label_queue"))


def test_what_cannot_work_is_refused(store, survey, tmp_path):
    with pytest.raises(ProductError, match="no product 'nowhere'"):
        classify(store.path, map_name="nowhere")
    store.write_product("plain", pd.DataFrame({"id": survey.ids, "z": 1.0}))
    with pytest.raises(ProductError, match="is not a map"):
        classify(store.path, map_name="plain")
    labels = tmp_path / "l.csv"
    labels.write_text("id,class\nnobody,BIN\n")
    with pytest.raises(DataError, match="none of 1 labelled ids is in the sample"):
        classify(store.path, map_name="tsne", labels=labels)
    labels.write_text("id,class\ns5,BIN\ns6,BIN\n")
    with pytest.raises(DataError, match="at least two classes"):
        classify(store.path, map_name="tsne", labels=labels)
    with pytest.raises(DataError, match="queue: found 0"):
        classify(store.path, map_name="tsne", queue=0)


def test_the_command_says_what_it_did_and_the_report_shows_it(
    store, survey, tmp_path, monkeypatch, capsys
):
    labels = write_labels(tmp_path / "l.csv", survey, extra="nobody,BIN\n")
    arguments = ["siderea", "classify", str(store.path), "--map", "tsne", "--labels", str(labels)]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    said = capsys.readouterr().out
    assert "48 labels used; 1 of spectra not in the store" in said
    assert "islands on map 'tsne'" in said
    page = write_report(store.path, output=tmp_path / "r.html").read_text()
    assert "<h2>Classes</h2>" in page
    assert "carbon-enhanced" in page


def test_a_mistake_is_one_line_and_exit_code_2(store, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["siderea", "classify", str(store.path), "--map", "nowhere"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "no product 'nowhere'" in capsys.readouterr().err


def test_a_person_overrules_and_a_detector_speaks_where_the_classifier_says_normal():
    """The order of voices: a person, a peculiar class, a detector, NOR."""
    from siderea.classify.propagation import Propagation

    n = 4
    table = {"id": [f"s{row}" for row in range(n)], "spikes": np.zeros(n, dtype=int)}
    for name in CODES:
        found = np.array([False, name == "li_6708", name == "li_6708", name == "li_6708"])
        table |= {f"{name}_found": found, f"{name}_q": np.where(found, MAX_FALSE / 2, 1.0)}
    said = Propagation(
        ("BIN", "NOR"),
        np.array([[0.1, 0.9], [0.1, 0.9], [0.8, 0.2], [0.1, 0.9]]),
        np.array(["NOR", "NOR", "BIN", "NOR"], dtype=object),
        np.array([0.9, 0.9, 0.8, 0.9]),
        np.full(n, 0.7),
        np.full(n, "NOR", dtype=object),
        np.full(n, 0.5),
        np.zeros(n, dtype=np.int64),
    )
    islands = Clusters(np.zeros(n, dtype=int), np.array([n]), "dbscan", 1.0, 5)
    person = np.array([None, None, None, "CMP"], dtype=object)
    found = class_catalogue(pd.DataFrame(table), islands, propagation=said, labels=person)
    assert found["class"].tolist() == ["NOR", "LIR", "BIN", "CMP"]
    assert found["source"].tolist() == ["propagated", "detector", "propagated", "human"]
    assert found["detected"].tolist() == ["", "LIR", "LIR", "LIR"]
    assert found["probability"].tolist() == [0.9, 1 - MAX_FALSE / 2, 0.8, 1.0]


def test_one_spike_among_quiet_spectra_is_not_blown_up(measured):
    """A column that hardly ever varies must not turn its one small value into a giant."""
    spikes = np.zeros_like(measured.spikes)
    spikes[50] = 1
    table = replace(measured, spikes=spikes).for_classifier()
    unit = np.median(measured.features[measured.usable].std(axis=0))
    assert 0 < table[50, -1] < 2 * unit
    assert np.isnan(table[BROKEN, 0])
