"""The literature behind each method: `siderea cite` prints it as BibTeX.

Only references that were checked stand in ``citations.bib``; each room adds those of its methods.
"""

import re
from importlib.resources import files

from siderea.errors import DataError

__all__ = ["METHODS", "bibtex", "entries"]

METHODS: dict[str, tuple[str, ...]] = {
    "galah": ("Buder2021", "Kos2017"),
    "map": ("Traven2017", "vanderMaaten2008"),
    "classes": ("Traven2017", "Guo2017", "Saerens2002"),
    "clusters": ("Ester1996",),
    "emission": ("Cotar2021", "Benjamini1995", "Hosking1987"),
    "carbon": ("Cotar2019",),
    "tsne": ("vanderMaaten2008", "Policar2024", "Belkina2019", "Linderman2019", "Essmann1995"),
    "autoencoder": ("Kingma2014",),
    "isomap": ("Tenenbaum2000",),
    "lle": ("Roweis2000",),
    "spectral": ("Belkin2003",),
    "sammon": ("Sammon1969",),
    "umap": ("McInnes2018",),
    "pca": ("Halko2011",),
    "wavelength": ("Ciddor1996",),
    "broadening": ("Gray2005",),
    "continuum": ("Ness2015",),
    "population": ("Juric2008", "Robin2003", "Kroupa2001", "DeSilva2015", "Hawkins2017"),
    "multiplicity": ("DuquennoyMayor1991", "Raghavan2010", "MoeDiStefano2017", "Mardling2001"),
    "orbits": ("Markley1995", "Eggleton1983"),
    "photometric_labels": (
        "Gorishniy2022",
        "Holzmuller2024",
        "Kuleshov2018",
        "Smith2017",
        "Lakshminarayanan2017",
    ),
    "photometric_metallicity": ("Ivezic2008", "Bond2010"),
    "distances": (
        "Ivezic2008",
        "Juric2008",
        "Dotter2008",
        "Gravity2018",
        "BennettBovy2019",
        "Lindegren2018",
        "BailerJones2015",
    ),
    "extinction": ("Schlegel1998", "Schlafly2011"),
    "isochrones": ("Dotter2008", "Bressan2012", "Green2021"),
    "emulator": ("Ting2019",),
    "cannon": ("Ness2015", "Casey2016", "Ho2017"),
    "decoder": ("LeungBovy2019",),
    "binspec": ("ElBadry2018a", "ElBadry2018b"),
    "fitting": ("ElBadry2018b", "ZuckerMazeh1994"),
    "simulate": ("Gray2005", "John1988", "Huang1972", "Asplund2009"),
    "detect": ("Merle2017", "ZuckerMazeh1994", "Zucker2003"),
    "rv": ("Matijevic2011", "Merle2020", "BenjaminiHochberg1995", "PriceWhelan2017", "Kipping2013"),
    "lightcurves": ("Mowlavi2017", "Kochoska2017", "Prsa2008", "Matijevic2012", "Ward1963"),
    "galactic_map": ("Ivezic2008", "Juric2008", "Gravity2018", "BennettBovy2019", "Gorski2005"),
}
"""Which entries each method rests on."""


def entries() -> dict[str, str]:
    """Return every BibTeX entry by key."""
    text = files("siderea").joinpath("citations.bib").read_text(encoding="utf-8")
    return {key: entry.strip() for entry, key in re.findall(r"(@\w+\{(\w+),.*?\n\})", text, re.S)}


def bibtex(method: str | None = None) -> str:
    """Return the BibTeX of one method, or of everything.

    Parameters
    ----------
    method : str, optional
        A key of `METHODS`.

    Returns
    -------
    str
        BibTeX entries separated by blank lines.

    Raises
    ------
    DataError
        If the method is not known.

    Examples
    --------
    >>> print(bibtex("wavelength").splitlines()[0])
    @article{Ciddor1996,
    """
    known = entries()
    if method is None:
        return "\n\n".join(known.values())
    if method not in METHODS:
        raise DataError(f"method: found {method!r}; expected one of {', '.join(METHODS)}")
    return "\n\n".join(known[key] for key in METHODS[method])
