"""Plots only: arrays in, matplotlib Figure out.

`map` (a survey as points), `spectra` (arm by arm; two versions compared), `style` (colours, sizes).
"""

__all__ = ["map", "spectra", "style"]
