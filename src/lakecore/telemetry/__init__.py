"""What a process tells about itself: log lines, and spans of what it did.

    logging, access records --> LogLines: a bounded queue --> JSON or text, a line each
    request, change, query, seal --> Traces: a bounded queue --> OTLP over HTTP, when configured

===========  ======================================================================
`_lines`     lines of a log, written by a thread, dropped and counted when too many wait
`_ring`      the last records, in memory, for whoever looks
`_format`    one record as a line of JSON or text; secrets blotted out (pure)
`_traces`    spans; nothing of OpenTelemetry is imported until `Traces.start`
===========  ======================================================================

Nothing here is global: whoever owns the process makes these and hands them on.

>>> import io
>>> from lakecore.telemetry import LogLines, Traces
>>> stream = io.StringIO()
>>> with LogLines(stream, as_json=True) as lines:
...     lines.put("lakecore.access", "INFO", "request", {"route": "/health", "status": 200})
>>> stream.getvalue().partition(",")[2]
'"level":"INFO","logger":"lakecore.access","message":"request","route":"/health","status":200}\\n'
>>> with Traces().span("change", dataset="planes") as span:
...     span.set("rows", 1)
"""

from lakecore.telemetry._format import LEVELS
from lakecore.telemetry._lines import LogLines
from lakecore.telemetry._ring import LogRing
from lakecore.telemetry._traces import Span, Traces, TraceSettings

__all__ = ["LEVELS", "LogLines", "LogRing", "Span", "TraceSettings", "Traces"]
