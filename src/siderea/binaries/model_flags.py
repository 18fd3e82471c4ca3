"""What is known of a detection by the model, one bit each."""

from enum import IntFlag

__all__ = ["ModelFlag"]


class ModelFlag(IntFlag):
    """What is known of a detection by the model."""

    NONE = 0
    NO_DATA = 1  #: too few good pixels: nothing was fitted
    NOT_CONVERGED = 2  #: the steps ran out before the fits were at rest
    AT_BOUND = 4  #: the single star is at the edge of the model: another kind of star, perhaps
    POOR_FIT = 8  #: even two stars leave twice the χ² that the errors allow
    FAINT = 16  #: the companion gives less than 2 % of the light: its parameters mean little
    BEYOND = 32  #: as hot or cool as the model goes, or beyond: not judged, no probability
