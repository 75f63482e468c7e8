"""The server's address, and the way to run a query there. Imports nothing of Spark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    from lakecore.spark._places import Place
    from lakecore.spark._stream import SparkStream

_URL: Final = re.compile(
    r"(sc://[A-Za-z0-9._-]+(?::\d{1,5})?|sc://\[[0-9A-Fa-f:]+\](?::\d{1,5})?)(/.*)?"
)


class SparkServer:
    """A Spark Connect server. Threads share it; each query has a session of its own.

    Args:
        url: ``sc://host:port``, with Spark Connect's parameters behind it where it needs some;
            they may hold a token, so no message repeats them.
        token: a bearer token for the server; it wants TLS.

    Raises:
        InvalidInput: the URL is none.
    """

    def __init__(self, url: str, *, token: str | None = None) -> None:
        match = _URL.fullmatch(url)
        if match is None:
            raise InvalidInput(
                "no address of a Spark Connect server",
                expected="sc://host:port",
                found="another form",
            )
        self.address: str = match[1]
        """Where it is, without what may be secret."""
        self._url = url if token is None else _with_token(url, token)

    def run(
        self,
        text: str,
        views: Mapping[str, Place],
        *,
        max_rows: int | None = None,
        timeout_s: float | None = None,
    ) -> SparkStream:
        """Begin one query over views; its rows come while they are read.

        Args:
            text: a query in Spark's SQL that names nothing but the views.
            views: what each view is.
            max_rows: rows after which Spark may stop.
            timeout_s: seconds from now to the last batch.

        Raises:
            InvalidInput: pyspark is not installed.
        """
        _installed()
        from lakecore.spark._stream import SparkStream

        return SparkStream(
            self._url, self.address, text, dict(views), max_rows=max_rows, timeout_s=timeout_s
        )

    def sorted_rows(
        self, place: Place, order: Sequence[str], *, timeout_s: float | None = None
    ) -> SparkStream:
        """The rows of one place in the order of columns.

        Raises:
            InvalidInput: pyspark is not installed.
        """
        _installed()
        from lakecore.spark._stream import SparkStream

        return SparkStream.sorted_rows(
            self._url, self.address, place, list(order), timeout_s=timeout_s
        )


def _installed() -> None:
    if find_spec("pyspark") is None or find_spec("grpc") is None:
        raise InvalidInput("Spark's client is not installed", hint="pip install lakecore[spark]")


def _with_token(url: str, token: str) -> str:
    return f"{url.rstrip(';')}{'' if '/;' in url else '/'};use_ssl=true;token={token}"
