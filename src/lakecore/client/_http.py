"""Requests to a gateway: the key, time, and trying again without doing anything twice."""

from __future__ import annotations

import json
import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from lakecore._version import __version__
from lakecore.base import (
    Conflict,
    InvalidInput,
    LakecoreError,
    Retry,
    StaleAnswer,
    Unavailable,
    uuid7,
)
from lakecore.base.limits import MIB
from lakecore.client._errors import error_of, retry_after_s

if TYPE_CHECKING:
    from types import TracebackType

_T = TypeVar("_T")

UNDER_WAY: Final = "the same request is under way"
"""What a gateway says to a request that came again before its first answer was ready."""

MAX_PROBLEM_BYTES: Final = 1 * MIB
MAX_ANSWER_BYTES: Final = 256 * MIB
"""Of an answer that is read whole: JSON, a note, a proof."""

_REPLICA: Final = "lakecore-replica"
"""The header of an answer that a replica gave."""
_MAX_WAIT_S: Final = 30.0
_FIRST_WAIT_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer."""

    status: int
    body: Any


class Connection:
    """One gateway, by one key. Threads may share it.

    A request that failed on the way, or was told to come again, is sent again: reads as they are,
    changes under the same Idempotency-Key, by which the gateway makes them once.

    Args:
        timeout_s: for an answer to begin, and between two pieces of it.
        retries: so often again, at most.
        wait: sleeps so many seconds.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        timeout_s: float,
        retries: int,
        transport: httpx.BaseTransport | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise InvalidInput(
                "not the address of a gateway",
                expected="http://host:port or https://host",
                found=parts._replace(netloc=parts.hostname or "").geturl()[:200],
            )
        if not timeout_s > 0 or not 0 <= retries <= 100:
            raise InvalidInput("not a bound", expected="seconds above 0, 0 to 100 retries")
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self._retries = retries
        self._wait = wait
        headers = {"User-Agent": f"lakecore/{__version__}"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        try:
            self._client = httpx.Client(
                base_url=self.url,
                headers=headers,
                timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0)),
                transport=transport,
                follow_redirects=False,
            )
        except (ValueError, UnicodeEncodeError) as error:
            raise InvalidInput("a key is plain text", expected="lc_<id>_<secret>_<…>") from error

    def close(self) -> None:
        """Let go of its sockets."""
        self._client.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- requests ---------------------------------------------------------------------

    def get(self, path: str, **params: object) -> Any:
        """The JSON of a GET; parameters that are None are left out."""
        return self._json("GET", path, params=params).body

    def pages(self, path: str, **params: object) -> Iterator[Any]:
        """The items of a list, page by page."""
        cursor: object = None
        while True:
            page = self.get(path, **params, cursor=cursor)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def post(
        self,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, object] | None = None,
        content: Callable[[], Any] | None = None,
        content_type: str = "application/json",
        files: Callable[[], Any] | None = None,
        form: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        again: bool = True,
    ) -> Answer:
        """The answer to a POST.

        Args:
            body: JSON; or `content` makes the body anew for each try, or `files` and `form`.
            idempotency_key: default a new one, kept over the tries.
            again: False: not after an answer was lost, where the gateway would do it twice.
        """
        key = idempotency_key or uuid7()
        return self._json(
            "POST",
            path,
            params=params or {},
            body=body,
            content=content,
            content_type=content_type,
            files=files,
            form=form,
            headers={"Idempotency-Key": key},
            again=again,
        )

    def change(
        self, method: str, path: str, body: object, *, idempotency_key: str | None = None
    ) -> Answer:
        """The answer to a change by JSON, made once like that to a POST."""
        headers = {"Idempotency-Key": idempotency_key or uuid7()}
        return self._json(method, path, body=body, headers=headers)

    def put(self, path: str, body: object) -> Answer:
        """The answer to a PUT; again, it does the same."""
        return self._json("PUT", path, body=body)

    def delete(self, path: str, *, idempotency_key: str | None = None, **params: object) -> Answer:
        """The answer to a DELETE; made once like a POST, or the same again."""
        headers = {"Idempotency-Key": idempotency_key or uuid7()}
        return self._json("DELETE", path, params=params, headers=headers)

    def text(self, path: str, *, accept: str = "*/*") -> bytes:
        """The bytes of a GET."""
        _, data = self._sent(_whole, "GET", path, headers={"Accept": accept})
        return data

    @contextmanager
    def open(self, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        """An answer that is read while it comes; closed when the block ends."""
        response = self.send(method, path, **request)
        try:
            yield response
        except httpx.HTTPError as error:
            raise broken_off(error) from error
        finally:
            response.close()

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """An answer whose body is not read yet; whoever asked closes it.

        Raises:
            LakecoreError: the gateway says no; or it does not answer, after all tries.
        """
        return self._sent(lambda response: response, method, path, **request)

    def _sent(
        self,
        take: Callable[[httpx.Response], _T],
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: object = None,
        content: Callable[[], Any] | None = None,
        content_type: str = "application/json",
        files: Callable[[], Any] | None = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout_s: float | None = None,
        again: bool = True,
    ) -> _T:
        """What `take` makes of the answer; where that breaks off, the answer is lost, too."""
        sent: dict[str, Any] = {"params": _plain(params or {}), "headers": dict(headers or {})}
        if read_timeout_s is not None:
            sent["timeout"] = httpx.Timeout(self._client.timeout.read, read=read_timeout_s)
        if body is not None:
            sent["content"] = encode(body)
            sent["headers"]["Content-Type"] = content_type
        elif content is not None:
            sent["headers"]["Content-Type"] = content_type
        lost = False
        for attempt in range(self._retries + 1):
            made = dict(sent)
            if content is not None:
                made["content"] = content()
            if files is not None:
                made |= {"files": files(), "data": dict(form or {})}
            is_last = attempt == self._retries
            try:
                request = self._client.build_request(method, path, **made)
                response = self._client.send(request, stream=True)
                if response.is_success:
                    if (replica := response.headers.get(_REPLICA)) is not None:
                        text = f"the primary does not answer: a replica does: {replica}"
                        warnings.warn(StaleAnswer(text), stacklevel=4)
                    return take(response)
            except httpx.RequestError as error:
                lost = lost or not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                if is_last or (lost and not again) or isinstance(error, httpx.UnsupportedProtocol):
                    raise _unreachable(self.url, error, lost=lost) from error
                self._wait(_backoff_s(attempt))
                continue
            except httpx.InvalidURL as error:
                raise InvalidInput("not an address", found=path[:200]) from error
            problem = _problem(response)
            if is_last or not _is_worth_trying(problem, response, lost):
                raise problem
            after = response.headers.get("retry-after")
            if after is not None and retry_after_s(after) > _MAX_WAIT_S:
                raise problem
            wait_s = _backoff_s(attempt) if after is None else float(retry_after_s(after))
            self._wait(wait_s)
        raise AssertionError("the last try returns or raises")

    def _json(self, method: str, path: str, **request: Any) -> Answer:
        status, data = self._sent(_whole, method, path, **request)
        try:
            return Answer(status, json.loads(data) if data else None)
        except ValueError as error:
            raise Unavailable(
                "the answer is not JSON: is this a gateway?", where=self.url
            ) from error


def encode(body: object) -> bytes:
    """A body as JSON; what it has no word for is refused."""
    import msgspec

    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput("this cannot be sent as JSON", found=str(error)[:200]) from error


def segment(text: str) -> str:
    """A name as a part of a path, and never a step in it.

    >>> segment("a/b c"), segment("..")
    ('a%2Fb%20c', '%2E%2E')
    """
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted


def broken_off(error: Exception) -> Unavailable:
    """An answer that did not come to its end."""
    return Unavailable(
        "the answer was broken off",
        found=str(error)[:200] or type(error).__name__,
        hint="ask again",
    )


def _whole(response: httpx.Response) -> tuple[int, bytes]:
    """Status and body. Raises `Unavailable` where it is longer than its bound."""
    data = bytearray()
    try:
        for piece in response.iter_bytes():
            data += piece
            if len(data) > MAX_ANSWER_BYTES:
                raise Unavailable(
                    "the answer is too long", expected=f"at most {MAX_ANSWER_BYTES:,} bytes"
                )
    finally:
        response.close()
    return response.status_code, bytes(data)


def _problem(response: httpx.Response) -> LakecoreError:
    data = b""
    try:
        for piece in response.iter_bytes():
            data += piece
            if len(data) > MAX_PROBLEM_BYTES:
                break
        told: object = json.loads(data)
    except (httpx.HTTPError, ValueError):
        told = None
    finally:
        response.close()
    return error_of(response.status_code, told, response.headers.get("retry-after"))


def _is_worth_trying(problem: LakecoreError, response: httpx.Response, lost: bool) -> bool:
    if lost and isinstance(problem, Conflict) and problem.message == UNDER_WAY:
        # Our own request, whose answer was lost on the way: its answer comes.
        return True
    return response.status_code in (429, 502, 503, 504) and isinstance(problem, Retry)


def _backoff_s(attempt: int) -> float:
    most_s = min(_MAX_WAIT_S, _FIRST_WAIT_S * 2.0**attempt)
    return most_s * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret


def _unreachable(url: str, error: Exception, *, lost: bool) -> Unavailable:
    return Unavailable(
        "the gateway does not answer",
        where=url,
        found=str(error)[:200] or type(error).__name__,
        hint="what was asked may be done: look" if lost else "is `lakecore up` running there?",
    )


def _plain(params: Mapping[str, object]) -> dict[str, str]:
    found = {}
    for name, value in params.items():
        if value is not None:
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found
