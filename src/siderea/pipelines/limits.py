"""How far each channel sees: injected single stars and binaries, searched by every channel."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.binaries.combination import Combination, default_combination, found, score
from siderea.binaries.compare import at_false_positives, summary
from siderea.binaries.injection import Injections, InjectionSettings, light_ratio
from siderea.binaries.model_calibration import ModelCalibration
from siderea.errors import DataError
from siderea.io.files import atomic_write
from siderea.io.store import SurveyStore
from siderea.pipelines.compare import detections
from siderea.pipelines.detect import ModelRecipe, Progress, detect, detect_ccf
from siderea.pipelines.detect_map import detect_map
from siderea.pipelines.embed import embed
from siderea.pipelines.limits_figures import draw_limits, tabulate
from siderea.pipelines.simulate import Recipe as SurveyRecipe
from siderea.pipelines.simulate import instrument_of, simulate_spectra
from siderea.simulate.spectra import SpectralSurvey, SpectraSettings
from siderea.spectra.instruments import GALAH_GRID, InstrumentGrid

__all__ = ["InjectionRecipe", "LimitsResult", "groups", "inject", "limits", "search", "seen_by_eye"]

LABELLED, ENOUGH, LEAST = 0.25, 100, 20
"""Share of the spectra whose class the map channel is told: more where that is fewer than 100
binaries. With fewer than 20 in all, the map is left out."""

EYE = (20.0, 0.15)
"""Δv (km/s) and light ratio from which a person who looks at a spectrum calls it a binary."""

FALSE_POSITIVES = 0.01

Sets = dict[str, NDArray[np.bool_]]
Report = Callable[[str], Progress]


@dataclass(frozen=True)
class InjectionRecipe:
    """All that injected spectra depend on, as `siderea.pipelines.simulate.Recipe`.

    Parameters
    ----------
    n_stars, seed : int
    injections : InjectionSettings
    settings : SpectraSettings
    """

    n_stars: int
    seed: int = 0
    injections: InjectionSettings = field(default_factory=InjectionSettings)
    settings: SpectraSettings = field(default_factory=SpectraSettings)

    @property
    def n_rows(self) -> int:
        """Number of spectra."""
        return self.n_stars * self.settings.visits

    def grid(self) -> InstrumentGrid:
        """Return the pixels."""
        return GALAH_GRID

    def survey(self) -> SpectralSurvey:
        """Return the survey, ready to make its blocks."""
        stars = Injections(self.n_stars, self.seed, self.injections)
        return SpectralSurvey(stars, self.n_stars, instrument_of("galah"), self.settings, self.seed)


@dataclass(frozen=True)
class LimitsResult:
    """What `limits` wrote.

    Parameters
    ----------
    summary : pandas.DataFrame
        Shares found in groups of stars, by channel.
    tables, figures : tuple of Path
    """

    summary: pd.DataFrame
    tables: tuple[Path, ...]
    figures: tuple[Path, ...]


def inject(
    path: str | Path,
    recipe: InjectionRecipe,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> SurveyStore:
    """Simulate injected spectra into a store, or go on with it; a complete one is opened.

    Raises
    ------
    SidereaError
        If there is a store of another recipe.
    """
    path = Path(path)
    if (path / "products" / "truth.parquet").is_file():
        store = SurveyStore.open(path)
        made = store.product_info("truth")["parameters"]
        if (made["n_stars"], made["seed"]) != (recipe.n_stars, recipe.seed):
            raise DataError(
                f"{path}: holds {made['n_stars']} stars of seed {made['seed']}; expected "
                f"{recipe.n_stars} of seed {recipe.seed}: choose another folder"
            )
        return store
    # the simulator asks of a recipe no more than this one has
    return simulate_spectra(cast(SurveyRecipe, recipe), path, jobs=jobs, progress=progress)


def seen_by_eye(truth: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which spectra of a truth table a person would call binary (N,)."""
    apart = truth["dv"].abs().fillna(0.0).to_numpy() >= EYE[0]
    return np.asarray(apart & (light_ratio(truth) >= EYE[1]))


def search(
    store: SurveyStore,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    calibration: ModelCalibration | None = None,
    report: Report = lambda _: lambda _done, _all: None,
) -> None:
    """Search a store of injected spectra by every channel that has not yet done so."""
    if "detections_ccf" not in store.products:
        detect_ccf(store.path, jobs=jobs, scheduler=scheduler, progress=report("ccf"))
    if "tsne" not in store.products:
        embed(store.path, method="tsne", progress=report("map"))
    if "detections_map" not in store.products:
        labels = _labels(store)
        if labels is not None:
            detect_map(store.path, map_name="tsne", labels=labels)
    if "detections_model" not in store.products:
        recipe = ModelRecipe(calibration=calibration)
        detect(store.path, recipe, jobs=jobs, scheduler=scheduler, progress=report("model"))


def _labels(store: SurveyStore) -> Path | None:
    """Write the classes that are known of a share of the spectra; return the table."""
    truth = store.product("truth")
    seen = seen_by_eye(truth)
    if seen.sum() < LEAST:
        return None
    share = max(LABELLED, ENOUGH / seen.sum())
    known = np.random.default_rng(len(store)).random(len(truth)) < share
    word = np.where(seen, "BIN", "NOR")
    path = store.path / "labels.csv"
    with atomic_write(path, "w") as handle:
        frame = pd.DataFrame({"id": truth["id"][known], "class": word[known]})
        frame.to_csv(handle, index=False)
    return path


def limits(
    output: str | Path,
    *,
    n_stars: int = 20_000,
    seed: int = 0,
    injections: InjectionSettings | None = None,
    combination: Combination | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    keep: bool = False,
    report: Report = lambda _: lambda _done, _all: None,
) -> LimitsResult:
    """Inject stars, search them by every channel, and say what each finds.

    Parameters
    ----------
    output : path-like
        Folder of tables and figures.
    n_stars, seed : int
        Spectra to inject.
    injections : InjectionSettings, optional
        What they are.
    combination : Combination, optional
        The shipped one by default.
    jobs, scheduler
        Processes here, or the address of a Dask scheduler.
    keep : bool
        Keep the spectra, 131 kB each, and the channels' tables.
    report : callable, optional
        By the name of a step returns what is called with (done, in all).

    Returns
    -------
    LimitsResult

    Raises
    ------
    SidereaError
        If the folder holds another run.

    Notes
    -----
    A run that was stopped goes on where it was.
    """
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = InjectionRecipe(n_stars, seed, injections or InjectionSettings())
    store = inject(folder / "injections.siderea", recipe, jobs=jobs, progress=report("spectra"))
    search(store, jobs=jobs, scheduler=scheduler, report=report)
    truth = store.product("truth")
    fixed, equal = decisions(store, truth, combination or default_combination())
    binary = truth["n_stars"].to_numpy() > 1
    parts = [
        summary(sets, binary, groups(truth)).assign(threshold=word)
        for word, sets in (("shipped", fixed), ("1 % of singles", equal))
    ]
    table = pd.concat(parts, ignore_index=True)
    tables = [_write(table, folder / "summary.csv")]
    tables.append(_write(tabulate(truth, fixed), folder / "limits.csv"))
    figures = draw_limits(folder, truth, fixed, equal)
    if not keep:
        shutil.rmtree(store.path)
    return LimitsResult(table, tuple(tables), tuple(figures))


def decisions(
    store: SurveyStore, truth: pd.DataFrame, combination: Combination
) -> tuple[Sets, Sets]:
    """Return what each channel finds by its own threshold, and at 1 % of the single stars."""
    tables = {k: v for k, v in detections(store).items() if k in combination.channels}
    together = combination(tables)
    binary = truth["n_stars"].to_numpy() > 1
    fixed = {name: found(name, table) for name, table in tables.items()}
    fixed["combined"] = together["is_binary"].to_numpy(dtype=bool)
    scores = {name: score(name, table) for name, table in tables.items()}
    scores["combined"] = together["probability"].to_numpy(dtype=float)
    equal = {n: at_false_positives(s, binary, FALSE_POSITIVES) for n, s in scores.items()}
    return fixed, equal


def groups(truth: pd.DataFrame) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the groups of stars of the summary: names and members (N,)."""
    binary = truth["n_stars"].to_numpy() > 1
    dwarf, snr, vsini = (truth["logg"] > 3.8).to_numpy(), truth["snr"].to_numpy(), truth["vsini"]
    dv, q, ratio = truth["dv"].abs().to_numpy(), truth["q"].to_numpy(), light_ratio(truth)
    close = binary & (dv < 10) & (q > 0.5) & (q < 0.85) & dwarf
    return [
        ("single stars", ~binary),
        ("single dwarfs", ~binary & dwarf),
        ("single giants", ~binary & ~dwarf),
        ("single, vsini > 30", ~binary & (vsini > 30).to_numpy()),
        ("single, S/N >= 100", ~binary & (snr >= 100)),
        ("binaries", binary),
        ("binaries, light ratio >= 0.03", binary & (ratio >= 0.03)),
        ("dv >= 25, ratio >= 0.3, S/N >= 40", binary & (dv >= 25) & (ratio >= 0.3) & (snr >= 40)),
        ("dv >= 25, ratio 0.1 to 0.3", binary & (dv >= 25) & (ratio >= 0.1) & (ratio < 0.3)),
        ("dv >= 25, ratio 0.01 to 0.1", binary & (dv >= 25) & (ratio >= 0.01) & (ratio < 0.1)),
        ("dv 10 to 25, ratio >= 0.1", binary & (dv >= 10) & (dv < 25) & (ratio >= 0.1)),
        ("dv < 10, q 0.5 to 0.85, dwarfs, S/N >= 100", close & (snr >= 100)),
        ("dv < 10, q 0.5 to 0.85, dwarfs, S/N < 100", close & (snr < 100)),
        ("dv < 10, q > 0.85, dwarfs", binary & (dv < 10) & (q >= 0.85) & dwarf),
        ("primary a giant", binary & ~dwarf),
    ]


def _write(table: pd.DataFrame, path: Path) -> Path:
    with atomic_write(path, "w") as handle:
        table.to_csv(handle, index=False, float_format="%.5g")
    return path
