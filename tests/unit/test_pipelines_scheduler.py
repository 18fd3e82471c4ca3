"""Pieces of a job run here and on a cluster give the same results in the same order."""

import os

import pytest

from siderea.errors import DataError, StoreError
from siderea.pipelines.scheduler import results

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def square(number, power=2):
    return number**power


def process_id(_):
    return os.getpid()


def die(_):
    os._exit(3)


def refuse(number):
    raise DataError(f"piece {number} is bad")


def test_order_is_that_of_the_work_whoever_does_it(cluster):
    work = [(number,) for number in range(25)]
    expected = [number**2 for number in range(25)]
    for where in ({"jobs": 1}, {"jobs": 2}, {"scheduler": cluster.scheduler_address}):
        assert list(results(square, iter(work), **where)) == expected


def test_a_generator_is_drawn_from_only_as_fast_as_it_is_worked_off(cluster):
    drawn = []

    def work():
        for number in range(100):
            drawn.append(number)
            yield (number,)

    found = results(square, work(), scheduler=cluster.scheduler_address, ahead=3)
    next(found)
    assert len(drawn) <= 5
    found.close()


def test_it_is_the_cluster_that_works(cluster):
    pids = set(results(process_id, [(n,) for n in range(8)], scheduler=cluster.scheduler_address))
    assert os.getpid() not in pids


def test_an_error_of_a_piece_arrives_as_it_is(cluster):
    with pytest.raises(DataError, match="piece 0 is bad"):
        list(results(refuse, [(0,)], scheduler=cluster.scheduler_address))


def test_a_piece_that_kills_its_workers_is_said():
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as fragile,
        pytest.raises(StoreError, match="lost a piece"),
    ):
        list(results(die, [(0,)], scheduler=fragile.scheduler_address))


def test_no_scheduler_is_one_clear_line(monkeypatch):
    monkeypatch.setattr("siderea.pipelines.scheduler.CONNECT_SECONDS", 0.5)
    with pytest.raises(DataError, match="no answer"):
        list(results(square, [(1,)], scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(DataError, match="no answer"):
        list(results(square, [(1,)], scheduler="nonsense://x"))
