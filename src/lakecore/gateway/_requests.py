"""The same request again is the same change: what was answered to an Idempotency-Key.

The key and its principal name the mutation. Before a change is begun the request is noted in
a small database in this machine's state directory, and its answer when it is made:

    new      -> noted, made, answered; the answer is kept
    answered -> the same answer again, with ``Idempotent-Replayed: true``
    begun    -> by a request that is under way: 409; by a process that died: looked up

Crash window: a change that was committed, and the process died before its answer was kept.
The journal knows the mutation then, and the answer is made of what it says.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Conflict, LakecoreError, Unavailable, uuid8
from lakecore.base.limits import MIB
from lakecore.gateway._answers import json_answer, to_json
from lakecore.gateway._problems import HttpProblem

if TYPE_CHECKING:
    from fastapi import Request, Response

MAX_KEY_CHARACTERS: Final = 255
KEPT_S: Final = 7 * 24 * 3_600
MAX_KEPT: Final = 100_000
MAX_ANSWER_BYTES: Final = 1 * MIB
_SCHEMA: Final = """
create table if not exists requests (
    id text primary key, fingerprint blob not null, at_s integer not null,
    status integer, body blob
)
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    status: int
    body: bytes
    is_again: bool = False

    @classmethod
    def of(cls, document: object, status: int = 200) -> Answer:
        return cls(status, to_json(document))


class Requests:
    """The answers of one machine. Threads may share it.

    Args:
        path: of the database; None: in memory, until the process ends.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._path = path
        self._database: sqlite3.Connection | None = None

    def run(
        self,
        request_id: str,
        fingerprint: bytes,
        make: Callable[[], Answer],
        recover: Callable[[], Answer | None],
    ) -> Answer:
        """Make a change once.

        Args:
            recover: what became of it, where it was begun and nobody knows.

        Raises:
            Conflict: the same request is under way.
            HttpProblem: the key was used for another request.
        """
        with self._lock:
            known = self._look(request_id, fingerprint)
            if isinstance(known, Answer):
                return known
            if request_id in self._under_way:
                raise Conflict("the same request is under way", hint="wait for its answer")
            self._under_way.add(request_id)
        try:
            if known:
                found = recover()
                if found is not None:
                    return self._keep(request_id, found)
            return self._keep(request_id, make())
        except LakecoreError as error:
            if not isinstance(error, Unavailable):
                # After that one it may be made all the same: the next time it is looked up.
                self._forget(request_id)
            raise
        finally:
            with self._lock:
                self._under_way.discard(request_id)

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _look(self, request_id: str, fingerprint: bytes) -> Answer | bool:
        """Its answer; whether it was begun before. Noted as begun from here on."""
        database = self._open()
        row = database.execute(
            "select fingerprint, status, body from requests where id = ?", (request_id,)
        ).fetchone()
        if row is None:
            with database:
                database.execute(
                    "insert into requests values (?, ?, ?, null, null)",
                    (request_id, fingerprint, int(time.time())),
                )
            return False
        if row[0] != fingerprint:
            raise HttpProblem(
                422, "idempotency-key-reused", "this Idempotency-Key was used for another request"
            )
        return True if row[1] is None else Answer(row[1], row[2], is_again=True)

    def _keep(self, request_id: str, answer: Answer) -> Answer:
        if len(answer.body) <= MAX_ANSWER_BYTES:
            with self._lock, self._open() as database:
                database.execute(
                    "update requests set status = ?, body = ? where id = ?",
                    (answer.status, answer.body, request_id),
                )
        return answer

    def _forget(self, request_id: str) -> None:
        with self._lock, self._open() as database:
            database.execute("delete from requests where id = ?", (request_id,))

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self._path or ":memory:", check_same_thread=False)
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = full")
            with database:
                database.execute(_SCHEMA)
                old = "delete from requests where at_s < ?"
                database.execute(old, (int(time.time()) - KEPT_S,))
                database.execute(
                    "delete from requests where id not in "
                    "(select id from requests order by at_s desc limit ?)",
                    (MAX_KEPT,),
                )
            self._database = database
        return self._database


def idempotency_key(request: Request) -> str | None:
    """The request's Idempotency-Key; 400 where it is none."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not key.isprintable():
        raise HttpProblem(
            400,
            "bad-request",
            "not an Idempotency-Key",
            expected=f"1 to {MAX_KEY_CHARACTERS} printable characters",
        )
    return key


async def answer_once(
    request: Request,
    make: Callable[[str | None], Answer],
    recover: Callable[[str], Answer | None] = lambda mutation_id: None,
) -> Response:
    """Answer a request that changes something; with an Idempotency-Key, once.

    Args:
        make: makes the change under this mutation id, or without one; runs in a thread.
        recover: what became of the mutation of that id.
    """
    from lakecore.gateway._guard import caller_of

    rooms = request.app.state.rooms
    key = idempotency_key(request)
    if key is None:
        answer: Answer = await rooms.workers.call(make, None)
    else:
        mutation_id = uuid8("http", caller_of(request).principal.name, key)
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        fingerprint = hashlib.sha256(
            b"\0".join((request.method.encode(), target.encode(), await request.body()))
        ).digest()
        answer = await rooms.workers.call(
            rooms.requests.run,
            mutation_id,
            fingerprint,
            lambda: make(mutation_id),
            lambda: recover(mutation_id),
        )
    headers: dict[str, Any] = {"idempotent-replayed": "true"} if answer.is_again else {}
    return json_answer(answer.body, answer.status, headers)
