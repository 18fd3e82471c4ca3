"""The explorer's replies against the store they come from."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from siderea.io.store import SurveyStore


@pytest.fixture(scope="module")
def store(explored, tmp_path_factory):
    return explored.make(tmp_path_factory.mktemp("explorer") / "small.siderea")


@pytest.fixture(scope="module")
def client(explored, store):
    with explored.client(store.path) as client:
        yield client


@pytest.fixture(scope="module")
def schema(client):
    return client.get("/api/schema").json()


def column(schema, key):
    return next(one for one in schema["columns"] if one["key"] == key)


def array(reply, kind="<f4"):
    assert reply.status_code == 200, reply.text
    return np.frombuffer(reply.content, dtype=kind)


def test_schema_says_what_is_in_the_store(schema):
    assert schema["name"] == "small"
    assert (schema["n_rows"], schema["n_pixels"], schema["kind"]) == (60, 100, "spectra")
    assert [arm["name"] for arm in schema["arms"]] == ["blue", "red"]
    assert [one["name"] for one in schema["maps"]] == ["tsne", "tsne:2"]
    assert schema["maps"][0]["n"] == 59
    assert schema["features"] == ["tsne"]
    assert schema["default"] == {"map": "tsne", "colour": "catalogue:teff"}
    assert {line["name"] for line in schema["lines"]} == {"Hα", "Hβ"}
    assert schema["has"] == {
        "model": False,
        "ccf": True,
        "features": True,
        "labels": True,
        "classify": True,
    }


def test_columns_are_described(schema):
    teff = column(schema, "catalogue:teff")
    assert (teff["kind"], teff["unit"], teff["n_missing"]) == ("number", "K", 1)
    assert (teff["min"], teff["max"], teff["integer"]) == (4000.0, 6950.0, True)
    assert 4000 < teff["low"] < 4150
    assert column(schema, "catalogue:seen")["categories"] == ["no", "yes"]
    assert column(schema, "catalogue:id")["kind"] == "text"
    flags = column(schema, "catalogue:flags")
    assert flags["kind"] == "flags"
    no_rv = next(one for one in flags["flags"] if one["name"] == "NO_RV")
    assert no_rv["bit"] == 2
    assert "radial velocity" in no_rv["meaning"]
    classes = column(schema, "classes:class")
    assert classes["categories"] == ["BIN", "NOR"]
    assert classes["colours"][1] == "#BDBDBD"
    assert column(schema, "classes:class_flags")["flags"][0]["name"] == "UNSURE"
    assert not any(one["table"] == "tsne_features" for one in schema["columns"])


def test_every_column_comes_as_it_is_stored(client, schema, store):
    frames = {name: store.product(name).set_index("id") for name in store.products}
    frames["catalogue"] = store.catalogue.set_index("id", drop=False)
    ids = store.catalogue["id"]
    checked = 0
    for one in schema["columns"]:
        if one["kind"] == "text" or one["table"] not in frames:
            continue
        reply = client.get(f"/api/columns/{one['key']}")
        stored = frames[one["table"]].reindex(ids)[one["name"]].to_numpy()
        if one["kind"] == "number":
            np.testing.assert_array_equal(array(reply), stored.astype(np.float32))
        elif one["kind"] == "flags":
            expected = np.nan_to_num(stored.astype(float)).astype(np.uint32)
            np.testing.assert_array_equal(array(reply, "<u4"), expected)
        elif one["name"] != "seen":
            codes = array(reply, "<i2")
            words = [one["categories"][code] if code >= 0 else None for code in codes]
            assert words == [None if pd.isna(word) else word for word in stored]
        checked += 1
    assert checked > 15


def test_map_comes_interleaved_with_nan_off_it(client, store):
    places = array(client.get("/api/maps/tsne/xy")).reshape(-1, 2)
    stored = store.product("tsne")[["x", "y"]].to_numpy(dtype=np.float32)
    np.testing.assert_array_equal(places, stored)
    assert np.isnan(places[-1]).all()
    second = array(client.get("/api/maps/tsne:2/xy")).reshape(-1, 2)
    np.testing.assert_array_equal(second[:, 0], (store.product("tsne")["x_2"]).astype(np.float32))


def test_a_spectrum_is_its_flux_and_ivar(client, store):
    for row in (0, 4, 59):
        flux, ivar = array(client.get(f"/api/spectra/{row}")).reshape(2, -1)
        spectra = store.spectra(row)
        np.testing.assert_array_equal(flux, spectra.flux[0])
        np.testing.assert_array_equal(ivar, spectra.ivar[0])
    grid = array(client.get("/api/wavelength"), "<f8")
    np.testing.assert_array_equal(grid, store.wavelength)


def test_an_object_has_its_values_flags_and_links(client, store):
    one = client.get("/api/objects/10").json()
    values = {value["key"]: value for value in one["values"]}
    assert (one["id"], one["star_id"]) == ("s010", "star5")
    assert values["catalogue:teff"]["value"] == 4500.0
    assert values["catalogue:teff"]["unit"] == "K"
    assert values["classes:probability"]["value"] == pytest.approx(10 / 60)
    assert "detections_ccf:n_components" not in values  # it holds the first ten only
    named = {(flag["column"], flag["name"]) for flag in one["flags"]}
    assert ("catalogue:flags", "NO_RV") in named
    assert f"{one['ra']:.6f}" in one["links"]["simbad"]
    assert all(link.startswith("https://") for link in one["links"].values())
    assert client.get("/api/objects/5").json()["links"] == {}  # no declination


@pytest.mark.parametrize(
    ("text", "first", "total"),
    [("s010", 10, 1), ("star2", 4, 22), ("7", 7, None), ("s01", 10, 10), ("nobody", None, 0)],
)
def test_search_finds_by_id_star_and_row(client, text, first, total):
    found = client.get("/api/search", params={"q": text}).json()
    assert (found["rows"] or [None])[0] == first
    if total is not None:
        assert found["total"] == total
    assert found["ids"] == [f"s{row:03d}" for row in found["rows"]]


def test_neighbours_are_the_nearest_by_brute_force(client, store):
    features = store.product("tsne_features").set_index("id")
    ids = store.catalogue["id"]
    known = features.reindex(ids).to_numpy()
    distance = np.linalg.norm(known - known[20], axis=1)
    order = [row for row in np.argsort(distance, kind="stable") if row != 20][:7]
    near = client.get("/api/neighbours/20?space=features:tsne&k=7").json()
    assert near["rows"] == order
    np.testing.assert_allclose(near["distances"], distance[order], rtol=1e-4)
    second = client.get("/api/neighbours/20?space=features:tsne:2&k=7").json()
    assert second["rows"] == order
    on_map = client.get("/api/neighbours/20?space=map:tsne&k=2").json()
    assert sorted(on_map["rows"]) == [19, 21]
    assert client.get("/api/neighbours/59?space=features:tsne").status_code == 409
    assert client.get("/api/neighbours/1?space=features:../tsne").status_code == 404
    assert client.get("/api/neighbours/1?space=nothing").status_code == 400


def test_mean_of_a_selection_leaves_bad_pixels_out(client, store, explored):
    rows = [2, 4, 9, 9, 30]  # one twice, one without a blue arm
    reply = client.post("/api/selection/spectrum", content=explored.rows_body(rows))
    mean, sigma = array(reply).reshape(2, -1)
    assert reply.headers["x-siderea-count"] == "4"
    spectra = store.spectra([2, 4, 9, 30])
    flux = np.where(spectra.ivar > 0, spectra.flux, np.nan).astype(float)
    np.testing.assert_allclose(mean[:99], np.nanmean(flux[:, :99], axis=0), rtol=1e-6)
    np.testing.assert_allclose(sigma[:99], np.nanstd(flux[:, :99], axis=0), atol=1e-6)
    assert np.isnan(mean[99])  # nowhere good


def test_mean_of_many_is_that_of_a_seeded_sample(store, monkeypatch):
    from siderea.explorer import mean_spectrum
    from siderea.explorer.survey import Survey

    monkeypatch.setattr(mean_spectrum, "MOST", 20)
    survey = Survey(store.path)
    rows = np.arange(60)
    first = mean_spectrum.mean_spectrum(survey, rows)
    again = mean_spectrum.mean_spectrum(survey, rows[::-1])
    assert first.n == 20
    np.testing.assert_array_equal(first.mean, again.mean)
    assert abs(np.nanmean(first.mean) - store.spectra().flux.mean()) < 0.1


def test_filter_gives_a_mask(client, store):
    reply = client.post("/api/filter", json={"expression": "teff > 5000 and logg < 3"})
    mask = array(reply, "u1")
    table = store.catalogue
    expected = (table["teff"] > 5000) & (table["logg"] < 3)
    np.testing.assert_array_equal(mask.astype(bool), expected)
    assert int(reply.headers["x-siderea-count"]) == expected.sum()


def test_table_gives_values_as_they_are(client, explored, store):
    keys = ["catalogue:number", "catalogue:id", "classes:class", "catalogue:teff"]
    body = explored.rows_body([3, 7, 1])
    told = client.post("/api/table", params={"columns": keys}, content=body).json()
    assert told["ids"] == ["s003", "s007", "s001"]
    values = {one["key"]: one["values"] for one in told["columns"]}
    assert values["catalogue:number"][0] == 131116000501003  # exact, as no float32 is
    assert values["classes:class"] == ["NOR", None, "NOR"]
    assert values["catalogue:teff"] == [None, 4350.0, 4050.0]


def test_arrays_are_kept_by_the_browser(client, schema):
    one = column(schema, "catalogue:teff")
    plain = client.get("/api/columns/catalogue:teff")
    assert plain.headers["cache-control"] == "private, no-cache"
    known = client.get(f"/api/columns/catalogue:teff?v={one['version']}")
    assert "immutable" in known.headers["cache-control"]
    tag = {"if-none-match": plain.headers["etag"]}
    assert client.get("/api/columns/catalogue:teff", headers=tag).status_code == 304
    other = client.get("/api/columns/catalogue:logg", headers=tag)
    assert other.status_code == 200


def test_only_what_shrinks_is_packed():
    from siderea.explorer.replies import compact

    rng = np.random.default_rng(0)
    noise = rng.normal(5000, 700, 100_000).astype("<f4").tobytes()
    assert compact(noise) is None
    words = rng.integers(0, 3, 100_000).astype("<i2").tobytes()
    packed = compact(words)
    assert gzip.decompress(packed) == words
    assert len(packed) < len(words) / 3


def test_unknown_things_are_404_in_one_line(client, explored):
    for path in (
        "/api/spectra/60",
        "/api/objects/99999999",
        "/api/maps/umap/xy",
        "/api/columns/catalogue:nothing",
        "/api/columns/nothing",
        "/api/nothing",
    ):
        reply = client.get(path)
        assert reply.status_code == 404, path
        assert "\n" not in reply.json()["detail"]
    too_far = client.post("/api/selection/spectrum", content=explored.rows_body([60]))
    assert too_far.status_code == 400
    assert client.post("/api/selection/spectrum", content=b"abc").status_code == 400
    assert client.get("/api/columns/catalogue:id").status_code == 400  # text


def test_a_new_product_appears(explored, tmp_path, monkeypatch):
    from siderea.explorer import survey as module

    monkeypatch.setattr(module, "_LOOK_EVERY", 0.0)
    store = explored.make(tmp_path / "s.siderea")
    with explored.client(store.path) as client:
        before = client.get("/api/schema").json()
        store.write_product("extra", pd.DataFrame({"id": ["s005"], "value": [2.5]}))
        after = client.get("/api/schema").json()
        assert before["version"] != after["version"]
        assert column(after, "extra:value")["n_missing"] == 59
        values = array(client.get("/api/columns/extra:value"))
        assert values[5] == 2.5
        (store.path / "products" / "extra.parquet").unlink()
        assert client.get("/api/schema").json()["version"] == before["version"]


def test_summaries_last_and_are_not_believed_blindly(explored, tmp_path):
    store = explored.make(tmp_path / "s.siderea")
    with explored.client(store.path) as client:
        first = client.get("/api/schema").json()
    kept = store.path / "explorer" / "summaries.json"
    held = json.loads(kept.read_text())
    assert "catalogue:teff" in held["columns"]
    assert not any(key.startswith("labels:") for key in held["columns"])
    held["columns"]["catalogue:teff"][1]["max"] = 1.0
    held["columns"]["catalogue:logg"][0] = "older"
    held["columns"]["catalogue:logg"][1]["max"] = 1.0
    kept.write_text(json.dumps(held))
    with explored.client(store.path) as client:
        again = client.get("/api/schema").json()
    assert column(again, "catalogue:teff")["max"] == 1.0  # it was read, not worked out
    assert column(again, "catalogue:logg") == column(first, "catalogue:logg")  # another version
    kept.write_text("{")
    with explored.client(store.path) as client:
        assert client.get("/api/schema").json()["columns"] == first["columns"]


def test_a_store_that_cannot_be_written_to_is_explored_without_labels(explored, tmp_path):
    store = explored.make(tmp_path / "s.siderea")
    (store.path / "explorer").write_text("a file where the folder should be")
    with explored.client(store.path) as client:
        schema = client.get("/api/schema").json()
        assert not schema["has"]["labels"]
        assert "labels" in schema["notes"]
        assert client.get("/api/labels").status_code == 409
        assert client.get("/api/objects/1").json()["labels"] == []
        assert client.get("/api/spectra/1").status_code == 200


def test_light_curves_are_explored_too(explored, tmp_path):
    from siderea.data import LightCurve
    from siderea.lightcurves import two_gaussian
    from siderea.pipelines.lightcurves import write_store

    rng = np.random.default_rng(1)
    phase = np.linspace(0, 1, 300, endpoint=False)
    flux = [
        1 - depth * np.exp(-0.5 * ((phase - 0.5) / 0.03) ** 2) + rng.normal(0, 1e-3, 300)
        for depth in (0.3, 0.1, 0.2)
    ]
    curves = [LightCurve(phase, one, np.full(300, 1e-3), folded=True) for one in flux]
    fit = two_gaussian.fit(*([getattr(c, n) for c in curves] for n in ("time", "flux", "flux_err")))
    table = pd.DataFrame({"id": ["a", "b", "c"], "flags": 0, "x": [0, 1, 2], "y": [0, 0, 1]})
    table = pd.concat([table.assign(group=0), fit.table().drop(columns="flags")], axis=1)
    store = write_store(tmp_path / "curves.siderea", curves, fit, table)
    with explored.client(store.path) as client:
        schema = client.get("/api/schema").json()
        assert (schema["kind"], schema["x_label"], schema["lines"]) == (
            "lightcurves",
            "orbital phase",
            [],
        )
        assert not schema["has"]["classify"]
        assert "light curves" in schema["notes"]["classify"]
        shown = array(client.get("/api/spectra/0")).reshape(2, -1)
        np.testing.assert_array_equal(shown[0], store.spectra(0).flux[0])
        assert schema["has"]["model"]
        for row in range(3):  # the fitted curve lies on the points, the deeper eclipse at 0.25
            flux, ivar = array(client.get(f"/api/spectra/{row}")).reshape(2, -1)
            model = array(client.get(f"/api/spectra/{row}/model"))
            assert np.std((flux - model)[ivar > 0]) < 3e-3
            assert model.max() == pytest.approx(1, abs=1e-3)
            assert abs(store.wavelength[model.argmin()] - 0.25) < 0.01
        for reply in (client.get("/api/spectra/0/ccf"), client.post("/api/classify")):
            assert reply.status_code == 409
            assert "light curves" in reply.json()["detail"]
        for number, one in enumerate(schema["classes"], 1):
            said = {"rows": [0], "kind": "class", "value": one["code"], "user": "ann"}
            assert client.post("/api/labels", json=said).json() == {"seq": number}
        assert [entry["value"] for entry in client.get("/api/labels").json()["entries"]] == [
            one["code"] for one in schema["classes"]
        ]


def test_an_interrupted_ingest_is_not_explored(explored, tmp_path):
    from siderea.errors import StoreError

    store = explored.make(tmp_path / "s.siderea")
    store.manifest["complete"] = False
    store.write_manifest()
    with pytest.raises(StoreError, match="interrupted"):
        explored.client(store.path)
    assert SurveyStore.open(store.path).complete is False


@pytest.mark.parametrize(
    ("name", "unit", "said"),
    [
        ("teff", "K", "effective temperature"),
        ("teff_err", "K", "1σ error: effective temperature"),
        ("rv_2", "km/s", "star 2"),
        ("single_logg", "dex", "fit of one star"),
        ("binary_vsini_2_err", "km/s", "fit of two stars"),
        ("snr_blue", "per pixel", "arm blue"),
        ("ew_halpha_err", "Å", "Hα"),
        ("ba_fe", "dex", "Ba over iron"),
        ("halpha_emission_significance", "", "significance"),
        ("mag_gaia_g", "mag", "gaia_g"),
        ("anything", "", ""),
    ],
)
def test_columns_have_the_units_of_the_conventions(name, unit, said):
    from siderea.explorer.names import naming

    assert naming(name).unit == unit
    assert said in naming(name).description


def test_names_agree_with_the_conventions():
    """Every row of the table of CONVENTIONS.md that names a column of its own."""
    import re
    from pathlib import Path

    from siderea.explorer.names import naming

    text = (Path(__file__).parents[2] / "CONVENTIONS.md").read_text()
    checked = 0
    for names, unit in re.findall(r"^\| (`[^|]+) \|[^|]*\| ?([^|]*?) ?\|$", text, re.MULTILINE):
        unit = unit.split(" ")[0].strip()
        for name in re.findall(r"`([a-z_]+)`", names):
            if unit not in ("", "as") and name != "wavelength":
                assert naming(name).unit == unit, name
                checked += 1
    assert checked > 15


def test_flags_are_read_as_they_are_defined():
    """Names, bits and the comments of the enumerations, without importing their rooms."""
    from siderea.binaries.detect import DetectionFlag
    from siderea.classify.propagation import ClassFlag
    from siderea.explorer.flag_names import flags_of
    from siderea.flags import SpectrumFlag
    from siderea.lightcurves.quality import LightCurveFlag

    for table, column, flags in (
        ("catalogue", "flags", SpectrumFlag),
        ("catalogue", "lightcurve_flags", LightCurveFlag),
        ("classes", "class_flags", ClassFlag),
        ("detections_ccf", "flags", DetectionFlag),
    ):
        found = flags_of(table, column)
        assert [(one.name, one.bit) for one in found] == [(one.name, int(one)) for one in flags]
        assert all(one.meaning for one in found)
    assert flags_of("catalogue", "teff") == ()
