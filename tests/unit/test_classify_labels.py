import pandas as pd
import pytest

from siderea.classify.labels import align
from siderea.errors import DataError
from siderea.io.labels import read_labels

IDS = ["a", "b", "c", "d"]


def table(*rows, columns=("id", "class")):
    return pd.DataFrame(list(rows), columns=list(columns))


def test_labels_fall_on_their_spectra_and_strangers_are_counted():
    found = align(IDS, table(("c", "bin"), ("z", "HFR"), ("a", "NOR"), ("y", "BIN")))
    assert found.classes.tolist() == ["NOR", None, "BIN", None]
    assert found.n_labelled == 2
    assert found.unknown == ("z", "y")
    assert found.counts == {"NOR": 1, "BIN": 1}


def test_nobody_known_is_an_error_that_shows_both_kinds_of_names():
    with pytest.raises(DataError, match=r"none of 1 labelled ids is in the sample.*'z'.*'a'"):
        align(IDS, table(("z", "HFR")))


def test_a_spectrum_labelled_in_two_ways_has_no_label_unless_time_decides():
    rows = [("a", "BIN"), ("a", "TRI"), ("b", "BIN"), ("b", "BIN")]
    found = align(IDS, table(*rows))
    assert found.classes.tolist() == [None, "BIN", None, None]
    assert found.contradictory == ("a",)
    later = table(("a", "TRI", 2.0), ("a", "BIN", 1.0), columns=("id", "class", "time"))
    assert align(IDS, later).classes[0] == "TRI"


def test_missing_columns_and_empty_tables():
    with pytest.raises(DataError, match="no column class"):
        align(IDS, pd.DataFrame({"id": ["a"]}))
    with pytest.raises(DataError, match="none of 2 rows has a class"):
        align(IDS, table(("a", None), ("b", " ")))


def test_reading_the_forms_in_which_the_survey_writes_its_lists(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("sobject_id, classification\n170403002201037,BINARY\n170403002201088,\n")
    found = read_labels(path)
    assert found.to_dict("list") == {"id": ["170403002201037"], "class": ["BIN"]}
    path.write_text("sobject_id,FFF\n170403002201037,HFR_HAE_BIN\n")
    assert read_labels(path)["class"].tolist() == ["HFR_HAE_BIN"]
    path.write_text("id,class,person,time\n7,nor,ann,1\n")
    assert read_labels(path).columns.tolist() == ["id", "class", "person", "time"]


def test_identifiers_never_turn_into_floating_numbers(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("id,class\n170403002201037,BIN\n,HFR\n")  # the gap makes the column floating
    assert read_labels(path)["id"].tolist() == ["170403002201037"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,teff\n1,5000\n", "no column of the class"),
        ("name,class\n1,BIN\n", "no column of the identifier"),
        ("id,class\n1,\n", "no labels"),
        ("id,class\n1,b?n\n", "expected codes such as"),
    ],
)
def test_files_that_are_no_labels_say_why(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_labels(path)
