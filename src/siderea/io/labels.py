"""Labels that people gave to spectra, in a table: id, class, and who said so and when."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from siderea.classify.taxonomy import canonical
from siderea.errors import DataError
from siderea.io.catalogue import ID_COLUMNS, read_table
from siderea.io.label_log import LabelLog

__all__ = ["CLASS_COLUMNS", "read_labels"]

CLASS_COLUMNS = ("class", "classification", "label", "tsne_class", "fff")
"""What the column of classes may be called, in any case; ``FFF`` is the survey's own list."""

LOG_SUFFIX = ".sqlite"


def read_labels(path: str | Path) -> pd.DataFrame:
    """Read a table of labels.

    Parameters
    ----------
    path : path-like
        CSV, or anything `siderea.io.catalogue.read_table` reads. Columns: the identifier (``id``,
        ``sobject_id`` …), the class (`CLASS_COLUMNS`); optionally ``person`` and ``time``. Or the
        explorer's log (``.sqlite``): what stands in it.

    Returns
    -------
    pandas.DataFrame
        Columns ``id`` (str), ``class`` (canonical codes), and ``person``, ``time`` where the
        table has them. Rows without a class are left out.

    Raises
    ------
    DataError
        If the file is not a table, lacks one of the two columns, has no labels, or holds words
        that are no codes.
    """
    table = _standing(Path(path)) if Path(path).suffix == LOG_SUFFIX else read_table(path)
    names = {str(name).strip().lower(): name for name in table}
    column = _first(path, names, CLASS_COLUMNS, "the class")
    identifier = _first(path, names, tuple(one.lower() for one in ID_COLUMNS), "the identifier")
    frame = pd.DataFrame({"id": _as_text(table[identifier]), "class": table[column]})
    for extra in ("person", "time"):
        if extra in names:
            frame[extra] = table[names[extra]]
    filled = frame["class"].notna() & (frame["class"].astype(str).str.strip() != "")
    frame = frame[filled & frame["id"].notna()].reset_index(drop=True)
    if frame.empty:
        raise DataError(f"{path}: no labels; expected rows of an identifier and a class")
    try:
        codes = {code: canonical(str(code)) for code in frame["class"].unique()}
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return frame.assign(**{"class": frame["class"].map(codes)})


def _standing(path: Path) -> pd.DataFrame:
    """Return the classes that stand in the explorer's log."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected the log of siderea explore")
    log = LabelLog(path)
    try:
        said = [(one, entry.value, entry.user, entry.time) for one, entry in log.standing("class")]
    finally:
        log.close()
    return pd.DataFrame(said, columns=["id", "class", "person", "time"])


def _first(
    path: str | Path, names: dict[str, object], wanted: tuple[str, ...], what: str
) -> object:
    found = next((names[name] for name in wanted if name in names), None)
    if found is None:
        raise DataError(
            f"{path}: no column of {what}; expected one of {', '.join(wanted)}, found "
            f"{', '.join(map(str, names.values()))}"
        )
    return found


def _as_text(column: pd.Series) -> pd.Series:
    """Return identifiers as text; a whole number that the table holds as a float, as a whole."""
    if column.dtype.kind == "f":
        whole = column.notna() & (column % 1 == 0)
        text = column.where(~whole, 0).astype(str)
        text[whole] = column[whole].astype("int64").astype(str)
        return text.where(column.notna())
    return column.astype(str).str.strip().where(column.notna())
