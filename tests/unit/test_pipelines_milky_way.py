"""Catalogues partition by partition: mock sky, labels, distances, map; failures, and going on."""

import hashlib
import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from siderea.cli import main
from siderea.data import Photometry
from siderea.errors import DataError, StoreError
from siderea.io import artefacts
from siderea.io.hats import hats_head
from siderea.io.partitions import open_partitions, read_partition
from siderea.pipelines.distances import NUMBERS, DistanceStep
from siderea.pipelines.galactic_map import galactic_map, read_tally
from siderea.pipelines.galactic_tally import MapSettings, tallied
from siderea.pipelines.mock_sky import simulate_sky
from siderea.pipelines.predict import load_network, predict
from siderea.simulate.milky_way import SKY, MockSky
from siderea.simulate.photometry import SDSS
from siderea.stellar.distances import DistanceModel
from siderea.stellar.ensemble import EnsembleSettings
from siderea.stellar.network import LabelNetwork
from siderea.stellar.training import TrainingSettings

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

POLE = replace(
    SKY, selection=replace(SKY.selection, least_latitude=60.0, declinations=(20.0, 50.0))
)
"""A small sky: the tables of a large one take seconds."""
N = 3000
STARS = "14.5 < sdss_r < 20 and 0.1 < sdss_g - sdss_r < 0.9"


@pytest.fixture(scope="module")
def sky():
    return MockSky(N, seed=4, settings=POLE, order=2)


@pytest.fixture(scope="module")
def mock(tmp_path_factory, sky):
    folder = tmp_path_factory.mktemp("sky") / "mock"
    simulate_sky(folder, n_stars=N, sky=sky, jobs=1)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory, mock):
    stars = pd.read_parquet(mock / "dataset")
    names = [f"mag_{band}" for band in SDSS]
    photometry = Photometry(
        SDSS,
        stars[names].to_numpy(float),
        stars[[f"{name}_err" for name in names]].to_numpy(float),
        stars[["ebv"]].astype(float),
    )
    labels = {name: stars[f"true_{name}"].to_numpy(float) for name in ("teff", "fe_h", "logg")}
    network = LabelNetwork(
        ensemble=EnsembleSettings(members=2), training=TrainingSettings(max_epochs=3)
    ).fit(photometry, labels)
    path = tmp_path_factory.mktemp("model") / "model"
    artefacts.save(path, *network.artefact())
    return path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, mock, model):
    folder = tmp_path_factory.mktemp("labelled") / "labels"
    predict(model, mock, folder, jobs=1)
    return folder


@pytest.fixture(scope="module")
def placed(tmp_path_factory, labelled):
    """Labels with distances, of which each is the truth and a tenth of scatter."""
    folder = tmp_path_factory.mktemp("placed") / "places"
    shutil.copytree(labelled, folder)
    (folder / "_siderea.json").unlink()
    for number, file in enumerate(sorted(folder.glob("dataset/*/*/*.parquet"))):
        table = pq.read_table(file, partitioning=None)
        scatter = np.random.default_rng(number).normal(1, 0.1, len(table))
        distance = table["true_distance"].to_numpy() * scatter
        pq.write_table(table.append_column("distance", pa.array(distance)), file)
    pq.write_metadata(pq.read_schema(file), folder / "dataset" / "_common_metadata")
    return folder


def content(folder: Path) -> dict[str, str]:
    """Fingerprint of every file of a result that is data."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".parquet", ".csv", ".png")
    }


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def lsdb_open(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LSDB sets an option that pandas has deprecated
        import lsdb

        return lsdb.open_catalog(path)


def compute(catalogue):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return catalogue.compute(progress_bar=False)


def partitions(folder: Path) -> list[Path]:
    return sorted(folder.glob("dataset/Norder=*/Dir=*/Npix=*.parquet"))


# the mock sky


def test_the_mock_is_a_hats_catalogue_that_lsdb_opens(mock):
    catalogue = lsdb_open(mock)
    assert len(catalogue) == N
    frame = compute(catalogue)
    assert set(frame["id"]) == set(range(N))
    assert frame.index.name == "_healpix_29"


def test_every_star_of_the_mock_is_in_its_pixel_and_in_order(mock):
    import astropy.units as u
    from cdshealpix.nested import lonlat_to_healpix

    head = hats_head(mock)
    assert len(head.pixels) > 6
    for (order, number), file in zip(head.pixels, head.files()[1], strict=True):
        stars = pq.read_table(file, partitioning=None).to_pandas()
        found = lonlat_to_healpix(
            stars["ra"].to_numpy() * u.deg, stars["dec"].to_numpy() * u.deg, 29
        )
        assert np.array_equal(found.astype(np.int64), stars["_healpix_29"])
        assert set(found.astype(np.int64) >> (2 * (29 - order))) == {number}
        assert stars["_healpix_29"].is_monotonic_increasing


def test_a_pixel_is_the_same_drawn_by_itself(sky, mock):
    pixel = sky.pixels()[3]
    alone = MockSky(N, seed=4, settings=POLE, order=2).stars(pixel)
    stored = pq.read_table(hats_head(mock).files()[1][3], partitioning=None).to_pandas()
    assert np.array_equal(alone["id"], stored["id"])
    assert np.array_equal(alone["mag_sdss_r"].astype(np.float32), stored["mag_sdss_r"], True)
    other = MockSky(N, seed=5, settings=POLE, order=2).stars(pixel)
    assert not np.array_equal(alone["ra"], other["ra"])


def test_the_mock_keeps_the_limits_of_its_survey(mock):
    stars = pd.read_parquet(mock / "dataset")
    assert len(stars) == N
    assert stars["true_mag_sdss_r"].between(14.5, 20).all()
    assert stars["true_distance"].between(0.05, 60).all()
    pull = (stars["mag_sdss_r"] - stars["true_mag_sdss_r"]) / stars["mag_sdss_r_err"]
    assert pull.std() == pytest.approx(1.0, abs=0.05)
    assert stars["mag_sdss_r"].isna().mean() == pytest.approx(0.02, abs=0.01)
    assert set(stars["population"]) >= {4, 5, 6}


def test_populations_stand_in_the_mock_as_in_the_survey_of_the_same_limits(sky):
    from siderea.simulate.population import sampler

    names = [one.name for one in POLE.components]
    drawn = pd.concat([sky.stars(pixel) for pixel in sky.pixels()])
    counts = np.bincount(drawn["population"].astype(int), minlength=len(names))
    expected = sampler(POLE).draw(20_000, np.random.default_rng(1))["component"]
    share = np.bincount(expected, minlength=len(names)) / 20_000
    error = np.sqrt(share * (1 - share) * (1 / N + 1 / 20_000)) + 0.015
    assert (np.abs(counts / N - share) < 4 * error).all()


# labels


def test_labels_of_a_catalogue_are_those_of_the_network(model, mock, labelled):
    source = open_partitions(labelled)
    assert source.hats is not None
    assert source.n_rows == N
    network, _ = load_network(model)
    part = source.partitions[1]
    frame = read_partition(part, source.schema.names).to_pandas()
    names = [f"mag_{band}" for band in SDSS]
    errors = [f"{name}_err" for name in names]
    stars = Photometry(
        SDSS, frame[names].to_numpy(float), frame[errors].to_numpy(float), frame[["ebv"]]
    )
    expected = network.predict(stars)
    for name in ("teff", "fe_h_err", "p_giant", "flags"):
        np.testing.assert_allclose(frame[name], expected[name], rtol=1e-5)
    before = pq.read_table(mock / part.name, partitioning=None).to_pandas()
    pd.testing.assert_frame_equal(frame[list(before)], before)


def test_lsdb_gives_the_same_labels(model, mock, labelled):
    from siderea.pipelines.predict import PredictStep

    step = PredictStep.of(model)
    names = [name for name in step.wanted if name in open_partitions(mock).schema.names]
    found = compute(lsdb_open(mock).map_partitions(lambda part: part.assign(**step(part[names]))))
    ours = pd.read_parquet(labelled / "dataset").set_index("id").loc[found["id"].to_numpy()]
    np.testing.assert_allclose(ours["fe_h"], found["fe_h"].astype(float), rtol=1e-5)


def test_processes_and_a_cluster_write_the_same_bytes(
    tmp_path, model, mock, labelled, placed, cluster, monkeypatch
):
    monkeypatch.setattr("siderea.pipelines.partitioned.WORTH_A_PROCESS", 1)
    address = cluster.scheduler_address
    settings = MapSettings(select=STARS, n_bootstrap=5, figures=False)
    galactic_map(placed, tmp_path / "map", settings=settings, jobs=1)
    for number, where in enumerate(({"jobs": 2}, {"scheduler": address})):
        predict(model, mock, tmp_path / f"l{number}", **where)
        assert content(tmp_path / f"l{number}") == content(labelled)
        galactic_map(placed, tmp_path / f"map{number}", settings=settings, **where)
        assert content(tmp_path / f"map{number}") == content(tmp_path / "map")


@pytest.mark.parametrize("kind", ["parquet", "folder", "fits", "csv"])
def test_every_kind_of_catalogue_gets_the_same_labels(tmp_path, model, labelled, kind, monkeypatch):
    monkeypatch.setattr("siderea.io.partitions.ROWS", 1000)
    truth = pd.read_parquet(labelled / "dataset").sort_values("id").head(2500)
    names = [name for name in truth if name.startswith("mag_")]
    stars = truth[["id", "ebv", *names]].reset_index(drop=True)
    source = tmp_path / {"folder": "in", "parquet": "in.parquet"}.get(kind, f"in.{kind}")
    if kind == "parquet":
        stars.to_parquet(source, row_group_size=400, index=False)
    elif kind == "folder":
        source.mkdir()
        for start in range(0, 2500, 700):
            stars[start : start + 700].to_parquet(source / f"{start:04d}.parquet", index=False)
    elif kind == "fits":
        Table.from_pandas(stars).write(source)
    else:
        stars.to_csv(source, index=False)
    n_parts = len(open_partitions(source).partitions)
    assert n_parts == {"parquet": 3, "folder": 4, "fits": 3, "csv": 1}[kind]
    done = predict(model, source, tmp_path / "out.parquet", jobs=1)
    assert done.n_stars == 2500
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["id"].tolist() == stars["id"].tolist()
    np.testing.assert_allclose(found["fe_h"], truth["fe_h"], atol=2e-3)
    assert not (tmp_path / ".out.parquet.parts").exists()


def test_columns_are_made_of_others_and_kept_as_asked(tmp_path, model, mock):
    stars = pd.read_parquet(mock / "dataset").reset_index(drop=True)
    other = stars[["id"]].assign(Ar=stars["ebv"] * 2.285, ignored=1)
    for band in SDSS:
        other[f"{band[-1]}mag"] = stars[f"mag_{band}"]
        other[f"{band[-1]}Err"] = stars[f"mag_{band}_err"]
    other.to_parquet(tmp_path / "other.parquet")
    definitions = {f"mag_{band}": f"{band[-1]}mag" for band in SDSS}
    definitions |= {f"mag_{band}_err": f"{band[-1]}Err" for band in SDSS} | {"ebv": "Ar / 2.285"}
    predict(
        model, tmp_path / "other.parquet", tmp_path / "out.parquet",
        keep=["id"], definitions=definitions, jobs=1,
    )  # fmt: skip
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert "ignored" not in found
    assert "Ar" not in found
    np.testing.assert_allclose(found["ebv"], stars["ebv"], rtol=1e-5)
    predict(model, mock, tmp_path / "labels.parquet", keep=["id"], jobs=1)
    direct = pd.read_parquet(tmp_path / "labels.parquet").set_index("id").loc[stars["id"]]
    np.testing.assert_allclose(found["teff"], direct["teff"], rtol=1e-4)


# maps


def test_a_map_holds_what_its_stars_say(tmp_path, placed):
    settings = MapSettings(select=STARS, n_bootstrap=5, minimum=3)
    done = galactic_map(placed, tmp_path / "map", settings=settings, jobs=1)
    assert done.n_stars == N
    frame = pd.read_parquet(placed / "dataset")
    g, r = (frame[f"mag_sdss_{b}"] - a * frame["ebv"] for b, a in (("g", 3.303), ("r", 2.285)))
    chosen = (r > 14.5) & (r < 20) & (g - r > 0.1) & (g - r < 0.9)
    assert done.n_selected == chosen.sum() > 500
    sky = pd.read_parquet(tmp_path / "map" / "map_sky.parquet")
    pixel = frame["_healpix_29"] // 4 ** (29 - 5)
    for row in sky.head(20).itertuples():
        mine = frame["fe_h"][chosen & (pixel == row.cell)]
        assert row.count == mine.size >= 3
        assert row.mean == pytest.approx(mine.mean(), abs=0.01)
    names = {path.name for path in done.figures}
    assert names == {f"{n}.png" for n in ("rz", "rz_fine", "rz_stars", "xy", "sky", "profile")}
    assert all(path.stat().st_size > 5000 for path in done.figures)
    assert not (tmp_path / "map" / "parts").exists()
    slopes = pd.read_csv(tmp_path / "map" / "gradients.csv")
    assert set(slopes["direction"]) == {"z", "R"}


def test_a_map_of_columns_that_are_made_is_that_of_the_truth(tmp_path, placed):
    settings = MapSettings(select=STARS, n_bootstrap=0, figures=False)
    made = {"fe_h": "true_fe_h", "distance": "true_distance"}
    galactic_map(placed, tmp_path / "true", settings=settings, definitions=made, jobs=1)
    frame = pd.read_parquet(placed / "dataset")
    columns = {name: frame[name].to_numpy() for name in frame}
    columns |= {"fe_h": columns["true_fe_h"], "distance": columns["true_distance"]}
    table = tallied(columns, len(frame), settings)
    found = read_tally(tmp_path / "true" / "tally.parquet", settings.quantity.n)
    for name in ("rz", "xy", "sky", "profile"):
        expected = table.filter(pa.compute.field("grid") == name)
        assert np.array_equal(found[name].code, expected["code"].to_numpy())
        assert np.array_equal(found[name].count, expected["count"].to_numpy())


def test_a_map_goes_on_and_counts_its_stars(tmp_path, placed):
    source = copied(placed, tmp_path / "source")
    broken = partitions(source)[4]
    whole = broken.read_bytes()
    broken.write_bytes(b"")
    settings = MapSettings(select=STARS, n_bootstrap=5, figures=False)
    with pytest.raises(StoreError, match="1 of"):
        galactic_map(source, tmp_path / "map", settings=settings, jobs=1)
    broken.write_bytes(whole)
    galactic_map(source, tmp_path / "map", settings=settings, jobs=1)
    galactic_map(placed, tmp_path / "other", settings=settings, jobs=1)
    assert content(tmp_path / "map") == content(tmp_path / "other")
    with pytest.raises(DataError, match="no column nonsense"):
        galactic_map(placed, tmp_path / "x", settings=replace(settings, select="nonsense > 1"))
    with pytest.raises(DataError, match="no star of the selection"):
        galactic_map(placed, tmp_path / "y", settings=replace(settings, select="R > 1e6"), jobs=1)


# distances


def test_the_step_of_distances_hands_over_what_the_catalogue_has(labelled, monkeypatch):
    seen = {}

    def stub(photometry, labels, model):
        seen["model"] = model
        seen["photometry"], seen["labels"] = photometry, labels
        n = len(photometry)
        numbers = {name: np.full(n, k) for k, name in enumerate((*NUMBERS, "p_giant"))}
        band = pd.Categorical.from_codes([0, -1] + [0] * (n - 2), ["sdss_r"])
        return pd.DataFrame(numbers).assign(band=band, flags=np.arange(n))

    monkeypatch.setattr("siderea.pipelines.distances.find_distances", stub)
    step = DistanceStep()
    source = open_partitions(labelled)
    names = [name for name in source.schema.names if name in step.wanted]
    frame = read_partition(source.partitions[0], names).to_pandas()
    found = pd.DataFrame(step(frame))
    assert [field.name for field in step.fields] == list(found)
    assert (found["distance_p_giant"] == len(NUMBERS)).all()
    assert found["distance_flags"].tolist() == list(range(len(frame)))
    assert found["distance_band"].tolist()[:3] == ["sdss_r", "", "sdss_r"]
    assert seen["photometry"].bands == SDSS
    assert {"ebv", "ra", "dec"} <= set(seen["photometry"].table)
    assert list(seen["labels"]) == [
        "teff", "teff_err", "fe_h", "fe_h_err", "logg", "logg_err", "p_giant", "flags"
    ]  # fmt: skip
    assert seen["model"] == DistanceModel()
    DistanceStep(stars="simulated")(frame)
    assert seen["model"] == DistanceModel.of_isochrones()
    assert "parallax" in step.wanted
    assert "parallax" not in DistanceStep(parallax=False).wanted


# the command line


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["siderea", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    return left.value.code or 0, captured.out, captured.err


def test_commands(tmp_path, monkeypatch, capsys, model, mock, placed):
    out = tmp_path / "labels"
    code, said, _ = run(
        monkeypatch, capsys, "photometry", "predict", model, mock, "--output", out, "--jobs", 1,
        "--keep", "id",
    )  # fmt: skip
    assert code == 0
    assert f"{N} stars" in said
    assert json.loads((out / "_siderea.json").read_text())["complete"]
    code, said, _ = run(
        monkeypatch, capsys, "photometry", "map", placed, "--output", tmp_path / "map",
        "--select", STARS, "--bootstrap", 3, "--column", "fe_h=true_fe_h", "--jobs", 1,
        "--no-figures",
    )  # fmt: skip
    assert code == 0
    assert "stars mapped" in said
    for arguments, message in (
        (["map", placed, "--output", tmp_path / "m", "--select", "import os"], "expression"),
        (["map", placed, "--output", tmp_path / "m", "--column", "1x=2"], "NAME=EXPRESSION"),
        (["distances", mock, "--output", tmp_path / "d"], "no column fe_h"),
        (["predict", model, tmp_path / "nothing", "--output", tmp_path / "d"], "no such catalogue"),
    ):  # fmt: skip
        code, _, error = run(monkeypatch, capsys, "photometry", *arguments)
        assert code == 2, error
        assert message in error
        assert "Traceback" not in error
