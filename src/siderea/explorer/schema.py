"""What is in a store, as the page is told once: columns, maps, lines, classes, flags."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

import siderea
from siderea.classify.taxonomy import CLASSES, SpectralClass, colour
from siderea.errors import DataError
from siderea.explorer.columns import Column
from siderea.explorer.flag_names import flags_of
from siderea.explorer.markers import bands, lines
from siderea.explorer.survey import MapInfo, Survey

__all__ = ["ECLIPSING", "column_of", "schema_of"]

_EXACT = 2**24
"""Whole numbers beyond it are not exact as float32."""

ECLIPSING = (
    SpectralClass("DETACHED", "detached", "two eclipses, flat between them", "#0072B2"),
    SpectralClass("SEMI-DETACHED", "semi-detached", "one star fills its lobe", "#E69F00"),
    SpectralClass("CONTACT", "contact", "both stars fill their lobes", "#CC79A7"),
    SpectralClass("ELLIPSOIDAL", "ellipsoidal", "tides without eclipses", "#009E73"),
    SpectralClass("WRD", "problematic", "a problem of the data, not of the star", "#000000"),
)
"""What light curves are labelled as; colours that stay apart for the colour-blind."""

_OF_NUMBERS = ("low", "high", "min", "max", "n_missing", "integer")
_COLOURS = ("teff", "ew_halpha", "morphology", "snr")
_MAPS = ("tsne", "umap")


def schema_of(survey: Survey) -> dict[str, Any]:
    """Return the schema, without what only the whole server knows (``has``, ``notes``)."""
    store, is_spectra = survey.store, survey.kind == "spectra"
    label, unit = survey.axis
    grid = (store.wavelength, store.arms, store.medium)
    columns = [column_of(survey, column) for column in survey.columns]
    return {
        "name": store.path.stem,
        "n_rows": len(survey),
        "kind": survey.kind,
        "n_pixels": store.n_pixels,
        "medium": store.medium if is_spectra else "",
        "x_label": label,
        "x_unit": unit,
        "arms": _arms(survey),
        "maps": [_map(survey, one) for one in survey.maps()],
        "features": survey.features(),
        "columns": columns,
        "lines": lines(*grid) if is_spectra else [],
        "bands": bands(*grid) if is_spectra else [],
        "classes": [
            {"code": one.code, "name": one.name, "meaning": one.meaning, "colour": one.colour}
            for one in (CLASSES.values() if is_spectra else ECLIPSING)
        ],
        "flags": [asdict(flag) for flag in flags_of("catalogue", "flags") if flag.bit],
        "default": {"map": _default_map(survey), "colour": _default_colour(columns)},
        "siderea": siderea.__version__,
    }


def _arms(survey: Survey) -> list[dict[str, Any]]:
    store = survey.store
    powers = store.manifest["resolution"]
    return [
        {
            "name": name,
            "start": arm.start,
            "stop": arm.stop,
            "resolution": float(power) if power is not None and np.isfinite(power) else None,
        }
        for name, arm, power in zip(store.arm_names, store.arms, powers, strict=True)
    ]


def _map(survey: Survey, one: MapInfo) -> dict[str, Any]:
    missing = survey.columns.summary(f"{one.product}:{one.axes[0]}").n_missing
    return {
        "name": one.name,
        "title": one.product + (", second pass" if one.name.endswith(":2") else ""),
        "method": one.method,
        "parameters": one.parameters,
        "n": len(survey) - missing,
        "version": one.version,
    }


def column_of(survey: Survey, column: Column) -> dict[str, Any]:
    """Return what the page is told of a column."""
    said = survey.columns.summary(column.key)
    told: dict[str, Any] = {
        "key": column.key,
        "table": column.table,
        "name": column.name,
        "title": column.naming.title,
        "kind": said.kind,
        "unit": column.naming.unit,
        "description": column.naming.description,
        "version": column.version,
    }
    if said.kind == "number":
        told |= {name: getattr(said, name) for name in _OF_NUMBERS}
        if column.name.endswith("id") and said.integer and (said.max or 0) > _EXACT:
            told["kind"] = "text"  # a name that happens to be a number
    elif said.kind == "category":
        told |= {"categories": list(said.words), "n_missing": said.n_missing}
        if column.name in ("class", "proposed"):
            told["colours"] = [_colour(word) for word in said.words]
    elif said.kind == "flags":
        told["flags"] = [asdict(flag) for flag in column.flags if flag.bit]
    return told


def _colour(word: str) -> str | None:
    try:
        return colour(word)
    except DataError:  # no code of a class
        return None


def _default_map(survey: Survey) -> str | None:
    names = [one.name for one in survey.maps()]
    return next((one for one in _MAPS if one in names), names[0] if names else None)


def _default_colour(columns: list[dict[str, Any]]) -> str | None:
    usable = {
        one["key"]: one for one in columns if one["kind"] == "number" and one["min"] is not None
    }
    wanted = [f"catalogue:{name}" for name in _COLOURS]
    return next((key for key in (*wanted, *usable) if key in usable), None)
