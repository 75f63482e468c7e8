"""What programs tell of themselves: events and traces, kept as datasets of the lake.

    POST /event ------------> one row an event --+
    OTLP (any OpenTelemetry) -> one row a span --+--> records, durable --> system.events, .spans
    Langfuse's SDK --------------^                                              |
    /events, /stats, /traces, SQL  <--------------------------------------------+

What comes is untrusted and may be large, deep, late, doubled and full of secrets: it is cleaned
before it is kept, bounded, and each event id and span id is kept once.

===============  ======================================================================
`_event`         an event as its sender tells it, as a row (pure)
`_otlp`          OTLP's traces as rows: protobuf and JSON, sampling, clocks (pure)
`_genai`         models, tokens, cost, inputs, outputs: GenAI's names and Langfuse's (pure)
`_clean`         secrets blotted out; sizes and depths bounded (pure)
`_tree`          the spans of a trace as a tree (pure)
`_questions`     what is asked, as SQL, and the answers put together (pure)
`_kinds`         the columns of `system.events` and `system.spans`
`_observer`      the face
===============  ======================================================================

>>> from types import SimpleNamespace
>>> from lakecore.observer import Observer
>>> class Kept(list):
...     def append(self, name, rows, *, ids=None):
...         self.extend(rows)
...         return SimpleNamespace(rows=len(rows), duplicates=0)
>>> kept = Kept()
>>> observer = Observer(kept)
>>> told = [{"source": "scrum", "kind": "review", "message": "done", "data": {"api_key": "k"}},
...         {"kind": "no source"}]
>>> accepted = observer.accept(told, principal="ada")
>>> accepted.accepted, accepted.refused_count, kept[0]["source"], kept[0]["data"]
(1, 1, 'scrum', '{"api_key":"***"}')
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports

if TYPE_CHECKING:
    from lakecore.observer._kinds import event_kind, span_kind
    from lakecore.observer._observer import Accepted, Observer, ObserverSettings

_HOME = {
    "Accepted": "_observer",
    "Observer": "_observer",
    "ObserverSettings": "_observer",
    "event_kind": "_kinds",
    "span_kind": "_kinds",
}

__all__ = ["Accepted", "Observer", "ObserverSettings", "event_kind", "span_kind"]

__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
