"""What columns are called: names of CONVENTIONS.md to unit, title and one line of description."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["NAMES", "Naming", "naming"]


@dataclass(frozen=True)
class Naming:
    """How a column is written.

    Parameters
    ----------
    unit : str
        Empty where there is none.
    title : str
        Short, for axes and legends.
    description : str
        One line.
    """

    unit: str
    title: str
    description: str


def _of(**named: tuple[str, str, str]) -> dict[str, Naming]:
    return {name: Naming(*three) for name, three in named.items()}


NAMES: dict[str, Naming] = _of(
    id=("", "id", "one spectrum, unique in the store"),
    star_id=("", "star", "the star, shared by its repeated spectra"),
    source=("", "source", "file that the spectrum was read from"),
    ra=("deg", "RA", "right ascension, ICRS"),
    dec=("deg", "Dec", "declination, ICRS"),
    teff=("K", "Teff", "effective temperature"),
    logg=("dex", "log g", "surface gravity, cgs"),
    fe_h=("dex", "[Fe/H]", "metallicity"),
    alpha_fe=("dex", "[α/Fe]", "enhancement of α elements"),
    rv=("km/s", "radial velocity", "barycentric radial velocity, positive when receding"),
    dv=("km/s", "velocity difference", "difference of radial velocities"),
    barycentric_velocity=("km/s", "barycentric correction", "correction that was applied"),
    vsini=("km/s", "v sin i", "projected rotation"),
    vbroad=("km/s", "v broad", "broadening by rotation and macroturbulence"),
    vmac=("km/s", "v mac", "macroturbulence"),
    vmic=("km/s", "v mic", "microturbulence"),
    snr=("per pixel", "S/N", "median signal to noise per pixel"),
    ew_halpha=("Å", "EW Hα", "equivalent width of Hα, positive in absorption"),
    ew_hbeta=("Å", "EW Hβ", "equivalent width of Hβ, positive in absorption"),
    parallax=("mas", "parallax", "parallax"),
    distance=("kpc", "distance", "distance from the Sun"),
    period=("d", "period", "orbital period"),
    mjd=("d", "MJD", "modified Julian date of the observation"),
    time=("d", "time", "barycentric modified Julian date"),
    mass=("solar", "mass", "mass"),
    radius=("solar", "radius", "radius"),
    luminosity=("solar", "luminosity", "luminosity"),
    flags=("", "flags", "what is known to be wrong"),
    x=("", "x", "place on the map"),
    y=("", "y", "place on the map"),
    cluster=("", "island", "island of the map; -1 for none"),
    probability=("", "probability", "probability of the class"),
    novelty=("", "novelty", "p value of belonging to what was labelled as the class"),
    margin=("", "margin", "largest probability minus the second largest"),
    n_components=("", "components", "stars in the spectrum; 0 where nothing could be searched"),
    significance=("σ", "significance", "significance of a second star"),
    flux_ratio=("", "flux ratio", "light of the second star over the first's"),
    ccf_height=("", "CCF height", "highest correlation coefficient"),
    confidence=("", "confidence", "A sure, B probable, C seen by one arm alone"),
    q=("", "q", "mass ratio"),
    f_imp=("", "f_imp", "improvement of the fit by a second star"),
    chi2=("", "χ²", "χ² of the fit"),
    delta_chi2=("", "Δχ²", "χ² of one star minus that of two"),
    delta_bic=("", "ΔBIC", "BIC of one star minus that of two, positive for two"),
    n_pixels=("", "pixels", "good pixels that entered"),
    age=("Gyr", "age", "age"),
    l=("deg", "l", "Galactic longitude"),
    b=("deg", "b", "Galactic latitude"),
    ebv=("mag", "E(B−V)", "reddening"),
    eccentricity=("", "eccentricity", "of the orbit"),
    inclination=("deg", "inclination", "of the orbit"),
    k=("km/s", "K", "velocity semi-amplitude"),
    v_jk=("mag", "V_JK", "V magnitude from J and K, by which GALAH selects"),
    morphology=("", "morphology", "0 detached to 1 ellipsoidal"),
    constant=("", "level", "relative flux outside of eclipses"),
    position=("", "position", "orbital phase of the eclipse"),
    depth=("", "depth", "depth of the eclipse, relative flux"),
    sigma=("", "σ", "width of the eclipse's Gaussian, in orbital phase"),
    width=("", "width", "width of the eclipse, in orbital phase"),
    amplitude=("", "amplitude", "of the ellipsoidal variation, relative flux"),
    separation=("", "separation", "of the two eclipses, in orbital phase"),
    e_cos_omega=("", "e cos ω", "from the separation of the eclipses"),
    n_eclipses=("", "eclipses", "in the chosen model"),
)
"""By name; `naming` also knows what is composed of these."""

_SUFFIXES = (
    ("_err", "error of {}", "1σ error: {}"),
    ("_significance", "significance of {}", "significance in σ: {}"),
    ("_false_alarm", "false alarm of {}", "false-alarm probability: {}"),
    ("_q", "q value of {}", "share of false ones among all as significant: {}"),
    ("_found", "{} found", "whether it counts as found: {}"),
)
_UNITLESS = ("_significance", "_false_alarm", "_q", "_found")
_PREFIXES = (
    ("single_", "single: {}", "fit of one star: {}"),
    ("binary_", "binary: {}", "fit of two stars: {}"),
    ("true_", "true {}", "true value: {}"),
)


def naming(name: str) -> Naming:
    """Return unit, title and description of a column.

    Parameters
    ----------
    name : str
        Of a column of any table.

    Returns
    -------
    Naming
        A name that nobody knows is its own title.

    Examples
    --------
    >>> naming("teff_err")
    Naming(unit='K', title='error of Teff', description='1σ error: effective temperature')
    >>> naming("binary_rv_2").unit
    'km/s'
    """
    if name in NAMES:
        return NAMES[name]
    for suffix, title, text in _SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            known = naming(name.removesuffix(suffix))
            return _composed(known, title, text, unitless=suffix in _UNITLESS)
    for prefix, title, text in _PREFIXES:
        if name.startswith(prefix) and len(name) > len(prefix):
            return _composed(naming(name.removeprefix(prefix)), title, text)
    return _numbered(name) or _of_arm_or_line(name) or Naming("", name, "")


def _composed(known: Naming, title: str, text: str, *, unitless: bool = False) -> Naming:
    unit = "" if unitless else known.unit
    return Naming(unit, title.format(known.title), text.format(known.description or known.title))


def _numbered(name: str) -> Naming | None:
    found = re.fullmatch(r"(.+)_(\d)", name)
    if found is None or found[1] not in NAMES:
        return None
    return _composed(NAMES[found[1]], f"{{}}, star {found[2]}", f"{{}}, star {found[2]}")


def _of_arm_or_line(name: str) -> Naming | None:
    if name.startswith("snr_"):
        arm = name.removeprefix("snr_")
        return Naming("per pixel", f"S/N {arm}", f"median signal to noise per pixel, arm {arm}")
    if name.startswith("mag_"):
        band = name.removeprefix("mag_")
        return Naming("mag", band, f"magnitude in {band}")
    if name.startswith("p_") and name[2:].isupper():
        return Naming("", f"P({name[2:]})", f"probability of the class {name[2:]}")
    if name.startswith("ew_"):
        line = name.removeprefix("ew_")
        return Naming("Å", f"EW {line}", f"equivalent width of {line}, positive in absorption")
    if name.endswith("_fe"):
        element = name.removesuffix("_fe").capitalize()
        return Naming("dex", f"[{element}/Fe]", f"abundance of {element} over iron")
    return None
