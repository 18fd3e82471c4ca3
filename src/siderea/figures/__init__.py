"""Plots only: arrays in, matplotlib Figure out."""
