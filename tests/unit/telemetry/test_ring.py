"""The last records of a log: bounded, in order, without secrets, and what is missing is counted."""

from __future__ import annotations

from lakecore.telemetry import LogRing


def test_the_newest_are_kept_and_the_rest_is_counted() -> None:
    """Behind a number, the oldest first; those that are gone are told."""
    ring = LogRing(max_records=4)
    for number in range(1, 7):
        ring.put(number, "logger", "INFO", f"line {number}", {})
    found, last, missing = ring.after(0, 3)
    assert [one["message"] for one in found] == ["line 4", "line 5", "line 6"]
    assert (last, missing) == (6, 3)
    assert ring.after(5, 10)[0][0]["number"] == 6
    assert ring.after(6, 10) == ([], 6, 0)
    assert ring.after(9, 10) == ([], 6, 0)
    assert ring.count == 6


def test_what_is_read_has_no_secret() -> None:
    """Neither the message nor a field; fields without a value are left out."""
    ring = LogRing(redact=lambda text: text.replace("hidden", "***"))
    ring.put(1, "logger", "ERROR", "is hidden", {"key": "hidden", "none": None})
    [one], _, _ = ring.after(0, 10)
    assert (one["message"], one["fields"], one["level"]) == ("is ***", "key=***", "error")
