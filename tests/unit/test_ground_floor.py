import pickle
import re

import pytest

from siderea import citations
from siderea.errors import DataError, NotThisProductError
from siderea.flags import FitFlag, SpectrumFlag, describe
from siderea.io.files import atomic_write, read_json, write_json
from siderea.io.sources import expand


@pytest.mark.parametrize("flags", [SpectrumFlag, FitFlag])
def test_every_flag_is_a_bit_of_its_own(flags):
    values = [flag.value for flag in flags if flag.value]
    assert len(set(values)) == len(values)
    assert all(value & (value - 1) == 0 for value in values)


def test_flags_are_spelt_out():
    assert describe(0) == ""
    assert describe(SpectrumFlag.NO_RV | SpectrumFlag.IMPLAUSIBLE) == "NO_RV|IMPLAUSIBLE"


def test_every_method_cites_entries_that_exist():
    known = citations.entries()
    assert len(known) == len(re.findall("^@", citations.bibtex(), re.M))
    for method in citations.METHODS:
        text = citations.bibtex(method)
        assert text.count("@") >= 1
        assert text.count("{") == text.count("}")
    with pytest.raises(DataError, match="expected one of"):
        citations.bibtex("astrology")


def test_an_error_of_a_worker_keeps_what_it_says():
    error = pickle.loads(pickle.dumps(NotThisProductError("a.fits", "a cat", "a star")))
    assert str(error) == "a.fits: found a cat; expected a star"


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"one": 1})
    with pytest.raises(TypeError), atomic_write(path, "w") as handle:
        handle.writelines(["half", 2])
    assert read_json(path) == {"one": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_folders_lists_and_names_are_expanded_sorted_and_without_repeats(tmp_path):
    deep = tmp_path / "b" / "c"
    deep.mkdir(parents=True)
    for name in ("2.fits", "1.fits.gz", "notes.txt"):
        (deep / name).write_text("")
    (tmp_path / "list.txt").write_text("# a comment\nb/c/2.fits\n\nb\n")
    found = expand([f"@{tmp_path / 'list.txt'}", deep], suffixes=(".fits", ".fits.gz"))
    assert found == [str(deep / "1.fits.gz"), str(deep / "2.fits")]
    assert expand([deep / "notes.txt"], suffixes=(".fits",)) == [str(deep / "notes.txt")]


@pytest.mark.parametrize(
    ("name", "said"),
    [("none", "no such file"), ("@none", "no such list"), (".", "an empty folder")],
)
def test_nothing_to_expand_is_said(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=said):
        expand([name], suffixes=(".fits",))
    with pytest.raises(DataError, match="no input"):
        expand([], suffixes=(".fits",))
