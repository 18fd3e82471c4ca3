"""A person's labels laid on a sample: who is known, who is not, who is labelled in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.classify.taxonomy import canonical
from siderea.errors import DataError

__all__ = ["SampleLabels", "align"]


@dataclass(frozen=True)
class SampleLabels:
    """Labels of the N spectra of a sample.

    Parameters
    ----------
    classes : (N,) ndarray of object
        Canonical code, or None where nobody labelled the spectrum.
    n_labelled : int
        Spectra with a label.
    unknown : tuple of str
        Identifiers that were labelled and are not in the sample.
    contradictory : tuple of str
        Identifiers of the sample that were labelled in several ways: they have no label.
    """

    classes: NDArray[np.object_]
    n_labelled: int
    unknown: tuple[str, ...]
    contradictory: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of labels of each class, the most frequent first."""
        return pd.Series(self.classes).dropna().value_counts().to_dict()


def align(ids: Sequence[str], labels: pd.DataFrame) -> SampleLabels:
    """Lay a table of labels on a sample.

    Parameters
    ----------
    ids : (N,) sequence of str
        Identifiers of the sample.
    labels : pandas.DataFrame
        Columns ``id`` and ``class``; with a column ``time`` the latest label of a spectrum counts.

    Returns
    -------
    SampleLabels
        Labels of spectra outside the sample are counted, not used: a list of labels often covers
        more than one store. A spectrum labelled in several ways, and no time to decide by, has
        no label, since nobody knows which one is right.

    Raises
    ------
    DataError
        If a column is missing, there is not one label, or none belongs to the sample.
    """
    missing = {"id", "class"} - set(labels)
    if missing:
        raise DataError(f"labels: no column {', '.join(sorted(missing))}; found {list(labels)}")
    table = pd.DataFrame({"id": labels["id"].astype(str), "class": labels["class"]})
    kept = table["class"].notna() & (table["class"].astype(str).str.strip() != "")
    table = table[kept]
    if table.empty:
        raise DataError(f"labels: none of {len(labels)} rows has a class; expected at least one")
    codes = {code: canonical(str(code)) for code in table["class"].unique()}
    table["class"] = table["class"].map(codes)
    if "time" in labels:
        table = table.assign(time=labels["time"]).sort_values("time", kind="stable")
        table = table.drop_duplicates("id", keep="last")
    table = table.drop_duplicates(["id", "class"])
    return _on(pd.Index([str(one) for one in ids]), table)


def _on(sample: pd.Index, table: pd.DataFrame) -> SampleLabels:
    inside = table["id"].isin(sample)
    unknown = tuple(table["id"][~inside].unique())
    if not inside.any():
        raise DataError(
            f"labels: none of {len(unknown)} labelled ids is in the sample, for instance "
            f"{unknown[0]!r}; the sample has ids such as {sample[0]!r}"
        )
    table = table[inside]
    twice = table["id"].duplicated(keep=False)
    single = table[~twice].set_index("id")["class"]
    classes = single.reindex(sample).astype(object)
    classes = classes.where(classes.notna(), None).to_numpy(dtype=object)
    known = int(sum(one is not None for one in classes))
    return SampleLabels(classes, known, unknown, tuple(table["id"][twice].unique()))
