"""Filters in words: ``teff > 5000 and snr >= 40``, parsed, checked and worked out over columns.

Python's own parser reads the expression; only the kinds of node in a short list are obeyed, each by
a function of this file. Nothing is compiled or evaluated, no attribute is looked up, and constants
become 64-bit numbers at once, so that no expression costs more than its terms times N.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.explorer.columns import Columns
from siderea.explorer.values import Values

__all__ = ["MOST_CHARACTERS", "MOST_TERMS", "mask_of"]

MOST_CHARACTERS = 2000
MOST_TERMS = 200
MOST_DEPTH = 40
"""Each level may hold a column in memory until the one below it is done."""
MOST_CHAINED = 4

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<number>\d[\d_.]*(?:[eE][+-]?\d+)?)"""
    r"""|(?P<name>[^\W\d]\w*(?:[.:][^\W\d]\w*)?)"""
)
_WORDS = {"and", "or", "not", "in", "True", "False"}
_FUNCTIONS: dict[str, Callable[..., NDArray]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
    "sin": np.sin,
    "cos": np.cos,
    "radians": np.radians,
}
_SPECIAL = {"has", "missing", "column"}
_ARITHMETIC: dict[type[ast.operator], Callable[..., NDArray]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def mask_of(expression: str, columns: Columns, n_rows: int) -> NDArray[np.bool_]:
    """Return which rows satisfy an expression.

    Parameters
    ----------
    expression : str
        See ``docs/explorer-api.md``.
    columns : Columns
        Where names are looked up.
    n_rows : int

    Returns
    -------
    (N,) ndarray of bool

    Raises
    ------
    DataError
        If it is too long, not understood, or names what is not there.
    """
    tree, names = _parsed(expression)
    with np.errstate(all="ignore"):
        found = _Evaluation(columns, names).of(tree)
    return np.array(np.broadcast_to(_as_mask(found), (n_rows,)))


def _parsed(expression: str) -> tuple[ast.expr, dict[str, str]]:
    """Return the tree, with columns named c0, c1 ..., and what these stand for."""
    if len(expression) > MOST_CHARACTERS:
        raise DataError(f"expression: found {len(expression)} characters; at most 2000 are taken")
    names: dict[str, str] = {}
    text = _TOKEN.sub(lambda match: _placeholder(match, names), expression.strip())
    try:
        tree = ast.parse(text, mode="eval").body
        size, depth = _extent(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(
            "expression: not understood; expected something like teff > 5000 and snr >= 40"
        ) from error
    if size > 4 * MOST_TERMS or depth > MOST_DEPTH:
        raise DataError(
            f"expression: more than {MOST_TERMS} terms or {MOST_DEPTH} levels; make it shorter"
        )
    return tree, names


def _extent(tree: ast.expr) -> tuple[int, int]:
    """Return how many nodes a tree has, and how deep it is."""
    size, depth, level = 0, 0, [tree]
    while level:
        size, depth = size + len(level), depth + 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]  # type: ignore
    return size, depth


def _placeholder(match: re.Match[str], names: dict[str, str]) -> str:
    """Replace a column's name, which may be one of Python's words (``class``), by a plain one."""
    word = match["name"]
    if word is None or word in _WORDS or word in _FUNCTIONS or word in _SPECIAL:
        return match[0]
    return names.setdefault(word, f"c{len(names)}")


class _Evaluation:
    """The values of the nodes of a tree."""

    def __init__(self, columns: Columns, names: dict[str, str]) -> None:
        self.columns = columns
        self.names = {stand_in: name for name, stand_in in names.items()}
        self._kinds: dict[type[ast.expr], Callable[[Any], Any]] = {
            ast.BoolOp: self._bool_op,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._binary,
            ast.Compare: self._compare,
            ast.Call: self._call,
            ast.Name: self._name,
            ast.Constant: self._constant,
            ast.Tuple: self._several,
            ast.List: self._several,
        }

    def of(self, node: ast.expr) -> Any:
        obey = self._kinds.get(type(node))
        if obey is None:
            raise DataError(
                "expression: only comparisons, and/or/not, arithmetic and a few functions are "
                f"taken; found a {type(node).__name__}"
            )
        return obey(node)

    def _bool_op(self, node: ast.BoolOp) -> NDArray:
        masks = [_as_mask(self.of(one)) for one in node.values]
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        found = masks[0]
        for mask in masks[1:]:
            found = join(found, mask)
        return found

    def _unary(self, node: ast.UnaryOp) -> NDArray:
        value = self.of(node.operand)
        if isinstance(node.op, ast.Not | ast.Invert):
            return np.logical_not(_as_mask(value))
        return -_as_number(value) if isinstance(node.op, ast.USub) else _as_number(value)

    def _binary(self, node: ast.BinOp) -> NDArray:
        left, right = self.of(node.left), self.of(node.right)
        if isinstance(node.op, ast.BitAnd | ast.BitOr):
            return _bits(left, right, both=isinstance(node.op, ast.BitAnd))
        act = _ARITHMETIC.get(type(node.op))
        if act is None:
            raise DataError("expression: of operators only + - * / % ** & | are taken")
        return act(_as_float(left), _as_float(right))

    def _compare(self, node: ast.Compare) -> NDArray:
        if len(node.ops) >= MOST_CHAINED:
            raise DataError("expression: at most three comparisons in a row; join them by and")
        sides = [self.of(one) for one in (node.left, *node.comparators)]
        found: Any = np.True_
        for number, act in enumerate(node.ops):
            found = np.logical_and(found, _compared(act, sides[number], sides[number + 1]))
        return found

    def _call(self, node: ast.Call) -> Any:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        wanted = 2 if name == "has" else 1
        if node.keywords or len(node.args) != wanted or name not in {*_FUNCTIONS, *_SPECIAL}:
            known = ", ".join(sorted({*_FUNCTIONS, *_SPECIAL}))
            raise DataError(f"expression: functions are {known}, each of its one or two values")
        if name == "column":
            return self._column(_as_text(self.of(node.args[0])))
        if name == "missing":
            return _missing(self.of(node.args[0]))
        if name == "has":
            return self._has(node.args[0], _as_text(self.of(node.args[1])))
        return _FUNCTIONS[name](_as_float(self.of(node.args[0])))

    def _has(self, node: ast.expr, flag: str) -> NDArray:
        """Return where a flag is set, by its name."""
        if not isinstance(node, ast.Name) or node.id not in self.names:
            raise DataError('expression: has() takes a column of flags, as has(flags, "NO_RV")')
        column = self.columns.column(self.columns.named(self.names[node.id]))
        bits = {one.name: one.bit for one in column.flags}
        if flag not in bits:
            known = ", ".join(bits) or "none: it holds no flags"
            raise DataError(f"expression: no flag {flag[:40]!r} in {column.key}; it has {known}")
        return (self.columns.values(column.key).array & bits[flag]) != 0

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise DataError("expression: a function stands where a column should")
        return self._column(self.names[node.id])

    def _column(self, name: str) -> Any:
        key = self.columns.named(name)
        values = self.columns.values(key)
        if values.kind == "text":
            raise DataError(f"expression: {key} is text; search finds objects by name")
        return values if values.kind == "category" else values.array

    def _constant(self, node: ast.Constant) -> Any:
        value = node.value
        if isinstance(value, bool):
            return np.bool_(value)
        if isinstance(value, int):
            return np.int64(value) if abs(value) < 2**62 else np.float64(str(value))
        if isinstance(value, float):
            return np.float64(value)
        if isinstance(value, str):
            return value
        raise DataError("expression: constants are numbers and words in quotes")

    def _several(self, node: ast.Tuple | ast.List) -> tuple[Any, ...]:
        if not all(isinstance(one, ast.Constant) for one in node.elts):
            raise DataError("expression: after in, a list of numbers or words in quotes")
        return tuple(self.of(one) for one in node.elts)


def _compared(act: ast.cmpop, left: Any, right: Any) -> Any:
    if isinstance(act, ast.In | ast.NotIn):
        if not isinstance(right, tuple):
            raise DataError('expression: after in, a list: class in ("BIN", "TRI")')
        found: Any = np.False_
        for one in right:
            found = np.logical_or(found, _compared(ast.Eq(), left, one))
        return found if isinstance(act, ast.In) else np.logical_and(~found, ~_missing(left))
    compare = _COMPARISONS.get(type(act))
    if compare is None:
        raise DataError("expression: comparisons are < <= > >= == != in")
    if isinstance(left, Values | str) or isinstance(right, Values | str):
        return _words_compared(act, left, right)
    left, right = _as_number(left), _as_number(right)
    return compare(left, right) & ~np.isnan(left) & ~np.isnan(right)


def _words_compared(act: ast.cmpop, left: Any, right: Any) -> NDArray[np.bool_]:
    column, word = (left, right) if isinstance(left, Values) else (right, left)
    if not (isinstance(column, Values) and isinstance(word, str)) or not isinstance(
        act, ast.Eq | ast.NotEq
    ):
        raise DataError('expression: words are compared by == and !=, as class == "BIN"')
    code = column.words.index(word) if word in column.words else -2
    if isinstance(act, ast.Eq):
        return column.array == code
    return (column.array != code) & (column.array >= 0)


def _missing(value: Any) -> NDArray[np.bool_]:
    if isinstance(value, Values):
        return value.array < 0
    return np.isnan(_as_number(value))


def _as_number(value: Any) -> NDArray:
    if isinstance(value, Values | str | tuple) or np.asarray(value).dtype.kind not in "if":
        raise DataError("expression: a number was expected, found words or a comparison")
    return np.asarray(value)


def _as_float(value: Any) -> NDArray[np.float64]:
    return _as_number(value).astype(np.float64)


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise DataError("expression: a word in quotes was expected")
    return value


def _as_mask(value: Any) -> NDArray[np.bool_]:
    array = None if isinstance(value, Values | str | tuple) else np.asarray(value)
    if array is None or array.dtype.kind == "f":
        raise DataError("expression: a comparison was expected, as teff > 5000")
    return array.astype(bool)


def _bits(left: Any, right: Any, *, both: bool) -> NDArray:
    left, right = (
        np.asarray(one) if not isinstance(one, Values | str | tuple) else one
        for one in (left, right)
    )
    kinds = {getattr(one, "dtype", np.dtype(object)).kind for one in (left, right)}
    if kinds not in ({"i"}, {"b"}):
        raise DataError("expression: & and | join two comparisons in brackets, or flags and bits")
    return left & right if both else left | right
