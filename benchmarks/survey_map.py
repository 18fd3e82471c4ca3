"""A survey's map at size: autoencoder and two-pass t-SNE of simulated spectra, time and memory.

    python benchmarks/survey_map.py [--spectra 50000] [--pixels 16384] [--latent 100] [--tsne-only]

Spectra come in chunks, as from a store, each chunk made when it is asked for; the time to make them
is not counted. They are smooth functions of six parameters with 300 lines, the shifted lines of a
second star in a tenth of them, and noise of S/N 30 to 100.
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from collections.abc import Iterator

import numpy as np

CHUNK = 1000


class Clock:
    """Wall and CPU time of everything but the making of spectra."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def skip(self, wall: float, cpu: float) -> None:
        self.wall += wall
        self.cpu += cpu

    def read(self) -> str:
        return (
            f"wall {time.perf_counter() - self.wall:.0f} s, "
            f"CPU {time.process_time() - self.cpu:.0f} s, "
            f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
        )


class Survey:
    """Spectra by chunks: the same whenever they are asked for."""

    def __init__(self, n: int, pixels: int) -> None:
        rng = np.random.default_rng(0)
        self.n, self.pixels = n, pixels
        x = np.arange(pixels)
        centres, widths = rng.uniform(0, pixels, 300), rng.uniform(3, 12, 300)
        self.depth = rng.gamma(2.0, 0.04, 300)
        self.response = rng.normal(0, 0.5, (300, 6))
        self.lines = np.exp(-0.5 * ((x - centres[:, None]) / widths[:, None]) ** 2).astype("f4")

    def chunks(self, clock: Clock) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, self.n, CHUNK):
            wall, cpu = time.perf_counter(), time.process_time()
            made = self._make(start, min(CHUNK, self.n - start))
            clock.skip(time.perf_counter() - wall, time.process_time() - cpu)
            yield made

    def _make(self, start: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([1, start])
        own = rng.uniform(-1, 1, (n, 6))
        strength = (self.depth * np.exp(own @ self.response.T)).astype("f4")
        flux = 1 - np.minimum(strength @ self.lines, 0.95)
        for row in np.flatnonzero(rng.random(n) < 0.1):
            flux[row] = 0.6 * flux[row] + 0.4 * np.roll(flux[row], int(rng.integers(20, 80)))
        sigma = (1 / rng.uniform(30, 100, n)).astype("f4")
        flux += rng.standard_normal(flux.shape, dtype="f4") * sigma[:, None]
        return flux, np.repeat(sigma[:, None] ** -2, self.pixels, axis=1)


def watch_memory(stop: threading.Event, seen: list[float]) -> None:
    """Keep the largest resident size of the process."""
    import psutil

    process = psutil.Process()
    while not stop.wait(0.5):
        seen[0] = max(seen[0], process.memory_info().rss / 2**30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=50_000)
    parser.add_argument("--pixels", type=int, default=16_384)
    parser.add_argument("--latent", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--tsne-only", action="store_true")
    arguments = parser.parse_args()
    import torch

    from siderea.embeddings.autoencoder import SpectrumAutoencoder
    from siderea.embeddings.quality import neighbour_recall
    from siderea.embeddings.tsne import TSNEMap

    torch.set_num_threads(arguments.threads)
    stop, seen = threading.Event(), [0.0]
    threading.Thread(target=watch_memory, args=(stop, seen), daemon=True).start()
    whole = Clock()
    if arguments.tsne_only:
        from map_engines import points_of

        latent = points_of(arguments.spectra)
    else:
        survey = Survey(arguments.spectra, arguments.pixels)
        model = SpectrumAutoencoder(arguments.latent, max_epochs=arguments.epochs)
        model.fit_chunks(
            survey.chunks(whole), callback=lambda *heard: print("epoch", *heard, flush=True)
        )
        print(f"trained, rate {model.learning_rate_:.1e}: {whole.read()}", flush=True)
        latent = np.concatenate(
            [model.transform(flux, ivar=ivar) for flux, ivar in survey.chunks(whole)]
        )
        print(f"encoded: {whole.read()}", flush=True)
    clock = Clock()
    passes = 1 if arguments.tsne_only else 2
    tsne = TSNEMap(passes=passes, n_jobs=arguments.threads).fit(latent)
    print(f"t-SNE of {len(latent)}, passes={passes}: {clock.read()}", flush=True)
    print(f"KL {tsne.kl_divergence_:.3f} after {tsne.n_iter_} iterations")
    if passes == 2:
        print(f"{tsne.second_pass_.sum()} in the second pass")
    print(f"in all: {whole.read()}; largest resident size {seen[0]:.2f} GiB", flush=True)
    stop.set()
    recall = neighbour_recall(latent, tsne.embedding_, k=15, n_sample=1000)
    print(f"recall of 15 neighbours {recall:.3f}")


if __name__ == "__main__":
    main()
