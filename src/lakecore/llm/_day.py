"""Which day a budget is of, by clocks that may jump. No I/O.

The wall clock says which day it is; the machine's own count of time since it booted says
whether that can be. A day's budget is opened when both agree that midnight has passed, or when
the one before has been in force for a whole day of real time. So whatever the wall clock does
between two boots, at most two budgets are open within 24 hours, as around any midnight. A clock
that is set back opens nothing: the day in force goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_EPOCH: Final = date(1970, 1, 1)
_DAY_US: Final = 86_400 * 1_000_000
TOLERANCE_US: Final = 15 * 60 * 1_000_000
"""How far the two clocks may drift apart over a day and still agree."""


@dataclass(frozen=True, slots=True)
class Day:
    """The day in force: its number since 1970, and both clocks when it was opened.

    Attributes:
        boot: which run of the machine `uptime_us` is of.
    """

    number: int
    wall_us: int
    uptime_us: int
    boot: str

    @classmethod
    def first(cls, wall_us: int, uptime_us: int, boot: str) -> Day:
        """As the wall clock has it."""
        return cls(wall_us // _DAY_US, wall_us, uptime_us, boot)

    @property
    def label(self) -> str:
        """``2026-01-31``."""
        return self.minus(0)

    def minus(self, days: int) -> str:
        """The label of the day so many days before."""
        return (_EPOCH + timedelta(days=max(0, self.number - days))).isoformat()

    def at(self, wall_us: int, uptime_us: int, boot: str) -> Day:
        """The day in force now: this one, or the next that is opened.

        >>> noon = 12 * 3600 * 10**6
        >>> day = Day.first(noon, 0, "a")
        >>> day.at(noon + _DAY_US, 60 * 10**6, "a").label  # it jumped: a minute has passed
        '1970-01-01'
        >>> day.at(noon + _DAY_US, _DAY_US, "a").label
        '1970-01-02'
        """
        number = wall_us // _DAY_US
        if number == self.number:
            return self
        opened = Day(number, wall_us, uptime_us, boot)
        if boot != self.boot or uptime_us < self.uptime_us:
            # Nothing but the wall clock is known of the time in between. Where it was set back,
            # the day in force gets a whole day from here, not until the clock is back there.
            kept = Day(self.number, wall_us, uptime_us, boot)
            return opened if number > self.number else kept
        passed_us = uptime_us - self.uptime_us
        believed = (self.wall_us + passed_us + TOLERANCE_US) // _DAY_US
        if passed_us >= _DAY_US or self.number < number <= believed:
            return opened
        return self
