"""Surveys with the truth known."""
