"""The auditor: what commit messages claim, held against what the commits do.

A program reads the message, finds claims that can be checked (files, names, numbers of tests
and files, values "from 3 to 5", dependencies, "wired", "removed", "renamed", "no behaviour
change"), and looks each of them up in the diff and the tree. No model is asked for a verdict.

    message ─ find_claims ─→ Claim ──────────────────────────┐
    commit ── Facts (diff, tree, symbols, tests, manifests) ─┴→ judge ─→ Finding
    Audit(repository, "A..B")  CommitAudit each, one at a time; tally, exit code
    render(audit, "sarif")     table, JSON, SARIF 2.1.0, Markdown, written as it goes
    send_status(…)             one commit status, to Gitea or GitHub
    Doubter                    a model's doubts: asked for only when given, they only warn

A verdict is *backed*, *contradicted* or *unverifiable*, with the lines that show it. Only a
contradiction blocks, and it needs proof that what is said is impossible: an honest message
that is vague, partial or about something else is unverifiable. Where a shallow clone ends or
an object is missing it is *inconclusive*, never green.

>>> from lakecore.auditor import find_claims
>>> message = "cli: add `audit`\\n\\nAdds 3 tests. No functional change otherwise."
>>> for claim in find_claims(message):
...     print(claim.kind.value, "·", message[claim.start:claim.end])
symbol · add `audit`
tests · Adds 3 tests
scope · No functional change
"""

from lakecore.auditor._audit import Audit, AuditLimits, AuditReport, audit, audit_commit
from lakecore.auditor._doubt import Doubter, make_prompt
from lakecore.auditor._extract import find_claims
from lakecore.auditor._model import (
    Action,
    Bound,
    Claim,
    CommitAudit,
    Doubt,
    Evidence,
    Finding,
    Kind,
    Tally,
    Verdict,
)
from lakecore.auditor._render import FORMATS, JSON_VERSION, commit_document, render, summary
from lakecore.auditor._status import Status, StatusTarget, make_status, send_status

__all__ = [
    "FORMATS",
    "JSON_VERSION",
    "Action",
    "Audit",
    "AuditLimits",
    "AuditReport",
    "Bound",
    "Claim",
    "CommitAudit",
    "Doubt",
    "Doubter",
    "Evidence",
    "Finding",
    "Kind",
    "Status",
    "StatusTarget",
    "Tally",
    "Verdict",
    "audit",
    "audit_commit",
    "commit_document",
    "find_claims",
    "make_prompt",
    "make_status",
    "render",
    "send_status",
    "summary",
]
