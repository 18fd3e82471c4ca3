"""All seven models of the two-Gaussian family, fitted to a batch of light curves."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from siderea.lightcurves.gaussian_family import FAMILY, WIDEST, Model, Points, quadratic, values
from siderea.lightcurves.gaussian_starts import Dip, Dips, MatchedFilter, compressed, paired, tide
from siderea.models.levenberg_marquardt import Quadratic, minimise

__all__ = ["BatchFit", "box", "fit_batch"]

BINS = 160
"""Compressed points of the first descent."""

COMPRESS = 384
"""Curves of more points than this are compressed for the first descent."""

FILTER_BINS = 512

CONTENDERS = 2.0
"""Models whose criterion is within this of the best are brought to their minimum on all points."""

SPACINGS = 0.15
"""Smallest σ in mean spacings of the points: below, a Gaussian is one point."""


OPPOSITE = 1e-3
"""Separations this near to ½ put the ellipsoidal minima of either eclipse at the same phases."""

APART = 1.4
"""Two Gaussians nearer than this, in sums of their σ (half of the widths), are the two halves of
one eclipse that is no Gaussian: such a fit does not count."""


@dataclass
class BatchFit:
    """What `fit_batch` found for R curves and the 7 models.

    Parameters
    ----------
    theta : list of (R, D) tensor
        Parameters of every model.
    chi2, bic : (R, 7) tensor
    converged : (R, 7) tensor of bool
    choice : (R,) tensor
        Number of the best model.
    scale : (R,) tensor
        Factor on the errors, 1 or more.
    points : Points
        All points, weighted by the errors so scaled.
    """

    theta: list[torch.Tensor]
    chi2: torch.Tensor
    bic: torch.Tensor
    converged: torch.Tensor
    choice: torch.Tensor
    scale: torch.Tensor
    points: Points

    def covariance(self, number: int, rows: torch.Tensor) -> torch.Tensor:
        """Return the covariance (r, D, D) of one model's parameters."""
        normal = quadratic(FAMILY[number], self.theta[number][rows], self.points[rows]).normal
        size = torch.diagonal(normal, dim1=1, dim2=2).clamp(min=1e-300).sqrt()
        scaled = normal / (size[:, :, None] * size[:, None, :])
        inverse = torch.linalg.pinv(scaled, rtol=1e-12, hermitian=True)
        return inverse / (size[:, :, None] * size[:, None, :])


def fit_batch(points: Points, count: torch.Tensor) -> BatchFit:
    """Fit every model of the family to R light curves.

    Parameters
    ----------
    points : Points
        (R, M), phases in [0, 1).
    count : (R,) tensor
        Points of each that are not padding; all between one power of two and the next, which
        decides the bins of the filter and the narrowest width.
    """
    octave = 2 ** (int(count.max()).bit_length() - 1)
    narrowest, bins = min(SPACINGS / octave, 0.02), min(FILTER_BINS, 2 * octave)
    wave, filters = tide(points), MatchedFilter(points, bins, narrowest)
    job = _Job(points, count, narrowest)
    total = points.weight.sum(1)
    job.put(0, ((points.weight * points.flux).sum(1) / total)[:, None], None)
    job.put(1, torch.stack((wave.level, wave.position, wave.amplitude), 1), None)
    found, few = job.one_then_two(filters, points.flux, 0.0 * total)
    calm = points.flux - wave.light(points.phase)
    beneath, few_calm = job.one_then_two(filters, calm, 0.5 * wave.amplitude)
    job.few = few
    job.twin(few_calm)
    # A model cannot end above one that it contains.
    for number, inner in CONTAINS:
        job.restart(number, inner, found, beneath)
    job.polish()
    return job.result()


CONTAINS = ((2, 0), (3, 1), (3, 2), (4, 2), (5, 3), (6, 3), (5, 4), (6, 4))
"""Pairs of a model and a smaller one that it becomes when a depth or amplitude vanishes."""


class _Job:
    """The state of one batch: parameters, χ² on all points, and whether a descent has ended."""

    def __init__(self, points: Points, count: torch.Tensor, narrowest: float) -> None:
        rows = len(count)
        self.points, self.few, self.count, self.narrowest = points, points, count, narrowest
        self.theta = [points.flux.new_zeros((rows, model.size)) for model in FAMILY]
        self.chi2 = points.flux.new_full((rows, len(FAMILY)), torch.inf)
        self.converged = torch.ones((rows, len(FAMILY)), dtype=torch.bool)
        self.sizes = torch.tensor([model.size for model in FAMILY])

    def one_then_two(
        self, filters: MatchedFilter, flux: torch.Tensor, amplitude: torch.Tensor
    ) -> tuple[Dips, Points]:
        """Fit one eclipse, and then two: the second begins at the best of what the first leaves.

        Parameters
        ----------
        filters : MatchedFilter
        flux : (R, M) tensor
            In which the first eclipse is looked for.
        amplitude : (R,) tensor
            Of the ellipsoidal term at the start; models without it are fitted where it is 0.

        Returns
        -------
        Dips
            Both eclipses, as the filter found them.
        Points
            Compressed about them.
        """
        tied = bool((amplitude > 0).any())
        single, double = (3, 5) if tied else (2, 4)
        first = filters.best(flux)
        opposite = Dip(torch.remainder(first.mu + 0.5, 1.0), first.depth, first.sigma)
        level = (self.points.weight * flux).sum(1) / self.points.weight.sum(1)
        some = self._compressed(paired(first, opposite))
        self.descend(single, _start(FAMILY[single], level, paired(first, first), amplitude), some)
        theta = self.theta[single]
        left = self.points.flux - values(FAMILY[single], theta, self.points.phase)
        held = Dip(theta[:, 1], theta[:, 2], theta[:, 3])
        second = filters.best(left, apart_from=held)
        both = paired(held, second)
        some = self._compressed(both)
        amplitude = theta[:, -1] if tied else amplitude
        self.descend(double, _start(FAMILY[double], theta[:, 0], both, amplitude), some)
        return paired(first, second), some

    def _compressed(self, eclipses: Dips) -> Points:
        few = self.points.phase.shape[1] <= COMPRESS
        return self.points if few else compressed(self.points, eclipses, BINS)

    def put(
        self,
        number: int,
        theta: torch.Tensor,
        rows: torch.Tensor | None,
        converged: torch.Tensor | None = None,
    ) -> None:
        """Take up parameters where they are better than those that are there."""
        rows = torch.arange(len(theta)) if rows is None else rows
        chi2 = _chi2(FAMILY[number], theta, self.points[rows])
        chi2 = torch.where(_apart(FAMILY[number], theta), chi2, torch.inf)
        better = chi2 < self.chi2[rows, number]
        at = rows[better]
        self.theta[number][at] = theta[better]
        self.chi2[at, number] = chi2[better]
        if converged is not None:
            self.converged[at, number] = converged[better]

    def descend(
        self,
        number: int,
        start: torch.Tensor,
        points: Points,
        rows: torch.Tensor | None = None,
        *,
        tolerance: float = 2e-2,
        max_iterations: int = 16,
        chi2: torch.Tensor | None = None,
    ) -> None:
        """Bring one model to its minimum, by all rows or some, and keep what is better."""
        model = FAMILY[number]
        lower, upper = box(model, self.narrowest)
        rows = torch.arange(len(start)) if rows is None else rows
        start = torch.minimum(torch.maximum(start, lower), upper)
        # Where a model can only be poor, steps count against what is left, not the errors alone.
        freedom = (self.count[rows] - model.size).clamp(min=1)
        at_start = _chi2(model, start, points) if chi2 is None else chi2
        poor = (at_start / freedom).clamp(min=1.0)
        used = Points(points.phase, points.flux, points.weight / poor[:, None])

        def objective(theta: torch.Tensor, some: torch.Tensor) -> Quadratic:
            return quadratic(model, theta, used[some])

        def limits(theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return lower.expand_as(theta), upper.expand_as(theta)

        found = minimise(
            objective, start, limits, tolerance=tolerance, max_iterations=max_iterations
        )
        self.put(number, found.theta, rows, found.converged)

    def twin(self, points: Points) -> None:
        """Fit CG12E2 from CG12E1; with eclipses half a period apart the two are one."""
        theta = self.theta[5]
        self.put(6, theta.clone(), None, self.converged[:, 5])
        apart = torch.remainder(theta[:, 4] - theta[:, 1], 1.0)
        rows = ((apart - 0.5).abs() > OPPOSITE).nonzero()[:, 0]
        if rows.numel():
            self.descend(6, theta[rows], points[rows], rows)

    def restart(self, number: int, inner: int, found: Dips, beneath: Dips) -> None:
        """Begin again from a smaller model wherever the larger one ended no better."""
        rows = (self.chi2[:, number] > self.chi2[:, inner] + 1e-6).nonzero()[:, 0]
        if rows.numel() == 0:
            return
        eclipses = beneath if FAMILY[number].tide is not None else found
        start = _grown(inner, number, self.theta[inner][rows], eclipses, rows)
        self.descend(number, start, self.few[rows], rows)

    def criterion(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the criterion of every model (R, 7) and the factor on the errors (R,)."""
        freedom = (self.count[:, None] - self.sizes).clamp(min=1)
        allowed = self.count[:, None] > self.sizes + 1
        reduced = torch.where(allowed, self.chi2 / freedom, torch.inf).amin(1)
        squared = reduced.clamp(min=1.0)
        bic = self.chi2 / squared[:, None] + self.sizes * torch.log(self.count.double())[:, None]
        return torch.where(allowed, bic, torch.inf), squared.sqrt()

    def polish(self) -> None:
        """Bring the best models of each curve to their minimum on all points."""
        bic, _ = self.criterion()
        near = bic < bic.amin(1, keepdim=True) + CONTENDERS
        for number in range(2, 7):
            rows = near[:, number].nonzero()[:, 0]
            if rows.numel():
                start = self.theta[number][rows]
                self.descend(
                    number,
                    start,
                    self.points[rows],
                    rows,
                    max_iterations=12,
                    chi2=self.chi2[rows, number],
                )

    def result(self) -> BatchFit:
        """Choose."""
        bic, scale = self.criterion()
        weight = self.points.weight / scale[:, None] ** 2
        points = Points(self.points.phase, self.points.flux, weight)
        choice = bic.argmin(1)
        return BatchFit(self.theta, self.chi2, bic, self.converged, choice, scale, points)


def _chi2(model: Model, theta: torch.Tensor, points: Points) -> torch.Tensor:
    return (points.weight * (points.flux - values(model, theta, points.phase)) ** 2).sum(1)


def _apart(model: Model, theta: torch.Tensor) -> torch.Tensor:
    """Say whether two Gaussians are two eclipses, and not the shape of one."""
    if model.eclipses < 2:
        return torch.ones(len(theta), dtype=torch.bool)
    distance = theta[:, 1] - theta[:, 4]
    distance = (distance - torch.round(distance)).abs()
    return distance > APART * (theta[:, 3] + theta[:, 6])


def _start(
    model: Model, level: torch.Tensor, eclipses: Dips, amplitude: torch.Tensor
) -> torch.Tensor:
    columns = [level]
    for number in range(model.eclipses):
        columns += [eclipses.mu[:, number], eclipses.depth[:, number], eclipses.sigma[:, number]]
    if model.tide is not None:
        columns.append(amplitude)
    return torch.stack(columns, 1)


def _grown(
    inner: int, number: int, theta: torch.Tensor, eclipses: Dips, rows: torch.Tensor
) -> torch.Tensor:
    """Write a smaller model as a larger one: what is new has next to no depth or amplitude."""
    small, large = FAMILY[inner], FAMILY[number]
    level = theta[:, :1]
    parts = [theta[:, 1 + 3 * k : 4 + 3 * k] for k in range(small.eclipses)]
    amplitude = theta[:, -1:] if small.tide is not None else 1e-3 * level.abs()
    position = theta[:, 1:2]
    for k in range(small.eclipses, large.eclipses):
        mu = eclipses.mu[rows, k][:, None]
        sigma = eclipses.sigma[rows, k][:, None]
        if small.eclipses:  # the eclipse that the smaller model has not got
            other = eclipses.mu[rows, 0][:, None] - parts[0][:, :1]
            far = (other - torch.round(other)).abs() > 2.0 * parts[0][:, 2:]
            mu = torch.where(far, eclipses.mu[rows, 0][:, None], mu)
            sigma = torch.where(far, eclipses.sigma[rows, 0][:, None], sigma)
        elif small.tide is not None:
            mu = position
        parts.append(torch.cat((mu, 1e-3 * level.abs(), sigma), 1))
    if number == 6 and inner == 3:  # the ellipsoidal term goes with the second eclipse
        parts.reverse()
    tail = [amplitude] if large.tide is not None else []
    return torch.cat((level, *parts, *tail), 1)


def box(model: Model, narrowest: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the least and largest value (D,) of each parameter of a model."""
    free = torch.inf
    lower, upper = [-free], [free]
    for _ in range(model.eclipses):
        lower += [-free, 0.0, narrowest]
        upper += [free, free, WIDEST]
    if model.tide is not None:
        lower.append(0.0)
        upper.append(free)
    return torch.tensor(lower, dtype=torch.float64), torch.tensor(upper, dtype=torch.float64)
