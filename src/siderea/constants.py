"""Physical constants and the few conventions that every room shares.

Values are those of the IAU and CODATA; a constant names its source.
"""

__all__ = ["C_KMS", "GAUSSIAN_FWHM"]

C_KMS = 299_792.458
"""Speed of light in vacuum, km/s (exact; SI)."""

GAUSSIAN_FWHM = 2.354_820_045_030_949_3
"""Full width at half maximum of a Gaussian of unit standard deviation, 2 sqrt(2 ln 2)."""
