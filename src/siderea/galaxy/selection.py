"""Which stars a map is of: an expression over columns, read and checked before it is run.

Only arithmetic, comparisons, ``and or not`` and a few functions are understood, so that an
expression that someone sends can be run. ``sdss_g`` and the other bands stand for magnitudes free
of extinction, where a table has ``ebv``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError

__all__ = ["DISTANCE_LIMITED", "REPORT", "Expression"]

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: np.logical_not,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "log10": np.log10,
    "exp": np.exp,
    "hypot": np.hypot,
    "isfinite": np.isfinite,
    "bit": lambda flags, bit: (np.asarray(flags).astype(np.int64) & bit) != 0,
}


@dataclass(frozen=True)
class Expression:
    """An expression over columns.

    Parameters
    ----------
    text : str

    Examples
    --------
    >>> bright = Expression("14.5 < sdss_r < 20 and abs(b) > 30")
    >>> sorted(bright.names)
    ['b', 'sdss_r']
    >>> bright({"sdss_r": [15.0, 21.0], "b": [-45.0, 50.0]}).tolist()
    [True, False]
    """

    text: str

    def __post_init__(self) -> None:
        for node in ast.walk(self._tree()):
            self._check(node)

    @property
    def names(self) -> frozenset[str]:
        """Columns that it needs."""
        found = {node.id for node in ast.walk(self._tree()) if isinstance(node, ast.Name)}
        return frozenset(found - set(_FUNCTIONS))

    def __call__(self, columns: Mapping[str, ArrayLike]) -> NDArray[Any]:
        """Return the value for each star (N,); a comparison with NaN is false.

        Raises
        ------
        DataError
            If a column is absent.
        """
        lacking = sorted(self.names - set(columns))
        if lacking:
            raise DataError(f"{self.text!r}: found no column {', '.join(lacking)}")
        with np.errstate(all="ignore"):
            return np.asarray(_value(self._tree().body, columns))

    def _tree(self) -> ast.Expression:
        try:
            return ast.parse(self.text.strip(), mode="eval")
        except SyntaxError as error:
            raise DataError(f"expression {self.text!r}: {error.msg}") from None

    def _check(self, node: ast.AST) -> None:
        kinds = (ast.Expression, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Name,
                 ast.Load, ast.And, ast.Or, *_BINARY, *_COMPARE, *_UNARY)  # fmt: skip
        known = isinstance(node, kinds)
        if isinstance(node, ast.Constant):
            known = isinstance(node.value, int | float)
        elif isinstance(node, ast.Call):
            known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
            known = known and not node.keywords
        if not known:
            raise DataError(
                f"expression {self.text!r}: {type(node).__name__} is not understood; expected "
                f"numbers, columns, arithmetic, comparisons, and, or, not, {', '.join(_FUNCTIONS)}"
            )


REPORT = Expression(
    "14.5 < sdss_r < 20 and 0.2 < sdss_g - sdss_r < 0.4 and 0.8 < distance < 9"
    " and -1.6 < fe_h < -0.5"
)
"""Stars of the maps of Ramuz (2020), Figures 19 and 20."""

DISTANCE_LIMITED = Expression(
    "14.5 < sdss_r < 20 and 0.2 < sdss_g - sdss_r < 0.4 and 0.8 < distance < 9"
)
"""Stars of the map of Ivezić et al. (2008), Figure 8: the same of any metallicity."""


def _value(node: ast.expr, columns: Mapping[str, ArrayLike]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return np.asarray(columns[node.id])
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_value(node.operand, columns))
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, columns), _value(node.right, columns)
        return _BINARY[type(node.op)](left, right)
    if isinstance(node, ast.BoolOp):
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return reduce(join, (_value(part, columns) for part in node.values))
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return _FUNCTIONS[node.func.id](*(_value(part, columns) for part in node.args))
    assert isinstance(node, ast.Compare)
    values = [_value(part, columns) for part in (node.left, *node.comparators)]
    pairs = zip(node.ops, values, values[1:], strict=False)
    return reduce(np.logical_and, (_COMPARE[type(op)](a, b) for op, a, b in pairs))
