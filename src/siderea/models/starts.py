"""Where the descents start: from the velocity grids, at several mass ratios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.models.composite import Binary, Composite, Single, Triple
from siderea.models.descent import Descents
from siderea.models.epochs import SB1, SB2, Steady
from siderea.models.pairing import ByIsochrone
from siderea.models.protocol import DifferentiableModel
from siderea.models.velocity_grid import (
    SearchGrid,
    is_broadening,
    momentum_line,
    pair_power,
    single_power,
    template_labels,
)

__all__ = ["find_starts", "simpler"]

MASS_RATIOS = (0.95, 0.75)
"""Where descents start: far enough apart for the valleys in q, of which χ² can have two."""

FAINT_RATIOS = (0.6, 0.85)
"""Mass ratios at which a companion starts that was found in the residuals of a single star."""

AT_REST = 0.7
"""Mass ratio at which a companion starts that moves with its primary: no correlation shows it."""

SECOND_PEAK = 20.0
"""km/s from the highest peak of a correlation beyond which another peak is another star."""

WIDE = 0.7
"""Part of the range of a broadening label at which a start is also made: two stars as one."""

NARROW = 0.2
"""Part of the range of a broadening label that templates of a pair have at most."""

LOOSE = 1.0
"""Tolerance in χ² of the single-star fit that gives a binary its first labels."""


@dataclass(eq=False)
class _Search:
    """The binned data of a batch, N stars at V visits as N V rows, and the model in single."""

    composite: Composite
    data: Descents
    grid: SearchGrid
    model: DifferentiableModel

    @classmethod
    def of(cls, composite: Composite, data: Descents, reach: float) -> _Search:
        to = getattr(composite.model, "to", None)
        device = data.device
        model = composite.model if to is None else to(device=device, dtype=torch.float32)
        return cls(composite, data, SearchGrid.over(data.wavelength, reach), model)

    def binned(self, flux: NDArray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return depths and weights (N V, B) of spectra (N, V, P)."""
        flat = flux.reshape(-1, flux.shape[-1]), self.data.ivar.reshape(-1, flux.shape[-1])
        depth, weight = self.grid.bin(*flat)
        return depth.to(self.data.device, torch.float32), weight.to(self.data.device, torch.float32)

    def template_power(self, flux: NDArray) -> tuple[NDArray, NDArray]:
        """Return the power (N, V, T, lags) of the templates, and their labels (T, L)."""
        labels = template_labels(self.model)
        flux_of = self.model.normalised(torch.as_tensor(labels, device=self.data.device))
        templates = self.grid.template(self.model, flux_of.to(torch.float32))
        power = single_power(*self.binned(flux), templates, self.grid.n_lags)
        return power.unflatten(0, flux.shape[:2]).cpu().numpy(), labels


def find_starts(
    composite: Composite, data: Descents, alone: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return starts (N, K, D) for a batch of stars.

    Parameters
    ----------
    composite : Composite
    data : Descents
    alone : (N, L) ndarray, optional
        For a binary, what `simpler` fits to the data, where that is known; NaN where not.

    Raises
    ------
    DataError
        If the composite is of a kind that nobody knows how to start.
    """
    with torch.no_grad():
        if isinstance(composite, Single) or (
            isinstance(composite, Steady) and isinstance(composite.base, Single)
        ):
            return _steady(composite, data)
        if isinstance(composite, SB1):
            return _sb1(composite, data)
        if isinstance(composite, Binary | SB2):
            if alone is None or not np.isfinite(alone).all():
                alone = _alone(composite, data)
            two = _binary if isinstance(composite, Binary) else _sb2
            return two(composite, data, alone)  # type: ignore[arg-type]
        if isinstance(composite, Triple):
            return _triple(composite, data)
    raise DataError(f"{type(composite).__name__}: no rule for its starts; give start=")


def _reach(rv_range: tuple[float, float]) -> float:
    return max(abs(rv_range[0]), abs(rv_range[1]))


def _steady(composite: Composite, data: Descents) -> NDArray[np.float64]:
    """One velocity for all visits: the best template's highest peak, and two other readings."""
    reach = float(np.abs(composite.label_range[-1]).max())
    search = _Search.of(composite, data, reach)
    power, labels = search.template_power(data.flux)
    return _single_starts(search, power.sum(axis=1, keepdims=True), labels)


def _single_starts(search: _Search, power: NDArray, labels: NDArray) -> NDArray[np.float64]:
    """Return starts (N, 3, L + V) from powers (N, V, T, lags).

    The best template at its highest peak of every visit; at the highest peak that is another
    one; and with wide lines at the middle of the two, in case one star is to stand for two.
    """
    velocities = search.grid.velocities
    template = power.max(axis=3).sum(axis=1).argmax(1)
    chosen = power[np.arange(len(power)), :, template]
    highest = velocities[chosen.argmax(2)]
    apart = np.abs(velocities - highest[..., None]) > SECOND_PEAK
    second = velocities[np.where(apart, chosen, -1.0).argmax(2)]
    own = labels[template]
    wide = own.copy()
    for column, name in enumerate(search.model.label_names):
        if is_broadening(name):
            low, high = search.model.label_range[column]
            wide[:, column] = low + WIDE * (high - low)
    return np.stack(
        [
            np.column_stack([own, highest]),
            np.column_stack([own, second]),
            np.column_stack([wide, 0.5 * (highest + second)]),
        ],
        axis=1,
    )


def _sb1(composite: SB1, data: Descents) -> NDArray[np.float64]:
    """A velocity for every visit, see `_single_starts`."""
    search = _Search.of(composite, data, _reach(composite.base.rv_range))
    power, labels = search.template_power(data.flux)
    return _single_starts(search, power, labels)


def simpler(composite: Composite) -> Composite | None:
    """Return the composite of one star whose fit gives a binary its first labels."""
    if isinstance(composite, Binary):
        return Single(composite.model, composite.continuum, composite.kernel, composite.rv_range)
    if isinstance(composite, SB2):
        base = composite.base
        return SB1(
            Single(base.model, base.continuum, base.kernel, base.rv_range), composite.n_visits
        )
    return None


def _alone(composite: Composite, data: Descents) -> NDArray[np.float64]:
    """Fit the simpler model, roughly."""
    single = simpler(composite)
    assert single is not None
    starts = _steady if isinstance(single, Single) else _sb1
    return _fitted(single, data, starts(single, data))  # type: ignore[arg-type]


def _fitted(composite: Composite, data: Descents, start: NDArray) -> NDArray[np.float64]:
    """Return a quick fit (N, D) in single precision from one start per star."""
    simpler = Descents(composite, data.wavelength, data.flux, data.ivar, data.device)
    return simpler.quick(start[:, 0]).cpu().numpy()


def _theta_at(
    binary: Composite, labels: NDArray, q: float, device: torch.device
) -> NDArray[np.float64]:
    """Return parameters (N, D) of a multiple with a primary of given labels, velocities 0."""
    known = dict(zip(binary.model.label_names, labels.T, strict=False))
    theta = np.zeros((len(labels), len(binary.label_names)))
    for column, (name, (low, high)) in enumerate(
        zip(binary.label_names, binary.label_range, strict=True)
    ):
        stem, _, number = name.rpartition("_")
        base = name if name in known or not number.isdigit() else stem
        if base in ("q", "radius_ratio"):
            theta[:, column] = q
        elif name == "mass":
            theta[:, column] = _mass_of(binary, known, device)
        elif base in known:
            value = known[base]
            if is_broadening(base):
                value = np.minimum(value, low + NARROW * (high - low))
            if base == "teff" and number in ("2", "3"):  # a cooler companion, near T ∝ M^0.6
                value = value * q**0.6
            theta[:, column] = value
        elif base != "rv":
            theta[:, column] = 0.5 * (low + high)
    return np.clip(theta, *binary.label_range.T)


def _neutral(model: DifferentiableModel, labels: NDArray) -> NDArray[np.float64]:
    """Return labels with the temperature and metallicity alone kept, the rest at mid-range.

    One star that is to stand for two drives its finer labels ([α/Fe], log g) to their bounds, and
    a descent that starts there finds a valley of its own.
    """
    out = labels[:, : len(model.label_names)].copy()
    for column, name in enumerate(model.label_names):
        if name not in ("teff", "fe_h") and not is_broadening(name):
            out[:, column] = model.label_range[column].mean()
    return out


def _mass_of(
    binary: Composite, known: dict[str, NDArray], device: torch.device
) -> NDArray[np.float64]:
    """Return the mass of a star of middle age whose temperature is nearest to the known one."""
    pairing = binary.pairing  # type: ignore[attr-defined]
    assert isinstance(pairing, ByIsochrone)
    masses = np.linspace(*pairing.masses, 64)
    fe_h = np.repeat(known["fe_h"][:, None], masses.size, axis=1)
    age = np.full_like(fe_h, 0.5 * sum(pairing.ages))
    every = (
        torch.as_tensor(a, device=device) for a in (np.tile(masses, (len(fe_h), 1)), age, fe_h)
    )
    teff = pairing.star(*every)[0].cpu().numpy()
    return masses[np.abs(teff - known["teff"][:, None]).argmin(axis=1)]


def _pair_powers(
    search: _Search, binary: Composite, labels: NDArray, q: float, n_visits: int
) -> tuple[NDArray, NDArray]:
    """Return parameters (N, D) at one mass ratio and the power (N, V, lags, lags) of the pair."""
    theta = _theta_at(binary, labels, q, search.data.device)
    stars = binary.components(torch.as_tensor(theta, device=search.data.device))
    flat = stars.labels.flatten(0, 1)
    flux = search.model.normalised(flat).to(torch.float32)
    level = (search.model.density(flat).mean(1) / flux.mean(1)).unflatten(0, (-1, 2))
    light = level * stars.weight
    part = (light / light.sum(1, keepdim=True)).to(torch.float32)
    depth = search.grid.template(search.model, flux).unflatten(0, (-1, 2)) * part[..., None]
    first, second = depth.repeat_interleave(n_visits, 0).unbind(1)
    power = pair_power(*search.binned(search.data.flux), first, second)
    return theta, power.unflatten(0, (-1, n_visits)).cpu().numpy()


def _binary(composite: Binary, data: Descents, alone: NDArray) -> NDArray[np.float64]:
    """The best pairs at each mass ratio, either way round; two from residuals; one at rest."""
    search = _Search.of(composite, data, _reach(composite.rv_range))
    single = Single(composite.model, composite.continuum, composite.kernel, composite.rv_range)
    velocities, starts = search.grid.velocities, []
    lags = np.arange(velocities.size)
    sides = np.sign(lags[:, None] - lags[None, :])
    neutral = _neutral(composite.model, alone)
    for q in MASS_RATIOS:
        theta, power = _pair_powers(search, composite, neutral, q, 1)
        for side in (1, -1):
            best = np.where(sides == side, power[:, 0], -1.0).reshape(len(theta), -1).argmax(1)
            one, two = np.divmod(best, velocities.size)
            starts.append(_with(composite, theta, rv_1=velocities[one], rv_2=velocities[two]))
    second = _residual_velocity(search, single, alone)
    for q, velocity in (*((q, second) for q in FAINT_RATIOS), (AT_REST, alone[:, -1])):
        theta = _theta_at(composite, alone, q, data.device)
        for column, name in enumerate(composite.label_names):
            if name.endswith("_1") and is_broadening(name[:-2]):
                theta[:, column] = alone[:, composite.model.label_names.index(name[:-2])]
        starts.append(_with(composite, theta, rv_1=alone[:, -1], rv_2=velocity))
    return np.stack(starts, 1)


def _with(composite: Composite, theta: NDArray, **values: NDArray) -> NDArray[np.float64]:
    theta = theta.copy()
    for name, value in values.items():
        theta[:, composite.label_names.index(name)] = value
    return theta


def _residual_velocity(search: _Search, simpler: Composite, theta: NDArray) -> NDArray[np.float64]:
    """Return the velocity (N,) at which what a simpler model leaves correlates best."""
    data = search.data
    known = Descents(simpler, data.wavelength, data.flux, data.ivar, data.device)
    objective = known.objective(torch.float32, simpler.kernel)
    rows = torch.arange(len(theta), device=data.device)
    left = objective.residuals(torch.as_tensor(theta, device=data.device), rows).cpu().numpy()
    root = np.sqrt(data.ivar)
    power, _ = search.template_power(
        1 + np.divide(left, root, out=np.zeros_like(root), where=root > 0)
    )
    return search.grid.velocities[power.sum(1).max(1).argmax(1)]


def _sb2(composite: SB2, data: Descents, alone: NDArray) -> NDArray[np.float64]:
    """At each mass ratio the line of momentum that explains most, and its mirror image."""
    base, n_visits = composite.base, composite.n_visits
    search = _Search.of(composite, data, _reach(base.rv_range))
    velocities, starts = search.grid.velocities, []
    names = composite.label_names
    first_rv = names.index("rv_1")
    bounds = composite.label_range[names.index("q_dyn")]
    neutral = _neutral(base.model, alone)
    for q in MASS_RATIOS:
        theta, power = _pair_powers(search, base, neutral, q, n_visits)
        q_dyn, gamma, primary = momentum_line(power, velocities, tuple(bounds))
        secondary = (gamma[:, None] * (1 + q_dyn[:, None]) - primary) / q_dyn[:, None]
        mirrored = np.clip(1 / q_dyn, *bounds)
        for ratio, rv in ((q_dyn, primary), (mirrored, secondary)):
            start = np.zeros((len(theta), len(names)))
            start[:, : theta.shape[1] - 2] = theta[:, :-2]
            start = _with(composite, start, q_dyn=ratio, gamma=gamma)
            start[:, first_rv:] = rv
            starts.append(start)
    return np.stack(starts, 1)


def _triple(composite: Triple, data: Descents) -> NDArray[np.float64]:
    """The best binary, and a third star in what it leaves, at two mass ratios."""
    search = _Search.of(composite, data, _reach(composite.rv_range))
    options = (composite.pairing, composite.shared, composite.continuum, composite.kernel)
    binary = Binary(composite.model, *options, composite.rv_range)
    pairs = Descents(binary, data.wavelength, data.flux, data.ivar, data.device)
    found = pairs.run(find_starts(binary, pairs), tolerance=LOOSE, max_iterations=30)
    two = found.theta.cpu().numpy()
    third = _residual_velocity(search, binary, two)
    primary = _primary(binary, two, data.device)
    theta = _theta_at(composite, primary, FAINT_RATIOS[0], data.device)
    for column, name in enumerate(composite.label_names):
        source = {"q_2": "q", "radius_ratio_2": "radius_ratio"}.get(name, name)
        if source in binary.label_names:
            theta[:, column] = two[:, binary.label_names.index(source)]
    ratio = [i for i, n in enumerate(composite.label_names) if n in ("q_3", "radius_ratio_3")]
    starts = []
    for value in (0.5, 0.75):
        start = _with(composite, theta, rv_3=third)
        start[:, ratio] = value
        starts.append(start)
    return np.stack(starts, 1)


def _primary(binary: Binary, theta: NDArray, device: torch.device) -> NDArray[np.float64]:
    stars = binary.components(torch.as_tensor(theta, device=device))
    return stars.labels[:, 0].cpu().numpy()
