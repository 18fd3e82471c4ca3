"""The 61 real GALAH spectra on a map together with a simulated survey: where they land.

    SIDEREA_DATA=... python benchmarks/real_on_map.py [--stars 4000] [--rare 2500] [--figure FILE]

The real spectra are ingested as any user would; the components, the references and the classifier
are learned from simulated spectra alone. For each real star: the classes of its ten nearest
simulated spectra (WRD and TRI left out) on the map and in the features, the distance to each class
in units of what is usual among neighbours, the class that a classifier of simulated labels gives,
what the detectors found.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from siderea.classify.catalogue import CODES, LEAST
from siderea.classify.detection import NullDistribution
from siderea.classify.measure import Measurements
from siderea.classify.propagation import LabelPropagator
from siderea.classify.taxonomy import CLASSES, colour
from siderea.embeddings.tsne import TSNEMap
from siderea.figures.style import style
from siderea.io.store import SurveyStore
from siderea.pipelines.ingest import ingest
from simulated_classes import MeasuredSurvey, measured_survey

NEIGHBOURS = 10


def real_spectra(folder: Path, work: Path) -> tuple:
    """Ingest the real spectra; return them and the published class of each ("" for none)."""
    ingest("galah", [folder / "spectra"], work / "real.siderea")
    spectra = SurveyStore.open(work / "real.siderea").spectra()
    table = pd.read_csv(folder / "tsne_class_of_these_stars.csv", dtype=str)
    published = table.set_index("sobject_id")["class"]
    name = "sobject_id" if "sobject_id" in spectra.table else "id"
    return spectra, spectra.table[name].astype(str).map(published).fillna("").to_numpy()


def votes(code: np.ndarray, near: np.ndarray) -> str:
    names, counts = np.unique(code[near], return_counts=True)
    order = np.argsort(-counts)
    return " ".join(f"{names[i]}:{counts[i]}" for i in order[:3])


def found_by_detectors(sim: Measurements, real: Measurements, normal: np.ndarray) -> list[str]:
    words = [""] * len(real.noise)
    for name, code in CODES.items():
        null = NullDistribution.fit(sim.detections[name].significance[normal])
        one = real.detections[name]
        hit = (null.false_alarm(one.significance) <= 1e-3) & (one.value >= LEAST[name])
        for row in np.flatnonzero(hit):
            words[row] += f" {code}({one.value[row]:.2f})"
    return [word.strip() or "-" for word in words]


@style()
def figure(places: np.ndarray, code: np.ndarray, real: np.ndarray, published: np.ndarray):
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7.5, 7.0), layout="constrained")
    ax = drawing.add_subplot()
    for one in CLASSES:
        of = places[code == one]
        if len(of):
            size = 2 if one == "NOR" else 7
            label = f"{one}: {len(of):,} simulated"
            ax.scatter(*of.T, s=size, color=colour(one), linewidths=0, alpha=0.6, label=label)
    plain = published == ""
    ax.scatter(
        *real[plain].T,
        s=26,
        marker="o",
        facecolors="none",
        edgecolors="black",
        linewidths=0.8,
        label=f"real, no published class: {plain.sum()}",
    )
    first = True
    for place, name in zip(real[~plain], published[~plain], strict=True):
        ax.scatter(
            *place,
            s=110,
            marker="*",
            color=colour(name),
            edgecolors="black",
            linewidths=0.8,
            label=f"real, published class: {(~plain).sum()}" if first else None,
            zorder=3,
        )
        ax.annotate(
            name, place, xytext=(6, 4), textcoords="offset points", fontsize=9, fontweight="bold"
        )
        first = False
    ax.set(xlabel="t-SNE 1", ylabel="t-SNE 2")
    ax.set_title(
        f"Projection of {len(code):,} simulated spectra, {len(real)} real ones placed on it",
        loc="left",
    )
    ax.set_aspect("equal", adjustable="datalim")
    legend = ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.08), ncols=3)
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)
        handle.set_sizes([28.0])
    return drawing


def describe(
    survey: MeasuredSurvey, real: Measurements, ids: np.ndarray, published: np.ndarray, path: Path
) -> None:
    # broken spectra would only gather what the simulation lacks of the real instrument
    rows = survey.measured.usable & ~np.isin(survey.classes, ("WRD", "TRI"))
    code = survey.classes[rows]
    both = Measurements.joined([survey.measured, real]).for_classifier()
    features = np.concatenate([both[: rows.size][rows], both[rows.size :]])
    n = len(code)
    typical = NearestNeighbors(n_neighbors=NEIGHBOURS + 1)
    labels = np.concatenate([code.astype(object), np.full(len(ids), None)])
    learner = LabelPropagator().fit(features, labels)
    scaled = learner._scaled(features)
    said = learner.predict(features[n:])
    own = typical.fit(scaled[:n]).kneighbors(scaled[:n])[0][:, 1:].mean(axis=1)
    gap = typical.kneighbors(scaled[n:])[0][:, :-1].mean(axis=1) / np.median(own)
    print(
        f"distance of a real spectrum to its ten nearest simulated ones, in units of what is "
        f"usual among these (16, 50, 84 %): {np.percentile(gap, [16, 50, 84]).round(2)}"
    )
    # placed one by one on the map of the simulated: mapped together, what the simulation lacks of
    # the real instrument would gather the real ones on an island of their own
    tsne = TSNEMap(random_state=0, n_jobs=1).fit(scaled[:n])
    places = np.concatenate([tsne.embedding_, tsne.transform(scaled[n:])])
    near = {
        space: NearestNeighbors(n_neighbors=NEIGHBOURS).fit(p[:n]).kneighbors(p[n:])[1]
        for space, p in (("map", places), ("features", scaled))
    }
    classes = list(learner.classes_)
    distance = np.stack(
        [_distance(scaled[:n][code == one], scaled[n:]) for one in classes], axis=1
    ) / np.median(own)
    normal = (survey.classes == "NOR") & survey.natural
    detected = found_by_detectors(survey.measured, real, normal)
    print(
        "published | star | map votes | feature votes | nearest classes (distance to five "
        "members) | classifier | detected"
    )
    for row in np.argsort(published == "", kind="stable"):
        order = np.argsort(distance[row])[:3]
        nearest = " ".join(f"{classes[c]} {distance[row, c]:.2f}" for c in order)
        best = classes[int(said.probability[row].argmax())]
        print(
            f"{published[row] or '-'} | {ids[row]} | {votes(code, near['map'][row])} | "
            f"{votes(code, near['features'][row])} | {nearest} | {best} "
            f"{said.confidence[row]:.2f} p={said.novelty[row]:.3f} | {detected[row]}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure(places[:n], code, places[n:], published).savefig(path, dpi=130)


def _distance(members: np.ndarray, points: np.ndarray) -> np.ndarray:
    return NearestNeighbors(n_neighbors=5).fit(members).kneighbors(points)[0].mean(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=4000)
    parser.add_argument("--rare", type=int, default=2500)
    parser.add_argument("--figure", type=Path, default=Path("figures/real_on_map.png"))
    arguments = parser.parse_args()
    folder = Path(os.environ["SIDEREA_DATA"]) / "galah_dr3"
    with tempfile.TemporaryDirectory() as work:
        spectra, published = real_spectra(folder, Path(work))
    survey = measured_survey(arguments.stars, arguments.rare)
    real = survey.meter.measure(spectra)
    print(
        f"{real.usable.sum()} of {len(spectra)} real spectra usable, {(published != '').sum()} "
        f"with a published class"
    )
    print(
        f"noise ratio of the real: {np.nanpercentile(real.noise, [16, 50, 84]).round(2)}, of the "
        f"simulated: {np.nanpercentile(survey.measured.noise, [16, 50, 84]).round(2)}"
    )
    kept = real.usable
    real = survey.meter.measure(spectra[kept])
    describe(survey, real, spectra.ids[kept], published[kept], arguments.figure)


if __name__ == "__main__":
    main()
