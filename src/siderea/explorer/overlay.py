"""The fitted model of a spectrum, rebuilt from the labels that a fit left in a product.

A product of fits has columns ``single_<label>`` and ``binary_<label>``. Labels of one star end in
its number (``teff_2``, ``rv_1``); those without are of the first star, or shared (composition). The
second star's light follows from the mass ratio, (R₂/R₁)² = q g₁/g₂, or from ``radius_ratio``. Two
stars are shown where the fit says so (``is_binary``), else one.

f(λ) = Σ ℓₖ(λ) nₖ(λ; vₖ), with normalised spectra n and shares of the light ℓₖ ∝ Rₖ² Cₖ(λ) by the
emulator's continua C.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from siderea.errors import SidereaError
from siderea.explorer.curve_overlay import COLUMNS, curve_of
from siderea.explorer.refusals import AbsentError, NotNowError
from siderea.explorer.survey import Survey

if TYPE_CHECKING:
    from siderea.models.emulator_survey import SurveyEmulator

__all__ = ["Overlay", "Overlays", "Stars", "light_of", "stars_of"]

_ATMOSPHERE = ("teff", "logg", "fe_h", "alpha_fe")
_BROADENING = ("vsini", "vbroad")


@dataclass(frozen=True)
class Overlay:
    """A model and its stars.

    Parameters
    ----------
    names : tuple of str
        ``model``, and of several stars ``star_1``, ``star_2``: their light, added up the model.
    flux : (K, P) ndarray of float32
        Normalised.
    """

    names: tuple[str, ...]
    flux: NDArray[np.float32]


@dataclass(frozen=True)
class Stars:
    """What a fit found.

    Parameters
    ----------
    labels : (S, 7) ndarray
        teff, logg, fe_h, alpha_fe, vmic (NaN: by the usual relation), broadening, rv.
    weight : (S,) ndarray
        R², relative to the first star's.
    """

    labels: NDArray[np.float64]
    weight: NDArray[np.float64]


def stars_of(held: Mapping[str, Any]) -> Stars | None:
    """Return the stars of a row of a product, None where no fit of it is complete.

    Parameters
    ----------
    held : mapping
        Values of the row by column.

    Examples
    --------
    >>> fit = {"single_teff": 5800.0, "single_logg": 4.4, "single_fe_h": 0.0, "single_rv": 3.0}
    >>> stars_of(fit).labels[0, [0, 6]].tolist()
    [5800.0, 3.0]
    """
    if held.get("is_binary") is not False:
        first, second = (_star(held, "binary_", number) for number in (1, 2))
        ratio = None if first is None or second is None else _ratio(held, first, second)
        if ratio is not None:
            return Stars(np.array([first, second]), np.array([1.0, ratio]))
    single = _star(held, "single_", 1)
    return None if single is None else Stars(np.array([single]), np.ones(1))


def _star(held: Mapping[str, Any], prefix: str, number: int) -> list[float] | None:
    """Return the labels of one star, None where its atmosphere is not known."""

    def label(name: str, default: float, *, own: bool = False) -> float:
        shared = math.nan if own and number > 1 else _known(held, prefix + name)
        value = _known(held, f"{prefix}{name}_{number}")
        value = shared if math.isnan(value) else value
        return default if math.isnan(value) else value

    teff, logg = (label(name, math.nan, own=True) for name in ("teff", "logg"))
    fe_h = label("fe_h", math.nan)
    if math.isnan(teff + logg + fe_h):
        return None
    broad = math.hypot(*(label(name, 0.0) for name in _BROADENING))
    return [
        teff,
        logg,
        fe_h,
        label("alpha_fe", 0.0),
        label("vmic", math.nan),
        broad,
        label("rv", 0.0, own=True),
    ]


def _ratio(held: Mapping[str, Any], first: list[float], second: list[float]) -> float | None:
    """Return (R₂/R₁)²."""
    radii, q = (_known(held, f"binary_{name}") for name in ("radius_ratio", "q"))
    if not math.isnan(radii):
        return radii**2
    return None if math.isnan(q) else q * 10.0 ** (first[1] - second[1])


def _known(held: Mapping[str, Any], name: str) -> float:
    value = held.get(name)
    usable = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if usable else math.nan  # type: ignore[arg-type]


def light_of(model: SurveyEmulator, stars: Stars) -> Overlay:
    """Return the normalised spectrum of stars together, and the light of each.

    Parameters
    ----------
    model : SurveyEmulator
        With the extra labels vsini and rv. Labels beyond its range count as those of its edge.
    stars : Stars
    """
    import torch

    from siderea.models.tied import microturbulence

    named = {
        name: torch.from_numpy(stars.labels[:, place]) for place, name in enumerate(_ATMOSPHERE)
    }
    labels = stars.labels.copy()
    usual = microturbulence(named).numpy()
    labels[:, 4] = np.where(np.isnan(labels[:, 4]), usual, labels[:, 4])
    labels = np.clip(labels, *model.label_range.T)
    with torch.no_grad():
        continuum = model.continuum_density(torch.from_numpy(labels)).numpy()
    light = stars.weight[:, None] * continuum
    parts = np.asarray(model.predict(labels)) * light / light.sum(axis=0)
    total = parts.sum(axis=0, keepdims=True)
    if len(parts) == 1:
        return Overlay(("model",), total.astype(np.float32))
    names = ("model", *(f"star_{number}" for number in range(1, len(parts) + 1)))
    return Overlay(names, np.concatenate([total, parts]).astype(np.float32))


class Overlays:
    """Models of the spectra, or light curves, of a survey.

    The emulator is brought to their grid on the first call.

    Parameters
    ----------
    survey : Survey
    """

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self._model: SurveyEmulator | None = None
        self._lock = threading.Lock()

    def products(self) -> list[str]:
        """Return the products that hold labels of fits."""
        return [
            name
            for name, table in self.survey.products().items()
            if {"single_teff", "binary_teff", "binary_teff_1"} & set(table.columns)
        ]

    @property
    def available(self) -> bool:
        """Whether any fit is in the store."""
        if self.survey.kind != "spectra":
            return set(COLUMNS) <= set(self.survey.table("catalogue").columns)
        return bool(self.products())

    def of(self, row: int) -> Overlay:
        """Return the model of a row.

        Parameters
        ----------
        row : int

        Raises
        ------
        AbsentError
            If no fit of it is in the store.
        NotNowError
            If the emulator does not cover the store's spectra.
        """
        if self.survey.kind != "spectra":
            return self._curve(row)
        for product in self.products():
            table = self.survey.table(product)
            wanted = [
                name
                for name in table.columns
                if name.startswith(("single_", "binary_")) or name == "is_binary"
            ]
            stars = stars_of(table.at(row, wanted))
            if stars is not None:
                with self._lock:
                    return light_of(self._ready(), stars)
        raise AbsentError(f"row {row}: no fit of it is in the store (siderea detect)")

    def _curve(self, row: int) -> Overlay:
        """Return the fitted curve of a light curve."""
        store = self.survey.store
        primary_at = float(store.manifest.get("axis", {}).get("primary_eclipse", 0.25))
        held = self.survey.table("catalogue").at(row, COLUMNS) if self.available else {}
        curve = curve_of(held, store.wavelength, primary_at)
        if curve is None:
            raise AbsentError(f"row {row}: no fit of it is in the store")
        return Overlay(("model",), curve[None])

    def _ready(self) -> SurveyEmulator:
        if self._model is None:
            from siderea.models.emulator import load_default

            store = self.survey.store
            try:
                self._model = load_default().at(
                    store.wavelength,
                    resolution=list(store.manifest["resolution"]),
                    medium=store.medium,  # type: ignore[arg-type]
                    arms=store.arms,
                    extra_labels=("vsini", "rv"),
                )
            except SidereaError as error:
                raise NotNowError(f"model: {error}") from error
        return self._model
