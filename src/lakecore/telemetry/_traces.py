"""Spans of what a process does, sent to an OpenTelemetry collector over OTLP/HTTP.

A `Traces` that was not started costs a method call a span and imports nothing. Started, its
spans wait in a bounded queue and are sent by a thread of OpenTelemetry's; what does not fit is
dropped. Its provider is its own: nothing of OpenTelemetry's global state is set.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

MAX_SPANS: Final = 4_096
"""Spans that wait to be sent."""

_MAX_BATCH: Final = 512
_EVERY_MS: Final = 1_000
_TIMEOUT_S: Final = 5.0
_MAX_ATTRIBUTE_CHARACTERS: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """Where spans go.

    Attributes:
        endpoint: of the collector; ``/v1/traces`` is added where it has no path.
        headers: sent with every request, such as the collector's key.
        ratio: how many of the traces that begin here are kept, 0 to 1.
    """

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ratio: float = 1.0
    service: str = "lakecore"
    version: str = ""

    def check(self) -> None:
        """Raises `InvalidInput` where the endpoint is none, or OpenTelemetry is missing."""
        from importlib.util import find_spec

        endpoint_of(self.endpoint)
        if find_spec("opentelemetry") is None or not find_spec("opentelemetry.sdk"):
            raise _missing()


class Span(Protocol):
    """Something that began and is not over yet."""

    def set(self, name: str, value: str | int | float | bool) -> None:
        """An attribute."""
        ...

    def rename(self, name: str) -> None:
        """Another name, once more is known."""
        ...

    def fail(self, what: str) -> None:
        """It failed: the type of an error, not its text, which may quote data."""
        ...


class _NoSpan:
    """What there is to hold where nothing is traced."""

    def set(self, name: str, value: str | int | float | bool) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, what: str) -> None:
        pass


_NOTHING: Final = nullcontext(_NoSpan())


class Traces:
    """Spans of one process. Threads may share it."""

    def __init__(self) -> None:
        self._on: _On | None = None
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether spans are sent."""
        return self._on is not None

    def start(self, settings: TraceSettings) -> None:
        """Begin to send spans.

        Raises:
            InvalidInput: OpenTelemetry is not installed, or that is no endpoint.
        """
        with self._lock:
            if self._on is None:
                self._on = _On(settings)

    def stop(self) -> None:
        """Send what waits, and no more after that."""
        with self._lock:
            on, self._on = self._on, None
        if on is not None:
            on.stop()

    def probe(self) -> str:
        """Send nothing, to see whether the collector takes it: ``ok``, or what it said."""
        on = self._on
        return "off" if on is None else on.probe()

    def span(self, name: str, /, **attributes: str | int | bool) -> AbstractContextManager[Span]:
        """A span for the block, within the one that is current."""
        on = self._on
        return _NOTHING if on is None else on.span(name, "internal", None, attributes)

    def server(
        self, name: str, headers: Mapping[str, str], /, **attributes: str | int | bool
    ) -> AbstractContextManager[Span]:
        """A span of a request; W3C ``traceparent`` and ``tracestate`` say what it belongs to."""
        on = self._on
        return _NOTHING if on is None else on.span(name, "server", headers, attributes)

    def client(self, name: str, /, **attributes: str | int | bool) -> AbstractContextManager[Span]:
        """A span of a request to somebody else."""
        on = self._on
        return _NOTHING if on is None else on.span(name, "client", None, attributes)

    def headers(self) -> dict[str, str]:
        """W3C headers that tell somebody else which trace a request belongs to."""
        on = self._on
        return {} if on is None else on.headers()

    def trace_id(self) -> str | None:
        """The current trace, 32 hexadecimal digits."""
        on = self._on
        return None if on is None else on.trace_id()

    def stats(self) -> dict[str, int]:
        """Spans that were sent, and that were lost because the collector did not take them."""
        on = self._on
        return {"sent": 0, "lost": 0} if on is None else dict(on.counts)


class _On:
    """Everything of OpenTelemetry."""

    def __init__(self, settings: TraceSettings) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import SpanLimits, TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise _missing() from error
        self.counts = {"sent": 0, "lost": 0}
        self._trace = trace
        self._exporter = self._make_exporter(settings)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.ratio)),
            resource=Resource(
                {"service.name": settings.service, "service.version": settings.version}
            ),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attribute_length=_MAX_ATTRIBUTE_CHARACTERS),
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=MAX_SPANS,
                schedule_delay_millis=_EVERY_MS,
                max_export_batch_size=_MAX_BATCH,
            )
        )
        self._tracer = self._provider.get_tracer("lakecore", settings.version)
        self._w3c = TraceContextTextMapPropagator()
        self._kinds = {
            "internal": trace.SpanKind.INTERNAL,
            "server": trace.SpanKind.SERVER,
            "client": trace.SpanKind.CLIENT,
        }

    def stop(self) -> None:
        self._provider.shutdown()

    def probe(self) -> str:
        from opentelemetry.sdk.trace.export import SpanExportResult

        taken = self._exporter.export([]) is SpanExportResult.SUCCESS
        return "ok" if taken else "the collector does not take traces"

    @contextmanager
    def span(
        self,
        name: str,
        kind: str,
        headers: Mapping[str, str] | None,
        attributes: Mapping[str, str | int | bool],
    ) -> Iterator[Span]:
        context = None if headers is None else self._w3c.extract(headers)
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=self._kinds[kind],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as begun:
            span = _Begun(begun, self._trace)
            try:
                yield span
            except BaseException as error:
                span.fail(type(error).__name__)
                raise

    def headers(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        self._w3c.inject(carrier)
        return carrier

    def trace_id(self) -> str | None:
        context = self._trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else None

    def _make_exporter(self, settings: TraceSettings) -> SpanExporter:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

        counts = self.counts
        inner = OTLPSpanExporter(
            endpoint=endpoint_of(settings.endpoint),
            headers=dict(settings.headers),
            timeout=_TIMEOUT_S,
        )

        class Counted(SpanExporter):
            """Counts what the collector took."""

            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                result = inner.export(spans)
                is_sent = result is SpanExportResult.SUCCESS
                counts["sent" if is_sent else "lost"] += len(spans)
                return result

            def shutdown(self) -> None:
                inner.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's own

        return Counted()


class _Begun:
    """A span of OpenTelemetry as a `Span`."""

    def __init__(self, span: Any, trace: Any) -> None:
        self._span = span
        self._trace = trace

    def set(self, name: str, value: str | int | float | bool) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, what: str) -> None:
        self._span.set_attribute("error.type", what)
        self._span.set_status(self._trace.StatusCode.ERROR)


def _missing() -> InvalidInput:
    return InvalidInput("traces need OpenTelemetry", hint="pip install 'lakecore[otel]'")


def endpoint_of(given: str) -> str:
    """
    >>> endpoint_of("http://collector:4318"), endpoint_of("https://otel.example/v1/traces")
    ('http://collector:4318/v1/traces', 'https://otel.example/v1/traces')
    """
    from urllib.parse import urlsplit

    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(
            "not an endpoint for traces",
            expected="http://host:4318 or https://…/v1/traces",
            where="[gateway] otlp_endpoint",
        )
    return given if parts.path.strip("/") else given.rstrip("/") + "/v1/traces"
