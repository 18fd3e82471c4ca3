"""Classes of a simulated survey: detectors, neighbours on the map, and a few labels to all.

    python benchmarks/labelling.py [--stars 4000] [--rare 2500] [--figures FOLDER] [--steps ...]

The survey has the classes as often as GALAH has them; the peculiar stars of a second one, in which
they are common, are added, so that each class has enough members to count.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestNeighbors

from siderea.classify.calibration import expected_calibration_error
from siderea.classify.catalogue import CODES, LEAST
from siderea.classify.detection import NullDistribution
from siderea.classify.problems import MIN_SPIKES
from siderea.classify.propagation import LabelPropagator
from siderea.classify.review import review_queue
from siderea.embeddings.tsne import TSNEMap
from siderea.figures.confusion import confusion_counts, confusion_matrix
from simulated_classes import MeasuredSurvey, measured_survey, told_apart

ORDER = ("NOR", "HFR", "MAB", "CMP", "CEH", "LIR", "HAE", "BIN", "TRI", "WRD")


def detectors(survey: MeasuredSurvey) -> None:
    """False alarms among normal stars that the null was not learned from, and recall."""
    code, natural = survey.classes, survey.natural
    half = np.arange(code.size) < natural.sum() // 2
    print("detector | normal stars at nominal 10, 1, .1 %: mirrored | simulated null | recall")
    for name, target in CODES.items():
        one = survey.measured.detections[name]
        s, normal = one.significance, natural & (code == "NOR")
        rates = []
        for null in (
            NullDistribution.mirrored(s[natural]),
            NullDistribution.fit(s[normal & half]),
        ):
            chance = null.false_alarm(s[normal & ~half])
            rates.append([f"{100 * np.mean(chance <= level):.2f}" for level in (0.1, 0.01, 0.001)])
        found = (null.false_alarm(s) <= 1e-4) & (one.value >= LEAST[name])
        member = code == ("HAE" if target == "HBE" else target)
        counts = {c: int(found[natural & (code == c)].sum()) for c in ("NOR", "BIN", "HFR")}
        print(
            f"{name} | {' '.join(rates[0])} | {' '.join(rates[1])} | {target}: "
            f"{found[member].mean():.3f} of {member.sum()}; false among natural {counts}"
        )


def problems(survey: MeasuredSurvey) -> None:
    """Which kinds of broken spectra are seen to be broken, and by what."""
    kind, measured = survey.truth["problem"].to_numpy().astype(str), survey.measured
    normal = survey.natural & (survey.classes == "NOR")
    wave = measured.detections["oscillation"]
    null = NullDistribution.fit(wave.significance[normal])
    wavy = (null.false_alarm(wave.significance) <= 1e-4) & (wave.value >= LEAST["oscillation"])
    spiky = measured.spikes >= MIN_SPIKES
    noisy = measured.noise > np.nanquantile(measured.noise[normal], 0.999)
    print("problem | waves | spikes | noise beyond 99.9 % of the normal | flags")
    for one in sorted(set(kind) - {""}):
        of = kind == one
        rates = [f"{flag[of].mean():.2f}" for flag in (wavy, spiky, noisy, measured.flags > 0)]
        print(f"{one} ({of.sum()}) | {' | '.join(rates)}")
    rates = [f"{flag[normal].mean():.4f}" for flag in (wavy, spiky, noisy, measured.flags > 0)]
    print(f"normal | {' | '.join(rates)}")


def neighbours(survey: MeasuredSurvey, folder: Path) -> None:
    """Leave-one-out 10-NN, on the map and in the features, for every class."""
    rows = survey.measured.usable
    features = survey.measured.for_classifier()[rows]
    code = survey.classes[rows]
    scatter = features.std(axis=0)
    features = features / np.sqrt(np.where(scatter > 0, scatter * np.median(scatter), 1.0))
    start = time.perf_counter()
    places = TSNEMap(random_state=0, n_jobs=1).fit_transform(features)
    print(f"t-SNE of {len(features)}: {time.perf_counter() - start:.0f} s")
    classes = [one for one in ORDER if one in set(code)]
    for space, points in (("map", places), ("features", features)):
        near = NearestNeighbors(n_neighbors=11).fit(points).kneighbors(points)[1][:, 1:]
        votes = np.stack([(code[near] == one).sum(axis=1) for one in classes], axis=1)
        found = np.array(classes)[votes.argmax(axis=1)]
        what = f"leave-one-out 10-NN, {space}"
        report(what, code, found, classes, folder, f"knn_{space}")
        of = told_apart(survey.truth)[rows]
        names = [one for one in classes if one in set(code[of]) | set(found[of])]
        report(f"{what}, clear spectra", code[of], found[of], names, folder, f"knn_{space}_clear")


def report(
    what: str, code: np.ndarray, found: np.ndarray, classes: list[str], folder: Path, name: str
) -> None:
    scores = f1_score(code, found, labels=classes, average=None, zero_division=0)
    recall = {c: round(float(np.mean(found[code == c] == c)), 3) for c in classes}
    print(f"{what}: accuracy {np.mean(code == found):.3f}, macro-F1 {scores.mean():.3f}")
    print(f"  F1 {dict(zip(classes, scores.round(3).tolist(), strict=True))}\n  recall {recall}")
    figure = confusion_matrix(confusion_counts(code, found, classes), classes, title=what)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"confusion_{name}.png", dpi=130)


def loop(survey: MeasuredSurvey, folder: Path, *, clear: bool, seed: int, queue: str) -> float:
    """20 labels per class, then 200 more in five batches; macro-F1 of the unlabelled."""
    rows = survey.measured.usable & (survey.classes != "TRI")
    if clear:
        rows &= told_apart(survey.truth)
    features, code = survey.measured.for_classifier()[rows], survey.classes[rows]
    rng = np.random.default_rng(seed)
    labels = np.full(code.size, None, dtype=object)
    for one in np.unique(code):
        chosen = rng.permutation(np.flatnonzero(code == one))[:20]
        labels[chosen] = one
    history = []
    for batch in range(6):
        learner = LabelPropagator().fit(features, labels)
        said = learner.predict(features)
        names = np.array(said.classes)
        best = names[said.probability.argmax(axis=1)]
        open_ = np.array([one is None for one in labels])
        score = f1_score(code[open_], best[open_], average="macro", labels=names)
        history.append(round(float(score), 3))
        if batch == 5:
            break
        if queue == "margin":
            chosen = review_queue(said.margin, features, size=40, skip=~open_, random_state=seed)
        else:
            chosen = rng.permutation(np.flatnonzero(open_))[:40]
        labels[chosen] = code[chosen]
    given = open_ & np.array([one is not None for one in said.label])
    agree = open_ & (said.neighbour_label == best)
    kind = "clear" if clear else "all"
    right = best == code
    honest = expected_calibration_error(said.confidence[open_], right[open_])
    print(
        f"{kind} {code.size}, seed {seed}, {queue}: {history}; calibration error {honest:.3f}, "
        f"abstains {1 - given.sum() / open_.sum():.3f}, accuracy {right[open_].mean():.3f}, "
        f"where it does not abstain {right[given].mean():.3f}, where neighbours agree "
        f"{right[agree].mean():.3f}"
    )
    if queue == "margin" and seed == 0:
        classes = [one for one in ORDER if one in set(names)]
        what = f"20 labels per class + 200, {'clear' if clear else 'all'} spectra"
        report(
            what, code[open_], best[open_], classes, folder, f"loop_{'clear' if clear else 'all'}"
        )
    return history[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=4000)
    parser.add_argument("--rare", type=int, default=2500)
    parser.add_argument("--figures", type=Path, default=Path("figures"))
    parser.add_argument("--steps", nargs="+", default=["detectors", "loop", "map"])
    arguments = parser.parse_args()
    start = time.process_time()
    survey = measured_survey(arguments.stars, arguments.rare)
    counts = dict(zip(*np.unique(survey.classes, return_counts=True), strict=True))
    print(
        f"simulated and measured in {time.process_time() - start:.0f} CPU s: {counts}", flush=True
    )
    if "detectors" in arguments.steps:
        detectors(survey)
        problems(survey)
    if "loop" in arguments.steps:
        for clear, queue in product((True, False), ("margin", "random")):
            seeds = range(5 if clear and queue == "margin" else 2)
            scores = [
                loop(survey, arguments.figures, clear=clear, seed=seed, queue=queue)
                for seed in seeds
            ]
            print(f"  mean of {len(scores)}: {np.mean(scores):.3f}, least {min(scores):.3f}")
    if "map" in arguments.steps:
        neighbours(survey, arguments.figures)


if __name__ == "__main__":
    main()
