"""The explorer draws a fitted curve from the columns that the fit writes, under its names."""

from siderea.explorer.curve_overlay import COLUMNS
from siderea.lightcurves.two_gaussian import PARAMETERS


def test_the_columns_are_the_parameters_of_the_fit_in_its_order():
    # the names stand twice, so that the server starts without PyTorch
    assert ("model", *PARAMETERS) == COLUMNS
