import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from siderea.cli import synthesise as command
from siderea.errors import DataError, NotThisProductError, SidereaError, StoreError
from siderea.io.spectral_grid import read_grid
from siderea.models import synthesis
from siderea.models.synthesis import Band, SyntheticBand
from siderea.pipelines.synthesise import LABEL_RANGE, draw_labels, synthesise

BANDS = (Band("red", 6500, 6501, 0.1), Band("blue", 4800, 4801, 0.2))


class Fake:
    """Spectra that tell the labels they were made of; counts, and fails where asked."""

    def __init__(self, fail=(), stop_after=None):
        self.calls, self.fail, self.stop_after = 0, fail, stop_after

    def __call__(self, labels):
        if self.stop_after is not None and self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        if self.calls - 1 in self.fail:
            raise DataError("no such atmosphere")
        return [
            SyntheticBand(
                np.full(band.wavelength.size, labels[1] / 5),
                band.wavelength[:4],
                np.full(4, labels[0]),
            )
            for band in BANDS
        ]


def run(folder, compute, **options):
    return synthesise(folder, compute=compute, bands=BANDS, **({"n_models": 6} | options))


def test_grid_is_written_and_read(tmp_path):
    result = run(tmp_path, Fake())
    assert (result.n_computed, result.n_present, result.n_failed) == (6, 0, 0)
    grid = read_grid(tmp_path)
    assert grid.arm_names == ("blue", "red")  # by wavelength, whatever the order asked
    np.testing.assert_allclose(grid.labels, draw_labels(6), rtol=1e-6)
    np.testing.assert_allclose(grid.flux[:, 7], grid.labels[:, 1] / 5, rtol=1e-3)
    np.testing.assert_allclose(grid.continuum[:, 1, 2], grid.labels[:, 0], rtol=1e-6)
    assert grid.flux.shape == (6, 15)


def test_a_stopped_run_resumes_where_it_was(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", Fake(stop_after=4))
    again = Fake()
    result = run(tmp_path / "a", again)
    assert again.calls == 2
    assert (result.n_computed, result.n_present) == (2, 4)
    run(tmp_path / "b", Fake())
    one, two = read_grid(tmp_path / "a"), read_grid(tmp_path / "b")
    np.testing.assert_array_equal(one.flux, two.flux)
    assert one.sha256() == two.sha256()


def test_more_models_continue_the_grid(tmp_path):
    run(tmp_path, Fake())
    more = Fake()
    run(tmp_path, more, n_models=9)
    assert more.calls == 3
    assert len(read_grid(tmp_path)) == 9


def test_a_damaged_part_is_computed_again(tmp_path):
    run(tmp_path, Fake())
    part = tmp_path / "parts" / "000002.npz"
    part.write_bytes(part.read_bytes()[:100])
    again = Fake()
    run(tmp_path, again)
    assert again.calls == 1


def test_models_that_fail_are_left_out(tmp_path):
    result = run(tmp_path, Fake(fail=(1, 3)))
    assert (result.n_computed, result.n_failed) == (4, 2)
    np.testing.assert_allclose(read_grid(tmp_path).labels, draw_labels(6)[[0, 2, 4, 5]], rtol=1e-6)


def test_nothing_computable_is_an_error(tmp_path):
    with pytest.raises(SidereaError, match="not one model"):
        run(tmp_path, Fake(fail=range(6)))


def test_another_grid_is_not_mixed_in(tmp_path):
    run(tmp_path, Fake())
    with pytest.raises(StoreError, match="another seed"):
        run(tmp_path, Fake(), seed=1)


def test_a_bug_is_not_taken_for_a_failed_model(tmp_path):
    def broken(_labels):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, broken)


def test_labels_fill_their_range_and_only_it():
    labels = draw_labels(256)
    low, high = np.transpose(LABEL_RANGE)
    assert ((labels >= low) & (labels <= high)).all()
    for column in range(5):
        counts, _ = np.histogram(labels[:, column], 8, (low[column], high[column]))
        assert counts.min() >= 28
    np.testing.assert_array_equal(draw_labels(10), labels[:10])
    assert not np.array_equal(draw_labels(10, seed=1), labels[:10])


def test_only_labels_inside_are_drawn():
    labels = draw_labels(300, inside=lambda values: values[:, 1] > 3)
    assert labels.shape == (300, 5)
    assert labels[:, 1].min() > 3
    with pytest.raises(DataError, match="expected 5"):
        draw_labels(5, inside=lambda values: np.zeros(len(values), bool))


def test_reading_what_is_no_grid(tmp_path):
    with pytest.raises(NotThisProductError, match=r"no \.npz"):
        read_grid(tmp_path)
    (tmp_path / "blue.npz").write_bytes(b"not a zip")
    with pytest.raises(NotThisProductError, match=r"blue\.npz"):
        read_grid(tmp_path)


def test_reading_bands_of_different_models(tmp_path):
    run(tmp_path, Fake())
    with np.load(tmp_path / "red.npz") as content:
        changed = {name: content[name] for name in content.files}
    changed["labels"] = changed["labels"] + 1
    np.savez(tmp_path / "red.npz", **changed)
    with pytest.raises(NotThisProductError, match="other labels"):
        read_grid(tmp_path)


def test_command_without_pysme_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "find_spec", lambda _: None)
    app = typer.Typer()
    app.command()(command.run)
    result = CliRunner().invoke(app, ["--output", str(tmp_path / "grid"), "--models", "2"])
    assert isinstance(result.exception, DataError)
    assert "siderea[synthesis]" in str(result.exception)
    assert not (tmp_path / "grid").exists()
