"""`LabelNetwork`: what goes in wrongly comes out flagged or as a clear error."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from siderea.data import Photometry
from siderea.errors import DataError, NotThisProductError
from siderea.flags import LabelFlag
from siderea.io import artefacts
from siderea.stellar.blocks import BACKBONES
from siderea.stellar.ensemble import EnsembleSettings
from siderea.stellar.features import FeatureOptions
from siderea.stellar.heads import HEADS
from siderea.stellar.network import LabelNetwork
from siderea.stellar.training import TrainingSettings

BANDS = ("sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z")
SMALL = EnsembleSettings(members=4, backbone_options={"width": 32})


def survey(n, seed=0):
    """A toy sky: the locus and its change with [Fe/H] and log g are known in closed form."""
    rng = np.random.default_rng(seed)
    gr, fe_h = rng.uniform(0.25, 0.65, n), rng.uniform(-2, 0.3, n)
    giant = rng.random(n) < 0.3
    logg = np.where(giant, rng.uniform(1.5, 3, n), rng.uniform(4, 4.7, n))
    ug = 1.0 + 1.2 * (gr - 0.25) + 0.2 * fe_h + 0.25 * giant
    shape = [ug + gr, gr, 0 * gr, -0.4 * gr + 0.05, -0.6 * gr + 0.1 + 0.08 * giant]
    mag = np.stack(shape, axis=1) + rng.uniform(15, 18, (n, 1)) + 0.01 * rng.normal(size=(n, 5))
    labels = pd.DataFrame({"teff": 8000 - 4500 * gr, "fe_h": fe_h, "logg": logg})
    noisy = labels + rng.normal(size=(n, 3)) * [30, 0.05, 0.05]
    return Photometry(BANDS, mag, np.full(mag.shape, 0.01)), noisy.assign(fe_h_err=0.05), labels


@pytest.fixture(scope="module")
def trained():
    stars, labels, _ = survey(1600)
    training = TrainingSettings(max_epochs=25)
    return LabelNetwork(ensemble=SMALL, training=training).fit(stars, labels)


def with_mag(stars, star, band, value):
    mag = stars.mag.copy()
    mag[star, band] = value
    return replace(stars, mag=mag)


def test_labels_and_errors_are_recovered(trained):
    stars, _, truth = survey(1500, seed=1)
    found = trained.predict(stars)
    assert np.std(found["teff"] - truth["teff"]) < 120
    assert np.std(found["fe_h"] - truth["fe_h"]) < 0.2
    assert np.mean((found["p_giant"] > 0.5) == (truth["logg"] < 3.5)) > 0.97
    for name in ("teff", "fe_h", "logg"):
        inside = np.abs(found[name] - truth[name]) < found[f"{name}_err"]
        assert 0.58 < inside.mean() < 0.82, name
    assert np.mean(found["flags"] != 0) < 0.03


def test_intervals_of_measurements_hold_their_share(trained):
    stars, noisy, _ = survey(1500, seed=2)
    q = trained.quantiles(stars, (0.025, 0.16, 0.84, 0.975), label_errors=noisy)["fe_h"]
    y = noisy["fe_h"].to_numpy()
    assert 0.62 < np.mean((y > q[:, 1]) & (y < q[:, 2])) < 0.74
    assert 0.92 < np.mean((y > q[:, 0]) & (y < q[:, 3])) < 0.98


def test_brightness_does_not_matter(trained):
    stars, *_ = survey(50, seed=3)
    brighter = replace(stars, mag=stars.mag - 2.0)
    pd.testing.assert_frame_equal(
        trained.predict(stars), trained.predict(brighter), rtol=1e-3, atol=2e-3
    )


@pytest.mark.parametrize("value", [-9999.0, 99.0, 1e4, np.inf])
def test_sentinels_count_as_missing_and_are_flagged(trained, value):
    stars, *_ = survey(20, seed=4)
    spoilt = trained.predict(with_mag(stars, 3, 1, value))
    absent = trained.predict(with_mag(stars, 3, 1, np.nan))
    flags = LabelFlag(int(spoilt["flags"][3]))
    assert LabelFlag.SENTINEL in flags
    assert LabelFlag.MISSING_BAND in flags
    assert np.isfinite(spoilt["fe_h"]).all()
    pd.testing.assert_frame_equal(spoilt.drop(columns="flags"), absent.drop(columns="flags"))


def test_an_infinite_error_is_a_missing_band(trained):
    stars, *_ = survey(5, seed=5)
    err = stars.mag_err.copy()
    err[2, 0] = np.inf
    found = trained.predict(replace(stars, mag_err=err))
    assert LabelFlag.BAD_ERROR in LabelFlag(int(found["flags"][2]))
    assert np.isfinite(found["teff"]).all()


def test_swapped_bands_are_out_of_the_distribution(trained):
    stars, *_ = survey(300, seed=6)
    for i, j in ((1, 2), (0, 1), (0, 4)):
        order = list(range(5))
        order[i], order[j] = order[j], order[i]
        flags = trained.predict(replace(stars, mag=stars.mag[:, order]))["flags"].to_numpy()
        assert np.mean((flags & int(LabelFlag.OUT_OF_DISTRIBUTION)) != 0) > 0.9


def test_an_unknown_band_is_refused(trained):
    stars = Photometry(("sdss_g", "ps1_y"), [[15.0, 14.0]], [[0.1, 0.1]])
    with pytest.raises(DataError, match="found ps1_y"):
        trained.predict(stars)


def test_a_missing_band_widens_the_error(trained):
    stars, *_ = survey(400, seed=7)
    mag = stars.mag.copy()
    mag[:, 0] = np.nan
    full, less = trained.predict(stars), trained.predict(replace(stars, mag=mag))
    assert less["fe_h_err"].median() > 1.2 * full["fe_h_err"].median()
    assert all(LabelFlag.MISSING_BAND in LabelFlag(value) for value in less["flags"])


def test_one_star_is_as_in_the_crowd(trained):
    stars, *_ = survey(60, seed=8)
    crowd = trained.predict(stars)
    one = Photometry(BANDS, stars.mag[7:8], stars.mag_err[7:8])
    pd.testing.assert_frame_equal(
        trained.predict(one), crowd.iloc[7:8].reset_index(drop=True), rtol=1e-4, atol=1e-4
    )


def test_zero_stars_give_an_empty_table(trained):
    none = Photometry(BANDS, np.empty((0, 5)), np.empty((0, 5)))
    found = trained.predict(none)
    assert len(found) == 0
    assert list(found) == [
        "teff", "teff_err", "fe_h", "fe_h_err", "logg", "logg_err", "p_giant", "flags"
    ]  # fmt: skip


def test_a_star_without_a_colour_has_no_labels(trained):
    found = trained.predict(Photometry(("sdss_g",), [[15.0]], [[0.1]]))
    assert found.drop(columns="flags").isna().all(axis=None)
    assert LabelFlag.TOO_FEW_BANDS in LabelFlag(int(found["flags"][0]))


def test_a_model_goes_to_disk_and_back(trained, tmp_path):
    arrays, metadata = trained.artefact()
    artefacts.save(tmp_path / "model", arrays, metadata)
    loaded = LabelNetwork.from_artefact(*artefacts.load(tmp_path / "model"))
    stars, *_ = survey(40, seed=9)
    pd.testing.assert_frame_equal(loaded.predict(stars), trained.predict(stars))
    json.dumps(loaded.artefact()[1]["label_range"])
    with pytest.raises(NotThisProductError, match="photometric labels"):
        LabelNetwork.from_artefact(arrays, metadata | {"kind": "emulator"})


def test_bad_training_sets_are_refused():
    stars, labels, _ = survey(50)
    with pytest.raises(DataError, match="expected teff, fe_h or logg"):
        LabelNetwork().fit(stars, {"mass": np.ones(50)})
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        LabelNetwork().fit(stars, {"teff": np.ones(3)})
    with pytest.raises(DataError, match="at least 40"):
        LabelNetwork().fit(stars, {"teff": np.full(50, -9999.0)})
    with pytest.raises(DataError, match="not trained"):
        LabelNetwork().predict(stars)
    for settings in (
        EnsembleSettings(backbone="magic"),
        EnsembleSettings(heads="magic"),
        EnsembleSettings(backbone_options={"colour": 3}),
    ):
        with pytest.raises(DataError, match="found"):
            LabelNetwork(ensemble=settings).fit(stars, labels)


@pytest.mark.parametrize(
    ("backbone", "heads"), [*zip(BACKBONES, HEADS, strict=True), ("resdense", "causal")]
)
def test_every_backbone_learns_with_every_head(backbone, heads):
    stars, labels, _ = survey(300)
    options = {"plain": {"widths": (32, 16)}, "resdense": {"n_first": 16, "n_max": 32}}
    ensemble = EnsembleSettings(
        members=2, backbone=backbone, heads=heads, backbone_options=options.get(backbone, {})
    )
    model = LabelNetwork(ensemble=ensemble, training=TrainingSettings(max_epochs=4))
    epochs = model.fit(stars, labels).history_.epochs
    assert epochs["val_loss"].iloc[-1] < epochs["val_loss"].iloc[0]


def test_parallax_and_reddening_are_used_where_the_table_has_them():
    stars, labels, truth = survey(600)
    distance = 10 ** (0.2 * (stars.mag[:, 2] - 5 + 5 * (truth["logg"] < 3.5)) - 2)
    table = pd.DataFrame({"ebv": 0.1, "parallax": 1 / distance, "parallax_err": 0.01})
    stars = replace(stars, table=table)
    model = LabelNetwork(ensemble=SMALL, training=TrainingSettings(max_epochs=4)).fit(stars, labels)
    assert model.features_ == FeatureOptions(ebv=True, parallax=True)
    without = model.predict(replace(stars, table=None))  # absent again: done without
    assert np.isfinite(without["logg"]).all()
    assert not np.allclose(without["logg"], model.predict(stars)["logg"])


def test_training_resumes_where_it_was(tmp_path):
    stars, labels, _ = survey(200)
    ensemble = EnsembleSettings(members=2, backbone_options={"width": 16})
    whole = LabelNetwork(ensemble=ensemble, training=TrainingSettings(max_epochs=4))
    whole.fit(stars, labels)

    class StopError(Exception):
        pass

    from lightning.pytorch.callbacks import Callback

    class Interrupt(Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 2:
                raise StopError

    half = LabelNetwork(ensemble=ensemble, training=TrainingSettings(max_epochs=4))
    with pytest.raises(StopError):
        half.fit(stars, labels, checkpoint=tmp_path, callbacks=(Interrupt(),))
    half.fit(stars, labels, checkpoint=tmp_path)
    assert len(half.history_.epochs) == 4
    for name, value in whole.net_.state_dict().items():
        torch.testing.assert_close(half.net_.state_dict()[name], value)


def test_the_finder_suggests_a_rate_and_training_is_repeatable():
    stars, labels, _ = survey(200)
    training = TrainingSettings(max_epochs=2, learning_rate="find")
    models = [
        LabelNetwork(ensemble=SMALL, training=training, random_state=5).fit(stars, labels)
        for _ in range(2)
    ]
    assert 3e-4 <= models[0].history_.learning_rate <= 2e-2
    assert len(models[0].history_.finder) > 20
    pd.testing.assert_frame_equal(models[0].predict(stars), models[1].predict(stars))
