"""`EndpointEmbedder` against a server that answers rightly, wrongly, slowly, or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from tests.fakes.embedding_server import (
    Endpoint,
    drips,
    drips_its_head,
    hangs_up,
    right,
    says,
    send,
    serving,
    vector_of,
)

from lakecore.base import InvalidInput, LakecoreError, Refused, Unavailable
from lakecore.embeddings import EndpointEmbedder, _endpoint, _line

KEY = "sk-secret-0123456789"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A server."""
    with serving() as running:
        yield running


def asking(endpoint: Endpoint, **how: object) -> EndpointEmbedder:
    """An embedder that does not wait long."""
    given: dict[str, object] = {"retries": 2, "timeout_s": 5.0, "wait": lambda _s: None, **how}
    return EndpointEmbedder(endpoint.url, "m", **given)  # type: ignore[arg-type]  # as they are


def rows(*vectors: object) -> Callable[..., None]:
    """An answer with these vectors."""
    return says({"data": [{"index": at, "embedding": one} for at, one in enumerate(vectors)]})


def test_texts_become_unit_vectors_in_their_order(endpoint: Endpoint) -> None:
    """In batches by length; the answer's order does not matter, its numbers do."""
    endpoint.answers = [
        lambda handler, body: send(handler, {"data": right(body)["data"][::-1]}) for _ in range(9)
    ]
    texts = ["bb", "a", "dddd", "ccc", "ée"]
    embedder = asking(endpoint, batch=2, api_key=KEY)
    vectors = embedder.embed(texts)
    wanted = np.array([vector_of(text) for text in texts])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, wanted, atol=1e-6)
    assert (vectors.dtype, embedder.dimension) == (np.float32, 4)
    assert [len(body["input"]) for body in endpoint.bodies] == [1, 2, 2, 1]  # the first asks
    assert set(endpoint.paths) == {"/v1/embeddings"}
    assert {header["Authorization"] for header in endpoint.headers} == {f"Bearer {KEY}"}
    assert set(endpoint.bodies[1]) == {"model", "input", "encoding_format"}
    embedder.close()


def test_a_dimension_can_be_asked_for(endpoint: Endpoint) -> None:
    """It is sent, is a part of the name, and saves the first question."""
    embedder = asking(endpoint, dimension=4, ask_dimension=True)
    assert embedder.embed(["a"]).shape == (1, 4)
    assert [body["dimensions"] for body in endpoint.bodies] == [4]
    names = {asking(endpoint).name, embedder.name, asking(endpoint, dimension=4).name}
    assert len(names) == 2
    assert all(name.startswith("m@") for name in names)


@pytest.mark.parametrize(
    "answer",
    [
        rows([1.0, 2.0]),
        rows([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]),
        rows([1.0, 2.0], [1.0, 2.0, 3.0]),
        rows([], []),
        rows([0.0, 0.0], [1.0, 2.0]),
        rows(["1", "2"], [1.0, 2.0]),
        says(b'{"data": [{"index": 0, "embedding": [NaN, 1]}, {"index": 1, "embedding": [1, 1]}]}'),
        says(
            b'{"data": [{"index": 0, "embedding": [1e999, 1]}, {"index": 1, "embedding": [1, 1]}]}'
        ),
        says({"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]}),
        says({"data": [{"index": 0, "embedding": [1.0]}, {"index": 7, "embedding": [1.0]}]}),
        says({"data": "none"}),
        says(b"<html>"),
        says(b""),
        says(b"[" * 100_000),
        says(b"\xff\xfe"),
        says({"error": {"message": "no such model"}}, 404),
        says({"error": "bad"}, 400),
        says(b"", 301, Location="http://127.0.0.1:9/"),
        says(b"\x1f\x8b\x08", Content_Encoding="gzip"),
    ],
)
def test_an_answer_that_cannot_be_used(endpoint: Endpoint, answer: Callable[..., None]) -> None:
    """It is an error at once, and is asked for once: counts, lengths, numbers, form, status."""
    endpoint.always = answer
    with pytest.raises(InvalidInput):
        asking(endpoint, dimension=2).embed(["a", "b"])
    assert len(endpoint.bodies) == 1


def test_another_dimension_is_refused(endpoint: Endpoint) -> None:
    """Than the one that was said, and than the one that came first."""
    with pytest.raises(InvalidInput, match="another length"):
        asking(endpoint, dimension=5).embed(["a"])
    embedder = asking(endpoint)
    embedder.embed(["a"])
    endpoint.always = rows([1.0, 2.0])
    with pytest.raises(InvalidInput, match="another length"):
        embedder.embed(["a"])


def test_what_passes_is_tried_again(endpoint: Endpoint) -> None:
    """Faults, limits and broken connections, until it works; `Retry-After` is waited for."""
    pauses: list[float] = []
    embedder = asking(endpoint, dimension=4, retries=4, wait=pauses.append)
    endpoint.answers = [
        says(b"", 503),
        hangs_up,
        says(b"", 429, Retry_After="7"),
        says(b"", 500, Retry_After="soon"),
    ]
    assert embedder.embed(["a"]).shape == (1, 4)
    assert len(endpoint.bodies) == 5
    assert len(pauses) == 4
    assert pauses[2] == 7
    assert all(pause <= 30 for pause in pauses)


def test_what_does_not_pass_is_an_error(endpoint: Endpoint) -> None:
    """After all attempts, and at once where the server asks to wait for longer than is waited."""
    endpoint.always = says(b"", 503)
    with pytest.raises(Unavailable, match="attempt 3 of 3"):
        asking(endpoint, dimension=4).embed(["a"])
    assert len(endpoint.bodies) == 3
    endpoint.always = says(b"", 429, Retry_After="3600")
    with pytest.raises(Unavailable):
        asking(endpoint, dimension=4).embed(["a"])
    assert len(endpoint.bodies) == 4
    gone = EndpointEmbedder("http://127.0.0.1:9/v1", "m", retries=1, wait=lambda _s: None)
    with pytest.raises(Unavailable):
        gone.embed(["a"])
    with pytest.raises(Unavailable):
        _ = gone.dimension


@pytest.mark.parametrize("slow", [drips, drips_its_head])
def test_a_request_ends_in_time(endpoint: Endpoint, slow: Callable[..., None]) -> None:
    """However the server keeps it alive."""
    endpoint.always = slow
    began_s = time.monotonic()
    with pytest.raises(Unavailable, match="no whole answer within"):
        asking(endpoint, dimension=4, retries=0, timeout_s=0.4).embed(["a"])
    assert time.monotonic() - began_s < 5  # of 10 that the server would take


def test_an_answer_without_end_is_cut(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a bound, not at the end of the memory."""
    monkeypatch.setattr(_line, "MAX_ANSWER_BYTES", 1_000)
    endpoint.always = says(b" " * 2_000)
    with pytest.raises(InvalidInput, match="too long"):
        asking(endpoint, dimension=4).embed(["a"])


def test_a_request_has_not_too_many_bytes(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long texts go in smaller batches."""
    monkeypatch.setattr(_endpoint, "MAX_BATCH_BYTES", 100)
    asking(endpoint, dimension=4).embed(["a" * 60, "b" * 60, "c" * 30, "d" * 150])
    assert [len(body["input"]) for body in endpoint.bodies] == [1, 1, 2]


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_is_never_told(endpoint: Endpoint, status: int) -> None:
    """Not even where the server says it."""
    endpoint.always = says({"error": {"message": f"bad key {KEY}\n\x1b[31m"}}, status)
    with pytest.raises(Refused) as refused:
        asking(endpoint, dimension=4, api_key=KEY).embed(["a"])
    told = str(refused.value.to_dict())
    assert KEY not in told
    assert "bad key ***" in told
    assert "\x1b" not in told
    assert KEY not in repr(asking(endpoint, api_key=KEY))


def test_threads_may_share_one(endpoint: Endpoint) -> None:
    """Each gets the vectors of its own texts."""
    embedder = asking(endpoint, batch=3)
    wrong: list[str] = []

    def work(number: int) -> None:
        texts = [f"{number}:{at}" * (at + 1) for at in range(7)]
        wanted = np.array([vector_of(text) for text in texts])
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        if not np.allclose(embedder.embed(texts), wanted, atol=1e-6):
            wrong.append(str(number))

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    embedder.close()


@pytest.mark.parametrize(
    ("url", "how"),
    [
        ("ftp://host/v1", {}),
        ("host/v1", {}),
        ("http://", {}),
        ("http://host:x/v1", {}),
        ("http://ada:secret@host/v1", {}),
        ("http://host/v1?key=secret", {}),
        ("http://host/v1", {"batch": 0}),
        ("http://host/v1", {"batch": 2_049}),
        ("http://host/v1", {"dimension": 0}),
        ("http://host/v1", {"ask_dimension": True}),
        ("http://host/v1", {"timeout_s": 0}),
        ("http://host/v1", {"retries": 21}),
    ],
)
def test_what_cannot_be_an_endpoint(url: str, how: dict[str, int]) -> None:
    """It is said before anything is sent, without the secret."""
    with pytest.raises(LakecoreError) as error:
        EndpointEmbedder(url, "m", **how)  # type: ignore[arg-type]  # what is refused
    assert "secret" not in str(error.value.to_dict()).replace("no secret belongs", "")
