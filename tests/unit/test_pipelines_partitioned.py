"""A job over partitions: what fails is said, what is done is kept, the next start ends it."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import siderea.io.files as files
from siderea.errors import DataError, NotThisProductError, StorageFullError, StoreError
from siderea.galaxy.cells import healpix_index
from siderea.io.hats import finish_hats, hats_head, partition_name
from siderea.io.partitions import open_partitions, read_partition
from siderea.pipelines.catalogues import add_columns, column_job
from siderea.pipelines.partitioned import FAILURES

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

N = 2000


class Twice:
    """A step that doubles the number of a star; its worker dies once at a star, if so asked."""

    wanted = needed = ("id",)
    fields = (pa.field("twice", pa.int64()),)

    def __init__(self, mark="", victim=-1, pause=0.0):
        self.mark, self.victim, self.pause = mark, victim, pause

    @property
    def recipe(self):
        return {"step": "twice"}

    def __call__(self, frame):
        if self.victim in set(frame["id"]) and not Path(self.mark).exists():
            Path(self.mark).touch()
            os._exit(9)
        time.sleep(self.pause)
        return {"twice": 2 * frame["id"].to_numpy()}


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    """A HATS catalogue of twelve partitions."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(N), "ra": rng.uniform(0, 360, N)})
    frame["dec"] = np.rad2deg(np.arcsin(rng.uniform(-1, 1, N)))
    frame["value"] = rng.normal(size=N).astype(np.float32)
    frame.insert(0, "_healpix_29", healpix_index(frame["ra"], frame["dec"], 29))
    frame = frame.sort_values("_healpix_29")
    folder = tmp_path_factory.mktemp("stars") / "stars"
    pixels = [(0, number) for number in range(12)]
    for pixel in pixels:
        part = frame[frame["_healpix_29"] // 4**29 == pixel[1]]
        path = folder / partition_name(pixel)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(part, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, path)
    finish_hats(folder, "stars", pixels, table.schema)
    return folder


@pytest.fixture(scope="module")
def doubled(tmp_path_factory, stars):
    folder = tmp_path_factory.mktemp("doubled") / "out"
    double(stars, folder)
    return folder


def double(source, output, *, keep=None, step=None, **options):
    opened = open_partitions(source)
    job = column_job(opened, step or Twice(), keep=keep)
    return add_columns(opened, job, output, **({"jobs": 1} | options))


def content(folder):
    """Fingerprints of all files but the journal."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("_siderea.json", "hats.properties", "properties")
    }


def copied(source, target):
    shutil.copytree(source, target)
    return target


def partitions(folder):
    return sorted(folder.glob("dataset/Norder=*/Dir=*/Npix=*.parquet"))


def test_the_result_is_the_catalogue_with_a_column_more(stars, doubled):
    for before, after in zip(partitions(stars), partitions(doubled), strict=True):
        table = pq.read_table(after, partitioning=None).to_pandas()
        assert (table.pop("twice") == 2 * table["id"]).all()
        pd.testing.assert_frame_equal(table, pq.read_table(before, partitioning=None).to_pandas())
    assert hats_head(doubled).pixels == hats_head(stars).pixels
    rows = pq.read_metadata(doubled / "dataset" / "_metadata").num_rows
    assert rows == open_partitions(doubled).n_rows == N


def test_processes_and_a_cluster_write_the_same_bytes(
    tmp_path, stars, doubled, cluster, monkeypatch
):
    monkeypatch.setattr("siderea.pipelines.partitioned.WORTH_A_PROCESS", 1)
    for number, where in enumerate(({"jobs": 2}, {"scheduler": cluster.scheduler_address})):
        double(stars, tmp_path / str(number), **where)
        assert content(tmp_path / str(number)) == content(doubled)


def test_damaged_partitions_are_said_and_the_rest_is_kept(tmp_path, stars, doubled):
    source = copied(stars, tmp_path / "source")
    broken, lacking, *_ = partitions(source)
    whole = broken.read_bytes(), lacking.read_bytes()
    broken.write_bytes(whole[0][: len(whole[0]) // 2])
    pq.write_table(pq.read_table(lacking, partitioning=None).drop_columns("value"), lacking)
    with pytest.raises(StoreError, match=r"2 of 12 partitions failed.*run the same command") as e:
        double(source, tmp_path / "out")
    assert "\n" not in str(e.value)
    reasons = pd.read_csv(tmp_path / "out" / FAILURES).set_index("partition")["reason"]
    assert "damaged" in reasons[str(broken.relative_to(source))]
    assert "no column value" in reasons[str(lacking.relative_to(source))]
    assert not (tmp_path / "out" / "hats.properties").exists()  # nobody takes it for complete
    kept = {path: path.stat().st_mtime_ns for path in partitions(tmp_path / "out")}
    assert len(kept) == 10
    broken.write_bytes(whole[0])
    lacking.write_bytes(whole[1])
    assert double(source, tmp_path / "out").n_stars == N
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert content(tmp_path / "out") == content(doubled)


def test_a_bug_in_one_partition_does_not_end_the_job(tmp_path, stars):
    class Odd(Twice):
        def __call__(self, frame):
            return super().__call__(frame) if 7 not in set(frame["id"]) else {"twice": [1 / 0]}

    class Short(Twice):
        def __call__(self, frame):
            return {"twice": 2 * frame["id"].to_numpy()[:-1]}

    with pytest.raises(StoreError, match=r"1 of 12.*unexpected ZeroDivisionError"):
        double(stars, tmp_path / "odd", step=Odd())
    assert len(partitions(tmp_path / "odd")) == 11
    with pytest.raises(StoreError, match="12 of 12"):
        double(stars, tmp_path / "short", step=Short())


def test_a_partition_that_lost_rows_is_not_taken(tmp_path, stars):
    opened = open_partitions(copied(stars, tmp_path / "source"))
    victim = Path(opened.partitions[2].path)
    table = pq.read_table(victim, partitioning=None)
    pq.write_table(table.slice(1), victim)
    with pytest.raises(DataError, match=f"expected {len(table)}"):
        read_partition(opened.partitions[2], ["ra"])
    half = tmp_path / "half"
    double(stars, half)
    for path in (half / "hats.properties", half / "_siderea.json"):
        path.unlink()
    shutil.rmtree(half)


def test_a_part_of_the_result_that_lost_rows_is_made_again(tmp_path, stars, doubled):
    out = copied(doubled, tmp_path / "out")
    journal = out / "_siderea.json"
    journal.write_text(journal.read_text().replace('"complete": true', '"complete": false'))
    victim = partitions(out)[5]
    pq.write_table(pq.read_table(victim, partitioning=None).slice(3), victim)
    partitions(out)[6].write_bytes(b"PAR1")
    double(stars, out)
    assert content(out) == content(doubled)


def test_a_full_disk_is_one_clear_error_and_the_next_start_finishes(
    tmp_path, stars, doubled, monkeypatch
):
    written = []
    real = os.fsync

    def fsync(number):
        written.append(number)
        if len(written) == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(number)

    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(StorageFullError, match="the disk is full"):
        double(stars, tmp_path / "out")
    monkeypatch.undo()
    assert len(partitions(tmp_path / "out")) == 4  # the journal was the first file
    assert not list((tmp_path / "out").rglob("*.tmp"))
    double(stars, tmp_path / "out")
    assert content(tmp_path / "out") == content(doubled)


def test_a_lost_worker_is_said_and_the_next_start_finishes(tmp_path, stars, doubled, monkeypatch):
    monkeypatch.setattr("siderea.pipelines.partitioned.WORTH_A_PROCESS", 1)
    killer = Twice(str(tmp_path / "killed"), victim=1200)
    with pytest.raises(StoreError, match="worker process was killed"):
        double(stars, tmp_path / "out", step=killer, jobs=2)
    assert not (tmp_path / "out" / "hats.properties").exists()
    assert double(stars, tmp_path / "out", step=killer).n_stars == N
    assert content(tmp_path / "out") == content(doubled)


def test_a_worker_that_a_cluster_lost_is_made_up_for(tmp_path, stars, doubled, cluster):
    killer = Twice(str(tmp_path / "killed"), victim=1200)
    double(stars, tmp_path / "out", step=killer, scheduler=cluster.scheduler_address)
    assert (tmp_path / "killed").exists()
    assert content(tmp_path / "out") == content(doubled)


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, stars, doubled):
    running = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(stars), str(tmp_path / "out"), __file__]
    )
    while running.poll() is None and len(partitions(tmp_path / "out")) < 3:
        time.sleep(0.002)
    running.kill()
    running.wait()
    assert 3 <= len(partitions(tmp_path / "out")) < 12
    (tmp_path / "out" / "dataset" / ".left.parquet.1.tmp").touch()
    double(stars, tmp_path / "out")
    assert content(tmp_path / "out") == content(doubled)


KILLED = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("killed", sys.argv[3])
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
tests.double(sys.argv[1], sys.argv[2], step=tests.Twice(pause=0.1))
"""


def test_a_complete_result_is_left_alone_and_another_recipe_is_refused(tmp_path, stars, doubled):
    out = copied(doubled, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    double(stars, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == before
    with pytest.raises(StoreError, match="differs in columns"):
        double(stars, out, keep=["id"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(StoreError, match="other files"):
        double(stars, tmp_path / "mine")
    with pytest.raises(StoreError, match="itself"):
        double(stars, stars)
    with pytest.raises(DataError, match="ending"):
        double(stars, tmp_path / "out.txt")
    with pytest.raises(DataError, match="no column nothing"):
        double(stars, tmp_path / "x", keep=["nothing"])


def test_what_is_no_catalogue_is_said(tmp_path, stars):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotThisProductError, match="no Parquet file"):
        open_partitions(tmp_path / "empty")
    with pytest.raises(DataError, match="no such catalogue"):
        open_partitions(tmp_path / "nothing.parquet")
    (tmp_path / "bad.fits").write_text("no FITS")
    with pytest.raises(NotThisProductError, match="no table"):
        open_partitions(tmp_path / "bad.fits")
    half = copied(stars, tmp_path / "half")
    (half / "partition_info.csv").unlink()
    with pytest.raises(NotThisProductError, match="partition_info"):
        open_partitions(half)
