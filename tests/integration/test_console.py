"""The console over real sockets: what gets in, and what every answer says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.gateways import Served, serving

import lakecore
from lakecore.app import open_gateway
from lakecore.base import InvalidInput, Unavailable
from lakecore.console import _assets

PAGE = b"<!doctype html><title>pages</title>"
SCRIPT = b"export const answer = 42;\n" * 100


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Pages that stand for the built ones, which a clone may not have."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "assets").mkdir()
    (folder / "index.html").write_bytes(PAGE)
    (folder / "assets/index-1a2b.js").write_bytes(SCRIPT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_assets, "FOLDER", folder)
        yield folder


@pytest.fixture(scope="module")
def keyed(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake that asks for keys."""
    with serving(tmp_path_factory.mktemp("keyed")) as served:
        yield served


@pytest.fixture(scope="module")
def open_one(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake that asks for none."""
    with serving(tmp_path_factory.mktemp("open"), keys=False) as served:
        yield served


def visitor(served: Served, **headers: str) -> httpx.Client:
    """Somebody at the console, as one of its own pages would ask."""
    url = served.gateway.console.url
    made = httpx.Client(base_url=url, headers={"origin": url, **headers}, timeout=30)
    served.clients.append(made)
    return made


def logged_in(served: Served, key: str | None = None) -> httpx.Client:
    """The same, with a cookie."""
    client = visitor(served)
    link = served.gateway.console.login_url().partition("#")[2]
    answer = client.post("/session", json={"key": key} if key else {"link": link})
    assert answer.status_code == 204, answer.text
    return client


def test_a_link_becomes_a_cookie_that_no_script_reads(open_one: Served) -> None:
    """HttpOnly, SameSite=Strict, for this port; and it works once."""
    client = visitor(open_one)
    link = open_one.gateway.console.login_url().partition("#")[2]
    assert client.get("/api/journal/stats").status_code == 401
    answer = client.post("/session", json={"link": link})
    name, _, attributes = answer.headers["set-cookie"].partition("=")
    port = httpx.URL(open_one.gateway.console.url).port
    assert name == f"lakecore_{port}"
    assert attributes.partition("; ")[2] == "Path=/; HttpOnly; SameSite=Strict"
    assert client.get("/api/journal/stats").status_code == 200
    again = visitor(open_one).post("/session", json={"link": link})
    assert (again.status_code, again.json()["title"]) == (401, "this link opens nothing")
    assert "set-cookie" not in again.headers


def test_logging_out_ends_the_session_itself(open_one: Served) -> None:
    """Whoever kept the cookie has nothing."""
    client = logged_in(open_one)
    kept = dict(client.cookies)
    assert client.delete("/session").status_code == 204
    late = visitor(open_one)
    late.cookies.update(kept)
    assert late.get("/api/journal/stats").status_code == 401


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/", "GET", {"host": "lake.example"}),
        ("/assets/index-1a2b.js", "GET", {"host": "lake.example"}),
        ("/session", "POST", {"host": "localhost.lake.example:80"}),
        ("/api/journal/stats", "GET", {"host": "lake.example"}),
        ("/api/journal/stats", "GET", {"origin": "http://lake.example"}),
        ("/api/journal/stats", "GET", {"origin": "null"}),
        ("/api/journal/stats", "GET", {"sec-fetch-site": "same-site"}),
        ("/data/metrics", "GET", {"host": "lake.example"}),
        ("/data/metrics", "GET", {"origin": "http://lake.example"}),
        ("/api/journal/flush", "POST", {"origin": "http://127.0.0.1:8080"}),
        ("/api/journal/flush", "POST", {"sec-fetch-site": "cross-site"}),
        ("/api/reconcile", "POST", {"origin": ""}),
        ("/session", "DELETE", {"origin": "http://lake.example"}),
        ("/session/link", "POST", {"origin": "http://lake.example"}),
    ],
)
def test_pages_of_others_get_nothing(
    open_one: Served, path: str, method: str, headers: dict[str, str]
) -> None:
    """With the cookie of somebody who is logged in, by a forged Host or Origin: 403."""
    client = logged_in(open_one)
    answer = client.request(method, path, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:lakecore:error:refused"


def test_data_of_reviews_has_a_name_of_its_own(open_one: Served) -> None:
    """/data as /api/data, with the same cookie and the same policy; without one, nothing."""
    client = logged_in(open_one)
    answer = client.get("/data/metrics")
    assert answer.status_code == 200
    assert answer.json() == client.get("/api/data/metrics").json()
    assert "sandbox" in answer.headers["content-security-policy"]
    assert visitor(open_one).get("/data/metrics").status_code == 401


def test_what_changes_something_says_where_it_comes_from(open_one: Served) -> None:
    """A browser does; what does not is no page of ours."""
    client = logged_in(open_one)
    del client.headers["origin"]
    assert client.post("/api/journal/flush").status_code == 403
    assert client.get("/api/journal/stats").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/lake/planes", "/assets/index-1a2b.js", "/session", "/api/journal/stats", "/x.js"],
)
def test_every_answer_has_its_policy(open_one: Served, path: str) -> None:
    """No inline script, no foreign one, no frame around it, no type that is guessed."""
    answer = logged_in(open_one).get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["referrer-policy"] == "no-referrer"
    if path.startswith("/api"):
        assert policy.endswith("sandbox")
        assert answer.headers["cache-control"] == "no-store"


def test_assets_are_kept_for_ever_and_the_page_is_not(open_one: Served) -> None:
    """Names with a hash never change; the page that names them may."""
    client = visitor(open_one)
    asset = client.get("/assets/index-1a2b.js")
    assert (asset.content, asset.headers["content-encoding"]) == (SCRIPT, "gzip")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = client.get("/assets/index-1a2b.js", headers={"accept-encoding": "identity"})
    assert (plain.content, "content-encoding" in plain.headers) == (SCRIPT, False)
    page = client.get("/journal/entity/planes/N1?seq=3")
    assert (page.content, page.headers["cache-control"]) == (PAGE, "no-cache")
    known = client.get("/", headers={"if-none-match": page.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert client.head("/").headers["content-length"] == str(len(PAGE))
    assert client.get("/assets/index-0000.js").status_code == 404
    assert client.get("/favicon.ico").status_code == 404
    assert client.get("/journal/entity/planes/a.b").content == PAGE
    assert client.post("/lake").status_code == 405


@pytest.mark.parametrize(
    "path", ["/../_app.py", "/%2e%2e/_app.py", "/assets/..%2f..%2f_app.py", "/assets//etc/passwd"]
)
def test_no_other_file_is_served(open_one: Served, path: str) -> None:
    """Files are those that were read at the start, by their names."""
    address = httpx.URL(open_one.gateway.console.url)
    with socket.create_connection((address.host, address.port or 0), timeout=10) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        told = b""
        while part := connection.recv(65_536):
            told += part
    assert told.startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 401),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"link": 7}', "application/json", 401),
        (b'{"link": "' + b"x" * 5_000 + b'"}', "application/json", 400),
        (b'{"link": "x"}', "text/plain", 400),
        (b"link=x", "application/x-www-form-urlencoded", 400),
    ],
)
def test_what_is_no_login_is_told_so(
    open_one: Served, content: bytes, kind: str, status: int
) -> None:
    """In the form of all errors."""
    answer = visitor(open_one).post("/session", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_links_are_printed_only_so_often(
    open_one: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the server's terminal; the answer has nothing of it."""
    client = visitor(open_one)
    answers = [client.post("/session/link", json={}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 429]
    assert int(answers[1].headers["retry-after"]) > 0
    told = capfd.readouterr().err
    assert told.count("/login#") == 1
    assert all(told.partition("#")[2].strip() not in answer.text for answer in answers)


def test_a_key_sees_here_what_it_sees_at_the_gateway(keyed: Served) -> None:
    """Every list, every dataset, every route."""
    keyed.lake.create("salaries", key="name")
    client = logged_in(keyed, keyed.key("guest", "read:planes"))
    at_gateway = keyed.as_("guest2", "read:planes")
    names = [one["name"] for one in client.get("/api/catalog/datasets").json()["items"]]
    assert names == ["planes"]
    for path in ("/catalog/datasets/salaries", "/journal/stats", "/verify", "/keys"):
        answers = client.get(f"/api{path}"), at_gateway.get(path)
        assert {answer.status_code for answer in answers} == {403}
    told = client.get("/session").json()["principal"]
    assert (told["name"], told["scopes"]) == ("guest", ["read:planes"])
    denied = client.post("/api/datasets/planes/mutations", json={"op": "delete", "all": True})
    assert denied.status_code == 403


def test_a_key_that_ends_ends_its_sessions(keyed: Served) -> None:
    """With the next request."""
    made = keyed.lake.keys.create("leaver", scopes=["read:*"])
    client = logged_in(keyed, made.text)
    assert client.get("/api/journal/stats").status_code == 200
    keyed.lake.keys.revoke(made.key.id)
    assert client.get("/api/journal/stats").status_code == 401


def test_only_the_cookie_says_who_it_is(keyed: Served) -> None:
    """A key in a header is for the gateway; and the gateway's own port knows no cookie."""
    key = keyed.key("ada", "read:*")
    header = {"authorization": f"Bearer {key}", "x-api-key": key}
    assert visitor(keyed, **header).get("/api/journal/stats").status_code == 401
    low = logged_in(keyed, keyed.key("guest", "read:planes"))
    assert low.get("/api/journal/stats", headers=header).status_code == 403
    gateway = httpx.Client(base_url=keyed.url, cookies=dict(logged_in(keyed, key).cookies))
    keyed.clients.append(gateway)
    assert gateway.get("/journal/stats").status_code == 401
    assert gateway.get("/session").status_code == 404


def test_with_keys_no_link_lets_in(keyed: Served) -> None:
    """There is none, and none is printed."""
    console = keyed.gateway.console
    assert console.login_url() == console.url
    client = visitor(keyed)
    assert client.post("/session", json={"link": ""}).status_code == 401
    assert client.post("/session/link", json={}).status_code == 401
    assert client.post("/session", json={"key": "lc_nothing"}).status_code == 401
    assert client.get("/session").json()["asks_for_keys"] is True


def test_what_is_changed_here_is_on_record_in_ones_own_name(keyed: Served) -> None:
    """By the key that logged in."""
    client = logged_in(keyed, keyed.key("carol", "read:*", "write:*"))
    body = {"op": "update", "keys": ["N10156"], "set": {"seats": 61}, "reason": "by hand"}
    made = client.post("/api/datasets/planes/mutations", json=body)
    assert made.status_code == 200, made.text
    keyed.lake.journal.seal()
    event = keyed.lake.history("planes", "N10156")[-1]
    assert (event.actor, event.new_value) == ("carol", "61")


def test_events_come_live(open_one: Served) -> None:
    """Server-Sent Events through the console's door."""
    client = logged_in(open_one)
    with client.stream("GET", "/api/journal/tail?from_seq=0") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        open_one.lake.journal.seal()
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: change"


def test_without_pages_there_is_a_gateway_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it says why there is no console."""
    monkeypatch.setattr(_assets, "FOLDER", tmp_path / "none")
    with serving(tmp_path, keys=False) as served:
        assert served.gateway.console.url == ""
        assert "make web" in served.gateway.console.why
        assert served.client.get("/ready").status_code == 200


def test_a_port_that_is_taken(pages: Path, tmp_path: Path) -> None:
    """The default one: the gateway does without; one that was asked for: it is an error."""
    with socket.socket() as taken, lakecore.open(tmp_path / "lake", actor="ada") as lake:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match="the console cannot listen") as raised:
            open_gateway(lake, port=0, console_port=port)
        assert "--console-port" in (raised.value.hint or "")
    config = tmp_path / "lakecore.toml"
    config.write_text('[console]\nurl = "lake.example"\n')
    with (
        lakecore.open(tmp_path / "lake", actor="ada", config=config) as lake,
        pytest.raises(InvalidInput, match="not the URL of a site"),
    ):
        open_gateway(lake, port=0)


def test_the_two_ports_are_two(pages: Path, tmp_path: Path) -> None:
    """By its port a request is told which door it came to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "lakecore.toml"
    config.write_text(f'[console]\nhost = "127.0.0.2"\nport = {port}\n')
    with (
        lakecore.open(tmp_path / "lake", actor="ada", config=config) as lake,
        pytest.raises(InvalidInput, match="different ports"),
    ):
        open_gateway(lake, port=port)


def test_a_console_in_the_network_asks_for_keys(pages: Path, tmp_path: Path) -> None:
    """And so does the gateway beside it, though that is on loopback."""
    config = tmp_path / "lakecore.toml"
    config.write_text('[gateway]\nport = 0\n[console]\nhost = "0.0.0.0"\n')
    with lakecore.open(tmp_path / "lake", actor="ada", config=config) as lake:
        gateway = open_gateway(lake)
        try:
            assert gateway.asks_for_keys
            assert "#" not in gateway.console.login_url()
        finally:
            for one in gateway._gateway._sockets:
                one.close()
