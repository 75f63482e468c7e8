"""May this be released? Pure.

0 pass; 1 there are findings; 3 it is not known: no review, a clipped file, a reviewer asleep.
What was not looked at is never green.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lakecore.review._finding import SEVERITIES
from lakecore.review._state import OPEN, State

PASS: Final = 0
FINDINGS: Final = 1
INCONCLUSIVE: Final = 3


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """One file of a run.

    Attributes:
        is_whole: all of it was reviewed, by somebody awake, and the answer could be read.
        findings: (state, severity) of each finding.
        why: what kept it from being whole.
    """

    path: str
    is_whole: bool
    findings: Sequence[tuple[State, str]] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """The answer, with what it rests on."""

    exit_code: int
    reason: str
    blocking: tuple[str, ...] = ()


def gate(files: Iterable[FileOutcome], *, least: str = "major") -> Gate:
    """Decide by the open findings of at least a severity; a claimed fix is still open.

    Args:
        least: the mildest severity that holds a release back.
    """
    severities = SEVERITIES[: SEVERITIES.index(least) + 1]
    listed = list(files)
    blocking = sorted(
        one.path
        for one in listed
        if any(state in OPEN and severity in severities for state, severity in one.findings)
    )
    if blocking:
        count = f"{len(blocking)} of {len(listed)} files"
        return Gate(FINDINGS, f"{count} have open findings, {least} or worse", tuple(blocking))
    unknown = sorted(f"{one.path}: {one.why}" for one in listed if not one.is_whole)
    if unknown or not listed:
        reason = f"{len(unknown)} of {len(listed)} files were not reviewed whole"
        return Gate(INCONCLUSIVE, reason if listed else "no file was reviewed", tuple(unknown))
    return Gate(PASS, f"{len(listed)} files reviewed, nothing open that is {least} or worse")
