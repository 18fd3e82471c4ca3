"""Quality flags: one bit each, with its meaning in one line."""

from enum import IntFlag

__all__ = ["DistanceFlag", "FitFlag", "LabelFlag", "SpectrumFlag", "describe"]


class SpectrumFlag(IntFlag):
    """What is known to be wrong with a spectrum (column ``flags`` of a catalogue)."""

    NONE = 0
    MISSING_ARM = 1  #: at least one arm of the instrument is absent: ivar is 0 there
    NO_RV = 2  #: no radial velocity: the spectrum was left in the barycentric frame
    NON_FINITE = 4  #: NaN or infinite pixels were found, and masked
    BAD_ERROR = 8  #: zero, negative or non-finite errors were found, and the pixels masked
    ZERO_SNR = 16  #: an arm holds no signal: its median flux is not above zero
    NO_CONTINUUM = 32  #: an arm's continuum could not be fitted: the arm is masked
    COSMIC_RAY = 64  #: narrow positive spikes were found, and masked
    PIPELINE = 128  #: the survey's own reduction flags this spectrum
    NO_GOOD_PIXELS = 256  #: not one usable pixel is left
    IMPLAUSIBLE = 512  #: pixels beyond any star's were found (a failed correction), and masked


class FitFlag(IntFlag):
    """What is known to be wrong with the fit of a model to a spectrum."""

    NONE = 0
    AT_BOUND = 1  #: a label ended at the edge of the model's range
    NOT_CONVERGED = 2  #: the iterations ran out before the steps became small
    BAD_DATA = 4  #: no good pixel, or fewer than labels: nothing was fitted
    SINGULAR = 8  #: the curvature is singular: some labels are not determined


class LabelFlag(IntFlag):
    """What is known to be wrong with labels that come from photometry."""

    NONE = 0
    SENTINEL = 1  #: a magnitude that no star has (-9999, 99, 1e4, infinite): taken as missing
    BAD_ERROR = 2  #: a negative or infinite magnitude error: the band is taken as missing
    MISSING_BAND = 4  #: at least one of the model's bands is missing
    TOO_FEW_BANDS = 8  #: fewer than two bands are left: no colour, so the labels are NaN
    OUT_OF_DISTRIBUTION = 16  #: no star of the training set has such colours: do not trust


class DistanceFlag(IntFlag):
    """What is known to be wrong with a distance."""

    NONE = 0
    NO_DISTANCE = 1  #: nothing places the star, or nothing that is known fits together: NaN
    NO_MAGNITUDE = 2  #: no usable magnitude in a known band
    NO_METALLICITY = 4  #: no [Fe/H]: a broad range was taken
    NO_POSITION = 8  #: no direction: the prior is that of an average one
    OFF_GRID = 16  #: colour, Teff or [Fe/H] beyond the isochrones: the nearest were taken
    TWO_SOLUTIONS = 32  #: dwarf and giant are both possible (more than 5 % each)
    BAD_PARALLAX = 64  #: a parallax without a usable error: not used
    TENSION = 128  #: the parallax and the colours disagree (4 sigma)
    OUT_OF_DISTRIBUTION = 256  #: the labels are flagged as not to be trusted


def describe(value: int) -> str:
    """Spell out a flag value.

    Parameters
    ----------
    value : int
        A combination of `SpectrumFlag` bits.

    Returns
    -------
    str
        The names of the bits joined by ``|``, or an empty string for 0.

    Examples
    --------
    >>> describe(3)
    'MISSING_ARM|NO_RV'
    """
    return "|".join(flag.name for flag in SpectrumFlag if flag & value and flag.name)
