"""Cross-correlation on real spectra of binaries: GALAH, APOGEE and LAMOST MRS.

    python benchmarks/binaries_real.py

GALAH: the stars with a published class against the rest. APOGEE: the three visits of
2M06133561+2433362, beside the velocities of El-Badry et al.'s model fitted to all of them. LAMOST:
the single exposures of KIC 8098300, with the sum of the one night that shows single lines as the
template (the emulator does not cover these wavelengths).
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.binaries.detect import CCFDetector, detect_ccf
from siderea.binaries.rv_variability import sb1_significance
from siderea.data import Spectra
from siderea.io import lamost
from siderea.io.store import SurveyStore
from siderea.models import binspec
from siderea.models.composite import Single
from siderea.pipelines.ingest import ingest
from siderea.spectra.continuum import normalise

APOGEE_VISITS = "visit_spectra_ap_id_2M06133561+2433362_.npz"
REFERENCE = ((14.906, -101.58), (-68.021, -10.11), (-57.453, -21.77))
"""v₁ and v₂ of each visit, km/s: El-Badry's model fitted to the three at once."""

SINGLE_LINED = 58269
"""MJD of the night whose sum is the template for KIC 8098300: both stars at one velocity."""


def galah(data: Path) -> None:
    classes = pd.read_csv(data / "galah_dr3" / "tsne_class_of_these_stars.csv", dtype=str)
    known = classes.set_index("sobject_id")["class"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "galah.siderea"
        ingest("galah", [data / "galah_dr3" / "spectra"], path)
        spectra = SurveyStore.open(path).spectra()
    found = CCFDetector(spectra)(spectra)
    found["class"] = found["id"].map(known).fillna("")
    columns = ["id", "class", "n_components", "confidence", "significance", "gain", "flux_ratio"]
    columns += ["dv", "rv_1", "rv_1_err", "vsini", "ccf_height", "flags"]
    shown = (found["class"] != "") | (found["n_components"] > 1)
    print(found.loc[shown, columns].round(3).to_string())
    rest = ~found["class"].str.contains("BIN")
    print(
        f"{int((found['n_components'][~rest] > 1).sum())} of {int((~rest).sum())} of class BIN, "
        f"{int((found['n_components'][rest] > 1).sum())} of {int(rest.sum())} others"
    )


def apogee_visits(data: Path) -> tuple[Spectra, binspec.BinspecModel]:
    folder = data / "apogee_binspec"
    model = binspec.load(folder)
    with np.load(folder / APOGEE_VISITS) as archive:
        flux, sigma = archive["spectra"].astype(float), archive["spec_errs"].astype(float)
        rv = archive["vhelios"].astype(float)
    sigma = np.maximum(sigma, np.abs(flux) / 200)
    spectra = Spectra(
        model.wavelength,
        flux,
        sigma**-2,
        "vacuum",
        arms=model.arms,
        resolution=model.resolution,
    )
    shape = Single(model).shape([[5000, 4.4, -0.1, 0, 10, v] for v in rv])
    return model.pseudo_continuum.normalise(spectra, shape=shape), model


def apogee(data: Path) -> None:
    spectra, model = apogee_visits(data)
    labels = [[teff, 4.6, -0.2, 0.0, 5.0] for teff in (4400, 4900, 5500, 6200)]
    found = detect_ccf(spectra, templates=model.predict(labels))
    print("\nAPOGEE 2M06133561+2433362, ours and the reference (km/s)")
    for row, (one, two) in zip(found.itertuples(), REFERENCE, strict=True):
        print(
            f"{row.n_components} stars, {row.confidence}: {row.rv_1:.2f} ± {row.rv_1_err:.2f} "
            f"({one}), {row.rv_2:.2f} ± {row.rv_2_err:.2f} ({two}), light {row.flux_ratio:.2f}"
        )


def kic(data: Path) -> None:
    files = sorted((data / "lamost_kic8098300").glob("med*"))
    spectra, _ = normalise(lamost.read_spectra(files, frame="barycentric", exposures="all"))
    ivar = np.where(spectra.flux > 1.15, 0.0, spectra.ivar)  # cosmic rays, emission
    spectra = spectra.with_flux(spectra.flux, ivar)
    table = spectra.table
    night = np.floor(table["time"].to_numpy())
    template = spectra[(table["is_coadd"] & (night == SINGLE_LINED)).to_numpy()].flux
    single = ~table["is_coadd"].to_numpy(dtype=bool) & (table["snr_red"] > 20).to_numpy()
    found = CCFDetector(spectra, templates=template)(spectra[single])
    found["night"] = night[single]
    print("\nKIC 8098300, LAMOST MRS, exposures of S/N above 20; velocities relative to MJD 58269")
    for date, rows in found.groupby("night"):
        two = rows[rows["n_components"] > 1]
        parts = []
        for name, some in (("1", rows if two.empty else two), ("2", two)):
            if len(some):
                rv = some[f"rv_{name}"]
                parts.append(
                    f"rv_{name} {rv.mean():.1f} (scatter {rv.std():.1f}, error "
                    f"{some[f'rv_{name}_err'].median():.1f})"
                )
        print(
            f"MJD {date:.0f}: {len(two)} of {len(rows)} double, classes "
            f"{''.join(two['confidence'])}, " + ", ".join(parts) + " km/s, light "
            f"{two['flux_ratio'].median():.2f}"
        )
    variable = sb1_significance(found["rv_1"], found["rv_1_err"], np.full(len(found), "KIC"))
    print(variable.iloc[0][["n_epochs", "rv_range", "sigma", "sigma_pair"]].to_string())


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SIDEREA_DATA", here))
    galah(folder)
    apogee(folder)
    kic(folder)
