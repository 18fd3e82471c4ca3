"""Maps of many spectra in few dimensions, as scikit-learn estimators.

`pca` (out of core, with bad pixels; on `subspace`), `tsne` (a map that new spectra can be placed
on; on `neighbours` and `affinities`), `quality` (how much of the neighbourhoods a map keeps).
"""

__all__ = ["affinities", "neighbours", "pca", "quality", "subspace", "tsne"]
