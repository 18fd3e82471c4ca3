"""The 61 real GALAH stars, ingested, mapped and explored."""

import numpy as np
import pytest

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def galah(real_data, tmp_path_factory):
    from siderea.pipelines.embed import embed
    from siderea.pipelines.ingest import ingest

    path = tmp_path_factory.mktemp("real") / "galah.siderea"
    ingest("galah", [str(real_data / "galah_dr3" / "spectra")], path)
    embed(path, method="pca")
    return path


@pytest.fixture(scope="module")
def client(explored, galah):
    with explored.client(galah) as client:
        yield client


def test_the_real_store_is_explored_whole(client):
    schema = client.get("/api/schema").json()
    n = schema["n_rows"]
    assert n == 61
    assert [arm["name"] for arm in schema["arms"]] == ["blue", "green", "red", "ir"]
    assert {"Hα", "Hβ", "Li I"} <= {line["name"] for line in schema["lines"]}
    assert {"telluric O2 A", "C₂ Swan"} <= {band["name"] for band in schema["bands"]}
    for column in schema["columns"]:
        reply = client.get(f"/api/columns/{column['key']}")
        width = {"number": 4, "category": 2, "flags": 4}.get(column["kind"])
        if width is not None:
            assert len(reply.content) == width * n, column["key"]
    places = np.frombuffer(client.get("/api/maps/pca/xy").content, dtype="<f4").reshape(n, 2)
    assert np.isfinite(places).all()
    for row in range(n):
        flux, ivar = np.frombuffer(client.get(f"/api/spectra/{row}").content, "<f4").reshape(2, -1)
        good = ivar > 0
        assert 0.5 < np.median(flux[good]) < 1.1
        one = client.get(f"/api/objects/{row}").json()
        assert client.get("/api/search", params={"q": one["id"]}).json()["rows"] == [row]


def test_real_spectra_correlate_at_rest(client):
    """They were shifted to rest: single stars peak at 0 km/s."""
    found = [client.get(f"/api/spectra/{row}/ccf") for row in range(0, 61, 6)]
    speeds = [
        star["components"][0]["rv"]
        for star in (reply.json() for reply in found if reply.status_code == 200)
        if len(star["components"]) == 1
    ]
    assert len(speeds) >= 6
    assert np.median(np.abs(speeds)) < 2


def test_labels_of_real_stars_reach_the_classifier(client, explored):
    from siderea.pipelines.classify import classify

    path = client.app.state.explorer.survey.store.path
    strength = np.frombuffer(client.get("/api/columns/catalogue:ew_halpha").content, "<f4")
    order = np.argsort(np.nan_to_num(strength, nan=2.0))
    for rows, value in ((order[:8], "MAB"), (order[-8:], "NOR")):
        sent = {"rows": rows.tolist(), "kind": "class", "value": value, "user": "test"}
        assert client.post("/api/labels", json=sent).status_code == 200
    table = path.parent / "labels.csv"
    table.write_text(client.get("/api/labels/export").text)
    result = classify(path, map_name="pca", labels=table)
    assert result.labels.n_labelled == 16
