"""Spans: what a collector gets of them, and what they cost where there is none."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from tests.collectors import Collector, collecting

from lakecore.base import InvalidInput
from lakecore.telemetry import Traces, TraceSettings
from lakecore.telemetry import _traces as module

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def started(collector: Collector, **given: object) -> Traces:
    """Traces to a collector."""
    traces = Traces()
    traces.start(TraceSettings(endpoint=collector.url, version="1", **given))  # type: ignore[arg-type]  # as the test says
    return traces


def test_spans_arrive_within_each_other() -> None:
    """Name, parent, attributes, the service; errors by their type alone."""
    with collecting() as collector:
        traces = started(collector, headers={"authorization": "Bearer canary"})

        def fail() -> None:
            with traces.span("outer", rows=3):
                with traces.span("inner") as span:
                    span.set("mutation_id", "m1")
                raise ValueError("secret value")

        with pytest.raises(ValueError, match="secret value"):
            fail()
        traces.stop()
        outer, inner = collector.named("outer"), collector.named("inner")
    assert (inner.trace_id, inner.parent_id) == (outer.trace_id, outer.span_id)
    assert inner.attributes == {"mutation_id": "m1"}
    assert outer.attributes == {"rows": 3, "error.type": "ValueError"}
    assert (outer.is_error, inner.is_error) == (True, False)
    assert outer.resource == {"service.name": "lakecore", "service.version": "1"}
    assert collector.headers[0]["authorization"] == "Bearer canary"
    assert b"secret value" not in b"".join(collector.bodies)


def test_the_trace_goes_on_from_others_and_to_others() -> None:
    """W3C's traceparent, in and out; one that is none begins a new trace."""
    with collecting() as collector:
        traces = started(collector)
        with traces.server("GET", {"traceparent": PARENT}):
            assert traces.trace_id() == PARENT[3:35]
            assert traces.headers()["traceparent"].startswith(PARENT[:36])
        with traces.server("POST", {"traceparent": "00-" + "0" * 32 + "-x-01"}):
            assert traces.trace_id() not in (None, PARENT[3:35], "0" * 32)
        traces.stop()
        assert collector.named("GET").parent_id == PARENT[36:52]
        assert collector.named("POST").parent_id == ""


def test_a_ratio_of_zero_keeps_what_others_keep() -> None:
    """Traces that begin here are not sent; those of who asked to keep them are."""
    with collecting() as collector:
        traces = started(collector, ratio=0.0)
        with traces.span("mine"):
            pass
        with traces.server("theirs", {"traceparent": PARENT}):
            pass
        traces.stop()
        assert [span.name for span in collector.spans] == ["theirs"]


def test_what_does_not_fit_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that is gone costs a bounded queue, and nobody's time."""
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.2)
    with collecting() as collector:
        collector.status = 400
        traces = started(collector)
        for _ in range(3 * module.MAX_SPANS):
            with traces.span("x"):
                pass
        traces.stop()
        assert traces.stats()["lost"] + 1 > 0
        assert collector.spans == []
    with collecting() as gone:
        pass
    traces = started(gone)
    assert traces.probe() != "ok"
    traces.stop()


def test_the_probe_asks_the_collector() -> None:
    """An empty request, and its answer."""
    with collecting() as collector:
        traces = started(collector)
        assert traces.probe() == "ok"
        collector.status = 401
        assert traces.probe() == "the collector does not take traces"
        traces.stop()
    assert Traces().probe() == "off"


def test_threads_have_spans_of_their_own() -> None:
    """What one thread does is not within what another one does."""
    with collecting() as collector:
        traces = started(collector)
        with traces.span("here"):

            def elsewhere() -> None:
                with traces.span("there"):
                    pass

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
        traces.stop()
        assert collector.named("there").parent_id == ""


@pytest.mark.parametrize("endpoint", ["", "collector:4318", "ftp://c/", "http://"])
def test_bad_endpoints(endpoint: str) -> None:
    """Said before anything is sent."""
    with pytest.raises(InvalidInput, match="not an endpoint"):
        TraceSettings(endpoint=endpoint).check()


def test_nothing_is_imported_where_nothing_is_traced() -> None:
    """Spans cost a call; OpenTelemetry's SDK and exporter stay where they are."""
    code = (
        "import sys; from lakecore.telemetry import Traces; t = Traces()\n"
        "with t.span('a', x=1) as s: s.set('y', 2)\n"
        "with t.server('GET', {}) as s: s.fail('x')\n"
        "assert t.headers() == {} and t.trace_id() is None\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InvalidInput) as caught:
        Traces().start(TraceSettings(endpoint="http://127.0.0.1:1"))
    assert caught.value.hint == "pip install 'lakecore[otel]'"
