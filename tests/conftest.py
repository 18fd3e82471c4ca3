"""Fixtures shared by every suite."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def data_folder() -> Path | None:
    """Return the folder of real data: SIDEREA_DATA, else ../shared/data beside the checkout."""
    setting = os.environ.get("SIDEREA_DATA")
    folder = Path(setting) if setting else REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data; the test is skipped where there is none."""
    folder = data_folder()
    if folder is None:
        pytest.skip("no real data: set SIDEREA_DATA to the folder that holds galah_dr3/ ...")
    return folder


LINES = (
    (4730.03, 0.3),  # wavelength in air, Å (NIST), and a depth
    (4754.04, 0.4),
    (4823.52, 0.4),
    (4890.76, 0.5),
    (5682.63, 0.4),
    (5711.09, 0.5),
    (5762.99, 0.4),
    (5857.45, 0.5),
    (6494.98, 0.6),
    (6592.91, 0.5),
    (6643.63, 0.4),
    (6717.68, 0.5),
    (7698.96, 0.7),
    (7748.27, 0.5),
    (7832.20, 0.4),
)


def sunlike(wavelength):
    """Return a normalised spectrum: Gaussian metal lines at R = 28,000, and Lorentzian Hα, Hβ."""
    import numpy as np

    flux = np.ones_like(wavelength)
    for line, depth in LINES:
        flux -= depth * np.exp(-0.5 * ((wavelength - line) / (line / 28_000 / 2.3548)) ** 2)
    for line in (4861.33, 6562.80):
        flux *= 1.0 - 0.7 / (1.0 + ((wavelength - line) / 0.9) ** 2)
    return flux


def write_mock_star(folder: Path, sobject_id: str, *, rv: float = 0.0, snr: float = 80.0) -> dict:
    """Write one sunlike star in GALAH format; return its files by CCD and its truth."""
    import numpy as np

    from siderea.io.galah_format import CCD_GRIDS, write_ccd
    from siderea.spectra.doppler import to_rest

    rng = np.random.default_rng(int(sobject_id) % 2**32)
    files = {}
    for ccd, (start, step) in enumerate(CCD_GRIDS, 1):
        wavelength = start + step * np.arange(4096)
        truth = sunlike(to_rest(wavelength, rv))
        x = np.linspace(-1, 1, 4096)
        counts = truth * 2000.0 * (1 + 0.2 * x - 0.1 * x**2 + 0.05 * x**3)
        error = np.full(4096, 1.0 / snr)
        counts = counts * (1 + rng.normal(0, error))
        files[ccd] = write_ccd(
            folder,
            sobject_id,
            ccd,
            counts=counts,
            relative_error=error,
            normalised=truth,
            rv=rv,
            barycentric_velocity=10.0,
        )
    return files


@pytest.fixture(scope="session")
def mock_galah(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with 24 stars in GALAH format; the last lacks CCD 4."""
    folder = tmp_path_factory.mktemp("mock_galah")
    for star in range(24):
        files = write_mock_star(folder, f"{900_000_000_100_000 + star}", rv=5.0 * star - 60.0)
    files[4].unlink()
    return folder


@pytest.fixture
def mock_star():
    """Return the writer of one sunlike star, see `write_mock_star`."""
    return write_mock_star


@pytest.fixture(scope="session")
def sunlike_spectrum():
    """Return the function behind the mock stars: wavelengths at rest (air) to normalised flux."""
    return sunlike


@pytest.fixture(scope="session")
def cluster():
    """A Dask cluster of two workers on this machine; `cluster.scheduler_address` is its address."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit="3GiB"
    ) as cluster:
        yield cluster


def _module(name: str) -> ModuleType:
    """Load a module of the folder tests by its path: tests are no package."""
    spec = importlib.util.spec_from_file_location(
        f"siderea_test_{name}", REPOSITORY / "tests" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def given() -> ModuleType:
    """The module tests/given_stars.py: stars without a population."""
    return _module("given_stars")


@pytest.fixture(scope="session")
def products() -> ModuleType:
    """The module tests/products.py: files of other surveys."""
    return _module("products")


@pytest.fixture(scope="session")
def small() -> ModuleType:
    """The module tests/small_stars.py: short spectra of one and more stars."""
    return _module("small_stars")


@pytest.fixture(scope="session")
def explored() -> ModuleType:
    """The module tests/explorer_store.py: a small store, and a client of its explorer."""
    return _module("explorer_store")
