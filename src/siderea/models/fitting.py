"""Fits of models to many spectra at once: velocity grid, several starts, exact descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.data import Spectra
from siderea.errors import DataError, MediumError
from siderea.flags import FitFlag
from siderea.models.composite import Binary, Composite, Single
from siderea.models.levenberg_marquardt import Minimum, minimise
from siderea.models.objective import Objective
from siderea.models.protocol import DifferentiableModel, FitResult
from siderea.models.starts import binary_starts, single_starts
from siderea.models.velocity_grid import SearchGrid

__all__ = ["fit"]

BATCH = 64
STAGE1 = 3
F1=[]
KEPT=[]
KEEP=3
NE=[0]


def fit(spectra, model, *, start=None, device="cpu", max_iterations=60):
    composite = model if isinstance(model, Composite) else Single(model)
    dev = torch.device(device)
    flux = spectra.flux[:, None].astype(float); ivar = spectra.ivar[:, None].astype(float)
    n, d = len(flux), len(composite.label_names)
    fast = Objective(composite, spectra.wavelength, flux, ivar, dtype=torch.float32, device=dev, kernel="cubic")
    line = Objective(composite, spectra.wavelength, flux, ivar, dtype=torch.float32, device=dev)
    slow = Objective(composite, spectra.wavelength, flux, ivar, dtype=torch.float64, device=dev)
    if start is None:
        start = search_starts(composite, spectra)
    start = np.asarray(start)
    if start.ndim == 2: start = start[:, None]
    k = start.shape[1]
    lo, hi = (torch.as_tensor(x) for x in composite.label_range.T)
    theta = torch.as_tensor(start.reshape(n * k, d))
    star = torch.arange(n).repeat_interleave(k)
    keep = torch.arange(n * k)
    if k > 1:
        fast.star_of_row = star
        first = minimise(fast, theta, lo.expand_as(theta), hi.expand_as(theta), max_iterations=STAGE1)
        F1.append(first.at.chi2.reshape(n, k).numpy())
        th1 = first.theta.reshape(n, k, d).numpy(); c1 = F1[-1]
        rows=[]; star=[]
        iq, iv1, iv2 = (composite.label_names.index(x) for x in ("q","rv_1","rv_2"))
        for i in range(n):
            kept=[]
            for j in np.argsort(c1[i]):
                if len(kept) == KEEP: break
                if all(abs(th1[i,j,iq]-th1[i,l,iq])>.1 or abs(th1[i,j,iv1]-th1[i,l,iv1])>5 or abs(th1[i,j,iv2]-th1[i,l,iv2])>5 for l in kept):
                    kept.append(j)
            rows += [th1[i,j] for j in kept]; star += [i]*len(kept)
        theta=torch.as_tensor(np.array(rows)); star=torch.as_tensor(star)
        KEPT.append(len(star)/n)
    fast.star_of_row = star
    second = minimise(fast, theta, lo.expand_as(theta), hi.expand_as(theta), max_iterations=max_iterations)
    best = torch.zeros(n, dtype=torch.long)
    c2 = second.at.chi2.numpy()
    order = np.lexsort((c2, star.numpy()))
    _, firsts = np.unique(star.numpy()[order], return_index=True)
    theta = second.theta[torch.as_tensor(order[firsts])]
    lo = lo.expand_as(theta); hi = hi.expand_as(theta)
    theta = minimise(line, theta, lo, hi, max_iterations=max_iterations).theta
    last = minimise(slow, theta, lo.expand_as(theta), hi.expand_as(theta), tolerance=1e-3, max_iterations=10, damping=1e-6)
    return last


def search_starts(composite, spectra):
    search = SearchGrid.over(spectra.wavelength, composite.rv_range[1])
    binned = search.bin(spectra.flux, spectra.ivar)
    binned = tuple(b.float() for b in binned)
    model = composite.model.to(dtype=torch.float32)
    single = Single(composite.model, rv_range=composite.rv_range)
    s = single_starts(single, model, search, binned)
    if isinstance(composite, Single):
        return s
    r = fit(spectra, single, start=s)
    starts, _ = binary_starts(composite, model, search, binned, r.theta.numpy()[:, :-1], composite.model.label_names)
    return starts
