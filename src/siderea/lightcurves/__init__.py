"""Eclipsing binaries from light curves: two-Gaussian fits, chained quadratics, periods, classes."""
