"""Bands beyond the isochrones' own ugriz (used by isochrones.py when it builds the table).

Inside the range of labels where the network of Green et al. (2020) was trained, its colours
relative to PS1 i are added to the isochrone's i. Outside, JHK come from PARSEC's colours at the
same labels shifted by the median difference inside, so that no step is left between the two, and
the other bands from linear colour relations fitted inside.
"""

import json

import h5py
import numpy as np
from scipy.spatial import cKDTree

from siderea.isochrones.interpolation import LOG_TEFF_SUN, LOGG_SUN
from siderea.isochrones.table import IsochroneTable

NETWORK = (
    *("gaia_g", "gaia_bp", "gaia_rp"),
    *("ps1_g", "ps1_r", "ps1_i", "ps1_z", "ps1_y"),
    *("twomass_j", "twomass_h", "twomass_ks"),
    *("wise_w1", "wise_w2"),
)
WISE_AB = (2.699, 3.339)  # AB minus Vega of W1, W2 (Jarrett et al. 2011); the network is in AB
REFERENCE = dict(zip(NETWORK, "riigriz zjhkkk".replace(" ", ""), strict=True))
SAMPLE_SCALE = np.array([200.0, 0.3, 0.25])  # K, dex, dex: a typical error and a half of its labels
PARSEC_SCALE = np.array([0.01, 0.15, 0.15])  # dex in log Teff, log g, [M/H]
COOLEST_DWARF = 4600.0  # K: below, its labels of dwarfs fail (r−i off by up to 0.2 mag)
CFHT_U = 0.107  # u_CFHT = u − 0.107 (u − g): see the decision note


def network(data):
    """Return a function labels (N, 3) -> absolute magnitudes (N, 13) in the order of NETWORK."""
    with h5py.File(data / "photometry/green2020_nn_model.h5") as held:
        weights = held["model_weights"]
        layers = [
            (weights[f"{n}/{n}/kernel:0"][()], weights[f"{n}/{n}/bias:0"][()])
            for n in ("stellar_model_hidden_1", "stellar_model_hidden_2", "BM")
        ]
    text = (data / "photometry/green2020_theta_normalization.json").read_text()
    norm = json.loads(text.rstrip().rstrip("."))
    centre, spread = np.array(norm["theta_med"]), np.array(norm["theta_std"])

    def magnitudes(labels):
        hidden = (labels - centre) / spread
        for kernel, bias in layers[:-1]:
            hidden = 1 / (1 + np.exp(-(hidden @ kernel + bias)))
        out = hidden @ layers[-1][0] + layers[-1][1]
        out[:, 1:] += out[:, :1]
        out[:, -2:] -= WISE_AB
        return out

    return magnitudes


def trained(data, labels):
    """Return the weight (N,) of the network: 1 among its sample, falling to 0 away from it."""
    with h5py.File(data / "photometry/green2020.h5") as held:
        sample = held["data"]["atm_param"]
    sample = sample[np.isfinite(sample).all(1)]
    far = cKDTree(sample / SAMPLE_SCALE).query(labels / SAMPLE_SCALE, k=10)[0][:, -1]
    weight = np.clip(2 - far, 0, 1)
    cool = np.clip((labels[:, 0] - COOLEST_DWARF) / 200, 0, 1)
    return weight * np.where(labels[:, 1] > 3.5, cool, 1.0)


def corrections(labels, known, values, neighbours=24):
    """Return values (N, C) at labels by local linear regression over scattered known points."""
    tree, out = cKDTree(known / PARSEC_SCALE), np.empty((len(labels), values.shape[1]))
    ridge = np.diag([0, 1e-3, 1e-3, 1e-3])
    for start in range(0, len(labels), 4000):
        here = labels[start : start + 4000]
        far, near = tree.query(here / PARSEC_SCALE, k=neighbours)
        steps = (known[near] - here[:, None]) / PARSEC_SCALE
        X = np.concatenate([np.ones((*near.shape, 1)), steps], -1)
        weight = np.exp(-0.5 * (far / np.maximum(0.6 * far[:, [-1]], 0.5)) ** 2)
        normal = np.einsum("nki,nk,nkj->nij", X, weight, X) + ridge
        right = np.einsum("nki,nk,nkc->nic", X, weight, values[near])
        out[start : start + 4000] = np.linalg.solve(normal, right)[:, 0]
    return out


def labels_of(table):
    """Return (Teff, log g, [Fe/H]) of every point of a table, (F·A·K, 3)."""
    log_teff, log_l = table.columns[..., 0], table.columns[..., 1]
    logg = LOGG_SUN + table.log_mass - log_l + 4 * (log_teff - LOG_TEFF_SUN)
    fe_h = np.broadcast_to(table.fe_h[:, None, None], logg.shape)
    return np.stack([10**log_teff, logg, fe_h], -1).reshape(-1, 3)


def sources(data, table, parsec):
    """Return labels, ugrizJHK, the network's magnitudes tied to i, and the network's weight."""
    labels = labels_of(table)
    sdss = table.columns[..., 2:].reshape(-1, 5)
    model = corrections(np.c_[np.log10(labels[:, 0]), labels[:, 1:]], *parsec)
    infrared = sdss[:, 3:4] + model[:, 5:] - model[:, 3:4]
    inside = network(data)(labels)
    # i of PS1 and SDSS: blackbodies of 3000 to 12,000 K through both filter curves.
    ps1_i = sdss[:, 3] - 0.0237 * (sdss[:, 2] - sdss[:, 3]) + 0.0013
    inside += (ps1_i - inside[:, NETWORK.index("ps1_i")])[:, None]
    return labels, np.c_[sdss, infrared], inside, trained(data, labels)


def fallback(known, inside, weight):
    """Return magnitudes (N, 13) by colour relations fitted where the network holds."""
    column = dict(zip("ugrizjhk", known.T, strict=True))
    optical = np.c_[column["g"] - column["r"], column["r"] - column["z"]]
    red = (column["j"] - column["k"])[:, None]
    out = np.empty_like(inside)
    for index, band in enumerate(NETWORK):
        reference = column[REFERENCE[band]]
        X = np.c_[np.ones(len(known))]
        if not band.startswith("twomass"):  # PARSEC's own colours, but for a constant
            X = np.c_[X, red if band.startswith("wise") else optical]
        use = weight >= 1
        fit = np.linalg.lstsq(X[use], (inside[:, index] - reference)[use], rcond=None)[0]
        out[:, index] = reference + X @ fit
    return out


def with_bands(data, table, parsec):
    """Return the table with every band added."""
    _, known, inside, weight = sources(data, table, parsec)
    outside = fallback(known, inside, weight)
    added = weight[:, None] * inside + (1 - weight[:, None]) * outside
    cfht = known[:, 0] - CFHT_U * (known[:, 0] - known[:, 1])
    shape = (*table.log_mass.shape, -1)
    extra = np.c_[added, cfht].reshape(shape)
    return IsochroneTable(
        fe_h=table.fe_h,
        age=table.age,
        log_mass=table.log_mass,
        columns=np.concatenate([table.columns, extra], -1),
        bands=(*table.bands, *NETWORK, "cfht_u"),
    )
