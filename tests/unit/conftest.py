"""Fixtures of the unit tests: the writers of synthetic survey files."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

BESIDE = Path(__file__).resolve().parents[1]


def _module(name: str) -> ModuleType:
    """Load a module of the folder tests by its path: tests are no package."""
    spec = importlib.util.spec_from_file_location(f"siderea_test_{name}", BESIDE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
