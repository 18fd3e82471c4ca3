import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest

import siderea.pipelines.ingest as module
from siderea.errors import DataError, SidereaError, StorageFullError, StoreError
from siderea.flags import SpectrumFlag
from siderea.io.store import SurveyStore
from siderea.pipelines.ingest import ingest
from siderea.pipelines.prepare import Preparation


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch):
    """Chunks of 8 rows and batches of 5 sources: several of each from two dozen stars."""
    monkeypatch.setattr("siderea.io.store.CHUNK_BYTES", 1)
    monkeypatch.setattr(module, "BATCH", 5)


@pytest.fixture
def folder(tmp_path, mock_galah):
    return shutil.copytree(mock_galah, tmp_path / "files")


def content(path):
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_folder_of_files_becomes_a_store(folder, tmp_path):
    seen = []
    result = ingest("galah", [folder], tmp_path / "a.siderea", progress=lambda *at: seen.append(at))
    store = result.store
    assert result.failures == ()
    assert len(store) == 24
    assert seen[-1] == (24, 24)
    assert store.catalogue["id"].is_monotonic_increasing
    np.testing.assert_allclose(store.catalogue["rv"], 5.0 * np.arange(24) - 60.0, atol=1e-6)
    missing = (store.catalogue["flags"].to_numpy() & int(SpectrumFlag.MISSING_ARM)) > 0
    assert missing.tolist() == [False] * 23 + [True]
    spectra = store.spectra()
    good = spectra.ivar > 0
    assert np.median(spectra.flux[good]) == pytest.approx(1.0, abs=0.02)


def test_two_processes_make_the_same_store_as_one(folder, tmp_path):
    for jobs in (1, 2):
        ingest("galah", [folder], tmp_path / f"{jobs}.siderea", jobs=jobs)
    assert content(tmp_path / "1.siderea") == content(tmp_path / "2.siderea")


class StopError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 2, 4, 5])
def test_interrupted_and_resumed_is_the_same_store(folder, tmp_path, after):
    (folder / "broken.fits").write_text("no FITS")
    whole = ingest("galah", [folder], tmp_path / "whole.siderea")

    def interrupt(done, total):
        if done >= 5 * after:
            raise StopError

    with pytest.raises(StopError):
        ingest("galah", [folder], tmp_path / "broken.siderea", progress=interrupt)
    with pytest.raises(StoreError, match="interrupted"):
        SurveyStore.open(tmp_path / "broken.siderea").catalogue  # noqa: B018
    resumed = ingest("galah", [folder], tmp_path / "broken.siderea")
    assert resumed.failures == whole.failures
    assert content(resumed.store.path) == content(whole.store.path)


def test_resuming_with_other_files_or_options_is_refused(folder, tmp_path):
    def interrupt(done, total):
        raise StopError

    with pytest.raises(StopError):
        ingest("galah", [folder], tmp_path / "a.siderea", progress=interrupt)
    with pytest.raises(StoreError, match="another preparation"):
        ingest("galah", [folder], tmp_path / "a.siderea", preparation=Preparation(masks=()))
    sorted(folder.glob("*1.fits"))[0].unlink()
    with pytest.raises(StoreError, match="another input"):
        ingest("galah", [folder], tmp_path / "a.siderea")


def test_a_complete_store_is_only_replaced_on_request(folder, tmp_path):
    ingest("galah", [folder], tmp_path / "a.siderea")
    with pytest.raises(StoreError, match="already exists"):
        ingest("galah", [folder], tmp_path / "a.siderea")
    ingest("galah", [folder], tmp_path / "a.siderea", overwrite=True)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"no manifest\.json"):
        ingest("galah", [folder], tmp_path / "precious", overwrite=True)
    assert (tmp_path / "precious" / "thesis.tex").exists()


def test_bad_files_are_reported_and_skipped(folder, tmp_path):
    first, second, *_ = sorted(folder.glob("*1.fits"))
    first.write_bytes(first.read_bytes()[:5000])
    second.write_text("an error page")
    (folder / "notes.fits").write_text("")
    result = ingest("galah", [folder], tmp_path / "a.siderea")
    assert len(result.store) == 22
    assert [failure.ordinal for failure in result.failures] == [0, 1, 2]
    table = pd.read_csv(tmp_path / "a.siderea" / "failures.csv")
    assert table["source"].tolist()[1:] == ["900000000100000", "900000000100001"]
    assert "empty file" in table["reason"][0]
    assert "not FITS" in table["reason"][2]
    assert result.store.manifest["n_failures"] == 3


def test_strict_stops_at_the_first_bad_file_and_can_go_on(folder, tmp_path):
    bad = sorted(folder.glob("*1.fits"))[17]
    kept = bad.read_bytes()
    bad.write_text("x")
    with pytest.raises(SidereaError, match="--strict"):
        ingest("galah", [folder], tmp_path / "a.siderea", strict=True)
    bad.write_bytes(kept)
    assert len(ingest("galah", [folder], tmp_path / "a.siderea", strict=True).store) == 24


def test_an_unexpected_error_in_one_file_does_not_end_the_job(folder, tmp_path, monkeypatch):
    from siderea.io import galah

    honest = galah.read_native

    def odd(paths, **options):
        if "100003" in str(paths):
            raise ZeroDivisionError("odd")
        return honest(paths, **options)

    monkeypatch.setattr(galah, "read_native", odd)
    result = ingest("galah", [folder], tmp_path / "a.siderea", jobs=1)
    assert len(result.store) == 23
    assert "unexpected ZeroDivisionError" in result.failures[0].reason


def test_a_second_copy_of_a_star_is_reported_not_stored(folder, tmp_path):
    (folder / "again").mkdir()
    for path in sorted(folder.glob("*.fits"))[:4]:
        shutil.copy(path, folder / "again")
    result = ingest("galah", [folder], tmp_path / "a.siderea")
    assert len(result.store) == 24
    assert "duplicate id" in result.failures[0].reason


@pytest.mark.parametrize("writes", [0, 3, 12, 18])
def test_a_full_disk_is_one_clear_line_and_the_job_resumes(folder, tmp_path, monkeypatch, writes):
    import zarr.storage._local as local

    whole = ingest("galah", [folder], tmp_path / "whole.siderea", jobs=1)
    honest, calls = local._put, []

    def full(path, value, exclusive=False):
        calls.append(path)
        if len(calls) > writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return honest(path, value, exclusive)

    with monkeypatch.context() as patch:
        patch.setattr(local, "_put", full)
        with pytest.raises(StorageFullError, match="disk is full"):
            ingest("galah", [folder], tmp_path / "a.siderea", jobs=1)
    begun = tmp_path / "a.siderea"
    assert not begun.exists() or SurveyStore.open(begun).complete is False
    resumed = ingest("galah", [folder], tmp_path / "a.siderea", jobs=1)
    assert content(resumed.store.path) == content(whole.store.path)


def test_nothing_to_read_is_said(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="an empty folder"):
        ingest("galah", [tmp_path / "empty"], tmp_path / "a.siderea")
    with pytest.raises(DataError, match="no such file"):
        ingest("galah", [tmp_path / "none.fits"], tmp_path / "a.siderea")
    with pytest.raises(DataError, match="expected one of galah"):
        ingest("sloan", [folder], tmp_path / "a.siderea")
    for path in folder.glob("*.fits"):
        path.write_text("x")
    with pytest.raises(DataError, match="none of the 24 sources"):
        ingest("galah", [folder], tmp_path / "a.siderea")
    assert not (tmp_path / "a.siderea").exists()


def test_a_list_of_files_stands_for_them(folder, tmp_path):
    names = "\n".join(path.name for path in sorted(folder.glob("*.fits"))[:8])
    (folder / "list.txt").write_text(f"# two stars\n{names}\n")
    assert len(ingest("galah", [f"@{folder / 'list.txt'}"], tmp_path / "a.siderea").store) == 2


def test_a_catalogue_is_joined_and_gives_missing_velocities(folder, tmp_path):
    labels = pd.DataFrame(
        {
            "sobject_id": 900_000_000_100_000 + np.arange(0, 24, 2),
            "teff": 5000.0,
            "ra": 12.5,
            "rv": 999.0,
        }
    )
    labels.to_csv(tmp_path / "labels.csv", index=False)
    store = ingest(
        "galah", [folder], tmp_path / "a.siderea", catalogue=tmp_path / "labels.csv"
    ).store
    assert store.catalogue["teff"].notna().sum() == 12
    assert store.catalogue["ra"].notna().sum() == 12
    assert store.catalogue["rv"].max() < 999  # the file's own velocity is kept


def test_counts_are_stored_when_asked(folder, tmp_path):
    plain = Preparation(continuum=None, masks=())
    store = ingest("galah", [folder], tmp_path / "a.siderea", preparation=plain).store
    spectra = store.spectra(0)
    assert np.median(spectra.flux[spectra.ivar > 0]) > 500


def test_jobs_must_be_positive(folder, tmp_path):
    with pytest.raises(DataError, match="at least 1"):
        ingest("galah", [folder], tmp_path / "a.siderea", jobs=0)


def test_a_killed_process_leaves_a_store_that_resumes(tmp_path, mock_galah):
    """The real thing: two worker processes, real chunks, and a signal that nobody can catch."""
    folder = tmp_path / "many"
    folder.mkdir()
    for copy in range(8):
        for path in mock_galah.glob("*.fits"):
            name = f"{900_000_000_000_000 + 1000 * copy + int(path.name[10:15])}{path.name[15:]}"
            (folder / name).symlink_to(path)
    code = "from siderea.cli import main; main()"
    command = [sys.executable, "-c", code, "ingest", "galah", str(folder), "--jobs", "2", "-o"]
    killed, whole = tmp_path / "killed.siderea", tmp_path / "whole.siderea"
    job = subprocess.Popen([*command, str(killed)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (killed / "catalogue.parts" / "part-0000000.parquet").exists():
        assert job.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = psutil.Process(job.pid).children(recursive=True)
    job.kill()
    job.wait()
    assert workers
    assert psutil.wait_procs(workers, timeout=20)[1] == []  # no orphan is left behind
    assert not SurveyStore.open(killed).complete
    for store in (killed, whole):
        subprocess.run([*command, str(store)], check=True, capture_output=True)
    assert len(SurveyStore.open(whole)) == 192
    assert content(killed) == content(whole)
