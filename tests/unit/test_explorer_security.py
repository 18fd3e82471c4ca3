"""The explorer answers whom it should, gives away nothing else, and no text becomes HTML."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from siderea.errors import DataError
from siderea.explorer.security import Guard, Policy, is_loopback

TOKEN = "a-long-random-word"


@pytest.fixture(scope="module")
def store(explored, tmp_path_factory):
    return explored.make(tmp_path_factory.mktemp("guarded") / "s.siderea")


@pytest.fixture(scope="module")
def client(explored, store):
    with explored.client(store.path) as client:
        yield client


@pytest.fixture
def guarded(explored, store):
    with explored.client(store.path, policy=Policy("0.0.0.0", TOKEN)) as client:
        yield client


def label(client, **more):
    sent = {"rows": [1], "kind": "class", "value": "BIN", "user": "ann"} | more
    return client.post("/api/labels", json=sent)


# --------------------------------------------------------------------------------- who may call


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "stars.example.org", "10.0.0.1"])
def test_beyond_loopback_a_token_is_needed(host):
    for token in (None, ""):
        with pytest.raises(DataError, match="--token"):
            Policy(host, token)
    assert Policy(host, TOKEN).token == TOKEN


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "[::1]", "localhost", "LOCALHOST", "127.8.8.8"]
)
def test_loopback_is_known(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost.evil.org", "", "128.0.0.1", "::"])
def test_what_is_not_loopback_is_known(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:9999", 200),  # an SSH tunnel
        ("[::1]:8000", 200),
        ("evil.example.org", 403),
        ("evil.example.org:8000", 403),
        ("127.0.0.1.evil.org", 403),
        ("", 403),
        ("[", 403),
    ],
)
def test_only_its_own_names_are_answered(client, host, status):
    """DNS rebinding: another site's name that was made to point here."""
    for path in ("/api/version", "/"):
        reply = client.get(path, headers={"host": host})
        assert (reply.status_code == 403) == (status == 403), path


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example.org"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},  # another server of this machine
        {"origin": "http://127.0.0.1:8000.evil.org"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_may_not_post(client, headers):
    before = client.get("/api/version").json()["labels"]
    sent = {"rows": [1], "kind": "class", "value": "BIN", "user": "ann"}
    reply = client.post("/api/labels", json=sent, headers=headers)
    assert reply.status_code == 403
    assert client.get("/api/version").json()["labels"] == before


def test_its_own_page_may(client):
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert client.get("/api/version", headers=own).status_code == 200


def test_a_form_of_another_kind_is_no_label(client):
    """A cross-site form can only send simple content types: none of them is read as JSON."""
    body = json.dumps({"rows": [1], "kind": "class", "value": "BIN", "user": "x"})
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        reply = client.post("/api/labels", content=body, headers={"content-type": kind})
        assert reply.status_code == 422, kind


def test_without_the_token_nothing_is_given(guarded):
    for path in ("/", "/api/schema", "/api/spectra/1", "/static/app.js", "/openapi.json"):
        reply = guarded.get(path)
        assert reply.status_code == 401, path
    assert label(guarded).status_code == 401
    for wrong in ("Bearer wrong", "Bearer ", "Basic " + TOKEN, TOKEN, "Bearer é"):
        given = {"authorization": wrong.encode("utf-8")}
        assert guarded.get("/api/version", headers=given).status_code == 401
    assert guarded.get("/?token=wrong").status_code == 401
    assert guarded.get(f"/api/version?token={TOKEN}").status_code == 401  # in no log of addresses
    assert guarded.get("/api/version", headers={"cookie": "siderea_explorer=x"}).status_code == 401


def test_with_the_token_all_is(guarded):
    given = {"authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/api/version", headers=given).status_code == 200
    entered = guarded.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/api/version").status_code == 200  # the client keeps it
    assert guarded.get("/api/version", headers={"host": "stars.example.org"}).status_code == 200


# --------------------------------------------------------------------------- what browsers are told


def test_every_reply_carries_the_headers_of_safety(client):
    for path in ("/", "/api/version", "/api/spectra/1", "/api/spectra/999", "/nothing"):
        reply = client.get(path)
        assert reply.headers["x-content-type-options"] == "nosniff", path
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "access-control-allow-origin" not in reply.headers
    page = client.get("/").headers["content-security-policy"]
    assert "script-src 'self';" in page
    assert "sandbox" in client.get("/api/version").headers["content-security-policy"]


def test_no_text_becomes_html(explored, tmp_path):
    """Ids, column names, categories, labels, comments, users: JSON, CSV or octets, never HTML."""
    script = explored.SCRIPT
    store = explored.make(tmp_path / "s.siderea")
    catalogue = store.catalogue.copy()
    catalogue.loc[2, "id"] = script
    catalogue.to_parquet(store.path / "catalogue.parquet", index=False)
    safe = re.compile(
        r"application/(json|octet-stream|fits|x-votable\+xml)|text/csv; charset=utf-8"
    )
    with explored.client(store.path) as client:
        assert label(client, rows=[2], user=script, comment=script).status_code == 200
        assert label(client, value=script).status_code == 400
        assert label(client, kind="flag", value=script).status_code == 400
        body, key = explored.rows_body([0, 1, 2]), f"catalogue:{script}"
        replies = [
            client.get("/api/schema"),
            client.get("/api/labels"),
            client.get("/api/labels/export"),
            client.get("/api/objects/2"),
            client.get("/api/search", params={"q": script}),
            client.get(f"/api/columns/{key}"),
            client.get(f"/api/columns/catalogue:no{script}"),
            client.get(f"/api/maps/{script}/xy"),
            client.post("/api/filter", json={"expression": f"{script} > 3"}),
            client.post("/api/filter", json={"expression": f'sort == "{script}"'}),
            client.post("/api/filter", json={script: script}),
            client.post("/api/table", params={"columns": [key]}, content=body),
            client.post("/api/labels/undo", json={"user": script * 3}),
            client.post("/api/labels/import?user=x", content=f"id,class\n1,{script}\n"),
            *(client.post(f"/api/export?format={f}", content=body) for f in ("csv", "votable")),
        ]
        for reply in replies:
            assert safe.fullmatch(reply.headers["content-type"]), reply.request.url
            assert reply.headers["x-content-type-options"] == "nosniff"
            if "votable" in reply.headers["content-type"]:
                assert script.encode() not in reply.content
        found = client.get("/api/search", params={"q": script}).json()
        assert found["ids"] == [script]  # as data it is whole


# ----------------------------------------------------------------------- what can't be reached


@pytest.mark.parametrize(
    "path",
    [
        "/api/maps/..%2F..%2Fcatalogue/xy",
        "/api/maps/%2e%2e/xy",
        "/api/columns/..%2F..%2F..%2Fetc%2Fpasswd",
        "/api/columns/catalogue:..%2F..%2Fsecret",
        "/api/columns/..%2Fsecret:x",
        "/static/..%2Fapp.py",
        "/static/%2e%2e/app.py",
        "/static/../../../../../etc/passwd",
        "/static//etc/passwd",
        "/api/neighbours/1?space=features:..%2F..%2Fsecret",
        "/api/neighbours/1?space=map:..%2Fsecret",
    ],
)
def test_paths_stay_in_the_store(client, store, path):
    pd.DataFrame({"id": ["s001"], "x": [1.0], "y": [1.0]}).to_parquet(
        store.path.parent / "secret.parquet"
    )
    reply = client.get(path)
    assert reply.status_code in (400, 404), reply.text
    assert "root:" not in reply.text
    assert b"FastAPI" not in reply.content


def test_a_product_of_another_store_by_link_is_as_any(client):
    """What stands in the folder was put there by its owner; what does not is not reached."""
    assert client.get("/api/columns/secret:x").status_code == 404


# --------------------------------------------------------------------------------------- bounds


def test_bodies_are_bounded(explored, store):
    policy = Policy(max_body=20_000)
    with explored.client(store.path, policy=policy) as client:
        large = np.zeros(5001, dtype="<u4").tobytes()
        assert client.post("/api/selection/spectrum", content=large).status_code == 413

        def pieces():  # no Content-Length
            for _ in range(100):
                yield b"\0" * 1000

        for path in (
            "/api/selection/spectrum",
            "/api/export?format=csv",
            "/api/labels/import?user=a",
        ):
            assert client.post(path, content=pieces()).status_code == 413, path
        sent = {"content-type": "application/json"}
        assert client.post("/api/filter", content=pieces(), headers=sent).status_code == 413
        lying = {"content-length": "abc"}
        assert client.post("/api/filter", headers=lying).status_code == 400
        lying = {"content-length": "9" * 400}
        assert client.post("/api/filter", headers=lying).status_code == 413
        small = client.post("/api/selection/spectrum", content=explored.rows_body([1]))
        assert small.status_code == 200


def test_what_is_asked_is_bounded(client, explored, monkeypatch):
    from siderea.explorer import export

    many = np.zeros(5001, dtype="<u4").tobytes()
    told = client.post("/api/table?columns=catalogue:teff", content=many)
    assert told.status_code == 413
    monkeypatch.setattr(export, "MOST_CELLS", 100)
    body = explored.rows_body(range(60))
    assert client.post("/api/export?format=csv", content=body).status_code == 413
    assert client.get("/api/neighbours/1?space=map:tsne&k=201").status_code == 422
    assert client.get("/api/search", params={"q": "x" * 201}).status_code == 422
    assert client.post("/api/filter", json={"expression": "1 > 0 " * 400}).status_code == 422
    for more in (
        {"comment": "x" * 1001},
        {"user": "x" * 61},
        {"user": " "},
        {"value": "x" * 61},
        {"rows": []},
        {"rows": [-1]},
        {"rows": [2**32]},
        {"rows": [1.5]},
        {"rows": "1"},
        {"kind": "other"},
        {"more": 1},
        {"comment": "\ud800"},
        {"comment": "\0"},
        {"user": "a\x1bb"},
    ):
        sent = {"rows": [1], "kind": "class", "value": "BIN", "user": "ann"} | more
        body = json.dumps(sent).encode()
        reply = client.post(
            "/api/labels", content=body, headers={"content-type": "application/json"}
        )
        assert reply.status_code == 422, more
    assert label(client, rows=[60]).status_code == 404


@pytest.mark.parametrize("body", [b"[" * 100_000, b"{", b"\xff", b'{"expression": 1e999}', b"null"])
def test_broken_json_is_the_callers_fault(client, body):
    sent = {"content-type": "application/json"}
    assert client.post("/api/filter", content=body, headers=sent).status_code in (400, 422)


def test_heavy_work_is_for_two_at_a_time(client, explored, monkeypatch):
    from siderea.explorer import explorer as module

    monkeypatch.setattr(module, "_WAIT", 0.01)
    explorer = client.app.state.explorer
    body = explored.rows_body([1])
    with explorer.hands(), explorer.hands():
        reply = client.post("/api/selection/spectrum", content=body)
        assert reply.status_code == 503
        assert client.get("/api/spectra/1").status_code == 200  # light work goes on
    assert client.post("/api/selection/spectrum", content=body).status_code == 200


def test_a_bug_is_a_500_that_tells_nothing(explored, store, monkeypatch):
    from siderea.explorer import routes_store

    def fail(*_):
        raise RuntimeError("a secret")

    with explored.client(store.path) as client:
        monkeypatch.setattr(routes_store, "object_of", fail)
        client._transport.raise_server_exceptions = False
        reply = client.get("/api/objects/1")
    assert reply.status_code == 500
    assert "secret" not in reply.text


def test_the_guard_lets_other_kinds_of_scope_through():
    import asyncio

    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope["type"])

    asyncio.run(Guard(app, Policy())({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
