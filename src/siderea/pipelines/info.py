"""What a store holds, in words."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from siderea.io.store import SurveyStore

__all__ = ["describe_store"]


def describe_store(path: str | Path) -> str:
    """Describe a store in a few lines, without reading spectra or catalogue.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.

    Returns
    -------
    str
    """
    store = SurveyStore.open(path)
    manifest = store.manifest
    state = "complete" if store.complete else "INTERRUPTED: run the same ingest again"
    lines = [
        f"{store.path}: {len(store):,} spectra, {state}",
        f"product     {manifest['provenance'].get('product', 'unknown')}, by siderea "
        f"{manifest['siderea']}",
        f"failures    {manifest.get('n_failures', 0)} of {manifest.get('n_sources', len(store))}",
        f"pixels      {store.n_pixels:,}, {store.medium}, chunks of {manifest['chunk_rows']} rows",
    ]
    for name, arm, power in zip(store.arm_names, store.arms, manifest["resolution"], strict=True):
        first, last = store.wavelength[arm.start], store.wavelength[arm.stop - 1]
        lines.append(f"arm         {name}: {first:.1f} to {last:.1f} Å, R = {power:,.0f}")
    if store.complete:
        columns = pq.read_schema(store.path / "catalogue.parquet").names
        lines.append(f"columns     {', '.join(columns)}")
    for product in store.products:
        info = store.product_info(product)
        settings = ", ".join(f"{key}={value}" for key, value in info["parameters"].items())
        lines.append(f"product     {product}: {info['method']} ({settings}), {info['written']}")
    return "\n".join(lines)
