"""Maps of many spectra in few dimensions, as scikit-learn estimators."""
