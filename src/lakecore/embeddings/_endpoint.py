"""An OpenAI-compatible endpoint, ``POST {base_url}/embeddings``: everything about it is bounded.

What goes over the wire: ``{"model", "input": [texts], "encoding_format": "float"}``, and
``dimensions`` where they were asked for; the key in ``Authorization``. What comes back is a
stranger's: its size, its shape, its numbers and their order are checked before anything is made of
it. A redirect is not followed: it could take texts and key to somebody else.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lakecore.base import InvalidInput, Refused, Unavailable
from lakecore.base.limits import MIB
from lakecore.embeddings._answer import read_error, read_vectors
from lakecore.embeddings._batches import batches_by_length
from lakecore.embeddings._line import Line, PassingError
from lakecore.embeddings._texts import check_count, check_texts, unit_rows

if TYPE_CHECKING:
    import httpx

    from lakecore.embeddings._texts import Vectors

MAX_BATCH: Final = 2_048
MAX_BATCH_BYTES: Final = 4 * MIB
"""Of the texts of one request, unless one text alone has more."""

MAX_DIMENSION: Final = 16_384
MAX_PAUSE_S: Final = 30.0
PROBE: Final = "Lakecore asks how many numbers a vector has."
_FIRST_PAUSE_S: Final = 0.25
_MAX_IDLE: Final = 8
_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class EndpointEmbedder:
    """Embeds by a server of one's own, or of a provider: texts leave this machine.

    Args:
        base_url: up to and with ``/v1``.
        model: as the server knows it.
        api_key: None where none is needed.
        dimension: what a vector must have; None: what the first answer has.
        ask_dimension: send it along, to models that can give vectors of several lengths.
        batch: texts of one request, 1 to 2,048; at most 4 MiB together.
        timeout_s: for one request, from its first byte to the answer's last.
        retries: further attempts at what may pass: no connection, no time, 429, 5xx.

    Raises:
        InvalidInput: one of them cannot be.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        dimension: int | None = None,
        ask_dimension: bool = False,
        batch: int = 64,
        timeout_s: float = 60.0,
        retries: int = 4,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        _check_url(base_url)
        if not model or len(model) > 256:
            raise InvalidInput("an endpoint needs a model's name", expected="1 to 256 characters")
        check_count("batch", batch, MAX_BATCH)
        if dimension is not None:
            check_count("dimension", dimension, MAX_DIMENSION)
        if ask_dimension and dimension is None:
            raise InvalidInput("a dimension can be asked for only where it is said")
        if not 0 < timeout_s <= 3_600 or not 0 <= retries <= 20:
            raise InvalidInput("not a bound", expected="up to 3,600 seconds and 20 retries")
        self._url = base_url.rstrip("/") + "/embeddings"
        self._model = model
        self._key = api_key
        self._dimension = dimension
        self._ask_dimension = ask_dimension
        self._batch = batch
        self._timeout_s = timeout_s
        self._retries = retries
        self._wait = wait
        self._probing = threading.Lock()
        self._lending = threading.Lock()
        self._idle: list[Line] = []

    @property
    def name(self) -> str:
        """The model, and a hash of where it is and what is asked of it.

        A server has no hash of its model to give: one that puts another behind the same name is
        found out by the cache, which asks for a known text again when it is opened.
        """
        asked = str(self._dimension) if self._ask_dimension else ""
        decides = json.dumps([self._url, self._model, asked])
        return f"{self._model}@{hashlib.sha256(decides.encode()).hexdigest()[:16]}"

    @property
    def dimension(self) -> int:
        """Numbers of a vector; asks for one where nothing was embedded yet.

        Raises:
            As `embed`.
        """
        with self._probing:
            if self._dimension is None:
                self._embed([PROBE])
            assert self._dimension is not None  # noqa: S101 - set by the answer
            return self._dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A row of float32 for each text, of unit length.

        Raises:
            InvalidInput: a text that is empty, too long, or none; an answer that cannot be used:
                other numbers than texts, another dimension, NaN, no JSON.
            Refused: the server does not take the key (401, 403).
            Unavailable: no answer, after all attempts.
        """
        checked = check_texts(texts)
        if self._dimension is None and checked:
            _ = self.dimension
        return self._embed(checked)

    def close(self) -> None:
        """Close the connections; the next call opens others."""
        with self._lending:
            lines, self._idle = self._idle, []
        for line in lines:
            line.close()

    def _embed(self, texts: list[str]) -> Vectors:
        import numpy as np

        sizes = [len(text.encode()) for text in texts]
        vectors: Vectors | None = None
        for places in batches_by_length(sizes, self._batch, most_together=MAX_BATCH_BYTES):
            rows = self._ask([texts[at] for at in places])
            if vectors is None:
                vectors = np.empty((len(texts), rows.shape[1]), np.float32)
            vectors[places] = rows
        return np.empty((0, self.dimension), np.float32) if vectors is None else vectors

    def _ask(self, texts: list[str]) -> Vectors:
        """One request's vectors, after as many attempts as it takes, and may."""
        body: dict[str, Any] = {"model": self._model, "input": texts, "encoding_format": "float"}
        if self._ask_dimension:
            body["dimensions"] = self._dimension
        content = json.dumps(body, ensure_ascii=False).encode()
        pause_s = _FIRST_PAUSE_S
        for attempt in range(self._retries + 1):
            try:
                answer = self._post(content)
            except PassingError as error:
                if attempt == self._retries or error.pause_s > MAX_PAUSE_S:
                    raise Unavailable(
                        "the endpoint for embeddings does not answer as it should",
                        found=f"{error.found}, attempt {attempt + 1} of {self._retries + 1}",
                        where=self._url,
                        hint="try again later; what was embedded until now is in the cache",
                    ) from error
                # As long as the server says, or longer each time; not all callers at once.
                self._wait(max(error.pause_s, pause_s * (0.5 + random.random() / 2)))  # noqa: S311 - no secret
                pause_s = min(2 * pause_s, MAX_PAUSE_S)
            else:
                return self._checked(answer, len(texts))
        raise AssertionError  # the loop ends by return or raise

    def _checked(self, answer: bytes, count: int) -> Vectors:
        vectors = read_vectors(answer, count, where=self._url)
        found = vectors.shape[1]
        if not 1 <= found <= MAX_DIMENSION or found != (self._dimension or found):
            raise InvalidInput(
                "the endpoint gives vectors of another length",
                expected=self._dimension or f"1 to {MAX_DIMENSION}",
                found=found,
                where=self._url,
                hint="set [search] dimension to what the model gives, and build the index anew",
            )
        unit = unit_rows(vectors, self._url)
        self._dimension = found
        return unit

    def _post(self, content: bytes) -> bytes:
        """The answer's body.

        Raises:
            PassingError: it is worth asking again.
        """
        with self._lending:
            line = self._idle.pop() if self._idle else self._new_line()
        try:
            response, body = line.post(content)
        except Exception:
            line.close()
            raise
        with self._lending:
            if line.is_usable and len(self._idle) < _MAX_IDLE:
                self._idle.append(line)
            else:
                line.close()
        self._check_status(response, body)
        return body

    def _check_status(self, response: httpx.Response, body: bytes) -> None:
        status = response.status_code
        if status == 200 and response.headers.get("content-encoding", "identity") == "identity":
            return
        if status in _AGAIN:
            raise PassingError(f"status {status}", _seconds(response.headers.get("retry-after")))
        told = read_error(body, secret=self._key)
        if status in (401, 403):
            raise Refused(
                "the endpoint for embeddings does not take the key",
                found=f"status {status}{told}",
                where=self._url,
                hint="[search] api_key_env names the variable that has it",
            )
        raise InvalidInput(
            "the endpoint for embeddings refuses the request",
            expected="status 200, not packed",
            found=f"status {status}{told}",
            where=self._url,
        )

    def _new_line(self) -> Line:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return Line(self._url, headers, self._timeout_s)


def _seconds(text: str | None) -> float:
    """``Retry-After`` in seconds; dates are not understood, and are none."""
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 1e9 else 0.0


def _check_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise InvalidInput(
            "not the URL of an endpoint", expected="for example http://127.0.0.1:8080/v1"
        )
    if parts.username or parts.password:
        raise InvalidInput("no secret belongs in a URL", hint="use [search] api_key_env")
