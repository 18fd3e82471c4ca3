import numpy as np
import pytest
import torch

from siderea.models.velocity_kernels import doppler_phase, macroturbulence, rotation
from siderea.spectra import broadening

STEP, N = 1.5, 512


def _line() -> np.ndarray:
    v = STEP * (np.arange(N) - N // 2)
    return np.exp(-0.5 * (v / 6.0) ** 2)


def _apply(factor: torch.Tensor) -> np.ndarray:
    return torch.fft.irfft(torch.fft.rfft(torch.from_numpy(_line())) * factor, n=N).numpy()


FREQUENCY = torch.fft.rfftfreq(N, STEP, dtype=torch.float64)


@pytest.mark.parametrize("width", [0.0, 1e-3, 0.5, 7.0, 60.0])
@pytest.mark.parametrize(
    ("kernel", "reference"),
    [(rotation, broadening.rotational), (macroturbulence, broadening.macroturbulent)],
)
def test_kernels_are_those_of_the_spectra_room(kernel, reference, width):
    factor = kernel(FREQUENCY, torch.tensor([[width]], dtype=torch.float64))[0]
    np.testing.assert_allclose(_apply(factor), reference(_line(), STEP, width), atol=1e-7)


def test_a_whole_pixel_shift_is_a_roll():
    rv = 299_792.458 * np.tanh(3 * STEP / 299_792.458)  # three pixels of ln λ, exactly
    factor = doppler_phase(FREQUENCY, torch.tensor([[rv]], dtype=torch.float64))[0]
    np.testing.assert_allclose(_apply(factor), np.roll(_line(), 3), atol=1e-12)


def test_nan_width_is_nan():
    nan = torch.tensor([[torch.nan]], dtype=torch.float64)
    assert torch.isnan(rotation(FREQUENCY, nan)[0, 1:]).all()


@pytest.mark.parametrize("kernel", [rotation, macroturbulence])
def test_slope_at_zero_is_finite(kernel):
    width = torch.zeros((1, 1), dtype=torch.float64, requires_grad=True)
    kernel(FREQUENCY, width).sum().backward()
    assert torch.isfinite(width.grad).all()
