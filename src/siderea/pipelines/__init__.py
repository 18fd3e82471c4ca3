"""Whole jobs: what is run in which order, in chunks, resumable."""
