"""The shipped emulator against real spectra of Gaia benchmark stars."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def narval():
    """Load the benchmark of the same name, which is a script, not part of the package."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "narval.py"
    specification = importlib.util.spec_from_file_location("narval", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def compared(narval, real_data):
    if not (real_data / "narval_benchmarks").is_dir():
        pytest.skip("no narval_benchmarks in the real data")
    model, references = narval.survey_model(), narval.references(real_data)
    cache: dict = {}

    def result(star):
        if star not in cache:
            cache[star] = narval.compare(model, real_data, star, references[star])
        return (*cache[star], references[star])

    return result


def test_giants_like_arcturus_are_reproduced(compared):
    rms = np.mean([compared(star)[0] for star in ("Arcturus", "HD220009")], axis=0)
    assert (rms[:3] <= (0.07, 0.04, 0.04)).all(), rms


def test_dwarfs_are_reproduced(compared):
    stars = ("HD140283", "Gmb1830", "betVir", "etaBoo", "tauCet")
    rms = np.mean([compared(star)[0] for star in stars], axis=0)
    assert (rms[:3] <= (0.04, 0.02, 0.02)).all(), rms


def fails(star, reason):
    return pytest.param(star, marks=pytest.mark.xfail(reason=reason))


@pytest.mark.parametrize(
    "star",
    [
        "HD140283",
        "betVir",
        "etaBoo",
        fails("Gmb1830", "its Balmer wings ask for 250 K less than the reference"),
        fails("tauCet", "152 K too cool; recovered where the gravity is known"),
        fails("HD122563", "log g 0.27 too high; recovered where the gravity is known"),
        fails("muLeo", "[Fe/H] 0.24 too low; a cool, metal-rich giant, no molecules in the list"),
    ],
)
def test_labels_are_recovered(narval, compared, star):
    best, reference = compared(star)[2], compared(star)[4]
    difference = best[:3] - reference
    assert (np.abs(difference) <= narval.TOLERANCE).all(), difference


@pytest.mark.parametrize("star", ["HD122563", "HD140283", "betVir", "etaBoo", "tauCet"])
def test_labels_are_recovered_where_the_gravity_is_known(narval, compared, star):
    known, reference = compared(star)[3], compared(star)[4]
    difference = known[:3] - reference
    assert (np.abs(difference) <= narval.TOLERANCE).all(), difference


def test_velocity_at_rest(compared):
    for star in ("betVir", "etaBoo", "tauCet"):
        assert abs(compared(star)[2][5]) < 1.0
