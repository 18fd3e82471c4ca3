"""Exact derivatives of functions that treat every row alike, by forward-mode differentiation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache

import torch
from torch.autograd import forward_ad

__all__ = ["row_jacobian"]


@lru_cache
def _ready() -> None:
    """Let torch load its forward mode, whose import warns of torch's own use of TorchScript."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


def row_jacobian(
    function: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], x: torch.Tensor
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the values of a function of rows, and their derivatives by every input of the row.

    Parameters
    ----------
    function : callable
        (M, D) -> tensors (M, ...), row by row.
    x : (R, D) tensor

    Returns
    -------
    values : list of (R, ...) tensor
    derivatives : list of (R, D, ...) tensor
    """
    _ready()
    n_rows, n_inputs = x.shape
    unit = torch.eye(n_inputs, dtype=x.dtype, device=x.device)
    # Every direction is a row of its own: one pass does them all, without vmap's overhead.
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.repeat_interleave(n_inputs, 0), unit.repeat(n_rows, 1))
        parts = [forward_ad.unpack_dual(out) for out in function(dual)]
    values = [part.primal[::n_inputs] for part in parts]
    tangents = [torch.zeros_like(p.primal) if p.tangent is None else p.tangent for p in parts]
    return values, [t.unflatten(0, (n_rows, n_inputs)) for t in tangents]
