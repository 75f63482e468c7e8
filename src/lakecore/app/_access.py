"""The access log as events of the observer: requests by route, status and time, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.gateway import AccessLog, AccessRecord

SOURCE: Final = "gateway"
KIND: Final = "request"
PRINCIPAL: Final = "lakecore"
_PROBES: Final = frozenset(("/health", "/ready", "/metrics"))
"""Asked again and again by machines: they would keep a quiet lake busy."""
_FAILED: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ObservedAccess:
    """An access log whose records are kept as events, too: `system.events`, source ``gateway``.

    What there is no room for is gone: the gateway logs that, and no request waits for it.
    """

    def __init__(self, parts: Components, inner: AccessLog) -> None:
        self._parts = parts
        self._inner = inner

    def write(self, records: Sequence[AccessRecord]) -> None:
        """Hand them on, and keep those that are no probes."""
        self._inner.write(records)
        events = [_event(one) for one in records if one.route not in _PROBES]
        if events:
            self._parts.observer.accept(events, principal=PRINCIPAL, is_own=True)


def _event(record: AccessRecord) -> dict[str, Any]:
    event = {
        "source": SOURCE,
        "kind": KIND,
        "id": record.request_id,
        "time": (_EPOCH + timedelta(microseconds=record.at_us)).isoformat(),
        "level": "error" if record.status >= _FAILED else "info",
        "message": f"{record.method} {record.route or '(no route)'} {record.status}",
        "duration_ms": record.duration_ms,
        "method": record.method,
        "route": record.route,
        "status": record.status,
        "by": record.principal,
        "key_id": record.key_id,
        "request_bytes": record.request_bytes,
        "response_bytes": record.response_bytes,
    }
    return event if record.trace_id is None else event | {"trace_id": record.trace_id}
