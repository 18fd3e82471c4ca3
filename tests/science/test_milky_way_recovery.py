"""The vertical gradient of a mock Milky Way is found from noisy labels and distances."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from siderea.galaxy import Tally, cell_map
from siderea.galaxy.tally import FE_H
from siderea.pipelines.galactic_map_products import gradients_of, map_table
from siderea.pipelines.galactic_tally import GRIDS, MapSettings, tallied
from siderea.simulate.milky_way import SKY, MockSky

CAP = replace(SKY, selection=replace(SKY.selection, least_latitude=40.0, declinations=(10.0, 60.0)))
TURN_OFF = "0.2 < sdss_g - sdss_r < 0.5 and 0.5 < distance < 9"
N = 40_000


@pytest.fixture(scope="module")
def stars():
    sky = MockSky(N, seed=11, settings=CAP)
    return pd.concat([sky.stars(pixel) for pixel in sky.pixels()], ignore_index=True)


def profile_of(stars, fe_h, distance):
    columns = {name: stars[name].to_numpy() for name in stars}
    columns |= {f"mag_sdss_{b}": columns[f"true_mag_sdss_{b}"] for b in "gr"}
    columns |= {"fe_h": np.asarray(fe_h), "distance": np.asarray(distance)}
    table = tallied(columns, len(stars), MapSettings(select=TURN_OFF)).to_pandas()
    rows = table[table["grid"] == "profile"]
    tally = Tally(FE_H.n, rows["code"].to_numpy(), rows["count"].to_numpy())
    return map_table(GRIDS["profile"], cell_map(tally, FE_H))


def vertical(profile):
    lines = gradients_of(profile)
    return lines[(lines["direction"] == "z") & (lines["at"] == 8.0)].iloc[0]


def test_the_gradient_is_that_of_the_truth_within_its_error(stars):
    rng = np.random.default_rng(3)
    noisy = stars["true_fe_h"] + rng.normal(0, 0.25, N)
    further = stars["true_distance"] * rng.normal(1, 0.08, N)
    true = vertical(profile_of(stars, stars["true_fe_h"], stars["true_distance"]))
    found = vertical(profile_of(stars, noisy, further))
    assert true["slope"] < -5 * true["slope_err"]
    assert true["slope"] == pytest.approx(-0.27, abs=0.05)  # disc, thick disc and halo mixed
    assert abs(found["slope"] - true["slope"]) < 2.5 * np.hypot(
        found["slope_err"], true["slope_err"]
    )
    shrunk = vertical(profile_of(stars, 0.6 * stars["true_fe_h"] - 0.3, further))
    assert abs(shrunk["slope"] - true["slope"]) > 2.5 * np.hypot(  # labels drawn to their mean show
        shrunk["slope_err"], true["slope_err"]
    )


def test_the_disc_is_richer_in_metals_than_the_halo_by_what_the_model_says(stars):
    halo = stars["population"] == len(SKY.components) - 2
    assert SKY.components[-2].name == "halo"
    assert stars["true_fe_h"][halo].mean() == pytest.approx(-1.46, abs=0.05)
    assert stars["true_fe_h"][halo].std() == pytest.approx(0.30, abs=0.03)
    profile = profile_of(stars, stars["true_fe_h"], stars["true_distance"])
    ring = profile[(profile["R"] == 8.0) & (profile["count"] > 20)]
    assert ring["mean"].iloc[1] - ring["mean"].iloc[-1] > 0.6
