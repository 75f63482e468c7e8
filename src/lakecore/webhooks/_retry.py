"""When a message is tried again, and when no more. No I/O: time and chance are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SECOND_US: Final = 1_000_000
FIRST_S: Final = 2.0
"""Before the second attempt; twice as long before each further one."""

LONGEST_S: Final = 3_600.0
"""Between two attempts at most, also where a receiver asks for longer."""

_MAX_DOUBLINGS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Attempts that failed, without one in between that did not.

    Attributes:
        attempts: how many.
        since_us: of the first.
        next_us: not before then again.
    """

    attempts: int = 0
    since_us: int | None = None
    next_us: int = 0

    def wait_s(self, now_us: int) -> float:
        """Seconds until the next attempt; bounded, whatever the clock did meanwhile."""
        return min(max(0, self.next_us - now_us) / SECOND_US, LONGEST_S)


NO_TROUBLE: Final = Trouble()


def after_failure(
    trouble: Trouble, now_us: int, *, chance: float, retry_after_s: float | None = None
) -> Trouble:
    """What follows from an attempt that failed.

    Args:
        chance: 0 to 1; spreads the attempts of many that failed together.
        retry_after_s: what the receiver asked for; it is waited for at least.

    >>> trouble = after_failure(NO_TROUBLE, 0, chance=1.0)
    >>> trouble.wait_s(0), after_failure(trouble, 0, chance=1.0).wait_s(0)
    (2.0, 4.0)
    """
    longest_s = min(FIRST_S * 2 ** min(trouble.attempts, _MAX_DOUBLINGS), LONGEST_S)
    wait_s = longest_s * (0.5 + 0.5 * chance)
    if retry_after_s is not None:
        wait_s = min(max(wait_s, retry_after_s), LONGEST_S)
    return Trouble(
        attempts=trouble.attempts + 1,
        since_us=now_us if trouble.since_us is None else trouble.since_us,
        next_us=now_us + round(wait_s * SECOND_US),
    )


def is_over(trouble: Trouble, now_us: int, *, give_up_s: float) -> bool:
    """Whether it failed for so long that it is disabled."""
    return trouble.since_us is not None and now_us - trouble.since_us >= give_up_s * SECOND_US
