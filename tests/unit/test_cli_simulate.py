import subprocess
import sys

import pandas as pd
import pytest

from siderea.cli import simulate
from siderea.io.store import SurveyStore

RUN = [sys.executable, "-c", "from siderea.cli import main; main()", "simulate"]


def siderea(*arguments):
    return subprocess.run([*RUN, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_every_kind_has_help_that_states_its_cost():
    names = [command.callback.__name__ for command in simulate.app.registered_commands]
    assert names == ["spectra", "photometry", "lightcurves"]
    for name in names:
        answer = siderea(name, "--help")
        assert answer.returncode == 0
        assert "Memory" in answer.stdout
        assert "Time" in answer.stdout


def test_spectra_become_a_store(tmp_path):
    path = tmp_path / "mock.siderea"
    answer = siderea("spectra", "--stars", 12, "--output", path, "--seed", 3, "--workers", 1)
    assert answer.returncode == 0, answer.stderr
    store = SurveyStore.open(path)
    assert len(store) == len(store.product("truth")) == 12
    again = siderea("spectra", "--stars", 12, "--output", path)
    assert again.returncode == 2
    assert "already exists" in again.stderr


def test_photometry_becomes_a_table(tmp_path):
    path = tmp_path / "stars.parquet"
    answer = siderea("photometry", "--stars", 20, "--output", path, "--binary-fraction", 1)
    assert answer.returncode == 0, answer.stderr
    assert len(pd.read_parquet(path)) == 20
    assert (pd.read_parquet(tmp_path / "stars.truth.parquet")["n_stars"] > 1).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["spectra", "--stars", "0", "-o", "a.siderea"], "--stars"),
        (["spectra", "--stars", "5", "-o", "a.siderea", "--instrument", "apogee"], "El-Badry"),
        (["spectra", "--stars", "5", "-o", "a.siderea", "--peculiar", "1000"], "peculiar"),
        (["photometry", "--stars", "5", "-o", "a.csv"], "ending in .parquet"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    answer = siderea(*arguments)
    assert answer.returncode == 2
    lines = [line for line in answer.stderr.splitlines() if line.startswith("siderea:")]
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in answer.stderr
    assert not list(tmp_path.iterdir())
