"""Real catalogues: Stripe 82 through predict, distances and map; Gaia and SDSS of one field."""

import shutil
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from siderea.io import artefacts
from siderea.io.partitions import open_partitions, read_partition
from siderea.photometry.colours import from_colours
from siderea.pipelines.crossmatch import Side, crossmatch
from siderea.pipelines.galactic_map import MapSettings, galactic_map
from siderea.pipelines.predict import predict
from siderea.stellar.ensemble import EnsembleSettings
from siderea.stellar.network import LabelNetwork
from siderea.stellar.photometric_parallax import distance_of, ivezic2008_absolute_magnitude
from siderea.stellar.relations import bond2010_fe_h
from siderea.stellar.training import TrainingSettings

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]

COLUMNS = {f"mag_sdss_{b}": f"{b}mag" for b in "ugriz"}
COLUMNS |= {f"mag_sdss_{b}_err": f"{b}Err" for b in "ugriz"} | {"ebv": "Ar / 2.285"}


@pytest.fixture(scope="module")
def model(real_data, tmp_path_factory):
    """A small network of SEGUE's colours and metallicities."""
    raw = pd.read_csv(real_data / "photometry" / "segue_ugriz_feh.csv.gz").iloc[::5]
    bands = [f"sdss_{b}" for b in "ugriz"]
    pairs = zip(pairwise(bands), ("ug", "gr", "ri", "iz"), strict=True)
    stars = from_colours({pair: raw[name] for pair, name in pairs}, reference="sdss_r")
    network = LabelNetwork(
        ensemble=EnsembleSettings(members=2), training=TrainingSettings(max_epochs=8)
    ).fit(stars, {"fe_h": raw["feh"].to_numpy(float)})
    path = tmp_path_factory.mktemp("segue") / "segue"
    artefacts.save(path, *network.artefact())
    return path


def test_stripe_82_is_predicted_and_mapped_and_lsdb_reads_it(real_data, model, tmp_path):
    source = real_data / "photometry" / "stripe82_hats" / "s82_0_5"
    done = predict(model, source, tmp_path / "labels", definitions=COLUMNS, jobs=1)
    assert done.n_stars == 3981
    part = open_partitions(done.output)
    frame = read_partition(part.partitions[0], part.schema.names).to_pandas()
    colour = {b: frame[f"mag_sdss_{b}"] - a * frame["ebv"] for b, a in ABSORPTION}
    bond = bond2010_fe_h(colour["u"] - colour["g"], colour["g"] - colour["r"])
    good = np.isfinite(bond) & (frame["mag_sdss_u_err"] < 0.05)
    assert good.sum() > 300
    difference = (frame["fe_h"] - bond)[good]
    assert abs(difference.median()) < 0.3
    assert 1.4826 * np.median(np.abs(difference - difference.median())) < 0.3
    absolute, _ = ivezic2008_absolute_magnitude(colour["g"] - colour["i"], frame["fe_h"])
    placed = tmp_path / "placed"
    shutil.copytree(done.output, placed)
    target = next(placed.glob("dataset/*/*/*.parquet"))
    frame.assign(distance=distance_of(colour["r"], absolute)).to_parquet(target, index=False)
    (placed / "dataset" / "_common_metadata").unlink()
    settings = MapSettings(
        select="0.2 < sdss_g - sdss_r < 0.6 and 0.8 < distance < 9", n_bootstrap=10, figures=False
    )
    mapped = galactic_map(placed, tmp_path / "map", settings=settings, jobs=1)
    profile = pd.read_parquet(tmp_path / "map" / "map_profile.parquet")
    low, high = (
        np.average(rows["median"], weights=rows["count"])
        for rows in (profile[profile["abs_z"] < 2], profile[profile["abs_z"] > 4])
    )
    assert mapped.n_selected > 400
    assert low > high + 0.3  # from the disc to the halo
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lsdb

        found = lsdb.open_catalog(done.output).compute(progress_bar=False)
    np.testing.assert_array_equal(found["fe_h"].astype(np.float32), frame["fe_h"])


ABSORPTION = (("u", 4.239), ("g", 3.303), ("r", 2.285), ("i", 1.698))


def test_gaia_and_sdss_of_one_field_are_matched_as_astropy_does(real_data, tmp_path):
    import astropy.units as u
    from astropy.coordinates import SkyCoord

    folder = real_data / "photometry" / "one_field"
    sdss = Side(folder / "sdss.csv", {f"mag_sdss_{b}": b for b in "ugriz"})
    gaia = Side(folder / "gaia.csv", {"mag_gaia_g": "g", "parallax": "parallax"})
    done = crossmatch(sdss, gaia, tmp_path / "both.parquet", radius=1.0)
    ours, theirs = (
        SkyCoord(frame["ra"].to_numpy() * u.deg, frame["dec"].to_numpy() * u.deg)
        for frame in (pd.read_csv(sdss.path), pd.read_csv(gaia.path))
    )
    _, apart, _ = ours.match_to_catalog_sky(theirs)
    near = apart.arcsec < 1.0
    assert done.n_matched == near.sum() > 4000
    assert done.separation == pytest.approx(np.median(apart.arcsec[near]), abs=1e-6)
    found = pd.read_parquet(tmp_path / "both.parquet")
    colour = found["mag_sdss_r"] - found["mag_gaia_g"]
    assert abs(colour.median()) < 0.5
    assert 1.4826 * (colour - colour.median()).abs().median() < 0.4  # wrong partners: 2 mag
