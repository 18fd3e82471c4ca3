"""Maps of many spectra in few dimensions, as scikit-learn estimators.

`pca` (out of core, with bad pixels; on `subspace`), `autoencoder` (on `binning`, `training_sample`,
`autoencoder_network`, `autoencoder_training`), `tsne` (a map that new spectra can be placed on, in
one or two passes; on `neighbours`, `affinities`, `repulsion`, `descent`, `second_pass`, `placing`),
`manifold` (Isomap, LLE, spectral embedding, UMAP and, on `stress`, metric scaling and Sammon's
mapping), `table_features` (columns of a catalogue as points), `quality` (what a map keeps).
"""

__all__ = [
    "affinities",
    "autoencoder",
    "autoencoder_network",
    "autoencoder_training",
    "binning",
    "descent",
    "manifold",
    "neighbours",
    "pca",
    "placing",
    "quality",
    "repulsion",
    "second_pass",
    "stress",
    "subspace",
    "table_features",
    "training_sample",
    "tsne",
]
