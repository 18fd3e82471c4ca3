"""The explorer as a process: many clients at once, a sudden death, and the command line."""

import json
import socket
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

RUN = "from siderea.cli import main; main()"
READERS, LABELLERS, ACTIONS = 20, 4, 40


@pytest.fixture
def store(explored, tmp_path):
    return explored.make(tmp_path / "s.siderea")


def ask(address, path, sent=None, kind="application/json"):
    body = json.dumps(sent).encode() if isinstance(sent, dict) else sent
    request = urllib.request.Request(address + path, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return reply.read()


def say(address, user, number):
    rows = [number % 60, (number * 7) % 60]
    sent = {"rows": rows, "kind": "class", "value": "BIN", "user": user, "comment": str(number)}
    return json.loads(ask(address, "/api/labels", sent))["seq"]


def entries(address):
    found, last = [], 0
    while True:
        told = json.loads(ask(address, f"/api/labels?since={last}"))
        found += told["entries"]
        if not told["more"]:
            return found
        last = found[-1]["seq"]


def test_twenty_read_and_four_label_at_once(explored, store):
    """Every acknowledged label is in the log once, and every array is what it should be."""
    frame = store.catalogue
    truth = {
        "/api/columns/catalogue:teff": frame["teff"].to_numpy("<f4").tobytes(),
        "/api/columns/catalogue:flags": frame["flags"].to_numpy("<u4").tobytes(),
        "/api/maps/tsne/xy": store.product("tsne")[["x", "y"]].to_numpy("<f4").tobytes(),
        **{
            f"/api/spectra/{row}": np.r_[
                store.spectra(row).flux[0], store.spectra(row).ivar[0]
            ].tobytes()
            for row in (1, 30, 59)
        },
    }
    done = threading.Event()
    with explored.Process(store.path) as process:

        def read(number):
            count, paths = 0, list(truth)
            while not done.is_set():
                path = paths[(number + count) % len(paths)]
                assert ask(process.address, path) == truth[path], path
                if count % 5 == 0:
                    schema = json.loads(ask(process.address, "/api/schema"))
                    assert schema["n_rows"] == 60
                    mask = ask(process.address, "/api/filter", {"expression": "teff > 5000"})
                    assert sum(mask) == int((frame["teff"] > 5000).sum())
                count += 1
            return count

        def label(user):
            said = []
            for number in range(ACTIONS):
                said.append((say(process.address, user, number), number))
                if number % 10 == 9:
                    undone = json.loads(ask(process.address, "/api/labels/undo", {"user": user}))
                    said.append((undone["seq"], -undone["undone"]))
            return user, said

        with ThreadPoolExecutor(READERS + LABELLERS) as pool:
            reading = [pool.submit(read, number) for number in range(READERS)]
            labelling = [pool.submit(label, f"user {number}") for number in range(LABELLERS)]
            try:
                acknowledged = dict(one.result() for one in labelling)
            finally:
                done.set()
            counts = [one.result() for one in reading]
        log = entries(process.address)
    assert min(counts) > 0
    assert [entry["seq"] for entry in log] == list(range(1, len(log) + 1))  # no gap
    assert len(log) == LABELLERS * (ACTIONS + ACTIONS // 10)
    by_seq = {entry["seq"]: entry for entry in log}
    for user, said in acknowledged.items():
        assert [seq for seq, _ in said] == sorted(seq for seq, _ in said)
        for seq, number in said:
            entry = by_seq.pop(seq)  # each once
            assert entry["user"] == user
            if number >= 0:
                assert entry["comment"] == str(number)
                assert entry["rows"] == sorted({number % 60, (number * 7) % 60})
            else:
                assert entry["undoes"] == -number
    assert not by_seq


def test_a_sudden_death_loses_no_acknowledged_label(explored, store):
    """Killed twice while four label: what was acknowledged is there afterwards."""
    acknowledged = []
    for life in range(2):
        with explored.Process(store.path) as process:
            enough = threading.Event()

            def label(user, process=process, enough=enough):
                said = []
                for number in range(10_000):
                    try:
                        said.append((say(process.address, user, number), user, str(number)))
                    except OSError:  # the server is gone
                        break
                    if number == 8:
                        enough.set()
                return said

            with ThreadPoolExecutor(LABELLERS) as pool:
                labelling = [pool.submit(label, f"{life}.{who}") for who in range(LABELLERS)]
                assert enough.wait(60)
                process.kill()
                acknowledged += [said for one in labelling for said in one.result()]
    with explored.Process(store.path) as process:
        log = entries(process.address)
    assert [entry["seq"] for entry in log] == list(range(1, len(log) + 1))
    known = {(entry["seq"], entry["user"], entry["comment"]) for entry in log}
    assert len(acknowledged) >= 2 * 9
    assert set(acknowledged) <= known
    assert len(known) - len(acknowledged) <= 2 * LABELLERS  # written, and died before saying so


def explore(*options):
    return subprocess.run(
        [sys.executable, "-c", RUN, "explore", *map(str, options)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_says_its_address_and_listens_on_loopback_alone(explored, store):
    with explored.Process(store.path) as process:
        assert process.address.startswith("http://127.0.0.1:")
        port = int(process.address.rpartition(":")[2])
        others = {
            info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)
        }
        for other in others - {"127.0.0.1"}:
            if other.startswith("127."):
                continue
            with pytest.raises(OSError):
                socket.create_connection((other, port), timeout=2).close()
        taken = explore(store.path, "--port", port)
        assert taken.returncode == 2
        assert "--port" in taken.stderr
        assert len(taken.stderr.strip().splitlines()) == 1


def test_beyond_loopback_without_a_token_is_refused(store):
    refused = explore(store.path, "--host", "0.0.0.0", "--port", 0)
    assert refused.returncode == 2
    assert "--token" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_with_a_token_it_listens_everywhere(explored, store):
    options = ("--host", "0.0.0.0", "--token", "a-long-random-word")
    with explored.Process(store.path, *options) as process:
        address = process.address.replace("0.0.0.0", "127.0.0.1")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(address, "/api/version")
        known = {"Authorization": "Bearer a-long-random-word"}
        request = urllib.request.Request(address + "/api/version", headers=known)
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert reply.status == 200


def test_no_store_is_one_line(tmp_path):
    refused = explore(tmp_path / "nothing.siderea")
    assert refused.returncode == 2
    assert "no such folder" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_memory_of_the_system_is_given_back():
    """Set in the process that serves, not on import: other users of Arrow keep their pool."""
    import pyarrow

    import siderea.explorer.server  # noqa: F401

    assert pyarrow.default_memory_pool().backend_name != "system"


def test_without_its_extra_it_says_what_to_install(store):
    lacking = "import sys; sys.modules['fastapi'] = None; " + RUN
    refused = subprocess.run(
        [sys.executable, "-c", lacking, "explore", str(store.path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "siderea[explorer]" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
