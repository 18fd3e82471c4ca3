"""The model channel with any model: pixels, pairs, evidence, and what a calibration holds for."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from siderea.binaries.companion_pairing import ByCompanions
from siderea.binaries.companions import Companions
from siderea.binaries.detect import detect_model
from siderea.binaries.model_calibration import (
    default_calibration,
    shipped_calibration,
)
from siderea.binaries.model_composites import composites_of, digest, on_grid
from siderea.binaries.model_fingerprint import fingerprint
from siderea.binaries.model_flags import ModelFlag
from siderea.binaries.model_pixels import guarded, renormalised
from siderea.binaries.model_selection import ModelDetector
from siderea.cli import detect as command
from siderea.data import Spectra
from siderea.errors import DataError, MediumError
from siderea.io import artefacts
from siderea.models.cannon import Cannon
from siderea.models.composite import Binary, Single
from siderea.models.forward_mode import row_jacobian
from siderea.models.lit import Lit
from siderea.models.model_error import LTE, ModelError
from siderea.models.schematic import SchematicModel
from siderea.pipelines.detect import ModelRecipe
from siderea.pipelines.spectral_model import load_model

P = 800
WAVELENGTH = 16_000.0 * np.exp(1.6e-5 * np.arange(P))
ARMS = (slice(0, 380), slice(380, P))
MODEL = SchematicModel(WAVELENGTH, arms=ARMS, n_lines=30)
SNR = 250.0

pytestmark = pytest.mark.filterwarnings("ignore:model channel")


def spectra_of(flux, *, seed=0, snr=SNR):
    rng = np.random.default_rng(seed)
    noisy = flux + rng.normal(0, 1 / snr, flux.shape)
    return Spectra(
        WAVELENGTH,
        noisy,
        np.full(flux.shape, snr**2),
        "vacuum",
        arms=ARMS,
        resolution=MODEL.resolution,
    )


def flux_of(composite, rows):
    return composite.predict(np.array(rows))


SINGLES = [[5600.0, 4.4, 0.0, 6.0, 3.0], [5000.0, 4.5, -0.3, 25.0, -20.0]]
PAIRS = [  # teff, logg, fe_h, q, two widths, two velocities
    [5700.0, 4.4, 0.0, 0.75, 6.0, 6.0, 0.0, 0.0],
    [5700.0, 4.4, 0.0, 0.9, 5.0, 5.0, -25.0, 30.0],
    [5400.0, 4.5, -0.2, 0.8, 8.0, 6.0, 90.0, -110.0],
]


@pytest.fixture(scope="module")
def spectra():
    one, two = composites_of(MODEL)
    return spectra_of(np.concatenate([flux_of(one, SINGLES), flux_of(two, PAIRS)]))


@pytest.fixture(scope="module")
def table(spectra):
    return detect_model(spectra, MODEL)


def test_two_stars_are_told_from_one_also_at_the_same_velocity(table):
    gain = table["delta_chi2"].to_numpy()
    assert gain[:2].max() < 25
    assert gain[2:].min() > 60
    assert (gain > -1e-6).all()
    assert (table["f_imp"][2:] > table["f_imp"][:2].max()).all()
    assert (table["chi2_binary"] < 1.15 * table["n_pixels"]).all()


def test_the_pair_is_measured(table):
    pairs = table.iloc[3:]
    assert pairs["q"].to_numpy() == pytest.approx([0.9, 0.8], abs=0.03)
    assert pairs["dv"].abs().to_numpy() == pytest.approx([55.0, 200.0], abs=1.0)
    assert (pairs["dv_err"] < 1.0).all()
    light = (0.9**0.9) ** 2 * (0.9**0.6)  # R² ∝ M^1.8 and, in the infrared, nearly T ∝ M^0.6
    assert table["flux_ratio"][3] == pytest.approx(light, abs=0.06)
    assert table["binary_teff_2"][3] == pytest.approx(5700 * 0.9**0.6, abs=80)


def test_the_columns_are_those_of_the_emulators_channel(table):
    wanted = ["id", "chi2_single", "chi2_binary", "delta_chi2", "f_imp", "delta_bic", "n_pixels"]
    wanted += ["snr", "single_teff", "single_teff_err", "single_rv", "binary_teff", "binary_q"]
    wanted += ["binary_q_err", "q", "q_err", "dv", "dv_err", "flux_ratio", "binary_teff_2"]
    wanted += ["binary_logg_2", "flags", "probability", "threshold", "is_binary"]
    assert not set(wanted) - set(table)
    assert (table["single_vsini"] == table["single_vbroad"]).all()  # calibrations read vsini
    assert table["snr"].to_numpy() == pytest.approx(np.full(5, SNR), rel=0.1)
    ln_n = np.log(table["n_pixels"])
    assert table["delta_bic"].to_numpy() == pytest.approx(table["delta_chi2"] - 3 * ln_n)


def test_the_edges_of_arms_that_stars_reach_do_not_count(spectra):
    fast = spectra[4:5]
    flux = fast.flux.copy()
    before = detect_model(fast, MODEL)
    edges = ~guarded(WAVELENGTH, MODEL, np.array([100.0]))[0]
    assert 70 < edges.sum() < 120
    flux[:, edges] -= 0.5
    spoiled = detect_model(fast.with_flux(flux, fast.ivar), MODEL)
    assert spoiled["chi2_binary"][0] < 1.3 * spoiled["n_pixels"][0]
    assert spoiled["q"][0] == pytest.approx(before["q"][0], abs=0.01)


def test_a_model_error_weighs_all_fits_alike_and_no_third_star_is_seen(spectra):
    spectra = spectra[1:4]
    detector = ModelDetector(spectra, MODEL, model_error=ModelError(0.05, 0.003), n_stars=3)
    table = detector(spectra)
    assert (table["delta_chi2"] > -1e-6).all()
    assert (table["chi2_triple"] < table["chi2_single"] + 1).all()
    assert (table["delta_bic_triple"] < 0).all()  # none has three stars
    plain = detect_model(spectra, MODEL)
    assert (table["delta_chi2"][1:] < plain["delta_chi2"][1:]).all()


def test_a_survey_may_have_normalised_by_another_curve(spectra, table):
    x = np.linspace(-1, 1, P)
    spectra, table = spectra[3:], table[3:].reset_index(drop=True)
    tilted = spectra.with_flux(spectra.flux * (1 + 0.02 * x), spectra.ivar * (1 + 0.02 * x) ** -2.0)
    other = detect_model(tilted, MODEL)
    assert other["chi2_binary"].to_numpy() == pytest.approx(table["chi2_binary"], rel=0.02)
    assert other["q"].to_numpy() == pytest.approx(table["q"], abs=0.01)


def test_renormalising_what_is_normalised_changes_nothing():
    one = composites_of(MODEL)[0]
    clean = spectra_of(flux_of(one, SINGLES), snr=1e6)
    again = renormalised(clean, one, np.array(SINGLES))
    np.testing.assert_allclose(again.flux, clean.flux, atol=1e-5)


def test_no_data_is_a_flag_and_the_other_rows_are_as_without_it(spectra, table):
    ivar = spectra.ivar.copy()
    ivar[1] = 0.0
    ivar[2, 150:] = 0.0
    found = detect_model(spectra.with_flux(spectra.flux, ivar), MODEL)
    assert found["flags"][:3].tolist() == [0, ModelFlag.NO_DATA, ModelFlag.NO_DATA]
    assert np.isnan(found["probability"][1])
    assert not found["is_binary"][1]
    assert found["delta_chi2"][3] == pytest.approx(table["delta_chi2"][3], rel=1e-3)
    assert len(detect_model(spectra[:0], MODEL)) == 0


def test_a_star_at_the_edge_of_the_model_is_flagged():
    hot = SchematicModel(WAVELENGTH, arms=ARMS, n_lines=30)
    flux = hot.predict([[8200.0, 4.4, 0.3, 6.0]])
    assert detect_model(spectra_of(flux), MODEL)["flags"][0] & ModelFlag.AT_BOUND


def test_spectra_on_more_pixels_are_cut_to_the_models(spectra, table):
    more = np.r_[15_990.0, WAVELENGTH, 16_400.0]
    pad = np.ones((len(spectra), 1))
    wide = Spectra(
        more,
        np.hstack([pad, spectra.flux, pad]),
        np.hstack([pad, spectra.ivar, pad]),
        "vacuum",
        resolution=MODEL.resolution,
    )
    np.testing.assert_array_equal(on_grid(wide, MODEL).flux, spectra.flux)
    assert fingerprint(MODEL, wide, None) == fingerprint(MODEL, spectra, None)
    found = detect_model(wide[3:], MODEL)
    assert found["delta_chi2"].to_numpy() == pytest.approx(table["delta_chi2"][3:], rel=1e-6)


def test_another_grid_or_medium_is_refused(spectra):
    with pytest.raises(DataError, match="expected among them the model's 800"):
        on_grid(replace(spectra, wavelength=WAVELENGTH * (1 + 1e-5)), MODEL)
    with pytest.raises(MediumError, match="convert the spectra"):
        detect_model(replace(spectra, medium="air"), MODEL)


def test_a_calibration_is_taken_without_a_word_where_it_holds(spectra):
    holds = fingerprint(MODEL, spectra, None)
    mine = replace(default_calibration(), holds_for=holds)
    mine.check(MODEL, spectra, None)  # warnings are errors, but for the mark of this module
    other = SchematicModel(WAVELENGTH, arms=ARMS, n_lines=29)
    with pytest.warns(UserWarning, match="calibrated for another model;"):
        mine.check(other, spectra, None)
    with pytest.warns(UserWarning, match="another model and grid"):
        ModelDetector(spectra, MODEL)
    assert shipped_calibration(MODEL, None) is default_calibration()
    assert digest(SchematicModel(WAVELENGTH, arms=ARMS, n_lines=30)) == holds["model"]
    assert digest(Binary(MODEL)) != holds["model"]  # without a continuum that is fitted


@pytest.fixture(scope="module")
def cannon():
    rng = np.random.default_rng(2)
    low, high = MODEL.label_range.T
    labels = rng.uniform([5000, 4.2, -0.4, 2], [6200, 4.7, 0.3, 12], (300, 4))
    flux = MODEL.predict(labels)
    assert (labels > low).all()
    assert (labels < high).all()
    trained = Cannon(2, label_names=MODEL.label_names)
    options = {"wavelength": WAVELENGTH, "medium": "vacuum", "resolution": MODEL.resolution}
    return trained.fit(flux, np.full(flux.shape, 1e6), labels, **options)


def test_a_model_without_light_says_so_in_one_line(spectra, cannon):
    with pytest.raises(DataError, match=r"Cannon cannot compose two stars.*models\.lit\.Lit"):
        detect_model(spectra, cannon)


def test_the_cannon_composes_with_the_continuum_of_another(cannon):
    lit = Lit(cannon, MODEL)
    rows = torch.tensor([[5600.0, 4.4, 0.0, 6.0]], dtype=torch.float64)
    level = MODEL.density(rows) / MODEL.normalised(rows)
    np.testing.assert_allclose(lit.continuum(rows), level, rtol=1e-12)
    two = Binary(MODEL, continuum=composites_of(MODEL)[1].continuum)
    pair = [5900.0, 4.45, 0.0, 0.88, 5.0, 5.0, -30.0, 30.0]
    single = Single(MODEL).predict([[5600.0, 4.4, 0.0, 6.0, 3.0]])
    data = spectra_of(np.concatenate([single, two.predict([pair])]), snr=80.0)
    table = detect_model(data, lit)
    assert table["delta_chi2"][1] > 10 * max(table["delta_chi2"][0], 10.0)
    assert abs(table["dv"][1]) == pytest.approx(60.0, abs=2.0)
    with pytest.raises(DataError, match="expected the model's 800"):
        Lit(cannon, SchematicModel(WAVELENGTH[:-1], n_lines=30))


def small_companions():
    """A table of straight lines, so that interpolation is exact."""
    axes = (
        np.linspace(4000.0, 7500.0, 8),
        np.linspace(3.5, 5.0, 4),
        np.array([-1.0, 0.0, 0.5]),
        np.linspace(0.2, 1.0, 5),
    )
    teff, logg, fe_h, q = np.meshgrid(*axes, indexing="ij")
    cooler = (0.5 + 1e-5 * teff + 0.02 * logg + 0.1 * fe_h) * (q - 1)
    return Companions(axes, np.stack([cooler, 0.4 * (1 - q)], axis=-1))


def test_companions_in_torch_are_those_in_numpy_with_their_derivatives():
    table = small_companions()
    pairing = ByCompanions(table)
    rows = torch.tensor(
        [[5710.0, 4.43, -0.13, 0.77], [4801.0, 4.6, 0.2, 1.0], [6900.0, 3.9, -0.9, 0.31]],
        dtype=torch.float64,
    )
    (found,), (slopes,) = row_jacobian(
        lambda x: (torch.stack(pairing.companion(*x.unbind(-1)), -1),), rows
    )
    expected = np.stack(table(*rows.numpy().T), axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for column, step in enumerate((1.0, 1e-3, 1e-3, 1e-3)):
        shifted = rows.numpy().copy()
        shifted[0, column] += step
        change = (np.stack(table(*shifted.T), axis=-1) - expected)[0] / step
        np.testing.assert_allclose(slopes[0, column], change, rtol=2e-3, atol=1e-6)
    names = ("teff", "logg", "fe_h", "q")
    (_, one), (twin, weight) = pairing.stars(dict(zip(names, rows[1:2].T, strict=True)), 2)
    assert (twin["teff"].item(), twin["logg"].item()) == (4801.0, 4.6)
    assert one == weight == 1.0


def test_a_model_without_a_main_sequence_has_companions(spectra):
    class Bare(SchematicModel):
        main_sequence = None

    bare = Bare(WAVELENGTH, arms=ARMS, n_lines=30)
    two = composites_of(bare, companions=small_companions())[1]
    assert two.label_names == Binary(MODEL).label_names
    twin = two.predict([[5600.0, 4.4, 0.0, 1.0, 6.0, 6.0, 3.0, 3.0]])
    one = composites_of(bare, companions=small_companions())[0].predict([SINGLES[0]])
    np.testing.assert_allclose(twin, one, atol=1e-12)


def test_the_recipe_names_its_model_by_content_and_travels(tmp_path, cannon):
    from tests.unit.test_models_binspec import write_networks

    recipe = ModelRecipe(model=str(write_networks(tmp_path)))
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert recipe.parameters()["model"] == digest(load_model(tmp_path))
    assert "model" not in ModelRecipe().parameters()
    artefacts.save(tmp_path / "mine", *cannon.state())
    with pytest.raises(DataError, match="the cannon cannot compose two stars"):
        load_model(tmp_path / "mine")  # in the infrared the shipped emulator has no continuum


def test_another_model_is_named_by_its_path_and_has_no_correction(tmp_path):
    auto, lte, survey = command.Errors.auto, command.Errors.lte, command.Errors.survey
    named = command._model(tmp_path, tmp_path, True, auto)
    assert named == ModelRecipe(n_stars=3, model=str(tmp_path.resolve()))
    assert command._model(tmp_path, tmp_path, False, lte).model_error == LTE
    with pytest.raises(DataError, match="the correction is the shipped emulator's"):
        command._model(tmp_path, tmp_path, False, survey)
