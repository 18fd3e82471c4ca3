"""From spectra as the detector gave them to spectra that can be compared.

On the detector's pixels: cosmic rays are masked. Then one grid, in the star's rest frame. On the
grid: telluric bands are masked where they fall, and the continuum is divided out, arm by arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from siderea.data import Spectra
from siderea.errors import DataError
from siderea.flags import SpectrumFlag
from siderea.io.native import Arm, Frame, InstrumentGrid, NativeSpectrum, to_common_grid
from siderea.spectra import masks
from siderea.spectra.continuum import normalise

__all__ = ["Preparation", "prepare"]

MASKS = ("cosmic", "telluric")


@dataclass(frozen=True)
class Preparation:
    """What is done to every spectrum of an ingest.

    Parameters
    ----------
    frame : {"rest", "barycentric"}
        Frame of the stored wavelengths.
    continuum : {"chebyshev", "spline", "none"}
        How the continuum is fitted; ``"none"`` stores the flux as it is.
    degree : int or tuple of int
        Chebyshev degree, for all arms or one per arm.
    masks : tuple of {"cosmic", "telluric"}
        What is masked (ivar 0; the flux is kept).
    """

    frame: Frame = "rest"
    continuum: Literal["chebyshev", "spline", "none"] = "chebyshev"
    degree: int | tuple[int, ...] = 4
    masks: tuple[str, ...] = MASKS

    def __post_init__(self) -> None:
        unknown = set(self.masks) - set(MASKS)
        if unknown:
            raise DataError(f"masks: found {', '.join(unknown)}; expected {' or '.join(MASKS)}")

    @classmethod
    def of(cls, product: str) -> Preparation:
        """Return the preparation that suits a product."""
        return _OF_PRODUCT.get(product, cls())


_OF_PRODUCT = {
    # The survey's own polynomial degrees (read off its normalised extension, raw/normalised).
    "galah": Preparation(degree=(3, 3, 4, 4)),
    "lamost": Preparation(continuum="spline", masks=("telluric",)),
    "sdss": Preparation(continuum="spline", masks=("telluric",)),
    "table": Preparation(continuum="none", masks=()),
}
"""Low-resolution surveys: long arms need a spline, and a cosmic ray looks like a line there."""


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
        spectra = masks.apply(spectra, _telluric(spectra, preparation.frame))
    if preparation.continuum != "none":
        spectra, _ = normalise(spectra, method=preparation.continuum, degree=preparation.degree)
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


def _telluric(spectra: Spectra, frame: Frame) -> NDArray[np.bool_]:
    """Return where telluric bands fall, spectrum by spectrum."""
    table = spectra.table
    zero = np.zeros(len(spectra))
    earth = (
        table["barycentric_velocity"].to_numpy(float) if "barycentric_velocity" in table else zero
    )
    star = table["rv"].to_numpy(float) if "rv" in table else zero
    return masks.telluric(
        spectra.wavelength,
        spectra.medium,
        barycentric_velocity=np.nan_to_num(earth),
        rv=np.nan_to_num(star),
        frame=frame,
    )
