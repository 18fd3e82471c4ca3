"""Magnitudes of stars: bands, extinction, colours, and what is wrong with a measurement."""
