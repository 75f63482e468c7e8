"""The rules of a lake: the document that holds them, its versions, and how they are changed.

The document is ``truth/rules``. Its changes are journaled like every document's, and no rule
is asked about them: whatever the rules in force say, other rules can be put in their place.
That is the way out of a rule set that denies everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Conflict, NotFound, Refused
from lakecore.documents import Document, Documents
from lakecore.journal import Author
from lakecore.truth import (
    DOCUMENT_KIND,
    DOCUMENT_NAME,
    Difference,
    RuleSet,
    Severity,
    TestResult,
    rules_body,
    rules_from_body,
    rules_hash,
    rules_text,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.truth import Finding, Principal

ADMIN: Final = "admin"
"""The role that changing the rules takes."""

_NONE: Final = RuleSet.from_dict({}, source="no rules")
_MAX_NAMED: Final = 3

Schemas = Callable[[], Mapping[str, "pa.Schema | None"]]
"""The registered datasets and their columns as of now; None of one that has none yet."""


@dataclass(frozen=True, slots=True)
class RulesReport:
    """Rules as they were looked at before being put in force."""

    rules: RuleSet
    tests: tuple[TestResult, ...]
    findings: tuple[Finding, ...]
    """Of the rules among themselves and against the datasets that there are."""

    difference: Difference
    """From the rules that are in force."""

    @property
    def failed(self) -> tuple[TestResult, ...]:
        """The rules' own tests that did not pass."""
        return tuple(test for test in self.tests if not test.passed)

    @property
    def grave(self) -> tuple[Finding, ...]:
        """The findings that keep the rules from being put in force, unless that is forced."""
        return tuple(
            finding
            for finding in self.findings
            if finding.severity in (Severity.ERROR, Severity.CRITICAL)
        )

    @property
    def fit(self) -> bool:
        """Whether the rules can be put in force as they are."""
        return not self.failed and not self.grave

    def to_dict(self) -> dict[str, Any]:
        """As JSON: all findings, how many tests passed, and those that failed."""
        return {
            "name": self.rules.name,
            "hash": self.rules.hash,
            "rules": len(self.rules.rules),
            "tiers": len(self.rules.tiers),
            "fit": self.fit,
            "tests": len(self.tests),
            "failed": [test.to_dict() for test in self.failed],
            "findings": [finding.to_dict() for finding in self.findings],
            "difference": self.difference.to_dict(),
        }


class RulesRefused(Refused):
    """Rules that cannot be put in force; `report` says all that is wrong with them."""

    def __init__(self, report: RulesReport, *, hint: str) -> None:
        failed = [f"test {test.name!r} of rule {test.rule_id}" for test in report.failed]
        grave = [f"{finding.kind}: {_named(finding)}" for finding in report.grave]
        wrong = failed or grave
        more = f" and {len(wrong) - _MAX_NAMED} more" if len(wrong) > _MAX_NAMED else ""
        super().__init__(
            "the rules' own tests fail" if failed else "something is wrong with the rules",
            found="; ".join(wrong[:_MAX_NAMED]) + more,
            where=report.rules.source,
            hint=hint,
        )
        self.report = report


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of putting rules in force."""

    version: int
    changed: bool
    """False where exactly these rules were in force already: then there is no new version."""

    report: RulesReport

    def to_dict(self) -> dict[str, Any]:
        return {"version": self.version, "changed": self.changed, **self.report.to_dict()}


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """One version of the rules: what it is, and who put it in force, when and why."""

    version: int
    hash: str
    """As decisions name it."""

    rules: int
    tiers: int
    timestamp_us: int
    actor: str
    source: str
    reason: str
    mutation_id: str


class Rules:
    """The rule set in force, and its past. Threads and processes may share it.

    Args:
        documents: where the rules are kept.
        schemas: what rules are held against before they are put in force.
    """

    def __init__(self, documents: Documents, schemas: Schemas | None = None) -> None:
        self._documents = documents
        self._schemas = schemas
        self._read: tuple[int, RuleSet] | None = None

    # -- reading ----------------------------------------------------------------------

    def current(self) -> RuleSet:
        """The rules in force now.

        The store is asked each time whether there is a next version, so that rules which
        another process put in force a moment ago are seen. (About 10 µs on a local disk, one
        request to an object store, however many versions there are.) They are read and
        compiled only where there is.

        Of a lake without rules: an empty rule set, which allows everything; its `version`
        is None.
        """
        known = self._read
        if known is not None and self._stored(known[0] + 1) is None:
            return known[1]
        document = self._documents.get(DOCUMENT_KIND, DOCUMENT_NAME)
        if document is None:
            return _NONE
        rules = _rules_of(document)
        self._read = (document.version, rules)
        return rules

    def version(self, version: int) -> RuleSet:
        """The rules of one version. Raises `NotFound`."""
        return _rules_of(self._document(version))

    def text(self, version: int | None = None) -> str:
        """The TOML of one version, default that in force; empty where there are no rules."""
        if version is None:
            document = self._documents.get(DOCUMENT_KIND, DOCUMENT_NAME)
        else:
            document = self._document(version)
        if document is None or document.body is None:
            return ""
        return rules_text(document.body, where=document.path)

    def versions(self, limit: int = 100) -> list[RulesVersion]:
        """The newest versions, the newest first, at most `limit` of them."""
        newest = self._documents.get(DOCUMENT_KIND, DOCUMENT_NAME)
        if newest is None:
            return []
        oldest = max(0, newest.version - limit + 1)
        return [
            _described(self._document(version)) for version in range(newest.version, oldest - 1, -1)
        ]

    def diff(self, old: int, new: int | None = None) -> Difference:
        """What is different in version `new`, default that in force, coming from `old`."""
        return (self.current() if new is None else self.version(new)).diff(self.version(old))

    # -- changing ---------------------------------------------------------------------

    def inspect(self, toml: str, *, source: str = "rules.toml") -> RulesReport:
        """Read rules, run their tests, hold them against each other and the datasets.

        Raises:
            InvalidInput: they do not read.
        """
        rules = RuleSet.from_toml(toml, source=source)
        against = rules.check_datasets(self._schemas()) if self._schemas is not None else ()
        return RulesReport(
            rules=rules,
            tests=rules.run_tests(),
            findings=(*rules.lint(), *against),
            difference=rules.diff(self.current()),
        )

    def apply(
        self,
        toml: str,
        *,
        author: Author,
        source: str = "rules.toml",
        force: bool = False,
        based_on: RuleSet | None = None,
        principal: Principal | None = None,
        action: str | None = None,
    ) -> Applied:
        """Put rules in force, as the next version of the document.

        Args:
            source: what errors call the text.
            force: in spite of what was found, even that they deny everything; their own tests
                have to pass all the same.
            based_on: the rules that were in force when this was decided; others by now are
                a `Conflict`.
            principal: who asks: needs the role `admin`. None is the owner of the place where
                the lake is, who could write the document anyway.
            action: what the journal's events say; default insert or update.

        Raises:
            InvalidInput: the text does not read.
            RulesRefused: tests fail, or there are findings of error or critical and no force.
            Refused: the principal is no admin.
        """
        if principal is not None and ADMIN not in principal.roles:
            raise Refused(
                "only an admin changes the rules",
                expected=f"the role {ADMIN}",
                found=f"{principal.name} with {', '.join(principal.roles) or 'no role'}",
            )
        report = self.inspect(toml, source=source)
        if report.failed:
            raise RulesRefused(report, hint="correct the rules, or the tests that they carry")
        if report.grave and not force:
            raise RulesRefused(
                report, hint="correct the rules; to put them in force as they are, use force"
            )
        body = rules_body(report.rules, toml)
        before: Document | None = None

        def put(now: Document | None) -> dict[str, Any]:
            nonlocal before
            before = now
            found = None if now is None else now.version
            if based_on is not None and found != based_on.version:
                raise Conflict(
                    "the rules were changed meanwhile",
                    expected=f"version {based_on.version}",
                    found=f"version {found}",
                    hint="look at the rules in force, then apply again",
                )
            return body

        document = self._documents.change(
            DOCUMENT_KIND, DOCUMENT_NAME, put, author=author, action=action
        )
        changed = before is None or before.version != document.version
        return Applied(document.version, changed, report)

    def rollback(self, version: int, *, author: Author, force: bool = False) -> Applied:
        """Put the rules of an older version in force again, as a new version.

        They are looked at as in `apply`: the datasets may have changed since.
        """
        document = self._document(version)
        text = rules_text(document.body or {}, where=document.path)
        source = f"version {version} of the rules"
        return self.apply(text, author=author, source=source, force=force, action="rollback")

    def _stored(self, version: int) -> Document | None:
        return self._documents.get(DOCUMENT_KIND, DOCUMENT_NAME, version=version)

    def _document(self, version: int) -> Document:
        found = self._stored(version) if version >= 0 else None
        if found is None:
            newest = self._documents.get(DOCUMENT_KIND, DOCUMENT_NAME)
            there = "none" if newest is None else f"0 to {newest.version}"
            raise NotFound("no such version of the rules", expected=there, found=version)
        return found


def _rules_of(document: Document) -> RuleSet:
    if document.body is None:
        return RuleSet.from_dict({}, source=document.path, version=document.version)
    return rules_from_body(document.body, version=document.version, where=document.path)


def _described(document: Document) -> RulesVersion:
    body = document.body or {}
    canonical = body.get("canonical") or {}
    (mutation,) = document.record.mutations
    return RulesVersion(
        version=document.version,
        hash=rules_hash(canonical),
        rules=len(canonical.get("rule") or ()),
        tiers=len(canonical.get("tier") or ()),
        timestamp_us=mutation.timestamp_us,
        actor=mutation.actor,
        source=mutation.source,
        reason=mutation.reason,
        mutation_id=mutation.mutation_id,
    )


def _named(finding: Finding) -> str:
    rules = f"[{', '.join(finding.rules)}] " if finding.rules else ""
    near = f", near it: {', '.join(finding.nearest)}" if finding.nearest else ""
    return f"{rules}{finding.message}{near}"
