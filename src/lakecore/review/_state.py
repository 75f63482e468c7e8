"""The life of a finding over iterations: one table.

- A finding that is not seen again, while its code is as it was, is not fixed.
- `confirmed_fixed` is reached by a confirmation alone, and that only from `claimed_fixed`.
- What was confirmed and is seen again is reopened.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from lakecore.base import Bug


class State(StrEnum):
    """Where a finding stands."""

    NEW = "new"
    PERSISTENT = "persistent"
    NOT_REOBSERVED = "not_reobserved"
    CLAIMED_FIXED = "claimed_fixed"
    CONFIRMED_FIXED = "confirmed_fixed"
    REMOVED = "removed"
    REOPENED = "reopened"
    IGNORED = "ignored"


class Sign(StrEnum):
    """What an iteration says of a finding.

    Attributes:
        OBSERVED: a review has it.
        SAME: no review has it, and the quoted code is still there.
        CHANGED: no review has it, and the quoted code says something else now.
        GONE: the file is gone.
        CONFIRMED, REFUTED: what came of a confirmation.
        IGNORE, LAPSED: a person said so; that has ended.
    """

    OBSERVED = "observed"
    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"
    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    IGNORE = "ignore"
    LAPSED = "lapsed"


OPEN: Final = frozenset(
    (State.NEW, State.PERSISTENT, State.NOT_REOBSERVED, State.CLAIMED_FIXED, State.REOPENED)
)
"""States of findings that count against a file. A claim closes nothing."""

_OPEN_AS_IS: Final = (State.NEW, State.PERSISTENT, State.NOT_REOBSERVED, State.REOPENED)
_NEXT: Final[dict[tuple[State, Sign], State]] = {
    **{(state, Sign.OBSERVED): State.PERSISTENT for state in _OPEN_AS_IS},
    **{(state, Sign.SAME): State.NOT_REOBSERVED for state in _OPEN_AS_IS},
    **{(state, Sign.CHANGED): State.CLAIMED_FIXED for state in _OPEN_AS_IS},
    **{(state, Sign.GONE): State.REMOVED for state in (*_OPEN_AS_IS, State.CLAIMED_FIXED)},
    **{(state, Sign.IGNORE): State.IGNORED for state in (*OPEN, State.IGNORED)},
    (State.CLAIMED_FIXED, Sign.OBSERVED): State.PERSISTENT,
    # The old code is back: nothing was fixed.
    (State.CLAIMED_FIXED, Sign.SAME): State.NOT_REOBSERVED,
    (State.CLAIMED_FIXED, Sign.CHANGED): State.CLAIMED_FIXED,
    (State.CLAIMED_FIXED, Sign.CONFIRMED): State.CONFIRMED_FIXED,
    (State.CLAIMED_FIXED, Sign.REFUTED): State.PERSISTENT,
    (State.CONFIRMED_FIXED, Sign.OBSERVED): State.REOPENED,
    # The code that was wrong is back, whether a review saw it or not.
    (State.CONFIRMED_FIXED, Sign.SAME): State.REOPENED,
    (State.CONFIRMED_FIXED, Sign.CHANGED): State.CONFIRMED_FIXED,
    (State.CONFIRMED_FIXED, Sign.GONE): State.CONFIRMED_FIXED,
    (State.REMOVED, Sign.OBSERVED): State.REOPENED,
    (State.REMOVED, Sign.SAME): State.REOPENED,
    (State.REMOVED, Sign.CHANGED): State.REMOVED,
    (State.REMOVED, Sign.GONE): State.REMOVED,
    **{
        (State.IGNORED, sign): State.IGNORED
        for sign in (Sign.OBSERVED, Sign.SAME, Sign.CHANGED, Sign.GONE)
    },
    (State.IGNORED, Sign.LAPSED): State.PERSISTENT,
}


def next_state(state: State, sign: Sign) -> State:
    """Where a finding stands after a sign. Raises `Bug` for a sign that cannot come there."""
    found = _NEXT.get((state, sign))
    if found is None:
        raise Bug("a finding cannot go that way", found=f"{sign} in {state}")
    return found


def can(state: State, sign: Sign) -> bool:
    """Whether a sign means something in a state."""
    return (state, sign) in _NEXT
