"""Writers of small synthetic files of each product, laid out as the surveys document them.

Every spectrum is a flat continuum with one Gaussian absorption line at a known rest wavelength, so
that a test can ask where the line came out.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from astropy.io import fits

C_KMS = 299_792.458
LINE = SimpleNamespace(
    apogee=15970.0, lamost_lrs=6564.6, mrs_blue=5185.0, mrs_red=6564.6, sdss=6564.6
)
"""Rest wavelength of the line of each product, Å."""


def factor(velocity):
    beta = velocity / C_KMS
    return np.sqrt((1 + beta) / (1 - beta))


def spectrum(wavelength, line, *, velocity=0.0, width=1.5, level=1000.0):
    centre = line * factor(velocity)
    return level * (1 - 0.5 * np.exp(-0.5 * ((wavelength - centre) / width) ** 2))


def line_centre(wavelength, flux, near, half_width=6.0):
    """Centroid of the absorption near a wavelength."""
    here = np.abs(wavelength - near) < half_width
    depth = flux[here].max() - flux[here]
    return float(np.sum(wavelength[here] * depth) / np.sum(depth))


def write(path, *hdus):
    fits.HDUList(list(hdus)).writeto(path, overwrite=True)
    return Path(path)


# APOGEE

APOGEE_WAVELENGTH = 10 ** (4.179 + 6e-6 * np.arange(8575))
LIT = np.zeros(8575, bool)
for _first, _last in ((207, 3306), (3544, 6112), (6301, 8365)):
    LIT[_first : _last + 1] = True


def apstar(path, *, n_visits=2, velocities=(20.0, 24.0), mutate=None, header=()):
    rows = 1 if n_visits == 1 else n_visits + 2
    flux = np.tile(np.where(LIT, spectrum(APOGEE_WAVELENGTH, LINE.apogee), 0), (rows, 1))
    flux = flux.astype(">f4")
    error = np.tile(np.where(LIT, 10.0, 1e10), (rows, 1)).astype(">f4")
    mask = np.tile(np.where(LIT, 0, 1), (rows, 1)).astype(">i2")
    primary = fits.PrimaryHDU()
    cards = {
        "OBJID": "2M00000000+0000000",
        "LOCID": 4500,
        "RA": 10.0,
        "DEC": 20.0,
        "J": 9.0,
        "H": 99.999,
        "K": 8.0,
        "NVISITS": n_visits,
        "VHELIO": float(np.mean(velocities[:n_visits])),
        "VERR": 0.05,
        "VSCATTER": 2.8,
        "SNR": 100.0,
        "STARFLAG": 0,
        **dict(header),
    }
    for number, velocity in enumerate(velocities[:n_visits], 1):
        cards |= {
            f"SFILE{number}": f"apVisit-r5-6560-{56580 + number}-200.fits",
            f"JD{number}": 2456580.75 + number,
            f"BC{number}": -9.9,
            f"VHELIO{number}": velocity,
            f"VERR{number}": 0.07,
            f"SNRVIS{number}": 70.0,
            f"FLAG{number}": 0,
        }
    primary.header.update(cards)
    if mutate:
        mutate(flux, error, mask)
    images = [fits.ImageHDU(image) for image in (flux, error, mask, flux, error)]
    images[0].header["BUNIT"] = "Flux (10^-17 erg/s/cm^2/Ang)"
    return write(path, primary, *images)


def apvisit(path, *, velocity=30.0, correction=12.0, mutate=None, header=()):
    chips = [np.linspace(a, b, 4096) for a, b in ((16955, 16473), (16435, 15857), (15810, 15143))]
    wavelength = np.array(chips, ">f8")  # red to blue, as in the files
    seen = (velocity - correction) / (1 - velocity * correction / C_KMS**2)
    flux = spectrum(wavelength, LINE.apogee, velocity=seen).astype(">f4")
    error, mask = np.full(flux.shape, 10.0, ">f4"), np.zeros(flux.shape, ">i2")
    primary = fits.PrimaryHDU()
    primary.header.update(
        {
            "OBJID": "2M00000000+0000000",
            "PLATE": "6994",
            "MJD5": 56770,
            "FIBERID": 261,
            "JD-MID": 2456770.9,
            "RA": 10.0,
            "DEC": 20.0,
            "SNR": 100.0,
            "BC": correction,
            "VHELIO": velocity,
            "VRADERR": 0.02,
            **dict(header),
        }
    )
    if mutate:
        mutate(flux, error, mask)
    images = [fits.ImageHDU(image) for image in (flux, error, mask, wavelength)]
    images[3].header["BUNIT"] = "Wavelength (Ang)"
    return write(path, primary, *images)


def aspcapstar(path, *, aspcapflag=0):
    flux = np.where(LIT, spectrum(APOGEE_WAVELENGTH, LINE.apogee, level=1.0), 0).astype(">f4")
    error = np.where(LIT, 0.01, 1e10).astype(">f4")
    columns = [
        fits.Column("APOGEE_ID", "18A", array=["2M00000000+0000000"]),
        fits.Column("LOCATION_ID", "J", array=[4500]),
        fits.Column("RA", "D", array=[10.0]),
        fits.Column("DEC", "D", array=[20.0]),
        fits.Column("VHELIO_AVG", "E", array=[20.0]),
        fits.Column("SNR", "E", array=[100.0]),
        fits.Column("FPARAM", "7E", array=[[4800, 2.5, 0.2, -0.1, 0, 0, 0]]),
        fits.Column("PARAM", "7E", array=[[4850, 2.6, 0.2, -0.15, 0, 0, 0]]),
        fits.Column("TEFF", "E", array=[4850.0]),
        fits.Column("LOGG", "E", array=[-9999.0]),
        fits.Column("FE_H", "E", array=[-9999.0]),
        fits.Column("ASPCAPFLAG", "J", array=[aspcapflag]),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    images = [fits.ImageHDU(image) for image in (flux, error, flux)]
    return write(path, fits.PrimaryHDU(), *images, table)


# LAMOST


def _lamost_header(**more):
    return {
        "TELESCOP": "LAMOST",
        "OBSID": 359910161,
        "RA": 292.05872,
        "DEC": 43.925228,
        "DESIG": "LAMOST J192814.09+435530.8",
        "PLANID": "KP193637N444141V03",
        "SPID": 10,
        "FIBERID": 161,
        "DATE-OBS": "2015-09-21T11:57:00",
        "HELIO": True,
        "HELIO_RV": 9.85,
        "VACUUM": True,
        **more,
    }


def lrs(path, *, new_layout=False, velocity=-50.0, n_pixels=3909, mutate=None, header=()):
    wavelength = 10 ** (3.5682 + 1e-4 * np.arange(n_pixels))
    flux = spectrum(wavelength, LINE.lamost_lrs, velocity=velocity, width=5.0).astype(">f4")
    ivar, mask = np.full(n_pixels, 0.01, ">f4"), np.zeros(n_pixels, ">f4")
    if mutate:
        mutate(flux, ivar, mask)
    cards = _lamost_header(
        Z=velocity / C_KMS, Z_ERR=2.7e-5, CLASS="STAR", SUBCLASS="F5", SNRG=87.6, SNRU=-9999.0
    )
    stored = wavelength.astype(">f4")
    if new_layout:
        primary = fits.PrimaryHDU()
        primary.header.update({**cards, **dict(header)})
        form = f"{n_pixels}E"
        arrays = {"FLUX": flux, "IVAR": ivar, "WAVELENGTH": stored, "ANDMASK": mask}
        arrays |= {"ORMASK": mask, "NORMALIZATION": flux / 1000}
        columns = [fits.Column(name, form, array=[array]) for name, array in arrays.items()]
        return write(path, primary, fits.BinTableHDU.from_columns(columns, name="COADD"))
    primary = fits.PrimaryHDU(np.array([flux, ivar, stored, mask, mask], ">f4"))
    primary.header.update({**cards, "COEFF0": 3.5682, "COEFF1": 1e-4, **dict(header)})
    return write(path, primary)


def _mrs_table(name, wavelength, line, *, velocity, vectors, snr, cards):
    flux = spectrum(wavelength, line, velocity=velocity, width=0.6)
    arrays = {"FLUX": flux, "IVAR": np.full(flux.size, 0.01)}
    arrays |= {"WAVELENGTH": wavelength} if vectors else {"LOGLAM": np.log10(wavelength)}
    arrays |= {"ANDMASK" if name.startswith("COADD") else "PIXMASK": np.zeros(flux.size)}
    columns = [
        fits.Column(key, f"{flux.size}E" if vectors else "E", array=[value] if vectors else value)
        for key, value in arrays.items()
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name=name)
    hdu.header.update({"SNR": snr, **cards})
    return hdu


def mrs(path, *, minutes=(83908922, 83908945), vectors=False, velocity=-40.0, without=()):
    """``without`` lists extensions that the file lacks."""
    primary = fits.PrimaryHDU()
    primary.header.update(_lamost_header(NEXP_B=len(minutes), NEXP_R=len(minutes)))
    listed = "-".join(str(minute) for minute in minutes)
    grids = {
        "B": 10 ** (1e-5 * np.arange(369018, 373170)),
        "R": 10 ** (1e-5 * np.arange(379992, 383700)),
    }
    lines = {"B": LINE.mrs_blue, "R": LINE.mrs_red}
    hdus = [primary]
    for arm, snr in (("B", 65.0), ("R", 105.0)):
        hdus.append(
            _mrs_table(
                f"COADD_{arm}",
                grids[arm],
                lines[arm],
                velocity=velocity,
                vectors=vectors,
                snr=snr,
                cards={"LMJMLIST": listed},
            )
        )
    for arm in "BR":
        own = np.linspace(grids[arm][0], grids[arm][-1], 4136)
        stored = own if arm == "B" else own[::-1]  # the red exposures are stored backwards
        common = {"velocity": velocity, "vectors": vectors, "snr": 30.0}
        hdus += [
            _mrs_table(
                f"{arm}-{minute}",
                stored,
                lines[arm],
                cards={"LMJM": str(minute), "EXPTIME": 1200},
                **common,
            )
            for minute in minutes
        ]
    return write(path, *[hdu for hdu in hdus if hdu.name not in without])


# SDSS


def spec(path, *, velocity=80.0, first=35800, n_pixels=3800, mutate=None, z=None, thing_id=42):
    loglam = (1e-4 * np.arange(first, first + n_pixels)).astype(">f4")
    exact = 10 ** (1e-4 * np.arange(first, first + n_pixels))
    flux = spectrum(exact, LINE.sdss, velocity=velocity, width=4.0, level=50.0).astype(">f4")
    ivar, mask = np.full(n_pixels, 4.0, ">f4"), np.zeros(n_pixels, ">i4")
    if mutate:
        mutate(flux, ivar, mask)
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"PLATEID": 4055, "MJD": 55359, "FIBERID": 596, "PLUG_RA": 241.0, "PLUG_DEC": 20.0}
    )
    primary.header.update({"TAI-BEG": 55359.2 * 86400, "TAI-END": 55359.3 * 86400})
    coadd = fits.BinTableHDU.from_columns(
        [
            fits.Column("flux", "E", array=flux),
            fits.Column("loglam", "E", array=loglam),
            fits.Column("ivar", "E", array=ivar),
            fits.Column("and_mask", "J", array=mask),
            fits.Column("or_mask", "J", array=mask),
        ],
        name="COADD",
    )
    catalogue = fits.BinTableHDU.from_columns(
        [
            fits.Column("PLATE", "J", array=[4055]),
            fits.Column("MJD", "J", array=[55359]),
            fits.Column("FIBERID", "J", array=[596]),
            fits.Column("PLUG_RA", "D", array=[241.5]),
            fits.Column("PLUG_DEC", "D", array=[20.5]),
            fits.Column("Z", "E", array=[velocity / C_KMS if z is None else z]),
            fits.Column("Z_ERR", "E", array=[1e-5]),
            fits.Column("ZWARNING", "J", array=[0]),
            fits.Column("CLASS", "6A", array=["STAR"]),
            fits.Column("SUBCLASS", "21A", array=["F5"]),
            fits.Column("SN_MEDIAN", "5E", array=[[10, 20, 30, 40, 50]]),
            fits.Column("SN_MEDIAN_ALL", "E", array=[33.0]),
            fits.Column("THING_ID", "J", array=[thing_id]),
        ],
        name="SPALL",
    )
    return write(path, primary, coadd, catalogue)
