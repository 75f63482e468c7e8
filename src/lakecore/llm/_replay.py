"""Answers kept by what was asked: a run can be repeated offline, and gives the same.

A request's name is the SHA-256 of the canonical form of its model, parameters and messages,
as they are sent, without secrets. One file each, replaced by the next result of the same
request, written beside its place and renamed into it:

    <folder>/<first two digits>/<name>.json
    {"version": 1, "rung": …, "request": {…}, "outcome": …, "detail": …, "status": …, "body": …}

An answer that came as a stream is kept as its chunks, in `chunks`. Failures are kept, too, so
that a run that climbed climbs again; nothing is waited for when they are replayed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from lakecore.base import CorruptData, Stop, UnsupportedFormat
from lakecore.llm._outcome import Outcome
from lakecore.llm._redact import redact_json
from lakecore.llm._reply import Reply, StreamReader, read_completion
from lakecore.llm._request import Prepared

VERSION: Final = 1
_FAILED: Final = frozenset({Outcome.TRANSPORT, Outcome.RATE, Outcome.ASLEEP, Outcome.BUDGET})


class Mode(StrEnum):
    """What the store is used for."""

    OFF = "off"
    RECORD = "record"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One result as kept: a reply, and its chunks where it was a stream."""

    reply: Reply
    chunks: tuple[dict[str, Any], ...] = ()


def request_name(content: bytes) -> str:
    """The name of a request, by its body.

    The order of members does not matter, nor do spaces, nor whether it is to be streamed.

    >>> request_name(b'{"model": "m", "messages": []}') == request_name(
    ...     b'{"messages":[],"model":"m","stream":true}'
    ... )
    True
    """
    body = msgspec.json.decode(content)
    for name in ("stream", "stream_options"):
        body.pop(name, None)
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()


class ReplayStore:
    """Files in a folder. Threads and processes may share it: the last one to write stays."""

    def __init__(self, folder: Path, mode: Mode) -> None:
        self.folder = folder
        self.mode = mode

    def find(self, prepared: Prepared) -> Recorded:
        """The result of a request; `asleep` where there is none: nobody is there to be asked.

        Raises:
            CorruptData, UnsupportedFormat: the file is not as it should be.
        """
        path = self._path(prepared.content)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            detail = f"nothing is recorded for this request ({path.stem[:12]}…)"
            return Recorded(Reply(outcome=Outcome.ASLEEP, detail=detail, is_blank=True))
        return parse(content, prepared, path)

    def keep(
        self, prepared: Prepared, reply: Reply, chunks: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Keep the result of a request, durably, in place of one before.

        Raises:
            Stop: it cannot be written.
        """
        path = self._path(prepared.content)
        content = render(prepared, reply, chunks)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(beside).replace(path)
            except BaseException:
                with suppress(OSError):
                    Path(beside).unlink()
                raise
        except OSError as error:
            raise Stop("an answer cannot be recorded", found=error.strerror, where=path) from error

    def _path(self, content: bytes) -> Path:
        name = request_name(content)
        return self.folder / name[:2] / f"{name}.json"


def render(prepared: Prepared, reply: Reply, chunks: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """One file: the request and its result, without secrets."""
    request = msgspec.json.decode(prepared.content)
    kept: dict[str, Any] = {
        "version": VERSION,
        "rung": prepared.rung.name,
        "request": request,
        "outcome": reply.outcome,
        "detail": reply.detail,
        "status": reply.status,
        "body": None if chunks else reply.body,
        "chunks": list(chunks),
    }
    shown, _ = redact_json(kept)
    return msgspec.json.format(msgspec.json.encode(shown), indent=1) + b"\n"


def parse(content: bytes, prepared: Prepared, path: Path) -> Recorded:
    """What `render` made."""
    try:
        kept = msgspec.json.decode(content, type=dict[str, Any])
        version = kept["version"]
        if isinstance(version, int) and version > VERSION:
            raise UnsupportedFormat(
                "recorded by a newer Lakecore", expected=VERSION, found=version, where=path
            )
        outcome = Outcome(kept["outcome"])
        chunks = tuple(kept["chunks"])
        body, status = kept["body"], kept["status"]
        if chunks:
            reader = StreamReader(prepared)
            for chunk in chunks:
                list(reader.feed(b"data: " + msgspec.json.encode(chunk) + b"\n"))
            return Recorded(reader.reply(), chunks)
        if body is None or outcome in _FAILED:
            reply = Reply(outcome=outcome, detail=kept["detail"], status=status, is_blank=True)
            return Recorded(reply)
        return Recorded(read_completion(status or 200, msgspec.json.encode(body)))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise CorruptData("not a recorded answer", found=str(error)[:200], where=path) from error
