"""How far a model's findings can be trusted: from what became of them. Pure.

What a model says of its own confidence is no part of it. A model of which little is known has
a low trust because the lower end of the interval is low, not because it was judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from lakecore.review._noise import wilson

MIN_JUDGED: Final = 10
MIN_CONTROLS: Final = 10
"""Of fewer findings that were judged, or planted faults, nothing follows."""


@dataclass(frozen=True, slots=True)
class TrustProfile:
    """What became of one model's findings.

    Attributes:
        confirmed, refuted: findings that a fix confirmed, or that people or tests refuted.
        control_hits, control_misses: planted faults that it found, or did not.
        ungrounded: findings whose quote was not in the file.
        grounded: those whose quote was.
    """

    model: str
    confirmed: int = 0
    refuted: int = 0
    control_hits: int = 0
    control_misses: int = 0
    grounded: int = 0
    ungrounded: int = 0

    @property
    def precision(self) -> tuple[float, float]:
        """The interval of the share of its judged findings that were right."""
        return wilson(self.confirmed, self.confirmed + self.refuted)

    @property
    def recall(self) -> tuple[float, float]:
        """The interval of the share of planted faults that it finds."""
        return wilson(self.control_hits, self.control_hits + self.control_misses)

    @property
    def evidence(self) -> tuple[float, float]:
        """The interval of the share of its findings that have their quote."""
        return wilson(self.grounded, self.grounded + self.ungrounded)

    @property
    def trust(self) -> float:
        """0 to 1: the lower end of precision times that of recall."""
        return round(self.precision[0] * self.recall[0], 4)

    @property
    def is_known(self) -> bool:
        """Whether enough became of its findings to go by it."""
        judged = self.confirmed + self.refuted
        controls = self.control_hits + self.control_misses
        return judged >= MIN_JUDGED and controls >= MIN_CONTROLS

    def to_row(self) -> dict[str, Any]:
        """Flat: the counts, the trust, and the 95 % intervals that it rests on."""
        row: dict[str, Any] = asdict(self)
        for name in ("precision", "recall", "evidence"):
            row[f"{name}_low"], row[f"{name}_high"] = getattr(self, name)
        return row | {"trust": self.trust, "is_known": self.is_known}


def by_trust(profiles: Iterable[TrustProfile]) -> list[TrustProfile]:
    """The most trusted first; of equals, the one of which more is known."""
    return sorted(
        profiles,
        key=lambda p: (-p.trust, -(p.confirmed + p.refuted + p.control_hits), p.model),
    )
