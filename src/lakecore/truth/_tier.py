"""The gradient: how far a change may go by itself, by who asks, where, what, and how much.

`[[tier]]` entries are looked at in order; the first whose principal, dataset and task class
match decides, whatever the size; where none matches, a change is committed at once. Of the
entry's bounds the first that the change's size keeps is its tier; beyond all it is blocked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lakecore.truth._change import Principal, Size

SIZE_MEMBERS: Final = ("rows", "fields", "bytes", "fraction")
KINDS: Final = ("person", "agent", "pipeline", "service")
"""Kinds of principals."""

OPERATIONS: Final = (
    *("insert", "upsert", "update", "delete", "replace", "restore"),
    *("revert", "schema", "merge", "ingest", "adopt"),
)
"""The task classes of changes: what is done to a dataset."""


class Tier(StrEnum):
    """How far a change goes by itself, the laxest first."""

    AUTO = "auto"
    """Committed at once."""

    DRY_RUN = "dry_run"
    """Computed and held until somebody approves."""

    SIM = "sim"
    """Applied in a workspace, where checks run; from there it can be merged."""

    BLOCK = "block"
    """Refused."""

    @property
    def strength(self) -> int:
        """0 for `AUTO` to 3 for `BLOCK`."""
        return _STRENGTH[self]


TIERS: tuple[Tier, ...] = tuple(Tier)
_STRENGTH = {tier: strength for strength, tier in enumerate(TIERS)}


class By(StrEnum):
    """Who may approve a held change."""

    ANOTHER = "another"
    """Anybody but who asked for it."""

    ANYONE = "anyone"


@dataclass(frozen=True, slots=True)
class Approval:
    """Who may approve: by whom in relation to the author, and with which roles."""

    by: By = By.ANOTHER
    roles: tuple[str, ...] = ()
    """One of these is needed; none: no role is."""

    def to_dict(self) -> dict[str, Any]:
        return {"by": self.by.value, "roles": list(self.roles)}


@dataclass(frozen=True, slots=True)
class Bound:
    """How large a change may be; a member that is None bounds nothing."""

    rows: int | None = None
    fields: int | None = None
    bytes: int | None = None
    fraction: float | None = None

    def exceeded(self, size: Size) -> tuple[str, float, float] | None:
        """The first member that is too large: its name, what was found, what is allowed."""
        for name in SIZE_MEMBERS:
            allowed = getattr(self, name)
            # Written so that NaN is too large.
            if allowed is not None and not (found := getattr(size, name)) <= allowed:
                return name, found, allowed
        return None

    def to_dict(self) -> dict[str, Any]:
        members = ((name, getattr(self, name)) for name in SIZE_MEMBERS)
        return {name: value for name, value in members if value is not None}


@dataclass(frozen=True, slots=True)
class TierEntry:
    """One ``[[tier]]``. A tier whose bound is None is not on offer."""

    principal: str = "*"
    kind: str = "*"
    dataset: str = "*"
    task_classes: tuple[str, ...] = ("*",)
    auto: Bound | None = None
    dry_run: Bound | None = None
    sim: Bound | None = None
    approval: Approval = Approval()

    @property
    def bounds(self) -> tuple[tuple[Tier, Bound | None], ...]:
        """The tiers and their bounds, the laxest first."""
        return ((Tier.AUTO, self.auto), (Tier.DRY_RUN, self.dry_run), (Tier.SIM, self.sim))

    def matches(self, name: str, kind: str, dataset: str, task_class: str) -> bool:
        """Whether the entry is about this principal, dataset and task class."""
        return (
            matches(self.principal, name)
            and self.kind in ("*", kind)
            and matches(self.dataset, dataset)
            and ("*" in self.task_classes or task_class in self.task_classes)
        )

    def covers(self, other: TierEntry) -> bool:
        """Whether all that `other` matches is matched by this one. It may say no needlessly."""
        return (
            covers(self.principal, other.principal)
            and self.kind in ("*", other.kind)
            and covers(self.dataset, other.dataset)
            and ("*" in self.task_classes or set(other.task_classes) <= set(self.task_classes))
        )

    def to_dict(self) -> dict[str, Any]:
        """The canonical form: every member, defaults included."""
        return {
            "principal": self.principal,
            "kind": self.kind,
            "dataset": self.dataset,
            "task_class": list(self.task_classes),
            **{
                tier.value: False if bound is None else bound.to_dict()
                for tier, bound in self.bounds
            },
            "approval": self.approval.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Why a change does not get a tier."""

    tier: Tier
    member: str
    """The member of the size that is too large; empty where the tier is not on offer."""

    found: float | None
    allowed: float | None

    def __str__(self) -> str:
        if not self.member:
            return f"{self.tier} is not on offer"
        return f"{self.tier} allows {self.member} up to {self.allowed:,}: found {self.found:,}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "tier": self.tier.value,
            "member": self.member,
            "found": self.found,
            "allowed": self.allowed,
        }


@dataclass(frozen=True, slots=True)
class TierResult:
    """The tier of one change by the gradient alone, and why."""

    tier: Tier
    entry: int | None
    """The number of the entry that decided, from 1; None: no entry matches."""

    exceeded: tuple[Exceeded, ...]
    """For each laxer tier, what keeps the change out of it."""

    approval: Approval
    """Who may approve it where it is held, be it for the tier or for a rule."""

    def __str__(self) -> str:
        if self.entry is None:
            return f"{self.tier}: no tier entry matches"
        why = "; ".join(map(str, self.exceeded))
        return f"{self.tier} by tier entry {self.entry}" + (f": {why}" if why else "")

    def to_dict(self) -> dict[str, Any]:
        return {
            "tier": self.tier.value,
            "entry": self.entry,
            "exceeded": [one.to_dict() for one in self.exceeded],
            "approval": self.approval.to_dict(),
        }


def tier_of(
    entries: Iterable[TierEntry], principal: Principal, dataset: str, task_class: str, size: Size
) -> TierResult:
    """See `RuleSet.tier`."""
    for number, entry in enumerate(entries, start=1):
        if entry.matches(principal.name, principal.kind, dataset, task_class):
            return _within(entry, number, size)
    return TierResult(Tier.AUTO, None, (), Approval())


def _within(entry: TierEntry, number: int, size: Size) -> TierResult:
    exceeded: list[Exceeded] = []
    for tier, bound in entry.bounds:
        if bound is None:
            exceeded.append(Exceeded(tier, "", None, None))
            continue
        over = bound.exceeded(size)
        if over is None:
            return TierResult(tier, number, tuple(exceeded), entry.approval)
        exceeded.append(Exceeded(tier, *over))
    return TierResult(Tier.BLOCK, number, tuple(exceeded), entry.approval)


def matches(glob: str, name: str) -> bool:
    """Whether `name` fits: ``*`` is any text, ``?`` one character, all else itself."""
    return glob == "*" or _compiled(glob).fullmatch(name) is not None


def covers(glob: str, other: str) -> bool:
    """Whether `glob` matches all that `other` does. It may say no needlessly.

    >>> covers("hr.*", "hr.pay*"), covers("hr.?", "hr.*"), covers("*", "?")
    (True, False, True)
    """
    # A star in `other` stands for any text, so only a star may take it; likewise its "?".
    return glob == other or re.fullmatch(_pattern(glob, one="[^*]"), other, re.DOTALL) is not None


@lru_cache(maxsize=1_024)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(_pattern(glob, one="."), re.DOTALL)


def _pattern(glob: str, *, one: str) -> str:
    # Several stars in a row are one: each further one would only cost time.
    text = re.sub(r"\*+", "*", glob)
    wild = {"*": ".*", "?": one}
    return "".join(wild.get(letter) or re.escape(letter) for letter in text)
