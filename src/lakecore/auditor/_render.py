"""An audit as a table, JSON, SARIF 2.1.0 or Markdown: text that is written as commits come by.

Every renderer takes an iterable of audits and yields pieces of text, so that memory does not
grow with the range; what is said of all of it comes last. Control characters of messages and
paths never reach a terminal.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from lakecore._version import __version__
from lakecore.auditor._audit import Audit
from lakecore.auditor._model import CommitAudit, Evidence, Finding, Kind, Verdict
from lakecore.code import shown

FORMATS: Final = ("table", "json", "sarif", "markdown")
JSON_FORMAT: Final = "lakecore-audit"
JSON_VERSION: Final = 1
FINGERPRINT: Final = "lakecoreClaim/v1"

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_MAX_SUBJECT: Final = 72
_MAX_CLAIM: Final = 60
_RULES: Final = {
    Kind.PATH: "a file is said to be added, removed or changed",
    Kind.SYMBOL: "a name is said to be added",
    Kind.COUNT: "a value is said to go from one number to another",
    Kind.FILES: "a number of files is said to be changed",
    Kind.TESTS: "tests are said to be added or removed",
    Kind.DEPENDENCY: "a dependency is said to be added, removed, moved or bumped",
    Kind.WIRED: "something is said to be wired",
    Kind.REMOVED: "a name is said to be removed",
    Kind.RENAMED: "something is said to be renamed",
    Kind.UNCHANGED: "a file is said to be unchanged",
    Kind.SCOPE: "the commit is said to be of one sort only",
    Kind.REVERT: "another commit is said to be reverted",
}


def render(audit: Audit, form: str) -> Iterator[str]:
    """The audit in one of `FORMATS`, piece by piece; iterating it does the work."""
    return {"table": _table, "json": _json, "sarif": _sarif, "markdown": _markdown}[form](audit)


def plain(text: str) -> str:
    """Text on one line, without what moves a terminal's cursor or hides in it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _place(evidence: Evidence) -> str:
    if not evidence.path:
        return ""
    place = plain(shown(evidence.path))
    return place if evidence.line is None else f"{place}:{evidence.line}"


def summary(audit: Audit) -> str:
    """All of it in one line."""
    tally = audit.tally
    commits = ", ".join(f"{n:,} {verdict.value}" for verdict, n in tally.commits.items() if n)
    claims = ", ".join(f"{n:,} {verdict.value}" for verdict, n in tally.claims.items() if n)
    count = tally.commit_count
    text = f"{count:,} commit{'' if count == 1 else 's'}: {commits or 'none'}"
    return f"{text}; claims: {claims or 'none'}" + (
        f"; {tally.doubts} doubts" if tally.doubts else ""
    )


# Table


def _table(audit: Audit) -> Iterator[str]:
    """A block for each commit that claims something, a row for each claim."""
    for commit in audit:
        if not (commit.findings or commit.notes or commit.doubts):
            continue
        subject = _cut(plain(commit.subject), _MAX_SUBJECT)
        yield f"{commit.sha[:10]}  {commit.verdict.value:<12}  {subject}\n"
        for finding in commit.findings:
            words = _cut(plain(commit.claim_text(finding)), _MAX_CLAIM)
            kind = finding.claim.kind.value
            yield f"  {finding.verdict.value:<12}  {kind:<10}  “{words}”: {plain(finding.reason)}\n"
            if finding.verdict is not Verdict.UNVERIFIABLE:
                for evidence in finding.evidence:
                    side = "-" if evidence.side == "old" else " "
                    text = _cut(plain(evidence.text), _MAX_SUBJECT)
                    place = f"{_place(evidence)}  " if evidence.path else ""
                    yield f"      {side} {place}{text}".rstrip() + "\n"
        for doubt in commit.doubts:
            yield (
                f"  doubt         a model: {plain(doubt.text)} {plain(doubt.path)}".rstrip() + "\n"
            )
        for note in commit.notes:
            yield f"  note          {plain(note)}\n"
    for note in audit.notes:
        yield f"note: {plain(note)}\n"
    yield summary(audit) + "\n"


# JSON


def commit_document(commit: CommitAudit) -> dict[str, object]:
    """One commit as JSON has it."""
    return {
        "sha": commit.sha,
        "subject": commit.subject,
        "author": commit.author,
        "verdict": commit.verdict.value,
        "complete": commit.complete,
        "claims": [_finding_document(commit, finding) for finding in commit.findings],
        "doubts": [
            {"text": doubt.text, "path": doubt.path, "line": doubt.line} for doubt in commit.doubts
        ],
        "notes": list(commit.notes),
    }


def _finding_document(commit: CommitAudit, finding: Finding) -> dict[str, object]:
    claim = finding.claim
    document: dict[str, object] = {
        "kind": claim.kind.value,
        "action": claim.action.value,
        "text": commit.claim_text(finding),
        "start": claim.start,
        "end": claim.end,
        "message_line": commit.line_of(finding),
        "verdict": finding.verdict.value,
        "reason": finding.reason,
        "fingerprint": fingerprint(commit, finding),
        "evidence": [evidence.to_dict() for evidence in finding.evidence],
    }
    for name in ("target", "other", "old", "new", "count", "unit"):
        value = getattr(claim, name)
        if value not in ("", None):
            document[name] = value
    if claim.count is not None:
        document["bound"] = claim.bound.value
    return document


def _json(audit: Audit) -> Iterator[str]:
    head = {"format": JSON_FORMAT, "version": JSON_VERSION, "revisions": audit.revisions}
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "commits": ['
    separator = "\n"
    for commit in audit:
        yield separator + json.dumps(_encodable(commit_document(commit)), ensure_ascii=False)
        separator = ",\n"
    tail = {
        "summary": audit.tally.to_dict(),
        "notes": audit.notes,
        "verdict": audit.verdict.value,
        "exit_code": audit.exit_code,
    }
    yield "\n], " + json.dumps(tail, ensure_ascii=False)[1:] + "\n"


def _encodable(value: object) -> object:
    """Text that can be written as UTF-8: no half of a surrogate pair."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value


def fingerprint(commit: CommitAudit, finding: Finding) -> str:
    """The same for the same claim of the same message, also after a rebase."""
    claim = finding.claim
    parts = (
        claim.kind.value,
        claim.action.value,
        claim.target,
        " ".join(commit.claim_text(finding).lower().split()),
        " ".join(commit.subject.lower().split()),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


# SARIF


def _sarif(audit: Audit) -> Iterator[str]:
    rules = [
        {
            "id": f"claim/{kind.value}",
            "name": f"Claim{kind.value.title()}",
            "shortDescription": {"text": text[:1].upper() + text[1:] + "."},
            "defaultConfiguration": {"level": "error"},
        }
        for kind, text in _RULES.items()
    ]
    rules.append(
        {
            "id": "doubt",
            "name": "Doubt",
            "shortDescription": {"text": "A model doubts a statement of the message."},
            "defaultConfiguration": {"level": "warning"},
        }
    )
    driver = {"name": "lakecore-auditor", "version": __version__, "rules": rules}
    yield f'{{"$schema": "{_SARIF_SCHEMA}", "version": "2.1.0", "runs": [{{"tool": '
    yield json.dumps({"driver": driver}, ensure_ascii=False)
    yield ', "columnKind": "unicodeCodePoints", "results": ['
    separator = "\n"
    for commit in audit:
        for result in _results(commit):
            yield separator + json.dumps(_encodable(result), ensure_ascii=False)
            separator = ",\n"
    invocation: dict[str, object] = {
        "executionSuccessful": audit.verdict is not Verdict.INCONCLUSIVE,
        "exitCode": audit.exit_code,
    }
    if audit.notes:
        invocation["toolExecutionNotifications"] = [
            {"level": "warning", "message": {"text": note}} for note in audit.notes
        ]
    yield '\n], "invocations": ' + json.dumps([invocation], ensure_ascii=False)
    yield ', "properties": ' + json.dumps({"summary": audit.tally.to_dict()}) + "}]}\n"


# SARIF 3.27.9, 3.27.10: what is not a failure has no level.
_LEVELS: Final = {Verdict.CONTRADICTED: ("fail", "error"), Verdict.INCONCLUSIVE: ("open", "none")}


def _results(commit: CommitAudit) -> Iterator[dict[str, object]]:
    """What is contradicted or inconclusive, and the doubts; what is fine is no result."""
    for finding in commit.findings:
        if finding.verdict not in _LEVELS:
            continue
        kind, level = _LEVELS[finding.verdict]
        words = plain(commit.claim_text(finding))
        yield {
            "ruleId": f"claim/{finding.claim.kind.value}",
            "level": level,
            "kind": kind,
            "message": {"text": f"{commit.sha[:10]} says “{words}”: {plain(finding.reason)}."},
            "locations": _locations(commit, finding.evidence),
            "partialFingerprints": {FINGERPRINT: fingerprint(commit, finding)},
            "properties": {
                "commit": commit.sha,
                "messageLine": commit.line_of(finding),
                "evidence": [evidence.to_dict() for evidence in finding.evidence],
            },
        }
    for doubt in commit.doubts:
        digest = hashlib.sha256(f"{commit.sha}\0{doubt.text}".encode("utf-8", "replace"))
        yield {
            "ruleId": "doubt",
            "level": "warning",
            "kind": "fail",
            "message": {"text": f"{commit.sha[:10]}: {plain(doubt.text)}"},
            "locations": _locations(commit, (Evidence("", doubt.path, doubt.line),)),
            "partialFingerprints": {FINGERPRINT: digest.hexdigest()[:32]},
            "properties": {"commit": commit.sha},
        }


def _locations(commit: CommitAudit, evidence: tuple[Evidence, ...]) -> list[dict[str, object]]:
    logical = [{"fullyQualifiedName": commit.sha, "kind": "module", "name": commit.sha[:10]}]
    for item in evidence:
        if item.path and item.side == "new":
            physical: dict[str, object] = {
                "artifactLocation": {"uri": quote(shown(item.path)), "uriBaseId": "%SRCROOT%"}
            }
            if item.line is not None:
                physical["region"] = {"startLine": item.line}
            return [{"physicalLocation": physical, "logicalLocations": logical}]
    return [{"logicalLocations": logical}]


# Markdown


def _markdown(audit: Audit) -> Iterator[str]:
    yield "# Audit of commit messages\n\n"
    yield "| commit | verdict | claim | why | where |\n|---|---|---|---|---|\n"
    for commit in audit:
        for finding in commit.findings:
            places = [_place(evidence) for evidence in finding.evidence if evidence.path]
            cells = (
                f"`{commit.sha[:10]}`",
                finding.verdict.value,
                _cell(_cut(plain(commit.claim_text(finding)), _MAX_CLAIM)),
                _cell(plain(finding.reason)),
                _cell(", ".join(dict.fromkeys(places[:3]))),
            )
            yield "| " + " | ".join(cells) + " |\n"
        for doubt in commit.doubts:
            text, path = _cell(plain(doubt.text)), _cell(plain(doubt.path))
            yield f"| `{commit.sha[:10]}` | doubt | | {text} | {path} |\n"
    for note in audit.notes:
        yield f"\n{_cell(plain(note))}\n"
    yield f"\n{summary(audit)}\n"


def _cell(text: str) -> str:
    """Text that is only text in a table: no column, markup, link, mention or HTML of its own."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", text)
    return text.replace("@", "@\u200b")
