"""One record of a log as one line: JSON, or text for people. No I/O."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from lakecore.base.clock import format_timestamp

LEVELS: Final = ("debug", "info", "warning", "error")
MAX_LINE_CHARACTERS: Final = 64 * 1024

_KNOWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_BREAKS: Final = re.compile(r"[\x7f-\x9f\u2028\u2029]")
"""What JSON leaves as it is and some readers take for the end of a line."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Redact = Callable[[str], str]


def fields_of(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """The message of a record of `logging`, and what was given with `extra`."""
    fields = {name: value for name, value in vars(record).items() if name not in _KNOWN}
    if record.exc_info and record.exc_info[0] is not None:
        fields["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
    try:
        return record.getMessage(), fields
    except (TypeError, ValueError):
        # A bad format string must not cost the record.
        return str(record.msg), fields


def line_of(
    at_us: int,
    logger: str,
    level: str,
    message: str,
    fields: Mapping[str, object],
    *,
    as_json: bool,
    redact: Redact,
) -> str:
    """One line with its end. Whatever is in it, it is one line, and of a bounded length."""
    if as_json:
        document = {"at": _moment(at_us), "level": level, "logger": logger}
        given = {name: value for name, value in fields.items() if name not in document}
        text = _json({**document, "message": message, **given}, redact)
        if len(text) > MAX_LINE_CHARACTERS:
            shortened = message[: MAX_LINE_CHARACTERS // 8]
            text = _json({**document, "message": shortened, "cut": True}, redact)
        return text + "\n"
    parts = [_moment(at_us), f"{level:<7}", logger, message]
    parts += [f"{name}={_text(value)}" for name, value in fields.items() if value is not None]
    return _one_line(redact(" ".join(parts)))[:MAX_LINE_CHARACTERS] + "\n"


@lru_cache(maxsize=8)
def _second(at_s: int) -> str:
    return format_timestamp(at_s * 1_000_000)[:-7]


def _moment(at_us: int) -> str:
    """As `format_timestamp`: many lines are of one second."""
    at_s, rest_us = divmod(at_us, 1_000_000)
    return f"{_second(at_s)}{rest_us:06d}Z"


def _json(document: Mapping[str, object], redact: Redact) -> str:
    try:
        data = msgspec.json.encode(document, enc_hook=str).decode()
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        # Half a character, as in a file's name, or a value of some library's.
        data = json.dumps({name: str(value) for name, value in document.items()})
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", redact(data))


def _text(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text or not text else text


def _one_line(text: str) -> str:
    r"""
    >>> _one_line("one\ntwo")
    'one\\ntwo'
    """
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
