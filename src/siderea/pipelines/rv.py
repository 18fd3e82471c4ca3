"""Single-lined binaries from a table of radial velocities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.table import Table

from siderea.binaries.orbit_fit import fit_orbit
from siderea.binaries.orbit_samples import sample_orbits
from siderea.binaries.rv_variability import sb1_significance
from siderea.errors import DataError, NotThisProductError
from siderea.io.files import atomic_write
from siderea.io.store import SurveyStore
from siderea.spectra.doppler import add_velocities

__all__ = ["RVResult", "read_velocities", "run"]

COLUMNS = ("star_id", "rv", "rv_err")
PRODUCT = "detections_ccf"
ENOUGH = 10
"""Epochs from which a variable star's orbit is fitted; with fewer it is sampled."""

FEWEST = 4
"""Epochs from which its orbit is sampled: fewer say nothing of the period."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RVResult:
    """What `run` wrote.

    Parameters
    ----------
    table : Path
    n_stars, n_variable, n_orbits : int
        Stars, variable ones, and those of one period.
    floor : float
        Of the errors, km/s.
    """

    table: Path
    n_stars: int
    n_variable: int
    n_orbits: int
    floor: float


def read_velocities(path: str | Path) -> pd.DataFrame:
    """Read a table of velocities: CSV, ECSV, FITS or Parquet, one row per epoch; or a store.

    Parameters
    ----------
    path : path-like
        With ``star_id``, ``rv``, ``rv_err`` (km/s), and ``time`` (BMJD) where orbits are wanted.
        Of a ``NAME.siderea`` folder of repeated spectra, the velocities that ``siderea detect``
        has measured of those that show one star, added to what the spectra were shifted by.

    Raises
    ------
    DataError
        If the file or a column is not there.
    NotThisProductError
        If it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return _of_store(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a table of velocities")
    suffix = path.suffix.lower()
    try:
        if suffix in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        elif suffix in (".fits", ".fit", ".ecsv"):
            form = "ascii.ecsv" if suffix == ".ecsv" else "fits"
            frame = Table.read(path, format=form).to_pandas()
        else:
            frame = pd.read_csv(path, dtype={"star_id": str})
    except (OSError, ValueError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise NotThisProductError(path, f"no table ({reason})", "CSV, FITS or Parquet") from error
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(missing)}; expected star_id, rv, rv_err (km/s) and "
            f"time (BMJD); found {', '.join(map(str, frame.columns))}"
        )
    return _numbers(path, frame)


def _of_store(path: Path) -> pd.DataFrame:
    """Return the velocities of the spectra of a store that were found to show one star."""
    store = SurveyStore.open(path)
    if PRODUCT not in store.products:
        raise DataError(f"{path}: no product {PRODUCT}; run siderea detect on it first")
    found = store.product(PRODUCT).set_index("id").reindex(store.catalogue["id"])
    catalogue = store.catalogue
    rv = found["rv_1"].to_numpy(dtype=float)
    if _frame(store) == "rest" and "rv" in catalogue:
        # A spectrum without a velocity was left where it was.
        rv = add_velocities(rv, np.nan_to_num(catalogue["rv"].to_numpy(dtype=float)))
    single = (found["n_components"] == 1).to_numpy()
    frame = pd.DataFrame(
        {
            "star_id": catalogue["star_id" if "star_id" in catalogue else "id"],
            "rv": np.where(single, rv, np.nan),
            "rv_err": found["rv_1_err"].to_numpy(dtype=float),
        }
    )
    for name in ("time", "mjd"):
        if name in catalogue:
            frame["time"] = catalogue[name].to_numpy(dtype=float)
            break
    return _numbers(path, frame)


def _frame(store: SurveyStore) -> str:
    """Return the frame of the spectra, as the store's provenance tells it."""
    provenance = store.manifest.get("provenance") or {}
    settings = provenance.get("preparation") or provenance.get("recipe", {}).get("settings", {})
    return str(settings.get("frame", "rest"))


def _numbers(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    names = [name for name in ("time", "rv", "rv_err") if name in frame]
    for name in names:
        column = pd.to_numeric(frame[name], errors="coerce")
        if column.notna().sum() < frame[name].notna().sum():
            raise DataError(f"{path}: column {name} holds what is not a number")
        frame = frame.assign(**{name: column.astype(float)})
    star = frame["star_id"]
    words = star.map(lambda one: one.decode() if isinstance(one, bytes) else str(one))
    return frame.assign(star_id=words)[["star_id", *names]]


def run(
    source: str | Path,
    output: str | Path,
    *,
    floor: float | None = None,
    false_alarms: float = 0.01,
    orbits: bool = True,
    random_state: int = 0,
    progress: Progress | None = None,
) -> RVResult:
    """Find single-lined binaries, and the orbits of those with enough epochs.

    Parameters
    ----------
    source : path-like
        See `read_velocities`.
    output : path-like
        Table to write, by suffix CSV or Parquet: a row per star, columns of
        `siderea.binaries.rv_variability.sb1_significance`, and of the orbit ``period``,
        ``eccentricity``, ``amplitude``, ``rv_system``, ``arg_periastron``, ``time_periastron`` with
        ``_err``, ``unimodal`` and ``orbit_method``: fit, samples, or "".
    floor : float, optional
        Floor of the errors, km/s; estimated from the sample by default.
    false_alarms : float
        Expected share of constant stars among those called variable.
    orbits : bool
        Look for the orbits of variable stars.
    random_state : int
        Seed of the samples.
    progress : callable, optional
        Called with (done, in all) as orbits are fitted.

    Returns
    -------
    RVResult
    """
    output = Path(output)
    if output.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"{output}: expected a name that ends in .csv or .parquet")
    frame = read_velocities(source)
    table = sb1_significance(
        frame["rv"].to_numpy(),
        frame["rv_err"].to_numpy(),
        frame["star_id"].to_numpy(dtype=object),
        floor=floor,
        false_alarms=false_alarms,
    )
    if not len(table):
        raise DataError(f"{source}: found no epoch; expected at least one")
    used = float(table["floor"].iloc[0])
    if orbits and "time" in frame:
        table = _with_orbits(frame, table, used, random_state, progress)
    output.parent.mkdir(parents=True, exist_ok=True)
    binary = output.suffix.lower() == ".parquet"
    with atomic_write(output, "wb" if binary else "w") as handle:
        if binary:
            table.to_parquet(handle, index=False)
        else:
            table.to_csv(handle, index=False)
    found = int(table["unimodal"].sum()) if "unimodal" in table else 0
    return RVResult(output, len(table), int(table["variable"].sum()), found, used)


def _with_orbits(
    frame: pd.DataFrame,
    table: pd.DataFrame,
    floor: float,
    random_state: int,
    progress: Progress | None,
) -> pd.DataFrame:
    """Add the orbits of the variable stars."""
    groups = frame.groupby("star_id").indices
    wanted = np.flatnonzero(table["variable"] & (table["n_epochs"] >= FEWEST))
    generators = np.random.default_rng(random_state).spawn(len(wanted))
    found: dict[int, dict[str, object]] = {}
    for number, row in enumerate(wanted.tolist()):
        epochs = frame.iloc[groups[table["star_id"].iloc[row]]].dropna()
        time, rv = epochs["time"].to_numpy(), epochs["rv"].to_numpy()
        error = np.hypot(epochs["rv_err"].to_numpy(), floor)
        good = epochs["rv_err"].to_numpy() > 0
        found[row] = _orbit(time[good], rv[good], error[good], generators[number])
        if progress is not None:
            progress(number + 1, len(wanted))
    orbits = pd.DataFrame.from_dict(found, orient="index", columns=_ORBIT_COLUMNS)
    orbits = orbits.reindex(table.index)
    orbits = orbits.astype(dict.fromkeys(_ORBIT_COLUMNS[:-2], float))
    orbits["unimodal"] = orbits["unimodal"].eq(True)
    orbits["orbit_method"] = orbits["orbit_method"].fillna("").astype(str)
    return pd.concat([table, orbits], axis=1)


_ELEMENTS = (
    "period",
    "eccentricity",
    "amplitude",
    "rv_system",
    "arg_periastron",
    "time_periastron",
)
_ORBIT_COLUMNS = [
    *(name + end for name in _ELEMENTS for end in ("", "_err")),
    "unimodal",
    "orbit_method",
]


def _orbit(
    time: np.ndarray, rv: np.ndarray, error: np.ndarray, rng: np.random.Generator
) -> dict[str, object]:
    """Fit or sample the orbit of one star."""
    span = float(np.ptp(time)) if time.size else 0.0
    if time.size < FEWEST or span <= 2.0:
        return {"unimodal": False, "orbit_method": ""}
    if time.size >= ENOUGH:
        orbit = fit_orbit(time, rv, error)
        values: dict[str, object] = {name: getattr(orbit, name) for name in _ELEMENTS}
        values |= {f"{name}_err": orbit.errors[name] for name in _ELEMENTS}
        return values | {"unimodal": orbit.unimodal, "orbit_method": "fit"}
    samples = sample_orbits(time, rv, error, rng=rng)
    values = {}
    for name in ("period", "eccentricity", "amplitude", "rv_system"):
        draws = np.abs(getattr(samples, name)) if name == "amplitude" else getattr(samples, name)
        values |= {name: float(np.median(draws)), f"{name}_err": float(np.std(draws))}
    # One survivor of many draws is the best of them, not a posterior.
    single = len(samples) > 1 and samples.unimodal(span)
    return values | {"unimodal": single, "orbit_method": "samples"}
