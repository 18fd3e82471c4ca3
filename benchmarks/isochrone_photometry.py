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
COOLEST_DWARF = 4800.0  # K: below, r−i of metal-poor dwarfs is off by 0.03 and, at 4200 K, 0.2
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
    cool = np.clip((labels[:, 0] - COOLEST_DWARF) / 400, 0, 1)
    return weight * np.where(labels[:, 1] > 3.5, cool, 1.0)


def corrections(labels, known, values, neighbours=32):
    """Return values (N, C) at labels by local linear regression over scattered known points."""
    tree, out = cKDTree(known / PARSEC_SCALE), np.empty((len(labels), values.shape[1]))
    # PARSEC ends at [M/H] = −2.2: colours hardly change below, and slopes must not run away.
    labels = np.clip(labels, known.min(0), known.max(0))
    ridge = np.diag([0, 1.0, 1.0, 1.0])
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
    sdss = table.columns[..., 2:7].reshape(-1, 5)
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


def _line(name, bands, values):
    middle = np.median(values, 0)
    spread = 1.4826 * np.median(np.abs(values - middle), 0)
    text = "  ".join(
        f"{band} {m:+.3f}±{s:.3f}" for band, m, s in zip(bands, middle, spread, strict=True)
    )
    print(f"  {name:24} {text}")


def compare_bands(data, isochrones, parsec):
    """Print how the sources of every band differ where two of them hold."""
    table = isochrones.table
    labels, known, inside, weight = sources(data, table, parsec)
    log_l = table.columns[..., 1].reshape(-1, 1)
    model = corrections(np.c_[np.log10(labels[:, 0]), labels[:, 1:]], *parsec) - 2.5 * log_l
    dwarf, giant = labels[:, 1] > 4, labels[:, 1] < 3.3
    cases = {
        "dwarfs 4000-7000 K": dwarf & (labels[:, 0] > 4000) & (labels[:, 0] < 7000),
        "dwarfs below 4000 K": dwarf & (labels[:, 0] < 4000),
        "giants above 4000 K": giant & (labels[:, 0] > 4000),
    }
    print("DSED minus PARSEC at the same Teff, log g, [Fe/H], luminosity (median ± MAD sigma)")
    for name, rows in cases.items():
        _line(name, "ugriz", (known[:, :5] - model[:, :5])[rows])
    full = weight >= 1
    print(
        f"the network holds for {100 * full.mean():.0f} % of the points, in part for "
        f"{100 * (weight > 0).mean():.0f} %"
    )
    print("network minus PARSEC + DSED, tied at i: P1 g−r against SDSS g−r, JHK")
    difference = np.c_[
        inside[:, 3] - inside[:, 4] - known[:, 1] + known[:, 2], inside[:, 8:11] - known[:, 5:]
    ]
    for name, rows in (("dwarfs", full & dwarf), ("giants", full & giant)):
        _line(name, ("g−r", "J", "H", "Ks"), difference[rows])
    print("colour relations minus network, inside")
    outside = fallback(known, inside, weight)
    for name, rows in (("dwarfs", full & dwarf), ("giants", full & giant)):
        _line(name, NETWORK, (outside - inside)[rows])
    print("colour relations fitted above 5000 K, against the network below 4600 K")
    warm = fallback(known, inside, weight * (labels[:, 0] > 5000))
    _line("giants", NETWORK, (warm - inside)[full & (labels[:, 0] < 4600)])
    compare_stars(data, isochrones)


def compare_stars(data, isochrones):
    """Print M_G of nearby dwarfs against the main sequence of their own [Fe/H] and colour."""
    offset = dwarf_offsets(data, isochrones)
    low, middle, high = np.percentile(offset, [16, 50, 84])
    print(
        f"M_G of {offset.size} real dwarfs minus the main sequence at their G−Ks and [Fe/H]: "
        f"median {middle:+.3f}, 16 to 84 % {low:+.2f} to {high:+.2f}"
    )


def dwarf_offsets(data, isochrones):
    """Return M_G (parallax, dereddened) minus the isochrone's at the same G−Ks and [Fe/H].

    Dwarfs below 5300 K, which do not leave the main sequence in a Hubble time, with parallaxes to
    5 % and E below 0.1; coefficients of G and Ks per E(B−V) as the network has them, 2.6 and 0.2.
    """
    with h5py.File(data / "photometry/green2020.h5") as held:
        stars = held["data"][()]
    teff, logg, fe_h = stars["atm_param"].T
    reddening, parallax = stars["r"], stars["parallax"]
    use = (logg > 4.2) & (teff > 4600) & (teff < 5300) & (np.abs(fe_h) < 0.4)
    use &= (parallax > 20 * stars["parallax_err"]) & (reddening < 0.1)
    g = (stars["mag"][:, 0] - 2.6 * reddening)[use]
    colour = g - (stars["mag"][:, 10] - 0.2 * reddening)[use]
    absolute = g + 5 * np.log10(parallax[use] / 100)
    offset = np.full(g.size, np.nan)
    mass = np.linspace(0.5, 1.0, 200)
    for index, (metals, red) in enumerate(zip(fe_h[use], colour, strict=True)):
        m = isochrones.magnitudes(mass, 5.0, metals, ["gaia_g", "twomass_ks"])
        order = np.argsort(m[:, 0] - m[:, 1])
        offset[index] = absolute[index] - np.interp(red, (m[:, 0] - m[:, 1])[order], m[order, 0])
    return offset[np.isfinite(offset)]
