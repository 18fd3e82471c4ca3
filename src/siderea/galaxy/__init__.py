"""The Milky Way from its stars: Galactocentric places, cells, tallies, maps and gradients.

Everything that is counted here is counted in whole numbers, so that the map of a catalogue is the
same to the last bit however its stars were split between machines, and in whatever order.
"""

from siderea.galaxy.cells import Axis, Cells, SkyCells
from siderea.galaxy.frame import Frame, Places, galactocentric
from siderea.galaxy.gradients import Gradient, gradient
from siderea.galaxy.maps import CellMap, cell_map
from siderea.galaxy.selection import REPORT, Expression
from siderea.galaxy.tally import Binning, Tally

__all__ = [
    "REPORT",
    "Axis",
    "Binning",
    "CellMap",
    "Cells",
    "Expression",
    "Frame",
    "Gradient",
    "Places",
    "SkyCells",
    "Tally",
    "cell_map",
    "galactocentric",
    "gradient",
]
