"""pyspark's errors as Lakecore's: what the caller does about them."""

from __future__ import annotations

import re
from typing import Any, Final

from lakecore.base import Bug, CorruptData, InvalidInput, LakecoreError, Unavailable

_AWAY: Final = frozenset({"UNAVAILABLE", "CANCELLED", "ABORTED", "DEADLINE_EXCEEDED"})
_AWAY_TEXTS: Final = (
    "connection reset",
    "connection refused",
    "socket closed",
    "rst_stream",
    "end of stream",
    "goaway",
    "channel closed",
    "transport is closing",
    "worker lost",
)
_FAILED: Final = frozenset({"INTERNAL", "UNKNOWN"})
_OF_DATA: Final = re.compile(
    r"\[[A-Z][A-Z_.]{3,}\]|divide by zero|overflow|cast error|cannot cast|arithmetic", re.IGNORECASE
)
"""What servers say of a query or its data under the status of a failure of their own."""
_MAX_CHARACTERS: Final = 400


def translate(error: BaseException, address: str) -> LakecoreError:
    """The error that the caller sees for one that came out of pyspark or grpc."""
    if isinstance(error, LakecoreError):
        return error
    if is_away(error):
        return Unavailable(
            "the Spark server does not answer",
            where=address,
            found=_status(error) or type(error).__name__,
            hint="see that it runs, or ask with the engine datafusion",
        )
    names = {kind.__name__ for kind in type(error).__mro__}
    said = one_line(str(error))
    lower = said.lower()
    if "no such file" in lower or ("not found" in lower and "object at location" in lower):
        return CorruptData(
            "Spark does not find a file of the lake",
            found=said,
            where=address,
            hint="the server needs the lake's own disk or bucket, and credentials for it; see "
            "[query] spark_lake. If it has them, run `lakecore verify`",
        )
    is_told = _OF_DATA.search(said) is not None
    if not is_told and "SparkConnectGrpcException" in names and _status(error) in _FAILED:
        return Unavailable("the Spark server failed", found=said, where=address)
    if names & {"SparkConnectException", "PySparkException", "PySparkValueError"}:
        return InvalidInput(
            "Spark does not run this query",
            found=said,
            hint="docs/spark.md says what differs; the engine datafusion may run it",
        )
    return Bug("the Spark client failed", found=f"{type(error).__name__}: {said}")


def is_away(error: BaseException) -> bool:
    """Whether the server, or the way to it, is gone: another try may find it."""
    if _status(error) in _AWAY:
        return True
    if isinstance(error, ValueError) and "closed channel" in str(error).lower():
        return True
    lower = str(error).lower()
    return _status(error) is not None and any(text in lower for text in _AWAY_TEXTS)


def _status(error: Any) -> str | None:
    """The name of the gRPC status that an error carries."""
    code = getattr(error, "_grpc_status_code", None)
    if code is None:
        read = getattr(error, "code", None)
        try:
            code = read() if callable(read) else None
        except Exception:
            code = None
    name = getattr(code, "name", None)
    return name if isinstance(name, str) else None


def one_line(text: str) -> str:
    """A server's message, cut: it may repeat whole plans."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_CHARACTERS else line[:_MAX_CHARACTERS] + "…"
