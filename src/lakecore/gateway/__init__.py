"""HTTP: one door to a lake, closed unless a key opens it.

A request goes through here once:

    socket -> connection -> edge: request id, limits, time -> guard: who, may they, so often?
                                                                           |
    answer <- compressed, part by part <- workers: the lake, in threads <- handler

The event loop never waits for a lake: whatever touches one runs in `Workers`, a bounded pool.
When it is full, the answer is 503 with Retry-After, not a longer queue. The exceptions are a key
that is known and a small event, which cost less than a thread: see `_guard` and `_journal`.

==================  ==================================================================
`_app`              the application: rooms, errors, edge, joined
`_watcher`          around all of it: figures, a record of the request, a span
`_access`           records on their way to the access log
`_metrics`          /metrics
`_connection`       so many at a time, heads that come, answers that are taken
`_edge`             what holds for every request: id, size, time, last resort
`_direct`           routes of a fixed path, found by one look: most requests by far
`_guard`            the one check: a route declares its `Access`, or is closed
`_rates`            how often a key or an address may ask
`_watch`            ends tails and streams of rows with the keys that they were begun with
`_workers`          threads with a bound
`_encoding`         zstd and gzip, both ways
`_problems`         errors as RFC 9457 problem+json
`_body`             request bodies: JSON by a model, streams with a bound
`_rows`             rows of a change as an Arrow stream
`_answers`          JSON answers, pages and their cursors, streams of bytes
`_requests`         the same request again is the same change
`_journal`, `_tail` /journal (`_events`: what clients may say in an event)
`_catalog`, `_query`, `_changes`, `_ingest`, `_workspaces`, `_record`, `_truth`, `_keys`,
`_webhooks`         the other rooms, by their routes
`_models`           /v1: models, as OpenAI's clients expect them (`_forms`: errors, too)
`_observer`         /event, /events, /stats, /traces, and OTLP
`_langfuse`         what Langfuse's SDK asks for
`_review`           /review: what reviews found, and runs of them
`_running`          SQL statements under way: their number, their end
`_health`, `_openapi`  /health, /ready, /openapi.json
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
from lakecore.gateway._access import AccessLines, AccessLog, AccessRecord
from lakecore.gateway._ports import Authenticator, LakePort
from lakecore.gateway._settings import GatewaySettings, is_loopback

if TYPE_CHECKING:
    from lakecore.gateway._app import create_app
    from lakecore.gateway._metrics import Figure
    from lakecore.gateway._mounted import Door, Mount, inside
    from lakecore.gateway._serve import Beside, Gateway, bound_socket, url_of
    from lakecore.gateway._watcher import Watchers
    from lakecore.gateway._workers import Workers

_HOME = {
    "Beside": "_serve",
    "Door": "_mounted",
    "Figure": "_metrics",
    "Gateway": "_serve",
    "Mount": "_mounted",
    "Watchers": "_watcher",
    "Workers": "_workers",
    "bound_socket": "_serve",
    "create_app": "_app",
    "inside": "_mounted",
    "url_of": "_serve",
}

__all__ = [
    "AccessLines",
    "AccessLog",
    "AccessRecord",
    "Authenticator",
    "Beside",
    "Door",
    "Figure",
    "Gateway",
    "GatewaySettings",
    "LakePort",
    "Mount",
    "Watchers",
    "Workers",
    "bound_socket",
    "create_app",
    "inside",
    "is_loopback",
    "url_of",
]

# FastAPI is imported by who serves, not by who mentions this package.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
