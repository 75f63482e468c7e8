"""What only a bucket does: options, keys, answers of servers, uploads in parts."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.fakes.delta_log import FIRST_COMMIT, first_commit
from tests.servers import BUCKET, has_azurite, request, s3_options

from lakecore.base import InvalidInput, NotFound, OutOfSpace, ReadOnly, Refused, Unavailable
from lakecore.storage import Store, open_store

NOWHERE = "http://127.0.0.1:9"
MIB = 1 << 20


class Answers(BaseHTTPRequestHandler):
    """Answers every request with the server's `status` and `code`."""

    server: AnswerServer

    def answer(self) -> None:
        """As S3 says it."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = f"<Error><Code>{self.server.code}</Code></Error>".encode()
        self.server.requests += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - named by http.server

    def log_message(self, *args: object) -> None:
        """Nothing."""


class AnswerServer(ThreadingHTTPServer):
    """A server whose answer is set by the test."""

    daemon_threads = True
    status = 200
    code = ""
    requests = 0


@pytest.fixture
def answers() -> Iterator[AnswerServer]:
    """A running server."""
    with AnswerServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def answered(answers: AnswerServer, **options: str) -> Store:
    """A store at that server."""
    endpoint = f"http://127.0.0.1:{answers.server_port}"
    return open_store(
        "s3://bucket/lake", options={**s3_options(endpoint), "max_retries": "1", **options}
    )


@pytest.mark.parametrize(
    ("status", "code", "reading", "writing"),
    [
        (400, "AuthorizationHeaderMalformed", Refused, Refused),
        (401, "Unauthorized", Refused, Refused),
        (403, "AccessDenied", Refused, ReadOnly),
        (404, "NoSuchBucket", NotFound, NotFound),
        (429, "SlowDown", Unavailable, Unavailable),
        (500, "InternalError", Unavailable, Unavailable),
        (503, "SlowDown", Unavailable, Unavailable),
        (507, "XMinioStorageFull", OutOfSpace, OutOfSpace),
    ],
)
def test_answers_of_a_server_have_a_class(
    answers: AnswerServer,
    status: int,
    code: str,
    reading: type[Exception],
    writing: type[Exception],
) -> None:
    """What the caller does about each, with the status and the provider's own word."""
    answers.status, answers.code = status, code
    store = answered(answers)
    for read in (lambda: store.get("a"), lambda: list(store.list_objects("a/"))):
        with pytest.raises(reading) as failed:
            read()
        assert type(failed.value) is reading
        assert code in str(failed.value) or "no such bucket at s3://bucket" in str(failed.value)
    writes: list[Callable[[], None]] = [
        lambda: store.create("a", b"x"),
        lambda: store.delete("a"),
    ]
    for write in writes:
        with pytest.raises(writing):
            write()


def test_tries_are_bounded(answers: AnswerServer) -> None:
    """As often as the options say, then the error."""
    answers.status = 503
    with pytest.raises(Unavailable):
        answered(answers, max_retries="3").get("a")
    assert answers.requests == 4


def test_nobody_answers() -> None:
    """Unavailable, with a hint, for every operation."""
    store = open_store("s3://bucket", options={**s3_options(NOWHERE), "max_retries": "1"})

    def upload(size_bytes: int) -> None:
        with store.upload("a") as file:
            file.write(b"x" * size_bytes)

    for operation in (
        lambda: store.get("a"),
        lambda: store.head("a"),
        lambda: store.create("a", b"x"),
        lambda: store.delete("a"),
        lambda: store.list_folders(""),
        lambda: next(store.list_objects("")),
        lambda: upload(1),
        lambda: upload(20 * MIB),
    ):
        with pytest.raises(Unavailable) as failed:
            operation()
        assert failed.value.hint


@pytest.fixture(params=["s3", *(["az"] if has_azurite() else [])])
def missing(request: pytest.FixtureRequest) -> Store:
    """A store in a bucket that is not there."""
    if request.param == "s3":
        options = s3_options(request.getfixturevalue("s3_endpoint"))
    else:
        options = request.getfixturevalue("azure_account")
    return open_store(f"{request.param}://nobucket/lake", options=options)


def test_a_missing_bucket_is_named(missing: Store) -> None:
    """Rather than the object that was asked for."""
    for operation in (
        lambda: missing.get("a"),
        lambda: missing.create("a", b""),
        lambda: missing.delete("a"),
        lambda: missing.list_folders(""),
        lambda: list(missing.list_objects("")),
    ):
        with pytest.raises(NotFound, match=r"no such bucket at \w+://nobucket/lake"):
            operation()


def test_http_must_be_allowed(s3_endpoint: str) -> None:
    """And the error says how."""
    options = {**s3_options(s3_endpoint), "allow_http": "false"}
    with pytest.raises(InvalidInput, match="not https") as refused:
        open_store(f"s3://{BUCKET}", options=options).get("a")
    assert "allow_http" in str(refused.value.hint)


def test_options_are_checked() -> None:
    """An unknown one, a bad value and a missing account are found when opening."""
    for url, options in [
        ("s3://bucket", {"endpointt": "x", "secret_access_key": "hush"}),
        ("s3://bucket", {"max_retries": "many"}),
        ("s3://bucket", {"timeout": "soon", "secret_access_key": "hush"}),
        ("az://container", {"account_key": "aHVzaA=="}),
    ]:
        with pytest.raises(InvalidInput) as refused:
            open_store(url, options=options)
        assert "hush" not in str(refused.value.to_dict())
    assert "account_name" in str(refused.value.hint)


def test_options_have_the_names_of_both_libraries(s3_endpoint: str) -> None:
    """As deltalake's guides write them, or short; in either case."""
    short = s3_options(s3_endpoint)
    long = {f"AWS_{name}".upper(): value for name, value in short.items()}
    open_store(f"s3://{BUCKET}/names", options=long).put("a", b"1")
    assert open_store(f"s3://{BUCKET}/names", options=short).get("a") == b"1"


def test_the_environment_is_read_by_both_libraries(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With AWS_* set and no options, deltalake finds what we wrote."""
    from deltalake import DeltaTable

    for name, value in s3_options(s3_endpoint).items():
        name = "endpoint_url" if name == "endpoint" else name
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    store = open_store(f"s3://{BUCKET}/from environment")
    store.put(f"t/{FIRST_COMMIT}", first_commit())
    options = store.table_options()
    assert "secret" not in str(options)
    assert DeltaTable(store.table_uri("t"), storage_options=options).version() == 0


def test_errors_hold_no_secret() -> None:
    """obstore repeats signed URLs; we repeat neither its text nor its exception."""
    options = {
        "account_name": "account",
        "sas_key": "sv=2022-11-02&sig=hush",
        "endpoint": NOWHERE,
        "allow_http": "true",
        "max_retries": "0",
    }
    store = open_store("az://container/lake", options=options)
    for operation in (
        lambda: store.get("a"),
        lambda: store.create("a", b""),
        lambda: list(store.list_objects("")),
    ):
        with pytest.raises(Unavailable) as failed:
            operation()
        error = failed.value
        assert "hush" not in "".join(traceback.format_exception(error)) + str(error.to_dict())
    assert "hush" not in store.url + store.table_uri("t") + repr(store)


def test_without_keys_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's store opens, and the first operation says what is missing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SERVICE_ACCOUNT", "SERVICE_ACCOUNT_PATH", "APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(f"GOOGLE_{name}", raising=False)
    options = {"max_retries": "0", "connect_timeout": "1s"}
    store = open_store("gs://lakecore-test/lake", options=options)
    assert store.url == "gs://lakecore-test/lake"
    for operation in (lambda: store.get("a"), lambda: store.create("a", b"")):
        with pytest.raises((Refused, Unavailable)) as failed:
            operation()
        assert failed.value.hint


def parts_under_way(endpoint: str) -> str:
    """The bucket's uploads that were begun and neither completed nor taken back."""
    status, body = request(urlsplit(endpoint).port or 0, "GET", f"/{BUCKET}?uploads")
    assert status == 200
    return body


def test_an_abandoned_upload_leaves_no_parts(s3_endpoint: str) -> None:
    """Parts nobody sees are paid for all the same."""
    store = open_store(f"s3://{BUCKET}/parts", options=s3_options(s3_endpoint))

    def upload(*, fails: bool) -> None:
        with store.upload("big") as file:
            for _ in range(20):
                file.write(b"x" * MIB)
            assert "parts/big" in parts_under_way(s3_endpoint)
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        upload(fails=True)
    assert "parts/big" not in parts_under_way(s3_endpoint)
    assert not store.exists("big")
    upload(fails=False)
    assert store.head("big").size_bytes == 20 * MIB
    assert "parts/big" not in parts_under_way(s3_endpoint)


def test_a_fault_of_a_part_is_not_hidden_by_a_library() -> None:
    """Whoever wraps or swallows the error of a write, the upload fails with ours."""
    store = open_store("s3://bucket", options={**s3_options(NOWHERE), "max_retries": "0"})

    def upload(*, wrap: bool) -> None:
        with store.upload("big") as file:
            try:
                for _ in range(100):
                    file.write(b"x" * MIB)
            except Unavailable as error:
                if wrap:
                    raise RuntimeError("a library's own error") from error

    for wrap in (True, False):
        with pytest.raises(Unavailable):
            upload(wrap=wrap)


def test_a_bucket_has_no_local_path(s3_endpoint: str) -> None:
    """Its tables have URLs, escaped as Delta readers unescape them."""
    store = open_store(f"s3://{BUCKET}/my lake", options=s3_options(s3_endpoint))
    assert store.local_path("a") is None
    assert store.url == f"s3://{BUCKET}/my lake"
    assert store.table_uri("tables/ü") == f"s3://{BUCKET}/my%20lake/tables/%C3%BC"
    store.close()
