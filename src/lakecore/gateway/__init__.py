"""HTTP: one door to a lake, closed unless a key opens it.

A request goes through here once:

    socket -> edge: request id, limits, time -> guard: who, may they? -> handler
                                                                           |
    answer <- JSON, problem+json, or a stream <- workers: the lake, in threads

The event loop never waits for a lake: whatever touches one runs in `Workers`, a bounded pool.
When it is full, the answer is 503 with Retry-After, not a longer queue.

==================  ==================================================================
`_app`              the application: rooms, errors, edge, joined
`_edge`             what holds for every request: id, size, time, log, last resort
`_guard`            the one check: a route declares its `Access`, or is closed
`_workers`          threads with a bound
`_problems`         errors as RFC 9457 problem+json
`_body`             request bodies: JSON by a model, streams with a bound
`_rows`             rows of a change as an Arrow stream
`_answers`          JSON answers, pages and their cursors, streams of bytes
`_requests`         the same request again is the same change
`_journal`, `_tail` /journal (`_events`: what clients may say in an event)
`_catalog`, `_query`, `_changes`, `_ingest`, `_workspaces`, `_record`, `_truth`, `_keys`
                    the other rooms, by their routes
`_observer`         /event, /events, /stats, /traces, and OTLP (`_inflate`: gzip, bounded)
`_langfuse`         what Langfuse's SDK asks for
`_health`           /health, /ready, /openapi.json
`_mounted`          doors of other protocols, behind the same guard
`_serve`            the server on a socket, until it is told to stop
`_ports`            what a lake and a book of keys must be able to do
==================  ==================================================================

>>> from lakecore.gateway import GatewaySettings, is_loopback
>>> GatewaySettings().port, is_loopback("127.0.0.1"), is_loopback("lake.example")
(3100, True, False)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.gateway._ports import Authenticator, LakePort
from lakecore.gateway._settings import GatewaySettings, is_loopback

if TYPE_CHECKING:
    from lakecore.gateway._app import create_app
    from lakecore.gateway._mounted import Door, Mount
    from lakecore.gateway._serve import Gateway
    from lakecore.gateway._workers import Workers

_HOME = {
    "Door": "_mounted",
    "Gateway": "_serve",
    "Mount": "_mounted",
    "Workers": "_workers",
    "create_app": "_app",
}

__all__ = [
    "Authenticator",
    "Door",
    "Gateway",
    "GatewaySettings",
    "LakePort",
    "Mount",
    "Workers",
    "create_app",
    "is_loopback",
]

# FastAPI is imported by who serves, not by who mentions this package.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
