"""One class per spectrum, and how it came by it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.classify.clusters import Clusters
from siderea.classify.detection import Detection, NullDistribution, false_discovery
from siderea.classify.measure import DETECTORS, Measurements
from siderea.classify.problems import MIN_SPIKES
from siderea.classify.propagation import ClassFlag, Propagation
from siderea.classify.taxonomy import CLASSES, NORMAL, canonical
from siderea.errors import DataError

__all__ = ["CODES", "LEAST", "MAX_FALSE", "SOURCES", "class_catalogue", "detection_table"]

CODES = {
    "halpha_emission": "HAE",
    "hbeta_emission": "HBE",
    "swan_c2": "CEH",
    "li_6708": "LIR",
    "tio_bands": "MAB",
    "oscillation": "WRD",
}
"""Class that a detection speaks for."""

LEAST = {
    "halpha_emission": 0.25,  # Å, Čotar et al. (2021)
    "hbeta_emission": 0.25,  # Å, the same
    "swan_c2": 0.05,
    "li_6708": 0.05,  # Å above the neighbours
    "tio_bands": 0.02,
    "oscillation": 0.02,
}
"""Smallest value that counts, however significant: weaker ones are common and of little account."""

MAX_FALSE = 0.01
"""Largest share of false ones among the detections that are accepted (q value)."""

SOURCES = ("human", "propagated", "detector", "none")
"""How a class was assigned."""


def detection_table(
    ids: NDArray, measured: Measurements, *, null: dict[str, NullDistribution] | None = None
) -> pd.DataFrame:
    """Lay out the detections, with their false-alarm probabilities.

    Parameters
    ----------
    ids : (N,) ndarray of str
        Identifiers.
    measured : Measurements
        Of the N spectra.
    null : dict of str to NullDistribution, optional
        Null distributions by detector. By default that of the oscillation is learned from the
        spectra whose strongest wave is too weak to count; of the others it is the mirrored
        distribution of the sample, without the spectra that are broken.

    Returns
    -------
    pandas.DataFrame
        ``id``, and per detector ``<name>``, ``_err``, ``_significance``, ``_false_alarm`` and
        ``_q`` (share of false ones among all as significant), and ``<name>_found``; also
        ``noise_ratio`` and ``spikes``.
    """
    frame = pd.DataFrame({"id": ids})
    quiet = np.ones(len(frame), dtype=bool)
    for name in ("oscillation", *(one for one in DETECTORS if one != "oscillation")):
        one = measured.detections[name]
        chance = _false_alarm(one, quiet, (null or {}).get(name))
        q = false_discovery(chance)
        found = (q <= MAX_FALSE) & (one.value >= LEAST[name])
        frame[name], frame[f"{name}_err"] = one.value, one.error
        frame[f"{name}_significance"] = one.significance
        frame[f"{name}_false_alarm"], frame[f"{name}_q"] = chance, q
        frame[f"{name}_found"] = found
        if name == "oscillation":
            quiet = ~found & (measured.spikes < MIN_SPIKES)
    return frame.assign(noise_ratio=measured.noise, spikes=measured.spikes)


def _broken(detections: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which spectra prove nothing about their star."""
    spiky = detections["spikes"].to_numpy() >= MIN_SPIKES
    return np.asarray(detections["oscillation_found"].to_numpy(bool) | spiky)


def _false_alarm(
    one: Detection, quiet: NDArray[np.bool_], null: NullDistribution | None
) -> NDArray[np.float64]:
    significance = one.significance
    if null is None:
        try:
            if one.name == "oscillation":  # the largest of many amplitudes has no other side
                null = NullDistribution.fit(significance[one.value < LEAST[one.name]])
            else:
                null = NullDistribution.mirrored(significance[quiet])
        except DataError:  # not covered, or too few spectra to tell what is usual
            return np.full(significance.shape, np.nan)
    return null.false_alarm(significance)


def class_catalogue(
    detections: pd.DataFrame,
    clusters: Clusters,
    *,
    propagation: Propagation | None = None,
    labels: NDArray | None = None,
    usable: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Give each spectrum one class.

    A person's label stands above all. Then what the classifier says, if it is peculiar; then the
    detectors, which find what a classifier of few labels has not been told of; then ``NOR``, if
    the classifier says so. What nobody speaks for has no class.

    Parameters
    ----------
    detections : pandas.DataFrame
        As `detection_table` gives it; the N rows of the catalogue.
    clusters : Clusters
        Islands of the map.
    propagation : Propagation, optional
        Classes of the usable spectra.
    labels : (N,) ndarray of object, optional
        Labels given by people, or None.
    usable : (N,) ndarray of bool, optional
        Spectra with features, in the order of ``propagation``; all by default.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``class`` (None where there is none), ``probability`` (of that class: 1 for a
        person's; for a detector 1 − q), ``source`` (one of `SOURCES`), ``detected`` (codes of all
        detectors that found something), ``neighbour_class``, ``margin``, ``novelty``,
        ``cluster``, ``class_flags`` (`ClassFlag`), and ``p_<class>`` for each learned class.
    """
    n = len(detections)
    rows = np.arange(n) if usable is None else np.flatnonzero(usable)
    flags = np.full(n, int(ClassFlag.UNMAPPED), dtype=np.int64)
    flags[rows] = 0
    codes, certainty = _detected(detections)
    classes, probability = codes.copy(), certainty.copy()
    source = np.where(codes != "", "detector", "none").astype(object)
    columns: dict[str, NDArray] = {}
    if propagation is not None:
        flags[rows] |= propagation.flags
        columns = _propagated(propagation, rows, n)
        label = np.full(n, None, dtype=object)
        label[rows] = propagation.label
        speaks = np.array([one is not None for one in label])
        speaks &= ~((label == NORMAL) & (codes != ""))
        classes[speaks], source[speaks] = label[speaks], "propagated"
        probability[speaks] = columns.pop("confidence")[speaks]
    if labels is not None:
        known = np.array([one is not None for one in labels])
        classes[known], source[known], probability[known] = labels[known], "human", 1.0
    probability[source == "none"] = np.nan
    found = pd.Series(classes, dtype=object)
    columns.pop("confidence", None)
    return pd.DataFrame(
        {
            "id": detections["id"],
            "class": found.where(found != "", None),
            "probability": probability,
            "source": pd.Series(source, dtype=object),
            "detected": pd.Series(codes, dtype=object),
            "cluster": clusters.labels,
            "class_flags": flags,
            **columns,
        }
    )


def _detected(detections: pd.DataFrame) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Return the codes of what was found in each spectrum, and 1 − the largest of their q."""
    found = np.column_stack([detections[f"{name}_found"].to_numpy(bool) for name in CODES])
    worst = np.zeros(len(detections))
    for number, name in enumerate(CODES):
        q = np.nan_to_num(detections[f"{name}_q"].to_numpy(float), nan=1.0)
        worst = np.where(found[:, number], np.maximum(worst, q), worst)
    by_pattern: dict[bytes, str] = {}
    names = list(CODES.values())
    codes = np.full(len(detections), "", dtype=object)
    for row in np.flatnonzero(found.any(axis=1)):
        key = found[row].tobytes()
        if key not in by_pattern:
            by_pattern[key] = canonical(
                "_".join(one for one, on in zip(names, found[row], strict=True) if on)
            )
        codes[row] = by_pattern[key]
    codes[_broken(detections)] = "WRD"
    return codes, 1.0 - worst


def _propagated(found: Propagation, rows: NDArray, n: int) -> dict[str, NDArray]:
    columns: dict[str, NDArray] = {}
    neighbour = np.full(n, None, dtype=object)
    neighbour[rows] = found.neighbour_label
    columns["neighbour_class"] = neighbour
    for name, values in (
        ("confidence", found.confidence),
        ("margin", found.margin),
        ("novelty", found.novelty),
    ):
        columns[name] = np.full(n, np.nan)
        columns[name][rows] = values
    order = [*CLASSES, *sorted(set(found.classes) - set(CLASSES))]
    for name in sorted(found.classes, key=order.index):
        column = np.full(n, np.nan, dtype=np.float32)
        column[rows] = found.probability[:, found.classes.index(name)]
        columns[f"p_{name}"] = column
    return columns
