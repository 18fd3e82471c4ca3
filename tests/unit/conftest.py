"""Fixtures of the unit tests: the writers of synthetic survey files."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PRODUCTS = Path(__file__).resolve().parents[1] / "products.py"


@pytest.fixture(scope="session")
def products() -> ModuleType:
    """The module tests/products.py (tests are no package: it is loaded by its path)."""
    spec = importlib.util.spec_from_file_location("siderea_test_products", PRODUCTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
