"""Stars of given mass, age and metallicity: their atmospheres, sizes and absolute magnitudes.

`table` is the grid on disk and in memory, `phase` finds the evolutionary phase of a mass,
`interpolation` is what users call, `gradient` the same in torch for models that fit masses and
ages.
"""

from siderea.isochrones.interpolation import Isochrones, IsochroneStars, load_default
from siderea.isochrones.table import IsochroneTable

__all__ = ["IsochroneStars", "IsochroneTable", "Isochrones", "load_default"]
