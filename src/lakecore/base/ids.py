"""Identifiers: UUIDv7 (ordered by time) and UUIDv8 (derived from a name). RFC 9562."""

from __future__ import annotations

import hashlib
import os
import threading
import uuid

from lakecore.base.clock import Clock, SystemClock

_COUNTER_BITS = 12
_COUNTER_MAX = (1 << _COUNTER_BITS) - 1

_lock = threading.Lock()
_last_ms = 0
_head = ""
"""The text of the last millisecond."""
_counter = 0

_TAIL_BYTES = 8
_TAILS_AT_ONCE = 64
_tails: list[str] = []
"""Random ends in store: asking the system gives up the interpreter, which under load costs
more than all the rest. A forked child must not use its parent's."""
_SYSTEM_CLOCK = SystemClock()
os.register_at_fork(after_in_child=_tails.clear)


def uuid7(clock: Clock | None = None) -> str:
    """A new UUIDv7 as text, increasing within this process (RFC 9562 section 6.2, method 1).

    A clock that steps back does not step the ids back: they continue from the last
    millisecond used. 62 random bits keep processes and machines apart.
    """
    global _last_ms, _counter, _head
    now_ms = (clock or _SYSTEM_CLOCK).now_us() // 1_000
    with _lock:
        if now_ms > _last_ms:
            _last_ms, _counter, _head = now_ms, 0, _head_of(now_ms)
        elif _counter < _COUNTER_MAX:
            _counter += 1
        else:
            _last_ms, _counter, _head = _last_ms + 1, 0, _head_of(_last_ms + 1)
        head, counter = _head, _counter
    # Put together from texts: a tenth of the time that `uuid.UUID` takes.
    return f"{head}{counter:03x}-{_tails.pop() if _tails else _random_tail()}"


def _head_of(ms: int) -> str:
    """The 48 bits of a time, and the version's digit."""
    digits = f"{ms & ((1 << 48) - 1):012x}"
    return f"{digits[:8]}-{digits[8:]}-7"


def _random_tail() -> str:
    """The variant and 62 random bits; many at a time are made, and kept."""
    random = os.urandom(_TAIL_BYTES * _TAILS_AT_ONCE)
    tails = []
    for at in range(0, len(random), _TAIL_BYTES):
        number = int.from_bytes(random[at : at + _TAIL_BYTES], "big") & ((1 << 62) - 1)
        digits = f"{0b10 << 62 | number:016x}"
        tails.append(f"{digits[:4]}-{digits[4:]}")
    tail = tails.pop()
    _tails.extend(tails)
    return tail


def uuid8(*names: str) -> str:
    """The UUIDv8 of a list of names: the same on every machine.

    >>> uuid8("table", "7") == uuid8("table", "7") != uuid8("table7")
    True
    """
    digest = hashlib.sha256()
    for name in names:
        raw = name.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    value = int.from_bytes(digest.digest()[:16], "big")
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    return str(uuid.UUID(int=value))
