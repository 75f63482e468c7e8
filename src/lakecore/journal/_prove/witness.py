"""A witness over HTTP: submits checkpoints, takes back verified cosignatures.

Only https, or http to this machine. Redirects are not followed; answers and times are
bounded; a witness that knows an older size than was thought is asked again from there.
"""

from __future__ import annotations

import http.client
import ipaddress
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from lakecore.base import Conflict, InvalidInput, Unavailable
from lakecore.tlog import (
    COSIGNATURE_V1,
    MAX_ANSWER_BYTES,
    AddCheckpoint,
    KnownSize,
    NoteSignature,
    SignedNote,
    VerifierKey,
    next_old_size,
    read_answer,
)

_MAX_TRIES: Final = 3
_TIMEOUT_S: Final = 10.0
_READ_BYTES: Final = 1 << 16

Path = Callable[[int], Sequence[bytes]]
"""``path(old_size)``: the consistency proof from a size to the checkpoint's."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness: its name, its verifier key's text, and its submission prefix."""

    name: str
    vkey: str
    url: str

    @property
    def key(self) -> VerifierKey:
        """The key by which its cosignatures are checked.

        Raises:
            InvalidInput: it is no key of algorithm 0x04, or another's.
        """
        key = VerifierKey.parse(self.vkey)
        if key.algorithm != COSIGNATURE_V1 or key.name != self.name:
            raise InvalidInput(
                "not the key of this witness",
                expected=f"{self.name}, algorithm 0x04",
                found=f"{key.name}, algorithm {key.algorithm:#04x}",
            )
        return key


class WitnessClient:
    """Asks one witness; `known_size` is what it is thought to have cosigned last."""

    def __init__(self, witness: Witness, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._url = f"{_checked_url(witness.url)}/add-checkpoint"
        self._key = witness.key
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(
            _NoRedirects, urllib.request.ProxyHandler({} if _is_plain(witness.url) else None)
        )
        self.known_size = 0

    def submit(self, note: SignedNote, size: int, path: Path) -> NoteSignature:
        """The witness's cosignature of a checkpoint of `size`.

        Raises:
            Conflict: it has cosigned a larger tree of this log.
            CorruptData: it found the proof wrong, or its cosignature is.
            Refused: it does not know the log or its key.
            Unavailable: it does not answer, or not so; try again later.
        """
        old_size = min(self.known_size, size)
        for _ in range(_MAX_TRIES):
            request = AddCheckpoint(old_size, tuple(path(old_size)), note)
            answer = read_answer(*self._post(request.to_bytes()), note, self._key)
            if not isinstance(answer, KnownSize):
                self.known_size = size
                return answer
            old_size = next_old_size(answer, old_size, size)
        raise Conflict(
            "the witness keeps naming other sizes",
            found=f"{_MAX_TRIES} tries",
            where=self._url,
            hint="somebody else submits checkpoints of this log: try again later",
        )

    def _post(self, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "lakecore"}
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url, data=body, headers=headers, method="POST"
        )
        try:
            try:
                answer: Any = self._opener.open(request, timeout=self._timeout_s)
            except urllib.error.HTTPError as error:
                answer = error  # it has a status and a body, too
            with answer:
                return answer.status, self._body(answer)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unavailable(
                "the witness does not answer",
                found=getattr(error, "reason", None) or type(error).__name__,
                where=self._url,
            ) from error

    def _body(self, answer: Any) -> bytes:
        """An answer's body, no longer and not for longer than it may be."""
        deadline = time.monotonic() + self._timeout_s
        body = b""
        while len(body) <= MAX_ANSWER_BYTES and (part := answer.read1(_READ_BYTES)):
            body += part
            if time.monotonic() > deadline:
                raise TimeoutError
        return body


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_right = (parts.scheme == "https" or _is_plain(url)) and bool(parts.hostname)
        is_right = is_right and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        is_right = False
    if not is_right or parts.username or parts.password:
        raise InvalidInput(
            "not the address of a witness",
            expected="https://host/prefix, or http to this machine, without a password",
        )
    return url.rstrip("/")


def _is_plain(url: str) -> bool:
    """Whether it is http to this machine."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return False
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
