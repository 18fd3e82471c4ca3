"""What is in a store, as one self-contained HTML page: numbers, maps, spectra, provenance."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import siderea
from siderea.flags import SpectrumFlag
from siderea.io.files import atomic_write
from siderea.io.store import SurveyStore
from siderea.pipelines.draw import example_figure, map_figure, png

__all__ = ["Section", "write_report"]

_MOST_FAILURES = 20


@dataclass(frozen=True)
class Section:
    """A figure that another job made, to stand in the report.

    Parameters
    ----------
    title, caption : str
    figure : Path
        PNG.
    """

    title: str
    figure: Path
    caption: str


def write_report(
    path: str | Path,
    *,
    output: str | Path = "report.html",
    colour: str | None = None,
    sections: Sequence[Section] = (),
) -> Path:
    """Write the report of a store.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    output : path-like
        The HTML file; its folder is made if need be.
    colour : str, optional
        Catalogue column that colours the maps.
    sections : sequence of Section
        Results of other jobs, after those of the store.

    Returns
    -------
    Path
        ``output``.
    """
    from jinja2 import Environment, PackageLoader  # only a report needs it

    store = SurveyStore.open(path)
    if colour is not None:
        store.read_catalogue([colour])
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    pages = Environment(loader=PackageLoader("siderea.pipelines"), autoescape=True)
    html = pages.get_template("report.html").render(
        _content(store, colour), sections=[_section(section) for section in sections]
    )
    with atomic_write(output, "w") as handle:
        handle.write(html)
    return output


def _content(store: SurveyStore, colour: str | None) -> dict[str, Any]:
    failures = _failures(store)
    return {
        "title": store.path.stem,
        "n_spectra": f"{len(store):,}",
        "n_pixels": f"{store.n_pixels:,}",
        "medium": store.medium,
        "facts": _facts(store),
        "arms": _arms(store),
        "flags": _flags(store.catalogue),
        "maps": [_map(store, name, colour) for name in _maps(store)],
        "classes": _classes(store),
        "example": _image(png(example_figure(store))),
        "example_caption": "Spectra across the range of signal to noise, "
        "shifted in flux; masked pixels are not drawn.",
        "failures": failures[:_MOST_FAILURES],
        "n_failures": len(failures),
        "n_sources": store.manifest.get("n_sources", len(store)),
        "provenance": [
            (key, value if isinstance(value, str) else json.dumps(value))
            for key, value in store.manifest["provenance"].items()
            if value
        ],
        "version": siderea.__version__,
    }


def _section(section: Section) -> dict[str, str]:
    return {
        "title": section.title,
        "caption": section.caption,
        "image": _image(section.figure.read_bytes()),
    }


def _image(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _maps(store: SurveyStore) -> list[str]:
    return [name for name in store.products if {"x", "y"} <= set(store.product_columns(name))]


def _map(store: SurveyStore, name: str, colour: str | None) -> dict[str, str]:
    info = store.product_info(name)
    settings = ", ".join(f"{key} {_short(value)}" for key, value in info["parameters"].items())
    return {
        "name": name,
        "image": _image(png(map_figure(store, name, colour=colour))),
        "caption": f"{info['method']}: {settings}. Written {info['written']}.",
    }


def _short(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _facts(store: SurveyStore) -> list[tuple[str, str]]:
    """Return what an astronomer asks first of a sample, as far as the catalogue tells."""
    table = store.catalogue
    facts = [("product", str(store.manifest["provenance"].get("product", "unknown")))]
    for name, label, unit in (
        ("snr", "S/N per pixel", ""),
        ("rv", "radial velocity", " km/s"),
        ("teff", "effective temperature", " K"),
        ("logg", "log g", " dex"),
        ("fe_h", "[Fe/H]", " dex"),
    ):
        values = table[name].to_numpy(dtype=float) if name in table else np.empty(0)
        values = values[np.isfinite(values)]
        if values.size:
            low, middle, high = np.percentile(values, [5, 50, 95])
            facts.append(
                (
                    label,
                    f"median {middle:.4g}{unit}, 5 to 95 %: {low:.4g} to {high:.4g}{unit} "
                    f"({values.size:,} spectra)",
                )
            )
    if "star_id" in table:
        facts.append(("stars", f"{table['star_id'].nunique():,}"))
    return facts


def _arms(store: SurveyStore) -> list[dict[str, str]]:
    table, rows = store.catalogue, []
    for name, arm, power in zip(
        store.arm_names, store.arms, store.manifest["resolution"], strict=True
    ):
        column = f"snr_{name}"
        values = table[column].to_numpy(float) if column in table else np.full(len(table), np.nan)
        known = values[np.isfinite(values)]
        rows.append(
            {
                "name": name,
                "span": " to ".join(
                    f"{store.wavelength[i]:.1f}" for i in (arm.start, arm.stop - 1)
                ),
                "resolution": f"{power:,.0f}" if np.isfinite(power) else "unknown",
                "snr": f"{np.median(known):.1f}" if known.size else "unknown",
                "missing": f"{int(np.isnan(values).sum()):,}" if column in table else "unknown",
            }
        )
    return rows


def _flags(table: pd.DataFrame) -> list[tuple[str, str]]:
    if "flags" not in table:
        return []
    values = table["flags"].to_numpy(dtype=np.int64)
    counts = [(flag.name or "", int(np.count_nonzero(values & int(flag)))) for flag in SpectrumFlag]
    return [(name, f"{count:,}") for name, count in counts if count]


def _classes(store: SurveyStore) -> list[tuple[str, str, str]]:
    """Return code, meaning and number of spectra of each class, where the store was classified."""
    if "classes" not in store.products:
        return []
    from siderea.classify.taxonomy import meaning  # only a classified store needs it

    counts = store.product("classes")["class"].fillna("").value_counts()
    return [
        (code or "none", meaning(code) if code else "nothing speaks for a class", f"{n:,}")
        for code, n in counts.items()
    ]


def _failures(store: SurveyStore) -> list[tuple[str, str]]:
    path = store.path / "failures.csv"
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as handle:
        return [(row["source"], row["reason"]) for row in csv.DictReader(handle)]
