"""Components of a CCF from its derivatives."""

import numpy as np
import pytest

from siderea.binaries.extrema import find_extrema
from siderea.errors import DataError

V = np.arange(-150, 151.0)


def peak(centre, sigma=6.0, height=1.0):
    return height * np.exp(-0.5 * ((V - centre) / sigma) ** 2)


def test_one_two_and_three_peaks_are_counted_and_placed():
    ccf = [
        peak(3.0),
        peak(-30.0) + peak(25.0, height=0.6),
        peak(-60.0) + peak(0.0, height=0.7) + peak(55.0, height=0.5),
    ]
    found = find_extrema(ccf, V, kernel=3.0)
    assert found.n_components.tolist() == [1, 2, 3]
    np.testing.assert_allclose(np.sort(found.velocity[2])[:3], [-60, 0, 55], atol=0.5)
    np.testing.assert_allclose(found.velocity[1, :2], [-30, 25], atol=0.5)
    assert np.isnan(found.velocity[0, 1:]).all()


def test_a_blend_without_a_second_maximum_is_two():
    ccf = peak(0.0) + peak(14.0, height=0.55)
    assert np.count_nonzero(np.diff(np.sign(np.diff(ccf[80:220]))) < 0) == 1
    assert find_extrema(ccf, V, kernel=2.0).n_components[0] == 2


def test_the_width_is_that_between_the_inflexions():
    found = find_extrema(peak(0.0, sigma=8.0), V, kernel=2.0)
    assert found.width[0, 0] == pytest.approx(2 * np.hypot(8.0, 2.0), abs=2.0)


def test_noise_is_no_component():
    noise = np.random.default_rng(0).normal(0, 0.01, (50, V.size))
    assert find_extrema(noise, V, error=0.01).n_components.max() == 0
    assert (find_extrema(noise + peak(0.0), V, error=0.01).n_components == 1).all()


def test_the_kernel_is_in_velocity_not_in_samples():
    fine = np.arange(-150, 150.1, 0.25)
    blend = np.exp(-0.5 * (fine / 6) ** 2) + 0.7 * np.exp(-0.5 * ((fine - 18) / 6) ** 2)
    coarse = np.interp(V, fine, blend)
    one, other = (find_extrema(f, v, kernel=4.0) for f, v in ((blend, fine), (coarse, V)))
    np.testing.assert_allclose(one.velocity[0, :2], other.velocity[0, :2], atol=0.3)


def test_wrong_shapes_are_refused():
    with pytest.raises(DataError, match="uniform"):
        find_extrema(np.ones((2, V.size)), V**3)
