"""/metrics: what was asked, how it went, and how the lake is, as Prometheus reads it.

Labels are bounded: templates of routes, methods and statuses that there are; never a path, a
principal or a dataset. Requests are counted on the event loop, in plain numbers, and become
Prometheus's families only when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from fastapi import APIRouter, Request, Response

from lakecore.gateway._guard import KNOWN, needs

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from lakecore.gateway._access import AccessQueue, AccessRecord
    from lakecore.gateway._workers import Workers

router = APIRouter(tags=["health"])

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
NO_ROUTE: Final = "none"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number about a lake.

    Attributes:
        name: without the prefix ``lakecore_``; of a counter without ``_total``.
        labels: of bounded values.
    """

    name: str
    about: str
    value: float
    kind: Literal["gauge", "counter"] = "gauge"
    labels: Mapping[str, str] = field(default_factory=dict)


class RequestFigures:
    """What was asked and how it went. The event loop alone writes it."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.tails = 0
        """Live tails that are open."""

        self.unauthenticated = 0
        self.refused = 0
        self._counts: dict[tuple[str, str, int], int] = {}
        self._times: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self._bytes = {"in": 0, "out": 0}

    def ended(self, record: AccessRecord) -> None:
        """A request is over."""
        route = record.route or NO_ROUTE
        key, place = (record.method, route, record.status), (record.method, route)
        self._counts[key] = self._counts.get(key, 0) + 1
        seconds = record.duration_ms / 1_000
        times = self._times.get(place)
        if times is None:
            times = self._times[place] = [0] * (len(BUCKETS_S) + 1)
        times[bisect_left(BUCKETS_S, seconds)] += 1
        self._seconds[place] = self._seconds.get(place, 0.0) + seconds
        self._bytes["in"] += record.request_bytes
        self._bytes["out"] += record.response_bytes
        if record.status == 401:
            self.unauthenticated += 1
        elif record.status == 403:
            self.refused += 1

    def collect(self) -> Iterator[Any]:
        """As Prometheus's families."""
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily(
            "lakecore_requests", "Requests that ended.", labels=("method", "route", "status")
        )
        for (method, route, status), count in list(self._counts.items()):
            requests.add_metric((method, route, str(status)), count)
        yield requests
        times = HistogramMetricFamily(
            "lakecore_request_duration_seconds",
            "From the first line of a request to the last byte of its answer.",
            labels=("method", "route"),
        )
        for place, counts in list(self._times.items()):
            times.add_metric(place, list(_cumulative(counts)), self._seconds[place])
        yield times
        traffic = CounterMetricFamily(
            "lakecore_body_bytes", "Bytes of bodies.", labels=("direction",)
        )
        for direction, count in self._bytes.items():
            traffic.add_metric((direction,), count)
        yield traffic

    def figures(self) -> list[Figure]:
        """The rest of it."""
        about = "Requests that were turned away."
        return [
            Figure("requests_in_flight", "Requests under way.", self.in_flight),
            Figure("tails", "Live tails that are open.", self.tails),
            Figure(
                "auth_failures",
                about,
                self.unauthenticated,
                "counter",
                {"reason": "unauthenticated"},
            ),
            Figure("auth_failures", about, self.refused, "counter", {"reason": "refused"}),
        ]


class Metrics:
    """Everything that ``/metrics`` says; its registry is its own."""

    def __init__(
        self,
        requests: RequestFigures,
        workers: Workers,
        queue: AccessQueue,
        figures: Callable[[], Sequence[Figure]],
    ) -> None:
        self._requests = requests
        self._workers = workers
        self._queue = queue
        self._figures = figures
        self._registry: CollectorRegistry | None = None

    def text(self) -> bytes:
        """The exposition; for a thread, since the lake is asked."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        if self._registry is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
            registry.register(self)
            self._registry = registry
        return generate_latest(self._registry)

    def describe(self) -> list[Any]:
        """Nothing is asked of the lake when it is registered."""
        return []

    def collect(self) -> Iterator[Any]:
        """Prometheus's call."""
        yield from self._requests.collect()
        yield from _families(
            [
                *self._requests.figures(),
                Figure("workers_busy", "Calls of the lake that run or wait.", self._workers.count),
                Figure("workers_limit", "The most of them at a time.", self._workers.limit),
                Figure(
                    "access_records_dropped",
                    "Requests that the access log does not have.",
                    self._queue.dropped,
                    "counter",
                ),
                *self._figures(),
            ]
        )


@router.get("/metrics", response_class=Response)
@needs(KNOWN)
async def metrics(request: Request) -> Response:
    """Figures of the gateway and of the lake, as Prometheus reads them."""
    rooms = request.app.state.rooms
    text = await rooms.workers.call(rooms.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _cumulative(counts: Sequence[int]) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip((*BUCKETS_S, float("inf")), counts, strict=True):
        total += count
        yield ("+Inf" if bound == float("inf") else repr(float(bound))), total


def _families(figures: Sequence[Figure]) -> Iterator[Any]:
    """One family a name, in the order of its first figure."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    kinds = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
    families: dict[str, Any] = {}
    for figure in figures:
        family = families.get(figure.name)
        if family is None:
            family = families[figure.name] = kinds[figure.kind](
                f"lakecore_{figure.name}", figure.about, labels=tuple(figure.labels)
            )
        family.add_metric(tuple(figure.labels.values()), figure.value)
    yield from families.values()
