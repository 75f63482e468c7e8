"""Lines of a log: whole, bounded, without secrets, and never waited for."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.telemetry import LogLines
from lakecore.telemetry._format import MAX_LINE_CHARACTERS, line_of


def logged(as_json: bool, *calls: Any) -> list[str]:
    """The lines of a logger that had these calls made."""
    stream = io.StringIO()
    logger = logging.Logger("lakecore.test")
    with LogLines(stream, as_json=as_json) as lines:
        logger.addHandler(lines)
        for call in calls:
            call(logger)
    return stream.getvalue().splitlines()


def test_a_record_is_a_json_object() -> None:
    """Time, level, logger, message, and what was given beside it."""
    (line,) = logged(True, lambda log: log.warning("%s failed", "it", extra={"attempts": 3}))
    found = json.loads(line)
    assert found.pop("at").endswith("Z")
    assert found == {
        "level": "WARNING",
        "logger": "lakecore.test",
        "message": "it failed",
        "attempts": 3,
    }


def test_an_exception_is_in_its_line() -> None:
    """With its traceback; text or JSON, it is one line."""

    def fail(log: logging.Logger) -> None:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            log.exception("failed")

    (line,) = logged(True, fail)
    assert "ValueError: two\nlines" in json.loads(line)["exception"]
    (line,) = logged(False, fail)
    assert "ValueError: two\\nlines" in line


def test_a_bad_format_costs_no_record() -> None:
    """Nor does an object that is no JSON."""
    lines = logged(
        True,
        lambda log: log.warning("%d", "x"),
        lambda log: log.warning("odd", extra={"thing": object()}),
        lambda log: log.warning("half \ud800", extra={"at": "never"}),
    )
    assert json.loads(lines[0])["message"] == "%d"
    assert json.loads(lines[1])["thing"].startswith("<object")
    assert json.loads(lines[2])["at"].endswith("Z")


@given(st.text(max_size=200), st.booleans())
def test_whatever_is_logged_is_one_line(text: str, as_json: bool) -> None:
    """Nobody writes a second line into the log."""
    line = line_of(0, "l", "INFO", text, {"field": text}, as_json=as_json, redact=str)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    if as_json:
        assert json.loads(line)["message"] == text.encode("utf-8", "replace").decode()


def test_a_line_is_bounded() -> None:
    """A value of megabytes does not fill the log."""
    for as_json in (True, False):
        line = line_of(0, "l", "INFO", "m", {"x": "y" * 10**6}, as_json=as_json, redact=str)
        assert len(line) <= MAX_LINE_CHARACTERS + 1


def test_secrets_are_blotted_out() -> None:
    """In the message, in fields, in a traceback."""
    from lakecore.app._beside import redact

    secrets = ["lc_0123456789ab_" + "x" * 43 + "_000000", "whsec_" + "A" * 43 + "="]
    for as_json in (True, False):
        for secret in secrets:
            line = line_of(0, "l", "INFO", secret, {"f": [secret]}, as_json=as_json, redact=redact)
            assert "x" * 43 not in line
            assert "A" * 43 not in line
            assert "***" in line


class Blocked(io.StringIO):
    """A pipe that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = threading.Event()

    def write(self, text: str) -> int:
        self.is_open.wait(30)
        return super().write(text)


def test_who_logs_never_waits() -> None:
    """What is too much is dropped, counted, and said."""
    stream = Blocked()
    lines = LogLines(stream, as_json=True, max_lines=10)
    began_s = time.monotonic()
    for number in range(500):
        lines.put("l", "INFO", str(number), {})
    assert time.monotonic() - began_s < 5
    assert lines.dropped >= 480
    stream.is_open.set()
    lines.close()
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sum(one.get("dropped", 0) for one in told) == lines.dropped
    assert len(told) + lines.dropped >= 500


def test_a_stream_that_is_gone_ends_nothing() -> None:
    """The process goes on; the lines are gone."""
    stream = io.StringIO()
    lines = LogLines(stream, as_json=True)
    stream.close()
    lines.put("l", "INFO", "m", {})
    lines.flush()
    lines.close()


def test_loggers_are_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever uses the library has their logging back."""
    from lakecore.app import logging_to
    from lakecore.config import GatewaySettings, Settings

    logger, stream = logging.getLogger("lakecore"), io.StringIO()
    before = (logger.level, logger.propagate, list(logger.handlers))
    settings = Settings(gateway=GatewaySettings(log_format="json", log_level="warning"))
    with logging_to(stream, settings):
        logger.getChild("x").warning("seen")
        logger.getChild("x").info("not seen")
    logger.getChild("x").debug("over")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["seen"]
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    assert capsys.readouterr().err == ""
