"""The published class lists of GALAH are read as they are."""

import pytest

from siderea.classify.labels import align
from siderea.classify.taxonomy import CLASSES, parts
from siderea.errors import DataError
from siderea.io.labels import read_labels

pytestmark = pytest.mark.realdata


def test_the_list_of_dr52_has_the_published_counts(real_data):
    labels = read_labels(real_data / "galah_tsne_classes/tsne_classification_dr52_2018_04_09.csv")
    counts = labels["class"].value_counts()
    assert len(labels) == 105_363
    assert counts["HFR"] == 39_717
    assert counts["HFR_HAE_BIN"] == 2_368
    assert counts["TRI"] == 30
    assert {part for code in counts.index for part in parts(code)} <= set(CLASSES)


def test_the_same_star_listed_as_binary_and_triple_is_contradictory(real_data):
    labels = read_labels(real_data / "galah_tsne_classes/tsne_classification_dr52_2018_04_09.csv")
    found = align(labels["id"].unique(), labels)
    assert len(found.contradictory) == 17
    assert not found.unknown


def test_the_list_of_hot_stars_writes_words(real_data):
    path = real_data / "galah_tsne_classes/hot_stars_binary_emission_2020_02_07.csv"
    assert read_labels(path)["class"].value_counts().to_dict() == {"BIN": 550, "HAE": 61}


def test_a_list_without_classes_says_so(real_data):
    with pytest.raises(DataError, match="no column of the class"):
        read_labels(real_data / "galah_tsne_classes/tsne_binaries.txt")
