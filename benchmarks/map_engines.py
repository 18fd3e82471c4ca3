"""Maps of N points by siderea, openTSNE alone and scikit-learn: time, memory and neighbours kept.

    python benchmarks/map_engines.py [--points 5000] [--threads 2] [--engines siderea sklearn ...]

Each engine runs in a process of its own, so that its peak memory is its own. The points lie in
100 dimensions on a smooth manifold of 5 parameters, with noise and eight small groups apart.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from typing import Any

import numpy as np

from siderea.embeddings.quality import neighbour_recall, trustworthiness


def points_of(n: int, *, seed: int = 0) -> np.ndarray:
    """Return (n, 100) float32 points: manifold, noise and 8 groups of 0.4 % each."""
    rng = np.random.default_rng(seed)
    hidden = rng.uniform(-1, 1, (n, 5))
    waves = np.sin(hidden @ rng.normal(0, 1.2, (5, 100)) + rng.uniform(0, 2 * np.pi, 100))
    points = waves + 0.05 * rng.normal(size=waves.shape)
    for group in np.array_split(rng.choice(n, 8 * max(n // 250, 1), replace=False), 8):
        points[group] += rng.normal(0, 0.5, 100)
    return points.astype(np.float32)


def by_siderea(points: np.ndarray, threads: int) -> tuple[np.ndarray, float, int]:
    from siderea.embeddings.tsne import TSNEMap

    tsne = TSNEMap(n_jobs=threads)
    return tsne.fit_transform(points), tsne.kl_divergence_, tsne.n_iter_


def by_opentsne_defaults(points: np.ndarray, threads: int) -> tuple[np.ndarray, float, int]:
    """As called by hand: every parameter at its default but the seed (it then uses one thread)."""
    from openTSNE import TSNE

    layout = TSNE(random_state=0).fit(points)
    return np.asarray(layout), float(layout.kl_divergence), 750


def by_opentsne(points: np.ndarray, threads: int) -> tuple[np.ndarray, float, int]:
    from openTSNE import TSNE

    layout = TSNE(n_jobs=threads, random_state=0, n_iter=750).fit(points)
    return np.asarray(layout), float(layout.kl_divergence), 1000


def by_sklearn(points: np.ndarray, threads: int) -> tuple[np.ndarray, float, int]:
    from sklearn.manifold import TSNE

    tsne = TSNE(n_jobs=threads, random_state=0)
    return tsne.fit_transform(points), float(tsne.kl_divergence_), int(tsne.n_iter_)


ENGINES = {
    "siderea": by_siderea,
    "opentsne-defaults": by_opentsne_defaults,
    "opentsne": by_opentsne,
    "sklearn": by_sklearn,
}


def _run(name: str, n: int, threads: int, pipe: Any) -> None:
    points = points_of(n)
    ENGINES[name](points[:500], threads)  # imports and first-call costs are not the engine's
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    places, divergence, iterations = ENGINES[name](points, threads)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    grown = (after.ru_maxrss - before.ru_maxrss) / 1024
    pipe.send((places, divergence, iterations, wall, cpu, grown))


def measure(name: str, n: int, threads: int) -> str:
    """Run one engine in a fresh process; return its row of the table."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(name, n, threads, theirs))
    process.start()
    places, divergence, iterations, wall, cpu, grown = ours.recv()
    process.join()
    points = points_of(n)
    kept = [neighbour_recall(points, places, k=k, n_sample=2000) for k in (10, 30, 50)]
    trust = trustworthiness(points, places, k=15, n_sample=1000)
    recall = " ".join(f"{value:.3f}" for value in kept)
    return (
        f"| {name} | {wall:.1f} | {cpu:.1f} | {grown:.0f} | {recall} | {trust:.4f} "
        f"| {divergence:.3f} | {iterations} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["siderea", "sklearn"])
    arguments = parser.parse_args()
    print(f"N = {arguments.points}, {arguments.threads} threads")
    print("| engine | wall s | CPU s | peak MB above start | recall 10/30/50 | T(15) | KL | it. |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.engines:
        print(measure(name, arguments.points, arguments.threads), flush=True)


if __name__ == "__main__":
    main()
