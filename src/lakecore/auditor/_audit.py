"""Auditing commits, one after the other: find the claims, look up the facts, judge."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lakecore.auditor._doubt import Doubter, make_prompt, read_reply
from lakecore.auditor._extract import MAX_CLAIMS, find_claims
from lakecore.auditor._facts import Facts
from lakecore.auditor._judge import judge
from lakecore.auditor._message import MAX_AUDITED_CHARS, squashed_from
from lakecore.auditor._model import Claim, CommitAudit, Doubt, Finding, Tally, Verdict
from lakecore.base import CorruptData, Inconclusive, LakecoreError
from lakecore.code import Commit, GitLimits, Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLimits:
    """Bounds of one audit.

    Attributes:
        max_commits: the newest so many of a range; older ones make it inconclusive.
        timeout_s: seconds for all of them; what is left then makes it inconclusive.
    """

    max_commits: int = 10_000
    timeout_s: float = 600.0


@dataclass(slots=True)
class AuditReport:
    """The audits of a range, newest first, and their tally.

    Attributes:
        notes: why not all was audited; empty if it was.
    """

    revisions: str
    commits: list[CommitAudit] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        if self.notes and self.tally.verdict is not Verdict.CONTRADICTED:
            return Verdict.INCONCLUSIVE
        return self.tally.verdict

    @property
    def exit_code(self) -> int:
        """0 pass, 1 contradicted, 3 inconclusive."""
        return {Verdict.CONTRADICTED: 1, Verdict.INCONCLUSIVE: 3}.get(self.verdict, 0)


class Audit:
    """An audit under way: iterate over it, then ask for its tally, notes and exit code.

    Memory does not grow with the number of commits; whoever wants to keep them keeps them.

    Args:
        repository: where the commits are.
        revisions: ``A..B``, or one revision: then that commit alone.
        history: one revision and all before it.
        doubter: a model that is asked for doubts; None asks nobody.
        now: a clock that never goes back, in seconds.
    """

    def __init__(
        self,
        repository: Repository,
        revisions: str = "HEAD",
        *,
        history: bool = False,
        doubter: Doubter | None = None,
        limits: AuditLimits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.repository = repository
        self.revisions = revisions
        self.tally = Tally()
        self.notes: list[str] = []
        self._history = history
        self._doubter = doubter
        self._limits = limits or AuditLimits()
        self._now = now

    @property
    def verdict(self) -> Verdict:
        return AuditReport(self.revisions, tally=self.tally, notes=self.notes).verdict

    @property
    def exit_code(self) -> int:
        return AuditReport(self.revisions, tally=self.tally, notes=self.notes).exit_code

    def __iter__(self) -> Iterator[CommitAudit]:
        deadline = self._now() + self._limits.timeout_s
        for number, commit in enumerate(self._commits()):
            if number >= self._limits.max_commits:
                self.notes.append(f"only the newest {self._limits.max_commits:,} were audited")
                return
            if self._now() > deadline:
                self.notes.append(f"the time was up after {number:,} commits")
                return
            audit = audit_commit(self.repository, commit, doubter=self._doubter)
            self.tally.add(audit)
            yield audit

    def _commits(self) -> Iterator[Commit]:
        single = ".." not in self.revisions and not self._history
        if single:
            return iter((self.repository.commit(self.revisions),))
        return self.repository.commits(self.revisions, max_count=self._limits.max_commits + 1)


def audit(
    repository: Repository | str | Path,
    revisions: str = "HEAD",
    *,
    history: bool = False,
    doubter: Doubter | None = None,
    limits: AuditLimits | None = None,
    git_limits: GitLimits | None = None,
) -> AuditReport:
    """Audit a commit or a range, and keep all of it.

    Args:
        repository: one that is open, or where it lies.
        revisions: ``A..B``, or one revision: then that commit alone.
        history: one revision and all before it.
        doubter: a model that is asked for doubts, which only warn.

    Raises `NotFound` for what is no repository or no commit.
    """
    if not isinstance(repository, Repository):
        with Repository.open(repository, limits=git_limits) as opened:
            return audit(opened, revisions, history=history, doubter=doubter, limits=limits)
    running = Audit(repository, revisions, history=history, doubter=doubter, limits=limits)
    commits = list(running)
    return AuditReport(revisions, commits, running.tally, running.notes)


def audit_commit(
    repository: Repository, commit: Commit, *, doubter: Doubter | None = None
) -> CommitAudit:
    """One commit: its claims, each with its verdict."""
    claims = find_claims(commit.message)
    facts = Facts(repository, commit)
    notes = list(_notes(commit, claims))
    findings = []
    listed = squashed_from(commit.message)
    for claim in claims:
        finding = _judge(claim, facts)
        if finding.verdict is Verdict.CONTRADICTED:
            if claim.start >= listed:
                finding = _excused(finding, "one of several commits put together says so")
            elif len(commit.parents) > 1 and not commit.files:
                finding = _excused(finding, "the merge brings nothing that its branch lacked")
        findings.append(finding)
    audited = CommitAudit(
        sha=commit.sha,
        subject=commit.subject,
        author=commit.author,
        message=commit.message,
        findings=tuple(findings),
        notes=tuple(notes),
        complete=not (commit.boundary and claims),
    )
    if doubter is None or commit.boundary:
        return audited
    doubts, note = _ask(doubter, audited, facts)
    return dataclasses.replace(audited, doubts=doubts, notes=(*audited.notes, *note))


def _excused(finding: Finding, why: str) -> Finding:
    """A contradiction that may have a good reason is none."""
    reason = f"{why}; {finding.reason}"
    return dataclasses.replace(finding, verdict=Verdict.UNVERIFIABLE, reason=reason)


def _notes(commit: Commit, claims: tuple[Claim, ...]) -> Iterator[str]:
    if commit.boundary and claims:
        yield "a shallow clone ends here: what it changed is not known (git fetch --unshallow)"
    if commit.clipped:
        yield "the message or the list of files is longer than what is read"
    if len(commit.message) > MAX_AUDITED_CHARS:
        yield f"only the first {MAX_AUDITED_CHARS:,} characters of the message were audited"
    if len(claims) >= MAX_CLAIMS:
        yield f"only the first {MAX_CLAIMS} claims were judged"


def _judge(claim: Claim, facts: Facts) -> Finding:
    if facts.commit.boundary:
        return Finding(claim, Verdict.INCONCLUSIVE, "what the commit changed is not known")
    try:
        return judge(claim, facts)
    except (Inconclusive, CorruptData) as error:
        return Finding(claim, Verdict.INCONCLUSIVE, str(error)[:300])


def _ask(
    doubter: Doubter, audited: CommitAudit, facts: Facts
) -> tuple[tuple[Doubt, ...], tuple[str, ...]]:
    """What the model doubts, or why it has no answer; it never changes a verdict."""
    try:
        doubts = read_reply(doubter.ask(make_prompt(audited, facts.diff)))
    except LakecoreError as error:
        return (), (f"no doubts were had: {error.message}",)
    if doubts is None:
        return (), ("no doubts were had: the model's answer is not as it was asked for",)
    return doubts, ()
