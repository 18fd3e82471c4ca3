"""Magnitudes of stars: `bands`, `extinction`, `colours`, and `quality` of a measurement."""

__all__ = ["bands", "colours", "extinction", "quality"]
