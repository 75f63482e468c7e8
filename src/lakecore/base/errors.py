"""One small tree of errors, named by what the caller does about them.

=================  ==============================  =========
class              the caller                      exit code
=================  ==============================  =========
`Retry`            tries again later               4
`FixRequest`       changes the request             2
`RepairData`       repairs or restores data        1
`Inconclusive`     looks again with more at hand   3
`Stop`             stops, and asks an operator     2
`Bug`              reports a bug                   1
=================  ==============================  =========

An error says what was expected, what was found, where, and what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class LakecoreError(Exception):
    """The root: a message, and the parts that a person or a program needs.

    Args:
        message: what went wrong, one clause, lower case, no full stop.
        expected: what would have been right.
        found: what there was instead.
        where: file, line, column, key, object path.
        hint: what to do next, one sentence.
    """

    exit_code: ClassVar[int] = 1
    type: ClassVar[str] = "error"
    """Stable slug: the `type` of problem+json and of ``--json`` errors."""

    def __init__(
        self,
        message: str,
        *,
        expected: object | None = None,
        found: object | None = None,
        where: object | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.expected = None if expected is None else str(expected)
        self.found = None if found is None else str(found)
        self.where = None if where is None else str(where)
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        text = self.message
        if self.where is not None:
            text += f" at {self.where}"
        parts = [
            f"{label} {value}"
            for label, value in (("expected", self.expected), ("found", self.found))
            if value is not None
        ]
        return f"{text}: {', '.join(parts)}" if parts else text

    def to_dict(self) -> dict[str, str]:
        """The error as JSON-ready strings: `type`, `message`, and the parts that are set."""
        parts = {
            "type": self.type,
            "message": self.message,
            "expected": self.expected,
            "found": self.found,
            "where": self.where,
            "hint": self.hint,
        }
        return {name: value for name, value in parts.items() if value is not None}


class Retry(LakecoreError):
    """Nothing is wrong with the request: try again later."""

    exit_code = 4
    type = "retry"


class Conflict(Retry):
    """Somebody else changed the same thing first, more often than the bound on retries."""

    type = "conflict"


class Unavailable(Retry):
    """A store, a server or a queue does not answer or has no room now."""

    type = "unavailable"


class TooManyRequests(Unavailable):
    """Somebody asks too often: HTTP's 429.

    Attributes:
        retry_after_s: whole seconds, at least 1, after which it is worth asking again.
    """

    type = "too-many-requests"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message, hint=f"try again in {retry_after_s} s")


class FixRequest(LakecoreError):
    """The request cannot succeed as it stands."""

    exit_code = 2
    type = "fix-request"


class InvalidInput(FixRequest):
    """A value, file or argument is not of the form that is needed."""

    type = "invalid-input"


class NotFound(FixRequest):
    """What was named does not exist."""

    type = "not-found"


class AlreadyExists(FixRequest):
    """What should be created is already there."""

    type = "already-exists"


class Unauthenticated(FixRequest):
    """Nobody knows who asks: there is no key, or it is none that opens anything.

    Its text is the same for a key that is unknown, wrong, revoked or expired.
    """

    exit_code = 1
    type = "unauthenticated"


class Refused(FixRequest):
    """A rule, a protection or a permission says no."""

    exit_code = 1
    type = "refused"


class RepairData(LakecoreError):
    """What is stored is not what it should be."""

    exit_code = 1
    type = "repair-data"


class CorruptData(RepairData):
    """Stored bytes do not have their form, length or hash."""

    type = "corrupt-data"


class Inconclusive(LakecoreError):
    """Neither right nor wrong can be shown with what is at hand."""

    exit_code = 3
    type = "inconclusive"


class Stop(LakecoreError):
    """Going on would do harm: an operator has to look."""

    exit_code = 2
    type = "stop"


class ReadOnly(Stop):
    """The store or directory cannot be written."""

    type = "read-only"


class OutOfSpace(Stop):
    """The disk or quota is full."""

    type = "out-of-space"


class UnsupportedFormat(Stop):
    """Written by a newer Lakecore, or in a version that this one does not read."""

    type = "unsupported-format"


class Bug(LakecoreError):
    """Lakecore itself is wrong."""

    type = "bug"
