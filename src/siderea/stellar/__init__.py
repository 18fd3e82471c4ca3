"""Labels of stars from photometry: networks, their training, calibration, missing colours.

`network` (the estimator), on `features`, `blocks`, `heads`, `mixture`, `training`, `splits`,
`calibration` and `density`; `imputation` (missing bands filled); `relations` (the formulae of the
literature that the networks are compared with); `scores`.

Distances: `distances` (what users call), on `distance_inputs`, `absolute_magnitude` (of
`isochrone_stars`, by `coordinates`), `galactic_prior`, `parallax`, `distance_posterior`,
`distance_summary`; `photometric_parallax` (the literature's).
"""

__all__ = [
    "absolute_magnitude",
    "blocks",
    "calibration",
    "coordinates",
    "density",
    "distance_inputs",
    "distance_posterior",
    "distance_summary",
    "distances",
    "features",
    "galactic_prior",
    "heads",
    "imputation",
    "isochrone_stars",
    "mixture",
    "network",
    "parallax",
    "photometric_parallax",
    "relations",
    "scores",
    "splits",
    "training",
]
