"""What verification says: problems with their place, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Status = Literal["green", "broken", "inconclusive"]

MAX_PROBLEMS: Final = 1_000
"""More are counted, not listed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not what it should be.

    `where` is an object's path; `row` is the row in it and `field` the column or the part
    of the footer, where they are known.
    """

    where: str
    row: int | None
    field: str | None
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """What this machine verified at an earlier time, and now only looked at from outside.

    `events` is their number from the first on, `at_us` when the last of them was verified.
    """

    events: int
    at_us: int


@dataclass(frozen=True, slots=True)
class AnchorReport:
    """What signatures say of the log.

    Attributes:
        status: ``absent`` without any checkpoint, or without a key to check one by;
            ``inconclusive`` when no key that was given signed one, or damage before it
            keeps the log from being compared.
        anchored: the events [0, anchored) are under a signature of a given key.
        size: events in the log.
        checkpoints: how many there are.
        witnesses: names of the given keys that cosigned the largest good checkpoint.
        unknown_keys: who else signed or cosigned, ``name+key id``.
        unknown: what could not be compared, and why.
    """

    status: Literal["green", "broken", "inconclusive", "absent"]
    anchored: int
    size: int
    checkpoints: int
    problems: list[Problem] = field(default_factory=list)
    witnesses: list[str] = field(default_factory=list)
    unknown_keys: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """What recomputing showed.

    Attributes:
        events, segments: of the log that were recomputed now.
        root: the recomputed one (hex), of the whole log.
        problems: what is broken, at most 1,000.
        unknown: what could be neither shown nor refuted, and why.
        derived: files that can be built again and are not what they should be. They make
            nothing broken: nobody's answer relies on them alone.
        earlier: what was taken from an earlier verification; None when everything was
            recomputed.
        anchors: signed checkpoints against the recomputed roots.
        problem_count: how many problems there are, also those that are not listed.
    """

    ok: bool
    status: Status
    events: int
    segments: int
    root: str
    problems: list[Problem]
    unknown: list[str] = field(default_factory=list)
    derived: list[Problem] = field(default_factory=list)
    earlier: Earlier | None = None
    anchors: AnchorReport | None = None
    problem_count: int = 0
