from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from siderea.classify.taxonomy import CLASSES, NORMAL, canonical, colour, meaning, parts
from siderea.errors import DataError

PUBLISHED = ["HFR", "MAB", "CMP", "BIN", "WRD", "HFR_HAE_BIN", "CEH", "HAE_HBE", "HAE", "TRI"]


@pytest.mark.parametrize("code", PUBLISHED)
def test_the_codes_of_the_published_lists_are_canonical_and_known(code):
    assert canonical(code) == code
    assert all(part in CLASSES for part in parts(code))
    assert meaning(code)


@given(st.lists(st.sampled_from(list(CLASSES)), min_size=1, max_size=4), st.sampled_from("_+| ,"))
@settings(max_examples=50)
def test_writing_a_code_is_idempotent_and_blind_to_order_and_separator(codes, separator):
    once = canonical(separator.join(codes).lower())
    assert canonical(once) == once == canonical("_".join(reversed(codes)))
    assert (NORMAL in parts(once)) == (set(codes) == {NORMAL})


def test_words_of_other_lists_and_unknown_codes():
    assert canonical("BINARY") == "BIN"
    assert canonical("emission") == "HAE"
    assert parts("XYZ_BIN") == ("BIN", "XYZ")
    assert colour("XYZ").startswith("#")
    for bad in ("", "  ", "__", "12?", "a" * 40):
        with pytest.raises(DataError, match="expected codes"):
            canonical(bad)


# Machado et al. (2009), severity 1, on linear RGB.
DEFICIENT = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def lab(colour_, seen):
    rgb = np.array(to_rgb(colour_))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(seen) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.asarray(to_xyz) @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("seen", DEFICIENT)
def test_colours_stay_apart_for_the_colour_blind(seen):
    places = {code: lab(one.colour, DEFICIENT[seen]) for code, one in CLASSES.items()}
    distance = {(a, b): np.linalg.norm(places[a] - places[b]) for a, b in combinations(places, 2)}
    worst = min(distance, key=distance.get)
    assert distance[worst] > 10, (worst, distance[worst])
