"""All that is measured of a spectrum for its class, with what must be learned from a sample first.

A random sample of the survey, the library, teaches two sets of principal components. One sees all
pixels: its scores are the features for the classifier. The other is blind to the windows of the
detectors: in it the neighbours of a spectrum are found, whose median is what the windows should
look like. The detectors themselves are set against the same measurements of those neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.classify.carbon import WINDOW as SWAN_WINDOW
from siderea.classify.carbon import swan_band
from siderea.classify.detection import Detection, against_neighbours
from siderea.classify.emission import balmer_emission
from siderea.classify.line_shape import line_autocorrelation
from siderea.classify.lithium import WINDOW as LITHIUM_WINDOW
from siderea.classify.lithium import lithium_width
from siderea.classify.molecules import TIO_HEADS, band_index
from siderea.classify.problems import MIN_SPIKES, count_spikes, dead_arms, noise_ratio, oscillation
from siderea.classify.profile_fit import in_medium
from siderea.classify.references import Library, binned, chosen_pixels, outside
from siderea.data import Spectra
from siderea.embeddings.pca import PCA
from siderea.errors import DataError
from siderea.flags import SpectrumFlag
from siderea.spectra.lines import BALMER

__all__ = ["DETECTORS", "FEWEST", "Measurements", "Meter"]

DETECTORS = {
    "halpha_emission": "Å",
    "hbeta_emission": "Å",
    "swan_c2": "",
    "li_6708": "Å",
    "tio_bands": "",
    "oscillation": "",
}
"""Names of the detections, and their units."""

FEWEST = 20
"""Fewest usable spectra of a library."""

_PIXELS = 4096
_CLIP = (-0.5, 3.0)
_MIN_GOOD = 0.5
_BALMER_REACH = 10.0
_TIO_REACH = 6.5
_STILL = 0.3  # asinh of one sigma over three, nearly
_FAR_OUT = 10.0
_EDGE = 0.5  # Å: so that a window is seen to be covered


@dataclass(frozen=True)
class Measurements:
    """What was measured of N spectra.

    Parameters
    ----------
    features : (N, K) ndarray
        Scores of the principal components; NaN where the spectrum cannot be used.
    detections : dict of str to Detection
        By the names of `DETECTORS`; NaN where the feature is not covered.
    line_shape : (N, L) ndarray
        See `siderea.classify.line_shape.line_autocorrelation`.
    noise : (N,) ndarray
        Largest ratio of scatter to error among the arms.
    spikes : (N,) ndarray of int
        Number of spikes.
    flags : (N,) ndarray of int
        Bits of `SpectrumFlag` that the measurements add.
    """

    features: NDArray[np.float64]
    detections: dict[str, Detection]
    line_shape: NDArray[np.float64]
    noise: NDArray[np.float64]
    spikes: NDArray[np.int64]
    flags: NDArray[np.int64]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Spectra (N,) that have features."""
        return np.asarray(np.isfinite(self.features).all(axis=1))

    @classmethod
    def joined(cls, pieces: list[Measurements]) -> Measurements:
        """Set the measurements of consecutive chunks one after another."""
        detections = {
            name: Detection(
                name,
                np.concatenate([piece.detections[name].value for piece in pieces]),
                np.concatenate([piece.detections[name].error for piece in pieces]),
                unit,
            )
            for name, unit in DETECTORS.items()
        }
        return cls(
            np.concatenate([piece.features for piece in pieces]),
            detections,
            np.concatenate([piece.line_shape for piece in pieces]),
            np.concatenate([piece.noise for piece in pieces]),
            np.concatenate([piece.spikes for piece in pieces]),
            np.concatenate([piece.flags for piece in pieces]),
        )

    def for_classifier(self) -> NDArray[np.float64]:
        """Return all that tells classes apart side by side, on one scale.

        Returns
        -------
        (N, K + L + D + 2) ndarray
            Scores of the principal components, the shape of the lines, the detections as
            asinh(significance / 3), linear where doubtful and slowly growing where certain, the
            logarithm of the noise and asinh(spikes / 3). The columns after the first K are scaled
            to the median scatter of these, but never so far that what hardly varies looks like
            something; what is not covered counts as nothing found. NaN where the spectrum cannot
            be used.
        """
        others = [np.arcsinh(self.detections[name].significance / 3.0) for name in DETECTORS]
        others += [np.log(np.maximum(self.noise, 0.1)), np.arcsinh(self.spikes / 3.0)]
        table = np.nan_to_num(np.column_stack([self.line_shape, *others]))
        if not self.usable.any():
            return np.column_stack([self.features, table])
        unit = float(np.median(self.features[self.usable].std(axis=0)))
        scatter = table[self.usable].std(axis=0)
        scatter[self.line_shape.shape[1] :] = np.maximum(
            scatter[self.line_shape.shape[1] :], _STILL
        )
        scale = np.divide(unit, scatter, out=np.zeros_like(scatter), where=scatter > 0)
        return np.column_stack([self.features, table * scale])


class Meter:
    """Measure spectra for their classes.

    Parameters
    ----------
    library : Spectra
        M normalised spectra at rest, a random sample of the survey: thousands if there are.
    n_components : int
        Components that see all pixels.
    n_blind : int
        Components that do not see the windows of the detectors.
    k : int
        Neighbours whose median is the reference.
    random_state : int
        Seed of the principal components.

    Raises
    ------
    DataError
        If fewer than `FEWEST` spectra of the library can be used.
    """

    def __init__(
        self,
        library: Spectra,
        *,
        n_components: int = 40,
        n_blind: int = 16,
        k: int = 25,
        random_state: int = 0,
    ) -> None:
        self._ever = (library.ivar > 0).any(axis=0)
        usable = self._usable(library)
        library = library if usable.all() else library[usable]  # a copy is hundreds of MB
        n = len(library)
        if n < FEWEST:
            raise DataError(f"library: {n} usable spectra; expected {FEWEST} or more")
        self._size = max(1, library.n_pixels // _PIXELS)
        self._window = ~outside(library.wavelength, _windows(library))
        coarse = binned(library, self._size)
        self._blind_bins = outside(coarse.wavelength, _windows(library))
        self._pca = PCA(min(n_components, n // 4), random_state=random_state)
        flux, ivar = _clipped(coarse)
        self._pca.fit(flux, ivar=ivar)
        blind = _on(coarse, self._blind_bins)
        self._blind_pca = PCA(min(n_blind, n // 4), random_state=random_state)
        flux, ivar = _clipped(blind)
        self._blind_pca.fit(flux, ivar=ivar)
        ordinary = _ordinary(self._blind_pca.transform(flux, ivar=ivar))
        self._blind_pca.fit(flux[ordinary], ivar=ivar[ordinary])
        places = self._blind_places(blind)
        self._library: Library | None = None
        windows = chosen_pixels(library, self._window)
        if windows is not None:
            self._library = Library(windows, places, k=min(k, max(3, n // 4)))
            self._library_detections, _ = self._raw(windows, places)

    def measure(self, spectra: Spectra) -> Measurements:
        """Measure spectra of the same survey.

        Parameters
        ----------
        spectra : Spectra
            N spectra on the grid of the library; those that are in the library are recognised by
            their ``id``.
        """
        usable = self._usable(spectra)
        _, flags = dead_arms(spectra)
        detections = {
            name: Detection(
                name, np.full(len(spectra), np.nan), np.full(len(spectra), np.nan), unit
            )
            for name, unit in DETECTORS.items()
        }
        features = np.full((len(spectra), self._pca.n_components_), np.nan)
        noise = np.full(len(spectra), np.nan)
        spikes = count_spikes(spectra)
        if usable.any():
            chosen = spectra[usable]
            coarse = binned(chosen, self._size)
            flux, ivar = _clipped(coarse)
            features[usable] = self._pca.transform(flux, ivar=ivar)
            blind = _on(coarse, self._blind_bins)
            places = self._blind_places(blind)
            expected = self._blind_pca.inverse_transform(places)
            noise[usable] = _largest(noise_ratio(blind, expected))
            found = {"oscillation": oscillation(blind, expected)}
            windows = chosen_pixels(chosen, self._window)
            if windows is not None:
                found |= self._calibrated(windows, places)
            for name, one in found.items():
                detections[name].value[usable] = one.value
                detections[name].error[usable] = one.error
        flags |= np.where(spikes >= MIN_SPIKES, int(SpectrumFlag.COSMIC_RAY), 0)
        flags |= np.where((spectra.ivar > 0).any(axis=1), 0, int(SpectrumFlag.NO_GOOD_PIXELS))
        return Measurements(
            features, detections, line_autocorrelation(spectra), noise, spikes, flags
        )

    def _usable(self, spectra: Spectra) -> NDArray[np.bool_]:
        good = ((spectra.ivar > 0) & np.isfinite(spectra.flux)).sum(axis=1)
        return good >= max(1.0, _MIN_GOOD * np.count_nonzero(self._ever))

    def _blind_places(self, blind: Spectra) -> NDArray:
        flux, ivar = _clipped(blind)
        return self._blind_pca.transform(flux, ivar=ivar)

    def _raw(
        self, windows: Spectra, places: NDArray
    ) -> tuple[dict[str, Detection], NDArray[np.int64]]:
        assert self._library is not None
        reference = self._library.expect(places, windows.ids)
        emission = balmer_emission(windows, reference.flux)
        found = {
            **{one.name: one for one in emission.values()},
            "swan_c2": swan_band(windows, reference.flux),
            "li_6708": lithium_width(windows),
            "tio_bands": band_index(windows),
        }
        return found, reference.neighbours

    def _calibrated(self, windows: Spectra, places: NDArray) -> dict[str, Detection]:
        """Set each detection against its neighbours; TiO is not: cool stars have cool ones."""
        found, near = self._raw(windows, places)
        return {
            name: one
            if name == "tio_bands"
            else against_neighbours(one, self._library_detections[name], near)
            for name, one in found.items()
        }


def _windows(spectra: Spectra) -> NDArray[np.float64]:
    """Return the windows (W, 2) of all detectors, in the medium of the spectra."""
    edges = [(line - _BALMER_REACH, line + _BALMER_REACH) for line in BALMER.values()]
    edges += [(head - _TIO_REACH, head + _TIO_REACH) for head in TIO_HEADS]
    edges += [SWAN_WINDOW, LITHIUM_WINDOW]
    return np.array(
        [[in_medium(low - _EDGE, spectra), in_medium(high + _EDGE, spectra)] for low, high in edges]
    )


def _ordinary(scores: NDArray) -> NDArray[np.bool_]:
    """Tell which spectra (M,) lie far out along no component.

    What is peculiar about a few must not become a component of what is expected of all. Where the
    sample has no ordinary half, all are taken.
    """
    middle = np.median(scores, axis=0)
    width = 1.4826 * np.median(np.abs(scores - middle), axis=0)
    inside = (np.abs(scores - middle) <= _FAR_OUT * width).all(axis=1)
    return inside if 2 * np.count_nonzero(inside) >= inside.size else np.ones_like(inside)


def _on(coarse: Spectra, bins: NDArray[np.bool_]) -> Spectra:
    kept = chosen_pixels(coarse, bins)
    if kept is None:
        raise DataError("library: every pixel lies in a detector's window; expected more")
    return kept


def _clipped(spectra: Spectra) -> tuple[NDArray, NDArray]:
    return np.clip(spectra.flux, *_CLIP), spectra.ivar


def _largest(ratios: NDArray) -> NDArray[np.float64]:
    known = np.isfinite(ratios)
    largest = np.where(known, ratios, -np.inf).max(axis=1)
    return np.where(known.any(axis=1), largest, np.nan)
