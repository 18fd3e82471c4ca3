"""Labels: the log keeps everything, tables go out and in, the classifier learns from them."""

import csv
import io
import sqlite3
import time

import numpy as np
import pytest

from siderea.errors import DataError, StoreError
from siderea.explorer.labelling import checked, export_csv, import_csv
from siderea.io.label_log import LabelLog, Said


@pytest.fixture
def log(tmp_path):
    log = LabelLog(tmp_path / "explorer" / "labels.sqlite")
    yield log
    log.close()


@pytest.fixture
def client(explored, tmp_path):
    store = explored.make(tmp_path / "s.siderea")
    with explored.client(store.path) as client:
        client.path = store.path
        yield client


def say(client, rows, value, user="ann", **more):
    sent = {"rows": list(rows), "kind": "class", "value": value, "user": user} | more
    reply = client.post("/api/labels", json=sent)
    assert reply.status_code == 200, reply.text
    return reply.json()["seq"]


def words(client, key):
    schema = client.get("/api/schema").json()
    told = next(one for one in schema["columns"] if one["key"] == key)
    codes = np.frombuffer(client.get(f"/api/columns/{key}").content, dtype="<i2")
    return [told["categories"][code] if code >= 0 else None for code in codes]


def wait(client):
    for _ in range(600):
        status = client.get("/api/classify").json()
        if status["state"] != "running":
            return status
        time.sleep(0.05)
    raise AssertionError("the refit did not end")


# ---------------------------------------------------------------------------------- the log


def test_entries_are_numbered_and_in_order(log):
    for number in range(1, 6):
        assert log.append([Said([f"s{number}", "s0"], "class", "BIN", "ann", "why")]) == number
    entries = log.entries()
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert log.members(3) == ["s0", "s3"]
    assert [entry.seq for entry in log.entries(3)] == [4, 5]
    assert [entry.seq for entry in log.of("s2")] == [2]
    assert log.seq == 5


def test_the_last_word_counts_and_undo_is_an_entry(log):
    log.append([Said(["a", "b"], "class", "BIN", "ann")])
    log.append([Said(["b"], "class", "NOR", "bob")])
    assert {one: entry.value for one, entry in log.standing("class")} == {"a": "BIN", "b": "NOR"}
    undone = log.undo("bob")
    assert (undone.seq, undone.action, undone.undoes) == (3, "undo", 2)
    assert {one: entry.value for one, entry in log.standing("class")} == {"a": "BIN", "b": "BIN"}
    assert log.undo("bob") is None  # nothing of his stands
    assert log.undo("ann").undoes == 1
    assert log.standing("class") == []
    assert [entry.undone for entry in log.entries()] == [True, True, False, False]
    log.append([Said(["a"], "class", "TRI", "ann")])
    log.append([Said(["a"], "class", "", "ann")])  # taken away
    assert log.standing("class") == []


def test_an_action_is_written_whole_or_not_at_all(log):
    good = Said(["a"], "class", "BIN", "ann")
    bad = Said(["b"], "nothing", "BIN", "ann")
    with pytest.raises(sqlite3.IntegrityError):
        log.append([good, bad])
    assert log.seq == 0
    assert log.append([good]) == 1  # and the numbers have no gap


def test_nothing_can_be_changed_or_deleted(log):
    log.append([Said(["a"], "class", "BIN", "ann")])
    with sqlite3.connect(log.path) as other:
        for command in (
            "UPDATE entries SET value = 'NOR'",
            "DELETE FROM entries",
            "DELETE FROM members",
            "UPDATE members SET id = 'b'",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                other.execute(command)
    other.close()


def test_two_processes_may_hold_it(log):
    other = LabelLog(log.path)
    log.append([Said(["a"], "class", "BIN", "ann")])
    assert other.append([Said(["b"], "class", "NOR", "bob")]) == 2
    assert len(log.standing("class")) == 2
    other.close()


def test_a_newer_log_is_not_touched(log):
    with sqlite3.connect(log.path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match="newer siderea"):
        LabelLog(log.path)


def test_a_damaged_log_is_told(tmp_path):
    path = tmp_path / "labels.sqlite"
    path.write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        LabelLog(path)


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [("class", "bin hfr", "HFR_BIN"), ("class", "", ""), ("flag", " odd wave ", "odd wave")],
)
def test_values_are_written_in_one_way(kind, value, written):
    assert checked(kind, value) == written


@pytest.mark.parametrize(
    ("kind", "value"), [("class", "<b>"), ("flag", "<b>"), ("flag", "x" * 41), ("class", "é!")]
)
def test_values_that_are_none_are_refused(kind, value):
    with pytest.raises(DataError):
        checked(kind, value)


# ------------------------------------------------------------------------------- by the page


def test_labels_colour_and_are_told_of(client):
    assert say(client, [3, 4, 5, 3], "bin", comment="two peaks") == 1
    assert say(client, [5], "nor", user="bob") == 2
    client.post("/api/labels", json={"rows": [9], "kind": "flag", "value": "ghost", "user": "bob"})
    labelled = words(client, "labels:class")
    assert [labelled[row] for row in (2, 3, 4, 5)] == [None, "BIN", "BIN", "NOR"]
    assert words(client, "labels:user")[5] == "bob"
    assert words(client, "labels:flag")[9] == "ghost"
    told = client.get("/api/labels").json()
    assert told["seq"] == 3
    assert told["entries"][0]["rows"] == [3, 4, 5]
    assert told["entries"][0]["n"] == 3
    assert told["entries"][0]["comment"] == "two peaks"
    assert client.get("/api/labels?since=2").json()["entries"][0]["kind"] == "flag"
    panel = client.get("/api/objects/5").json()["labels"]
    assert [(entry["user"], entry["value"]) for entry in panel] == [("ann", "BIN"), ("bob", "NOR")]
    undone = client.post("/api/labels/undo", json={"user": "bob"}).json()
    assert undone == {"seq": 4, "undone": 3}
    assert words(client, "labels:flag")[9] is None
    mask = client.post("/api/filter", json={"expression": 'labels.class == "BIN"'})
    assert np.flatnonzero(np.frombuffer(mask.content, dtype=np.uint8)).tolist() == [3, 4]


def test_every_label_changes_the_version(client):
    before = client.get("/api/version").json()
    say(client, [1], "BIN")
    after = client.get("/api/version").json()
    assert after["labels"] == before["labels"] + 1
    assert after["version"] != before["version"]
    assert after["version"] == client.get("/api/schema").json()["version"]


def test_labels_survive_the_server(explored, client):
    say(client, [1, 2], "BIN")
    with explored.client(client.path) as again:
        assert words(again, "labels:class")[1:3] == ["BIN", "BIN"]


def test_what_goes_out_comes_in_and_siderea_classify_reads_it(explored, client, tmp_path):
    from siderea.io.labels import read_labels

    say(client, range(4), "BIN", comment='=HYPERLINK("x"), "quoted"\nline')
    say(client, range(4, 8), "HFR_HAE", user="@bob")
    text = client.get("/api/labels/export").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["comment"].startswith("'=")  # no spreadsheet takes it for a formula
    table = tmp_path / "labels.csv"
    table.write_text(text)
    read = read_labels(table)
    assert read["class"].tolist() == ["BIN"] * 4 + ["HFR_HAE"] * 4
    assert read["id"].tolist() == [f"s{row:03d}" for row in range(8)]

    log = read_labels(client.path / "explorer" / "labels.sqlite")
    assert set(zip(log["id"], log["class"], strict=True)) == set(
        zip(read["id"], read["class"], strict=True)
    )
    with pytest.raises(DataError, match="no such file"):
        read_labels(tmp_path / "nothing.sqlite")

    other = explored.make(tmp_path / "other.siderea")
    with explored.client(other.path) as second:
        reply = second.post("/api/labels/import?user=cat", content=text)
        assert reply.json() == {"seq": 2, "n": 8, "unknown": 0}
        entries = second.get("/api/labels").json()["entries"]
        assert {entry["user"] for entry in entries} == {"ann", "@bob"}
        assert entries[0]["comment"] == '=HYPERLINK("x"), "quoted"\nline'
        assert second.get("/api/labels/export").text.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected columns id and class"),
        ("a,b\n1,2\n", "expected columns id and class"),
        ("id,class\ns001,<b>\n", "line 2"),
        ("id,class\n,\n", "nothing was imported"),
        ('id,class\n"s001,BIN\n', "not a CSV"),
    ],
)
def test_a_table_that_is_none_is_refused_whole(client, text, says):
    reply = client.post("/api/labels/import?user=ann", content=text)
    assert reply.status_code == 400
    assert says in reply.json()["detail"]
    assert client.get("/api/labels").json()["seq"] == 0


def test_ids_of_other_stores_are_kept_and_counted(log, explored, tmp_path):
    from siderea.explorer.survey import Survey

    survey = Survey(explored.make(tmp_path / "s.siderea").path)
    found = import_csv(log, survey.names, "id,class\ns001,BIN\nelsewhere,BIN\n", user="ann")
    assert (found.n, found.unknown) == (1, 1)
    assert "elsewhere" in export_csv(log, "class")


# ------------------------------------------------------------------------------------ refit


def test_the_classifier_learns_from_the_log(client):
    """Two groups of features, eight labels each: all of both get their class."""
    say(client, range(8), "NOR")
    say(client, range(40, 48), "BIN", user="bob")
    job = client.post("/api/classify").json()["job"]
    status = wait(client)
    assert (status["job"], status["state"], status["n_labels"]) == (job, "done", 16)
    assert status["classes"] == ["BIN", "NOR"]
    found = words(client, "refit:class")
    truth = ["NOR"] * 30 + ["BIN"] * 29
    agree = [a == b for a, b in zip(found, truth, strict=False) if a is not None]
    assert np.mean(agree) > 0.9  # with all labels known, 0.977 at best
    assert len(agree) > 40
    assert found[59] is None  # no features
    sure = np.frombuffer(client.get("/api/columns/refit:probability").content, dtype="<f4")
    assert np.isnan(sure[59])
    assert sure[:30].min() >= 0.5
    each = [
        np.frombuffer(client.get(f"/api/columns/refit:p_{name}").content, dtype="<f4")
        for name in ("BIN", "NOR")
    ]
    np.testing.assert_allclose((each[0] + each[1])[:59], 1, atol=1e-5)
    np.testing.assert_array_equal(np.maximum(*each), sure)

    queue = client.get("/api/review?n=6").json()
    assert len(queue["rows"]) == 6 == len(set(queue["rows"]))
    assert not set(queue["rows"]) & ({*range(8)} | {*range(40, 48)})
    margin = np.frombuffer(client.get("/api/columns/refit:margin").content, dtype="<f4")
    assert margin[queue["rows"]].mean() < np.nanmean(margin)
    assert client.post("/api/classify?map=tsne:2").json()["job"] == job + 1
    wait(client)


def test_one_refit_at_a_time(client, monkeypatch):
    import threading

    from siderea.explorer.refit import Refit

    say(client, range(8), "NOR")
    say(client, range(40, 48), "BIN")
    go_on = threading.Event()
    learn = Refit._learn
    monkeypatch.setattr(Refit, "_learn", lambda *given: go_on.wait(20) and learn(*given))
    jobs = {client.post("/api/classify").json()["job"] for _ in range(3)}
    assert jobs == {1}
    assert client.get("/api/classify").json()["state"] == "running"
    go_on.set()
    assert wait(client)["state"] == "done"


def test_a_refit_that_fails_says_so(client, monkeypatch, caplog):
    from siderea.explorer.refit import Refit

    def fail(*_):
        raise RuntimeError("a bug")

    say(client, range(8), "NOR")
    say(client, range(40, 48), "BIN")
    monkeypatch.setattr(Refit, "_learn", fail)
    client.post("/api/classify")
    assert wait(client)["state"] == "failed"
    assert "a bug" in caplog.text
    monkeypatch.undo()
    client.post("/api/classify")
    assert wait(client)["state"] == "done"


def test_too_few_labels_are_refused(client):
    say(client, range(8), "NOR")
    reply = client.post("/api/classify")
    assert reply.status_code == 409
    assert "two classes" in reply.json()["detail"]
    assert client.post("/api/classify?map=umap").status_code == 404
    assert client.get("/api/review").status_code == 404
