"""Real stars: the FGK stars of MILES, by the functions of benchmarks/miles.py."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "miles.py"


@pytest.fixture(scope="module")
def miles():
    spec = importlib.util.spec_from_file_location("benchmarks_miles", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmarks_miles"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stars(miles, real_data):
    if not (real_data / "miles" / "miles.npz").is_file():
        pytest.skip(f"no miles/miles.npz in {real_data}")
    return miles.load(real_data)


@pytest.mark.realdata
@pytest.mark.slow
def test_the_cubic_cannon_on_two_scales_beats_the_quadratic_one(miles, stars):
    rows = np.arange(len(stars.labels))
    folds = miles.folds_of(len(rows), miles.FOLDS, miles.SEED)
    best = miles.Candidate("two scales", 3, n_modes=30, clip=3.0)
    ours, quadratic = (
        miles.robust_sigma(
            miles.cross_validated(one.predict, stars, rows, folds) - stars.labels[rows]
        )
        for one in (best, miles.QUADRATIC)
    )
    assert (ours < quadratic).all()
    assert (ours < miles.REFERENCE).all()


@pytest.mark.realdata
def test_the_choice_never_sees_the_test_fold(miles, stars, monkeypatch):
    monkeypatch.setattr(miles, "CANDIDATES", (miles.Candidate("lines", 1),) * 2)
    rows = np.arange(len(stars.labels))
    train = rows[rows % 5 > 0]
    hidden = stars.labels.copy()
    hidden[rows % 5 == 0] = np.nan
    assert len(miles.ranked(miles.Stars(stars.views, hidden), train)) == 2
