"""From spectra as the detector gave them to spectra that can be compared.

On the detector's pixels: cosmic rays are masked. Then one grid, in the star's rest frame. On the
grid: telluric bands are masked where they fall, and the continuum is divided out, arm by arm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from siderea.data import Spectra
from siderea.errors import DataError
from siderea.flags import SpectrumFlag
from siderea.io.native import Arm, Frame, InstrumentGrid, NativeSpectrum, to_common_grid
from siderea.spectra import masks
from siderea.spectra.continuum import GALAH, ContinuumRecipe, normalise
from siderea.spectra.lines import BALMER, equivalent_width

__all__ = ["Preparation", "prepare"]

MASKS = ("cosmic", "telluric", "sky")


@dataclass(frozen=True)
class Preparation:
    """What is done to every spectrum of an ingest.

    Parameters
    ----------
    frame : {"rest", "barycentric"}
        Frame of the stored wavelengths.
    continuum : ContinuumRecipe or None
        How the continuum is fitted; None stores the flux as it is.
    masks : tuple of {"cosmic", "telluric", "sky"}
        What is masked (ivar 0; the flux is kept).
    """

    frame: Frame = "rest"
    continuum: ContinuumRecipe | None = field(default_factory=ContinuumRecipe)
    masks: tuple[str, ...] = ("cosmic", "telluric")

    def __post_init__(self) -> None:
        unknown = set(self.masks) - set(MASKS)
        if unknown:
            raise DataError(f"masks: found {', '.join(unknown)}; expected {' or '.join(MASKS)}")

    @classmethod
    def of(cls, product: str) -> Preparation:
        """Return the preparation that suits a product."""
        return _OF_PRODUCT.get(product, cls())


# At low resolution a long arm needs a spline, and a cosmic ray is no narrower than a line.
_LOW_RESOLUTION = Preparation(continuum=ContinuumRecipe(method="spline"), masks=("telluric",))
_OF_PRODUCT = {
    "galah": Preparation(continuum=GALAH),
    "lamost": _LOW_RESOLUTION,
    "sdss": _LOW_RESOLUTION,
    "table": Preparation(continuum=None, masks=()),
}


def prepare(
    natives: Sequence[NativeSpectrum], grid: InstrumentGrid, preparation: Preparation
) -> Spectra:
    """Prepare spectra of one instrument together.

    Parameters
    ----------
    natives : sequence of NativeSpectrum
        N spectra on their own pixels.
    grid : InstrumentGrid
        The grid they are to share.
    preparation : Preparation
        What to do.

    Returns
    -------
    Spectra
        N rows, float32; column ``flags`` tells what went wrong with each.
    """
    if "cosmic" in preparation.masks:
        natives = [_without_cosmic_rays(native) for native in natives]
    spectra = to_common_grid(natives, grid, frame=preparation.frame)
    if "telluric" in preparation.masks:
        spectra = masks.apply(spectra, _in_sky(masks.telluric, spectra, preparation.frame))
    if "sky" in preparation.masks:
        spectra = masks.apply(spectra, _in_sky(masks.sky_residuals, spectra, preparation.frame))
    if preparation.continuum is not None:
        velocity = None if preparation.frame == "rest" else _column(spectra, "rv")
        spectra, _ = normalise(spectra, preparation.continuum, velocity=velocity)
        wreckage = masks.implausible(spectra.flux)
        spectra = masks.apply(spectra, wreckage, flag=SpectrumFlag.IMPLAUSIBLE)
        if preparation.frame == "rest":
            spectra = _with_balmer_widths(spectra)
    return spectra.with_flux(spectra.flux.astype(np.float32), spectra.ivar.astype(np.float32))


def _without_cosmic_rays(native: NativeSpectrum) -> NativeSpectrum:
    """Mask cosmic rays before anything spreads them over neighbouring pixels."""
    arms, flags = [], native.flags
    for arm in native.arms:
        hit = masks.cosmic_rays(arm.flux[None], arm.ivar[None])[0]
        if hit.any():
            flags |= SpectrumFlag.COSMIC_RAY
        arms.append(Arm(arm.name, arm.wavelength, arm.flux, np.where(hit, 0.0, arm.ivar)))
    return replace(native, arms=tuple(arms), flags=flags)


def _with_balmer_widths(spectra: Spectra) -> Spectra:
    """Add the widths of Hα and Hβ: a temperature, or emission, that every spectrum has."""
    columns: dict[str, NDArray] = {}
    for name, line in BALMER.items():
        if spectra.wavelength.min() < line < spectra.wavelength.max():
            width, error = equivalent_width(spectra, line)
            columns |= {f"ew_{name}": width, f"ew_{name}_err": error}
    return replace(spectra, table=spectra.table.assign(**columns))


def _in_sky(
    mask: Callable[..., NDArray[np.bool_]], spectra: Spectra, frame: Frame
) -> NDArray[np.bool_]:
    """Return where features of the Earth's atmosphere fall, spectrum by spectrum."""
    return mask(
        spectra.wavelength,
        spectra.medium,
        barycentric_velocity=np.nan_to_num(_column(spectra, "barycentric_velocity")),
        rv=np.nan_to_num(_column(spectra, "rv")),
        frame=frame,
    )


def _column(spectra: Spectra, name: str) -> NDArray[np.float64]:
    """Return a column of the table as floats, NaN where there is none."""
    if name not in spectra.table:
        return np.full(len(spectra), np.nan)
    return spectra.table[name].to_numpy(dtype=float)
