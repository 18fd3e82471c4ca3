"""Labels of stars from photometry: networks, their training, calibration, missing colours.

`network` (the estimator), on `features`, `blocks`, `heads`, `mixture`, `training`, `splits`,
`calibration` and `density`; `imputation` (missing bands filled); `relations` (the formulae of the
literature that the networks are compared with); `scores`.
"""

__all__ = [
    "blocks",
    "calibration",
    "density",
    "features",
    "heads",
    "imputation",
    "mixture",
    "network",
    "relations",
    "scores",
    "splits",
    "training",
]
