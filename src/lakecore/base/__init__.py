"""What every other package stands on: errors, clock, ids, hashing, limits.

Nothing here does I/O or imports anything of Lakecore. A caller reacts to an
error by its class (`errors`), orders things by a `Clock` it was given, and
names things with `uuid7` (time-ordered) or `uuid8` (derived from a name).

>>> from lakecore.base import InvalidInput
>>> raise InvalidInput("no such column", found="tailnumber", expected="tailnum")
Traceback (most recent call last):
...
lakecore.base.errors.InvalidInput: no such column: expected tailnum, found tailnumber
"""

from lakecore.base.clock import Clock, ManualClock, SystemClock, format_timestamp
from lakecore.base.errors import (
    AlreadyExists,
    Bug,
    Conflict,
    CorruptData,
    FixRequest,
    Inconclusive,
    InvalidInput,
    LakecoreError,
    NotFound,
    OutOfSpace,
    ReadOnly,
    Refused,
    RepairData,
    Retry,
    Stop,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.base.ids import uuid7, uuid8
from lakecore.base.stale import StaleAnswer

__all__ = [
    "AlreadyExists",
    "Bug",
    "Clock",
    "Conflict",
    "CorruptData",
    "FixRequest",
    "Inconclusive",
    "InvalidInput",
    "LakecoreError",
    "ManualClock",
    "NotFound",
    "OutOfSpace",
    "ReadOnly",
    "Refused",
    "RepairData",
    "Retry",
    "StaleAnswer",
    "Stop",
    "SystemClock",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedFormat",
    "format_timestamp",
    "uuid7",
    "uuid8",
]
