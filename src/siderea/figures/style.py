"""Colours, sizes and rcParams of every figure: legible in print, and to the colour-blind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib import rc_context

__all__ = [
    "ACCENT",
    "CATEGORICAL",
    "CONTINUOUS",
    "DIVERGING",
    "DPI",
    "INK",
    "MARKERS",
    "MISSING",
    "OTHERS",
    "style",
]

CATEGORICAL = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#F0E442",
)
"""The eight colours of Okabe & Ito (2008), those that read best on white first."""

MARKERS = ("o", "^", "s")
"""Shapes that tell categories apart once the colours are used up."""

CONTINUOUS = "viridis"
"""Colour map of a column; of even lightness, so that it survives grey printing."""

DIVERGING = "PuOr_r"
"""Colour map of a column with a natural middle, such as a residual."""

MISSING = "#C9C9C9"
"""Colour of what has no value."""

OTHERS = "#7A7A7A"
"""Colour of what has a class, but one too rare for a colour of its own."""

INK = "#333333"
"""Colour of text, axes and single curves."""

ACCENT = CATEGORICAL[1]
"""Colour of the one thing to look at."""

DPI = 150
"""Resolution of the figures and of rasterised points, dots per inch."""

_RC = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same figure everywhere
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "lines.linewidth": 0.8,
    "axes.unicode_minus": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the house; serves as a context and as a decorator.

    Examples
    --------
    >>> from matplotlib import rcParams
    >>> with style():
    ...     rcParams["font.size"]
    9.0
    """
    with rc_context(_RC):
        yield
