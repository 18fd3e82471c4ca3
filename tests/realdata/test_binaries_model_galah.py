"""The model channel on real GALAH stars, with the correction and thresholds that are shipped.

Both were learned from these same stars (which of them are BIN had no part in it): this test sees
that they still do what they did. What they do to stars that taught nothing is in
``benchmarks/RESULTS.md``.
"""

import pandas as pd
import pytest

from siderea.binaries.model_selection import ModelDetector
from siderea.binaries.survey_correction import default_correction
from siderea.io.store import SurveyStore
from siderea.models.model_error import LTE
from siderea.pipelines.ingest import ingest

pytestmark = pytest.mark.realdata


def test_binaries_of_galah_are_found_and_hardly_another(real_data, tmp_path):
    folder = real_data / "galah_dr3"
    classes = pd.read_csv(folder / "tsne_class_of_these_stars.csv", dtype=str)
    classes = classes.groupby("sobject_id")["class"].first()
    ingest("galah", [folder / "spectra"], tmp_path / "galah.siderea")
    spectra = SurveyStore.open(tmp_path / "galah.siderea").spectra()
    binary = pd.Series(spectra.ids).map(classes).fillna("").str.contains("BIN").to_numpy()
    corrected = ModelDetector(spectra, model_error=LTE, correction=default_correction())
    found = corrected(spectra)["is_binary"].to_numpy()
    assert found[binary].all()
    assert found[~binary].sum() <= 2
