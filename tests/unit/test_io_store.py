import errno
import hashlib
import json
import os
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import zarr

from siderea.data import Spectra
from siderea.errors import DataError, ProductError, StorageFullError, StoreError
from siderea.io.raw_rows import read_rows
from siderea.io.store import SurveyStore, chunk_rows
from siderea.io.writer import StoreWriter

PIXELS = 400


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr("siderea.io.store.CHUNK_BYTES", 24 * 4 * PIXELS)


def survey(n, start=0):
    rng = np.random.default_rng(start)
    rows = np.arange(start, start + n)
    flux = (rows[:, None] + rng.random((n, PIXELS))).astype("f4")
    table = pd.DataFrame({"id": [f"s{row}" for row in rows], "teff": 5000.0 + rows})
    wavelength = np.linspace(4000.0, 5000.0, PIXELS)
    return Spectra(
        wavelength,
        flux,
        np.ones_like(flux),
        "vacuum",
        arms=(slice(0, 100), slice(100, PIXELS)),
        arm_names=("a", "b"),
        resolution=(1000.0, float("nan")),
        table=table,
    )


def content(path):
    """Digest of everything that a store holds, file by file."""
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def store(tmp_path):
    return SurveyStore.create(tmp_path / "a.siderea", survey(60), provenance={"product": "test"})


def test_what_is_written_is_read_back(store):
    truth = survey(60)
    again = SurveyStore.open(store.path).spectra()
    np.testing.assert_array_equal(again.flux, truth.flux)
    np.testing.assert_array_equal(again.ivar, truth.ivar)
    np.testing.assert_array_equal(again.wavelength, truth.wavelength)
    assert again.medium == "vacuum"
    assert again.arms == truth.arms
    assert again.arm_names == ("a", "b")
    assert again.resolution[0] == 1000.0
    assert np.isnan(again.resolution[1])
    pd.testing.assert_frame_equal(again.table, truth.table, check_dtype=False)
    json.loads((store.path / "manifest.json").read_text())


@pytest.mark.parametrize(
    "rows", [slice(3, 9), [5, 1, 59, 5], np.arange(60) % 7 == 0, slice(None, None, 11), -1, []]
)
def test_any_choice_of_rows(store, rows):
    truth = survey(60)
    index = (
        np.atleast_1d(np.arange(60)[rows]) if not isinstance(rows, list) else np.array(rows, int)
    )
    some = store.spectra(index if isinstance(rows, list) else rows)
    np.testing.assert_array_equal(some.flux, truth.flux[index])
    assert some.ids.tolist() == truth.ids[index].tolist()


def test_single_rows_are_what_zarr_says_they_are(store):
    whole = zarr.open_group(store.path / "spectra.zarr", mode="r")
    index = np.array([59, 0, 24, 23, 24])
    for name in ("flux", "ivar"):
        rows = read_rows(store.path / "spectra.zarr" / name, index, chunk_rows=24, n_pixels=PIXELS)
        np.testing.assert_array_equal(rows, whole[name][:][index])


def test_a_lost_or_cut_chunk_is_said(store):
    chunk = store.path / "spectra.zarr" / "flux" / "c" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[:5000])
    with pytest.raises(StoreError, match="missing or cut short"):
        store.spectra(47)
    chunk.unlink()
    with pytest.raises(StoreError, match="missing or cut short"):
        store.spectra(24)
    assert len(store.spectra(3)) == 1


@pytest.mark.parametrize("size", [None, 1, 7, 24, 1000])
def test_chunks_stream_everything_once_in_order(store, size):
    ids = [one for chunk in store.iter_chunks(size) for one in chunk.ids]
    assert ids == [f"s{row}" for row in range(60)]


def test_rows_by_identifier(store):
    assert store.rows_of(["s7", "s3"]).tolist() == [7, 3]
    with pytest.raises(DataError, match="no spectrum with id nobody"):
        store.rows_of(["s1", "nobody"])


def test_unknown_column_names_those_there_are(store):
    with pytest.raises(DataError, match=r"no column colour; there are id, teff"):
        store.read_catalogue(["colour"])


def test_it_opens_without_reading_and_reads_one_spectrum_fast(store):
    start = time.perf_counter()
    opened = SurveyStore.open(store.path)
    assert len(opened) == 60
    assert time.perf_counter() - start < 0.05
    opened.spectra(0)
    start = time.perf_counter()
    opened.spectra(31)
    assert time.perf_counter() - start < 0.05


@pytest.mark.parametrize("n_pixels", [1, 100, 8575, 16384, 10**7])
def test_chunks_are_a_few_megabytes(monkeypatch, n_pixels):
    monkeypatch.undo()
    rows = chunk_rows(n_pixels)
    assert rows % 8 == 0
    assert 8 <= rows <= 1024
    assert rows in (8, 1024) or 2 * 2**20 <= rows * n_pixels * 4 <= 4 * 2**20


def test_the_chunks_of_these_tests_are_small(store):
    assert store.manifest["chunk_rows"] == 24


def test_refusals_are_clear(tmp_path, store):
    with pytest.raises(StoreError, match="no such folder"):
        SurveyStore.open(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match=r"no manifest\.json"):
        SurveyStore.open(tmp_path / "empty")
    with pytest.raises(StoreError, match="already exists"):
        SurveyStore.create(store.path, survey(2))
    (store.path / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="damaged JSON"):
        SurveyStore.open(store.path)
    (store.path / "manifest.json").write_text('{"format": "siderea-store", "format_version": 99}')
    with pytest.raises(StoreError, match="newer siderea"):
        SurveyStore.open(store.path)


# ---------------------------------------------------------------------------------- products


def test_products_carry_their_provenance(store):
    frame = pd.DataFrame({"id": ["s1", "s2"], "x": [1.0, 2.0]})
    store.write_product("tsne", frame, method="tsne", parameters={"perplexity": 30.0})
    again = SurveyStore.open(store.path)
    assert again.products == ("tsne",)
    pd.testing.assert_frame_equal(again.product("tsne"), frame, check_dtype=False)
    info = again.product_info("tsne")
    assert info["parameters"] == {"perplexity": 30.0}
    assert info["n_rows"] == 2


@pytest.mark.parametrize(
    ("name", "frame", "said"),
    [
        ("../escape", {"id": ["s1"]}, "product name"),
        ("m", {"x": [1.0]}, "no column 'id'"),
        ("m", {"id": ["stranger"]}, "not in the catalogue"),
    ],
)
def test_products_that_do_not_belong_are_refused(store, name, frame, said):
    with pytest.raises(ProductError, match=said):
        store.write_product(name, pd.DataFrame(frame))


def test_a_failed_write_leaves_the_old_product(store, monkeypatch):
    store.write_product("m", pd.DataFrame({"id": ["s1"], "x": [1.0]}))

    def fail(writer, table, **_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)
    with pytest.raises(StorageFullError, match="disk is full"):
        store.write_product("m", pd.DataFrame({"id": ["s1"], "x": [2.0]}))
    assert store.product("m")["x"].tolist() == [1.0]
    assert [p.name for p in (store.path / "products").iterdir()] == ["m.parquet"]


# ----------------------------------------------------------------------- streaming and resuming


def write(path, pieces, *, stop_after=None, resume=False):
    grid = survey(0)
    writer = StoreWriter.resume(path) if resume else StoreWriter.create(path, grid)
    with writer:
        begin = writer.next_source
        skip = int((writer.committed()["source"] == begin).sum())
        for ordinal, (start, n) in enumerate(pieces):
            if ordinal < begin:
                continue
            rows = survey(n, start)[skip:]
            skip = 0
            writer.append(rows, [ordinal] * len(rows))
            if stop_after is not None and ordinal >= stop_after:
                return None
        return writer.finish({"n_sources": len(pieces)})


PIECES = [(0, 7), (7, 1), (8, 50), (58, 3), (61, 24), (85, 0), (85, 5)]


@pytest.mark.parametrize("stop_after", range(len(PIECES)))
def test_interrupted_and_resumed_is_the_same_store_byte_for_byte(tmp_path, stop_after):
    whole, broken = tmp_path / "whole.siderea", tmp_path / "broken.siderea"
    write(whole, PIECES)
    write(broken, PIECES, stop_after=stop_after)
    with pytest.raises(StoreError, match="interrupted after"):
        SurveyStore.open(broken).catalogue  # noqa: B018
    write(broken, PIECES, resume=True)
    assert content(broken) == content(whole)
    assert len(SurveyStore.open(whole)) == 90


def test_what_a_killed_process_left_half_written_is_swept_up(tmp_path):
    path = tmp_path / "a.siderea"
    write(path, PIECES, stop_after=4)
    leftovers = [
        path / ".manifest.json.99999.tmp",
        path / "catalogue.parts" / ".part-0000002.parquet.99999.tmp",
        path / "spectra.zarr" / "flux" / "c" / "2" / "0.abc.partial",
    ]
    for leftover in leftovers:
        leftover.parent.mkdir(parents=True, exist_ok=True)
        leftover.write_bytes(b"half")
    write(path, PIECES, resume=True)
    assert not any(leftover.exists() for leftover in leftovers)


def test_pieces_of_any_size_make_the_same_store(tmp_path):
    rows = survey(90)
    one = SurveyStore.create(tmp_path / "one.siderea", rows)
    with StoreWriter.create(tmp_path / "two.siderea", rows[:0]) as writer:
        for start in range(0, 90, 13):
            writer.append(rows[start : start + 13])
        writer.finish()
    two = SurveyStore.open(tmp_path / "two.siderea")
    np.testing.assert_array_equal(one.spectra().flux, two.spectra().flux)
    assert one.catalogue.equals(two.catalogue)


def test_a_column_that_is_empty_at_first_keeps_its_type(tmp_path):
    rows = survey(60)
    note = np.array([None] * 48 + ["seen"] * 12, dtype=object)
    with StoreWriter.create(tmp_path / "a.siderea", rows[:0]) as writer:
        for start in range(0, 60, 24):
            piece = rows[start : start + 24]
            piece.table["note"] = note[start : start + 24]
            writer.append(piece)
        store = writer.finish()
    assert store.catalogue["note"].tolist()[48:] == ["seen"] * 12
    assert store.catalogue["note"].isna().sum() == 48


def test_the_whole_catalogue_can_be_revised_at_the_end(tmp_path):
    rows = survey(60)
    with StoreWriter.create(tmp_path / "a.siderea", rows[:0]) as writer:
        writer.append(rows)
        store = writer.finish(revise=lambda frame: frame.assign(rank=frame["teff"].rank()))
    assert store.catalogue["rank"].tolist() == list(range(1, 61))
    assert store.spectra([3]).table["rank"].tolist() == [4.0]


def test_two_writers_at_once_are_refused(tmp_path):
    with StoreWriter.create(tmp_path / "a.siderea", survey(0)):
        other = StoreWriter.resume(tmp_path / "a.siderea")
        with pytest.raises(StoreError, match="another process"):
            other.__enter__()


def test_resuming_with_other_options_is_refused(tmp_path, store):
    StoreWriter.create(tmp_path / "b.siderea", survey(0), provenance={"frame": "rest"})
    with pytest.raises(StoreError, match="another frame"):
        StoreWriter.resume(tmp_path / "b.siderea", provenance={"frame": "barycentric"})
    with pytest.raises(StoreError, match="complete already"):
        StoreWriter.resume(store.path)


def test_another_grid_or_medium_is_refused(tmp_path):
    rows = survey(2)
    shifted = Spectra(rows.wavelength + 1.0, rows.flux, rows.ivar, "vacuum")
    in_air = Spectra(rows.wavelength, rows.flux, rows.ivar, "air")
    with StoreWriter.create(tmp_path / "a.siderea", rows[:0]) as writer:
        with pytest.raises(StoreError, match="another wavelength grid"):
            writer.append(shifted)
        with pytest.raises(StoreError, match="in air; the store has"):
            writer.append(in_air)


def test_an_empty_store_is_never_called_complete(tmp_path):
    writer = StoreWriter.create(tmp_path / "a.siderea", survey(0))
    with writer, pytest.raises(StoreError, match="not one spectrum"):
        writer.finish()
