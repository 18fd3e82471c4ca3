"""All that the store says of one object."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlencode

from siderea.explorer.survey import Survey

__all__ = ["links", "object_of"]


def object_of(survey: Survey, row: int) -> dict[str, Any]:
    """Return the values of every column for a row, its flags by name, and where to read more.

    Parameters
    ----------
    survey : Survey
    row : int
    """
    values: list[dict[str, Any]] = []
    flags: list[dict[str, Any]] = []
    own: dict[str, Any] = {}
    for table in survey.columns.tables.values():
        held = _held(survey, table.name, row)
        own |= held if table.name == "catalogue" else {}
        for column in survey.columns.of(table.name):
            value = held.get(column.name)
            if value is None or column.name == "id":
                continue
            values.append(
                {
                    "key": column.key,
                    "table": column.table,
                    "name": column.name,
                    "value": value,
                    "unit": column.naming.unit,
                    "description": column.naming.description,
                }
            )
            flags += _flags(column, value)
    ra, dec = _number(own.get("ra")), _number(own.get("dec"))
    return {
        "row": row,
        "id": survey.names[row],
        "star_id": own.get("star_id"),
        "ra": ra,
        "dec": dec,
        "values": values,
        "flags": flags,
        "links": links(ra, dec) if ra is not None and dec is not None else {},
    }


def _held(survey: Survey, name: str, row: int) -> dict[str, Any]:
    table = survey.columns.tables[name]
    return table.at(row, table.columns)


def _flags(column: Any, value: Any) -> list[dict[str, Any]]:
    if not column.flags or not isinstance(value, int | float) or value != value:
        return []
    return [
        {"column": column.key, "bit": flag.bit, "name": flag.name, "meaning": flag.meaning}
        for flag in column.flags
        if flag.bit & int(value)
    ]


def _number(value: Any) -> float | None:
    usable = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if usable else None


def links(ra: float, dec: float) -> dict[str, str]:
    """Return addresses of archives about a place of the sky.

    Parameters
    ----------
    ra, dec : float
        ICRS, deg.

    Examples
    --------
    >>> links(10.5, -20.25)["simbad"].split("?")[1]
    'Coord=10.500000+-20.250000&Radius=5&Radius.unit=arcsec'
    """
    place = f"{ra:.6f} {dec:+.6f}" if dec >= 0 else f"{ra:.6f} {dec:.6f}"
    cone = (
        "SELECT TOP 20 * FROM gaiadr3.gaia_source WHERE 1=CONTAINS(POINT(ra,dec),"
        f"CIRCLE({ra:.6f},{dec:.6f},0.0014))"
    )
    asked = {
        "simbad": (
            "https://simbad.cds.unistra.fr/simbad/sim-coo",
            {"Coord": place, "Radius": "5", "Radius.unit": "arcsec"},
        ),
        "vizier": (
            "https://vizier.cds.unistra.fr/viz-bin/VizieR-4",
            {"-c": place, "-c.rs": "5"},
        ),
        "gaia": (
            "https://gea.esac.esa.int/tap-server/tap/sync",
            {"REQUEST": "doQuery", "LANG": "ADQL", "FORMAT": "csv", "QUERY": cone},
        ),
        "aladin": (
            "https://aladin.cds.unistra.fr/AladinLite/",
            {"target": place, "fov": "0.05"},
        ),
    }
    return {name: f"{address}?{urlencode(query)}" for name, (address, query) in asked.items()}
