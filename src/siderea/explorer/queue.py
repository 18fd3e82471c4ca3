"""The queue of spectra to label that `siderea classify` left in the store."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siderea.explorer.survey import Survey

__all__ = ["stored_queue"]

_PRODUCT = "label_queue"


def stored_queue(survey: Survey, n: int) -> tuple[NDArray[np.int64], list[str]] | None:
    """Return the first rows of the queue and why they are in it, None where there is no queue.

    Parameters
    ----------
    survey : Survey
    n : int
    """
    if not {f"{_PRODUCT}:rank", f"{_PRODUCT}:proposed"} <= {one.key for one in survey.columns}:
        return None
    rank = survey.columns.values(f"{_PRODUCT}:rank").array
    order = np.argsort(rank, kind="stable")[:n]
    rows = order[np.isfinite(rank[order])].astype(np.int64)
    proposed = survey.columns.taken(f"{_PRODUCT}:proposed", rows).to_pylist()
    return rows, [f"{one} or another, says siderea classify" for one in proposed]
