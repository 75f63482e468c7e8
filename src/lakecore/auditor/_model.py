"""What an audit is about: claims, verdicts, evidence, and the audit of one commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from lakecore.code import shown


class Kind(Enum):
    """What sort of claim it is; the values are stable, reports carry them."""

    PATH = "path"
    SYMBOL = "symbol"
    COUNT = "count"
    FILES = "files"
    TESTS = "tests"
    DEPENDENCY = "dependency"
    WIRED = "wired"
    REMOVED = "removed"
    RENAMED = "renamed"
    UNCHANGED = "unchanged"
    SCOPE = "scope"
    REVERT = "revert"


class Verdict(Enum):
    """What came of a claim, or of a commit."""

    BACKED = "backed"
    CONTRADICTED = "contradicted"
    UNVERIFIABLE = "unverifiable"
    INCONCLUSIVE = "inconclusive"


class Action(Enum):
    """What a message says was done to something."""

    ADD = "add"
    REMOVE = "remove"
    CHANGE = "change"
    RENAME = "rename"
    WIRE = "wire"
    BUMP = "bump"
    MOVE = "move"
    KEEP = "keep"


class Bound(Enum):
    """How a number is meant."""

    EXACT = "exact"
    AT_LEAST = "at least"
    AT_MOST = "at most"
    ABOUT = "about"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a message says, found by a program.

    Attributes:
        kind: what sort it is.
        start: where it begins in the message, in characters; `end` is behind its last one.
        action: what is said to have been done, for kinds that have several.
        target: the path, symbol, dependency or phrase that it is about.
        other: the new name of what was renamed, the place that something was moved to.
        old: the value before, as it is written.
        new: the value after, or the only one.
        count: the number in it.
        bound: how that number is meant.
        unit: what is counted, or the unit of the values.
        quoted: `target` stood between backticks.
        scoped: it is said of a part only: what is beyond that part is no contradiction.
    """

    kind: Kind
    start: int
    end: int
    action: Action = Action.CHANGE
    target: str = ""
    other: str = ""
    old: str = ""
    new: str = ""
    count: int | None = None
    bound: Bound = Bound.EXACT
    unit: str = ""
    quoted: bool = False
    scoped: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What stands for or against a claim.

    Attributes:
        path: of the file; empty where it is the commit as a whole.
        line: counts from 1; None for the file as a whole.
        side: ``new``, ``old`` (a removed line, a former tree).
        text: the line, or what was found, at most 200 characters.
        count: the number that was found, where the claim has one.
    """

    text: str
    path: str = ""
    line: int | None = None
    side: str = "new"
    count: int | None = None

    def to_dict(self) -> dict[str, object]:
        document: dict[str, object] = {"text": self.text, "side": self.side}
        if self.path:
            document["path"] = shown(self.path)
        if self.line is not None:
            document["line"] = self.line
        if self.count is not None:
            document["count"] = self.count
        return document


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim with its verdict.

    Attributes:
        reason: one clause that says why.
    """

    claim: Claim
    verdict: Verdict
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a model doubts; a warning, never a verdict."""

    text: str
    path: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class CommitAudit:
    """The audit of one commit.

    Attributes:
        findings: its claims in the order of the message.
        notes: what could not be looked at, and why.
        complete: nothing was missing that a contradiction might have been in; False makes
            a commit inconclusive, unless it is contradicted anyway.
    """

    sha: str
    subject: str
    author: str
    message: str
    findings: tuple[Finding, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    notes: tuple[str, ...] = ()
    complete: bool = True

    @property
    def verdict(self) -> Verdict:
        """Contradicted if one claim is; else inconclusive if not all was seen; else backed
        if one claim is."""
        verdicts = {finding.verdict for finding in self.findings}
        if Verdict.CONTRADICTED in verdicts:
            return Verdict.CONTRADICTED
        if not self.complete or Verdict.INCONCLUSIVE in verdicts:
            return Verdict.INCONCLUSIVE
        return Verdict.BACKED if Verdict.BACKED in verdicts else Verdict.UNVERIFIABLE

    @property
    def contradictions(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.verdict is Verdict.CONTRADICTED)

    def claim_text(self, finding: Finding) -> str:
        """The words of the message that make the claim, on one line."""
        return " ".join(self.message[finding.claim.start : finding.claim.end].split())

    def line_of(self, finding: Finding) -> int:
        """The message's line in which a claim begins; the subject is line 1."""
        return self.message.count("\n", 0, finding.claim.start) + 1


@dataclass(slots=True)
class Tally:
    """How many commits and claims had which verdict; grows as audits come by."""

    commits: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    claims: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    doubts: int = 0

    def add(self, audit: CommitAudit) -> None:
        self.commits[audit.verdict] += 1
        self.doubts += len(audit.doubts)
        for finding in audit.findings:
            self.claims[finding.verdict] += 1

    @property
    def commit_count(self) -> int:
        return sum(self.commits.values())

    @property
    def verdict(self) -> Verdict:
        """Of all together: contradicted, else inconclusive, else backed, else unverifiable."""
        for verdict in (Verdict.CONTRADICTED, Verdict.INCONCLUSIVE, Verdict.BACKED):
            if self.commits[verdict]:
                return verdict
        return Verdict.UNVERIFIABLE

    @property
    def exit_code(self) -> int:
        """0 pass, 1 contradicted, 3 inconclusive."""
        return {Verdict.CONTRADICTED: 1, Verdict.INCONCLUSIVE: 3}.get(self.verdict, 0)

    def to_dict(self) -> Mapping[str, object]:
        return {
            "commits": {verdict.value: count for verdict, count in self.commits.items()},
            "claims": {verdict.value: count for verdict, count in self.claims.items()},
            "doubts": self.doubts,
            "verdict": self.verdict.value,
        }
