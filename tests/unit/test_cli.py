import resource
import subprocess
import sys

import pytest

from siderea.cli import app

RUN = [sys.executable, "-c", "from siderea.cli import main; main()"]


def siderea(*arguments):
    return subprocess.run([*RUN, *map(str, arguments)], capture_output=True, text=True, check=False)


def commands():
    return [command.name for command in app.registered_commands]


def test_help_answers_within_half_a_second():
    assert min(_cpu_seconds("--help") for _ in range(3)) < 0.5


def _cpu_seconds(*arguments):
    """Processor time of a command: what it takes on a machine that does nothing else."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert siderea(*arguments).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_imports_no_heavy_library():
    heavy = ("torch", "astropy", "pandas", "zarr", "matplotlib")
    code = f"import sys, siderea.cli; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_that_states_its_cost(command):
    answer = siderea(command, "--help")
    assert answer.returncode == 0
    if command not in ("cite", "info", "report"):
        assert "Memory" in answer.stdout
        assert "Time" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["info", "nowhere.siderea"], "no such folder"),
        (["embed", "nowhere.siderea"], "no such folder"),
        (["report", "nowhere.siderea"], "no such folder"),
        (["ingest", "galah", "nowhere", "-o", "a.siderea"], "no such file"),
        (["cite", "astrology"], "expected one of"),
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


def test_a_method_that_is_not_there_is_refused(tmp_path):
    answer = siderea("embed", tmp_path, "--method", "astrology")
    assert answer.returncode == 2
    assert answer.stderr.startswith("siderea: Invalid value")
    assert "tsne" in answer.stderr


def test_cite_prints_bibtex():
    answer = siderea("cite", "tsne")
    assert answer.returncode == 0
    assert "@article{vanderMaaten2008," in answer.stdout
