"""Fixtures shared by every suite."""

import os
from pathlib import Path

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
