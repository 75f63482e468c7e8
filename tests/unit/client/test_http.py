"""Trying again: nothing is done twice, nothing is waited for without end, no key leaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest

import lakecore
from lakecore.base import (
    Bug,
    Conflict,
    FixRequest,
    InvalidInput,
    LakecoreError,
    NotFound,
    Refused,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from lakecore.base import errors as tree
from lakecore.client._errors import error_of
from lakecore.client._http import UNDER_WAY, Connection
from lakecore.gateway._problems import problem_of

Step = httpx.Response | Exception
MADE = {"mutation_id": "m", "commit_id": "c", "dataset": "planes", "version": 1, "inserted": 1}


def problem(status: int, slug: str, title: str = "no", **headers: str) -> httpx.Response:
    """What a gateway says."""
    body = {"type": f"urn:lakecore:error:{slug}", "title": title, "status": status}
    return httpx.Response(status, json=body, headers=headers)


class Gateway:
    """Answers in turn, and remembers what was asked."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.asked: list[httpx.Request] = []
        self.bodies: list[bytes] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.bodies.append(request.read())
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def connection(self, retries: int = 5) -> Connection:
        """A connection to it that does not really wait."""
        return Connection(
            "http://lake.example",
            "lc_secret",
            timeout_s=1,
            retries=retries,
            transport=httpx.MockTransport(self),
            wait=self.waits.append,
        )

    def client(self) -> lakecore.Client:
        """A client of it."""
        client = lakecore.Client("http://lake.example", "lc_secret")
        for part in (client, client.journal, client.truth, client.keys):
            part._connection = self.connection()  # type: ignore[attr-defined]  # it does not wait
        return client


class Cut(httpx.SyncByteStream):
    """A body that breaks off."""

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"mutation_id":'
        raise httpx.ReadError("gone")


LOST: list[Callable[[], Step]] = [
    lambda: httpx.ConnectError("refused"),
    lambda: httpx.ReadTimeout("silence"),
    lambda: httpx.RemoteProtocolError("broken off"),
    lambda: httpx.WriteError("gone"),
    lambda: httpx.Response(200, stream=Cut()),
]


@pytest.mark.parametrize("lost", LOST)
def test_a_change_is_sent_again_under_the_same_key(lost: Callable[[], Step]) -> None:
    """The same bytes and the same Idempotency-Key; another change has another one."""
    gateway = Gateway(
        lost(), problem(503, "unavailable", **{"retry-after": "2"}), httpx.Response(200, json=MADE)
    )
    client = gateway.client()
    assert client.insert("planes", [{"tailnum": "N1"}]).inserted == 1
    keys = [request.headers["idempotency-key"] for request in gateway.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(set(gateway.bodies)) == 1
    assert gateway.waits[1] == 2.0
    gateway.steps.append(httpx.Response(200, json=MADE))
    client.delete("planes", keys=["N1"])
    assert gateway.asked[-1].headers["idempotency-key"] not in keys
    gateway.steps.append(httpx.Response(200, json=MADE))
    client.delete("planes", keys=["N1"], idempotency_key="mine")
    assert gateway.asked[-1].headers["idempotency-key"] == "mine"


def test_the_answer_of_ones_own_lost_request_is_waited_for() -> None:
    """409 for the request that is still under way, but only where it may be one's own."""
    gateway = Gateway(
        httpx.ReadTimeout("silence"),
        problem(409, "conflict", UNDER_WAY),
        httpx.Response(200, json=MADE),
    )
    assert gateway.client().update("planes", set={"a": 1}, all=True).inserted == 1
    for first in ([], [httpx.ConnectError("refused")]):
        gateway = Gateway(*first, problem(409, "conflict", UNDER_WAY))
        with pytest.raises(Conflict):
            gateway.client().update("planes", set={"a": 1}, all=True)


@pytest.mark.parametrize(
    "do",
    [
        lambda client: client.keys.create("ada", scopes=["read:*"]),
        lambda client: client.keys.rotate("0" * 12),
    ],
)
def test_what_would_be_done_twice_is_not_sent_again(do: Callable[[Any], Any]) -> None:
    """A key whose answer is lost; where the gateway was never reached, it is."""
    gateway = Gateway(httpx.ReadTimeout("silence"))
    with pytest.raises(Unavailable) as caught:
        do(gateway.client())
    assert (len(gateway.asked), caught.value.hint) == (1, "what was asked may be done: look")
    gateway = Gateway(httpx.ConnectError("refused"), problem(403, "refused"))
    with pytest.raises(Refused):
        do(gateway.client())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 501, 507])
def test_a_no_is_a_no(status: int) -> None:
    """What will not be otherwise is asked once."""
    gateway = Gateway(problem(status, "conflict" if status == 409 else "strange"))
    with pytest.raises(LakecoreError):
        gateway.client().delete("planes", keys=[1])
    assert (len(gateway.asked), gateway.waits) == (1, [])


def test_tries_and_waits_are_bounded() -> None:
    """In number; and who is told to wait too long is told so."""
    gateway = Gateway(*(problem(429, "too-many-requests", **{"retry-after": "3"}),) * 9)
    with pytest.raises(TooManyRequests) as caught:
        gateway.connection(retries=3).get("/x")
    assert caught.value.retry_after_s == 3
    assert (len(gateway.asked), gateway.waits) == (4, [3.0] * 3)
    gateway = Gateway(problem(503, "unavailable", **{"retry-after": "600"}))
    with pytest.raises(Unavailable):
        gateway.connection().get("/x")
    assert gateway.waits == []
    gateway = Gateway(*(httpx.ConnectError("refused") for _ in range(6)))
    with pytest.raises(Unavailable, match="does not answer"):
        gateway.connection().get("/x")
    assert len(gateway.waits) == 5
    assert sum(gateway.waits) < 10


def test_errors_come_back_as_they_were() -> None:
    """Of every class that the lake raises, with all their parts."""

    def kinds(kind: type[LakecoreError]) -> Iterable[type[LakecoreError]]:
        yield kind
        for inner in kind.__subclasses__():
            if inner.__module__ == tree.__name__:
                yield from kinds(inner)

    parts = {"expected": "a", "found": "b", "where": "c", "hint": "d"}
    for kind in kinds(LakecoreError):
        raised: LakecoreError = (
            TooManyRequests("no", retry_after_s=7)
            if kind is TooManyRequests
            else kind("no", **parts)
        )
        status, headers, body = problem_of(raised, "r1")
        found = error_of(status, json.loads(body), headers.get("retry-after"))
        assert type(found) is kind
        if kind is not Bug:
            assert found.to_dict() == raised.to_dict()
        assert found.__notes__ == ["urn:lakecore:request:r1"]


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (404, {"type": "urn:lakecore:error:not-found", "title": "x"}, NotFound),
        (401, None, Unauthenticated),
        (413, {"type": "urn:lakecore:error:too-large", "title": "x"}, FixRequest),
        (418, "<html>", FixRequest),
        (503, ["x"], Unavailable),
        (500, {"type": 7}, Bug),
        (302, None, FixRequest),
    ],
)
def test_whatever_answers_is_an_error_of_ours(
    status: int, told: Any, kind: type[LakecoreError]
) -> None:
    """Also what is no gateway."""
    assert type(error_of(status, told)) is kind


def test_what_is_no_gateway() -> None:
    """An answer that is no JSON, of another form, or a way to somewhere else."""
    for answer in (
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(302, headers={"location": "http://evil.example/"}),
    ):
        gateway = Gateway(answer)
        with pytest.raises(LakecoreError):
            gateway.client().insert("planes", [{"a": 1}])
        assert [request.url.host for request in gateway.asked] == ["lake.example"]


@pytest.mark.parametrize("url", ["", "lake", "ftp://lake", "http://", "http://ada:pw@lake"])
def test_addresses_that_are_none(url: str) -> None:
    """Refused, and no password comes back."""
    with pytest.raises(InvalidInput) as caught:
        lakecore.Client(url)
    assert "pw" not in str(caught.value)


def test_the_key_is_shown_nowhere() -> None:
    """Neither by the client's representation nor in errors; it is sent to the gateway alone."""
    gateway = Gateway(problem(401, "unauthenticated"))
    client = gateway.client()
    with pytest.raises(Unauthenticated) as caught:
        client.datasets()
    assert gateway.asked[0].headers["authorization"] == "Bearer lc_secret"
    assert "secret" not in repr(client) + str(caught.value) + repr(caught.value)
    with pytest.raises(InvalidInput) as no_key:
        lakecore.Client("http://lake.example", "schlüssel\n")
    assert "schl" not in str(no_key.value)


def test_names_stay_in_their_place_of_the_path() -> None:
    """Whatever a dataset's name is, it is one segment."""
    gateway = Gateway(problem(404, "not-found"))
    with pytest.raises(NotFound):
        gateway.client().describe("../keys?x=1#y/%2e")
    assert gateway.asked[0].url.raw_path == b"/catalog/datasets/..%2Fkeys%3Fx%3D1%23y%2F%252e"


def test_events_that_are_sent_twice_are_known_again() -> None:
    """Each has an id of its own before it is sent."""
    gateway = Gateway(httpx.ReadTimeout("silence"), httpx.Response(201, json={"count": 2}))
    event = {"entity_type": "gate", "entity_id": "A1", "action": "open"}
    ids = gateway.client().journal.record_many([event, event])
    assert len(set(ids)) == 2
    assert gateway.bodies[0] == gateway.bodies[1]
    assert [json.loads(line)["event_id"] for line in gateway.bodies[0].splitlines()] == ids
