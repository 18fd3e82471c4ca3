"""Models, correlations, files and messages of the explorer, against what they are made of."""

import io
import os
import warnings

import numpy as np
import pandas as pd
import pyarrow.csv
import pytest

from siderea.data import Spectra
from siderea.explorer.overlay import light_of, stars_of
from siderea.io.galah import GRID
from siderea.io.store import SurveyStore

SUN = {"teff": 5800.0, "logg": 4.4, "fe_h": 0.0, "alpha_fe": 0.0, "vmic": 1.1}
COOLER = {"teff": 5200.0, "logg": 4.55, "fe_h": 0.0, "alpha_fe": 0.0, "vmic": 1.0}
RV = (-45.0, 60.0)


@pytest.fixture(scope="module")
def model():
    from siderea.models.emulator import load_default

    return load_default().at(
        GRID.wavelength,
        resolution=28_000.0,
        medium="air",
        arms=GRID.arms,
        extra_labels=("vsini", "rv"),
    )


def fitted():
    """Labels of a fit as a product has them: row 0 a single star, row 1 a binary, row 2 nothing."""
    single = {f"single_{name}": value for name, value in SUN.items()}
    single |= {"single_vsini": 5.0, "single_rv": 2.0}
    binary = {f"binary_{name}": SUN[name] for name in ("teff", "logg", "fe_h", "alpha_fe")}
    binary |= {f"binary_{name}_2": COOLER[name] for name in ("teff", "logg")}
    binary |= {"binary_vsini_1": 4.0, "binary_vsini_2": 3.0, "binary_q": 0.8}
    binary |= {"binary_rv_1": RV[0], "binary_rv_2": RV[1], "binary_vmic": 1.1}
    return [
        {"id": "a", "is_binary": False, **single, **binary},
        {"id": "b", "is_binary": True, **single, **binary},
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory, model):
    rng = np.random.default_rng(8)
    one, two = (list(star.values()) for star in (SUN, COOLER))
    labels = np.array([[*one, 5.0, 0.0], [*one, 4.0, RV[0]], [*two, 3.0, RV[1]]])
    flux = model.predict(labels)
    both = 0.6 * flux[1] + 0.4 * flux[2]
    data = np.stack([flux[0], both, flux[0]]) + rng.normal(0, 0.01, (3, flux.shape[1]))
    spectra = Spectra(
        GRID.wavelength,
        data.astype(np.float32),
        np.full(data.shape, 1e4, dtype=np.float32),
        "air",
        arms=GRID.arms,
        arm_names=GRID.arm_names,
        resolution=(28_000.0,),
        table=pd.DataFrame({"id": ["a", "b", "c"], "teff": [5800.0, np.nan, 5800.0]}),
    )
    store = SurveyStore.create(tmp_path_factory.mktemp("models") / "s.siderea", spectra)
    store.write_product("detections_model", pd.DataFrame(fitted()), method="model")
    return store


@pytest.fixture(scope="module")
def client(explored, store):
    with explored.client(store.path) as client:
        yield client


# --------------------------------------------------------------------------------- the overlay


def test_the_labels_of_a_fit_become_stars():
    single, binary = (stars_of(row) for row in fitted())
    assert single.labels[0].tolist() == [5800, 4.4, 0, 0, 1.1, 5.0, 2.0]
    assert binary.labels[:, 0].tolist() == [5800, 5200]
    assert binary.labels[:, 6].tolist() == list(RV)
    assert binary.weight[1] == pytest.approx(0.8 * 10 ** (4.4 - 4.55))
    del_second = {k: v for k, v in fitted()[1].items() if k != "binary_teff_2"}
    assert len(stars_of(del_second).weight) == 1  # an atmosphere is missing: the single star
    assert stars_of({"binary_teff": 5000.0, "single_teff": float("nan")}) is None


def test_a_binary_of_equal_stars_at_rest_is_the_single_star(model):
    alone = fitted()[0] | {"single_rv": 0.0}
    same = {
        name.replace("single_", "binary_"): value
        for name, value in alone.items()
        if name.startswith("single_")
    }
    same |= {f"binary_{name}_2": SUN[name] for name in ("teff", "logg")}
    same |= {"binary_rv_2": 0.0, "binary_q": 1.0, "is_binary": True}
    one, two = light_of(model, stars_of(alone)), light_of(model, stars_of(same))
    assert (one.names, two.names) == (("model",), ("model", "star_1", "star_2"))
    np.testing.assert_allclose(two.flux[0], one.flux[0], atol=1e-6)
    np.testing.assert_allclose(two.flux[1], two.flux[2], atol=1e-6)


def test_the_overlay_agrees_with_the_composite_model(model):
    """The physical sum Σ R² F(v) / Σ R² C, by `Binary` of the models' room, another way there."""
    from siderea.models.composite import Binary

    row = fitted()[1]
    binary = Binary(model)
    named = {
        "vsini_1": 4.0,
        "vsini_2": 3.0,
        "radius_ratio": np.sqrt(0.8 * 10 ** (4.4 - 4.55)),
        "vmic_1": 1.1,
        "vmic_2": 1.1,
        "fe_h": 0.0,
        "alpha_fe": 0.0,
        **{f"{name}_1": SUN[name] for name in ("teff", "logg")},
        **{f"{name}_2": COOLER[name] for name in ("teff", "logg")},
    }
    still = [name for name in binary.label_names if name.startswith("rv")]
    theta = [named.get(name, 0.0) for name in binary.label_names]
    assert set(binary.label_names) - set(named) == set(still)
    expected = binary.predict(theta)[0]
    at_rest = row | {"binary_rv_1": 0.0, "binary_rv_2": 0.0}
    overlay = light_of(model, stars_of(at_rest))
    # The first and last pixel are where `Binary` has nothing to interpolate from.
    np.testing.assert_allclose(overlay.flux[0][1:-1], expected[1:-1], atol=2e-4)


def test_the_page_gets_the_model_and_its_stars(client, store):
    assert client.get("/api/schema").json()["has"]["model"]
    reply = client.get("/api/spectra/1/model")
    assert reply.headers["x-siderea-parts"] == "model,star_1,star_2"
    parts = np.frombuffer(reply.content, dtype="<f4").reshape(3, -1)
    np.testing.assert_allclose(parts[0], parts[1] + parts[2], atol=1e-5)
    residual = store.spectra(1).flux[0] - parts[0]
    assert np.std(residual) < 0.02  # noise of 0.01, and light shared 0.6 to 0.4 over all colours
    single = client.get("/api/spectra/0/model")
    assert single.headers["x-siderea-parts"] == "model"
    assert client.get("/api/spectra/2/model").status_code == 404


# ------------------------------------------------------------------------------------- the CCF


def test_the_correlation_shows_the_two_stars(client):
    found = client.get("/api/spectra/1/ccf").json()
    velocity, ccf = np.array(found["velocity"]), np.array(found["ccf"])
    assert velocity.shape == ccf.shape
    speeds = sorted(star["rv"] for star in found["components"])
    np.testing.assert_allclose(speeds, RV, atol=3)
    assert abs(velocity[ccf.argmax()] - RV[0]) < 3
    assert found["error"] > 0
    assert found["significance"] > 6
    alone = client.get("/api/spectra/0/ccf").json()
    assert len(alone["components"]) == 1


def test_a_grid_of_its_own_has_no_correlation(explored, tmp_path):
    with explored.client(explored.make(tmp_path / "s.siderea").path) as client:
        reply = client.get("/api/spectra/1/ccf")
        assert reply.status_code == 409
        assert reply.json()["detail"].startswith("ccf: ")


# ------------------------------------------------------------------------------------ the files


@pytest.fixture(scope="module")
def small(explored, tmp_path_factory):
    store = explored.make(tmp_path_factory.mktemp("files") / "s.siderea")
    with explored.client(store.path) as client:
        client.store = store
        yield client


ROWS = [3, 59, 7]


def exported(small, explored, kind, columns=()):
    reply = small.post(
        "/api/export",
        params={"format": kind, "columns": list(columns)},
        content=explored.rows_body(ROWS),
    )
    assert reply.status_code == 200, reply.text
    assert "attachment" in reply.headers["content-disposition"]
    return reply.content


def check(table, store):
    frame = store.catalogue.iloc[ROWS].reset_index(drop=True)
    assert list(table["id"]) == frame["id"].tolist()
    assert list(table["row"]) == ROWS
    np.testing.assert_array_equal(np.asarray(table["teff"], dtype=float), frame["teff"])
    np.testing.assert_array_equal(np.asarray(table["number"]), frame["number"])
    np.testing.assert_allclose(np.asarray(table["snr"], dtype=float), frame["snr"])
    words = ["" if one is np.ma.masked else str(one) for one in table["classes_class"]]
    assert words == ["NOR", "BIN", ""]


def test_csv(small, explored):
    table = pyarrow.csv.read_csv(io.BytesIO(exported(small, explored, "csv"))).to_pandas()
    check(table.fillna({"classes_class": ""}), small.store)
    assert table["sort"].tolist()[0] == explored.SCRIPT


def test_fits(small, explored):
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = Table.read(io.BytesIO(exported(small, explored, "fits")), format="fits")
    check(table, small.store)
    assert str(table["teff"].unit) == "K"
    number = table.colnames.index("teff") + 1
    assert table.meta[f"TCOMM{number}"] == "effective temperature"  # as TOPCAT reads it


def test_votable(small, explored):
    from astropy.io.votable import parse
    from astropy.io.votable.exceptions import W03

    content = exported(small, explored, "votable")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", W03)  # a column's name that is no XML identifier
        parsed = parse(io.BytesIO(content), verify="exception")
    table = parsed.get_first_table().to_table()
    check(table, small.store)
    assert str(table["teff"].unit) == "K"
    assert table["teff"].description == "effective temperature"
    assert table["sort"][0] == explored.SCRIPT


def test_only_the_columns_that_were_asked_for(small, explored):
    content = exported(small, explored, "csv", ["catalogue:teff", "classes:class"])
    assert content.decode().splitlines()[0] == '"row","id","teff","class"'


# ------------------------------------------------------------------------------ other programs


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A SAMP hub on loopback, and a program that has subscribed to tables."""
    from siderea.explorer.samp import samp_module

    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:file://{tmp_path}/lock")
    samp = samp_module()
    hub = samp.SAMPHubServer(
        web_profile=False, lockfile=str(tmp_path / "lock"), addr="127.0.0.1", mode="single"
    )
    hub.start()
    taker = samp.SAMPIntegratedClient(name="taker", addr="127.0.0.1")
    taker.connect()
    got = []
    taker.bind_receive_notification(
        "table.load.votable", lambda key, sender, mtype, params, extra: got.append(params)
    )
    yield got
    taker.disconnect()
    hub.stop()


def test_a_selection_is_sent_to_other_programs(small, explored, hub):
    import time
    from urllib.parse import urlsplit

    from astropy.table import Table

    body = explored.rows_body(ROWS)
    reply = small.post("/api/samp?columns=catalogue:teff", content=body)
    assert reply.json() == {"clients": 1}
    for _ in range(100):
        if hub:
            break
        time.sleep(0.05)
    table = Table.read(urlsplit(hub[0]["url"]).path, format="votable")
    assert list(table["id"]) == ["s003", "s059", "s007"]
    assert "3 selected" in hub[0]["name"]


def test_without_a_hub_it_says_so(small, explored, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:file://{tmp_path}/none")
    before = sorted(os.listdir(small.app.state.explorer.outbox._folder.name))
    reply = small.post("/api/samp", content=explored.rows_body([1]))
    assert reply.status_code == 409
    assert "no SAMP hub" in reply.json()["detail"]
    assert sorted(os.listdir(small.app.state.explorer.outbox._folder.name)) == before
