"""Findings for other programs and for people: SARIF 2.1.0, JSON, CSV, Markdown. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from lakecore.review._finding import CATEGORIES
from lakecore.review._memory import Tracked
from lakecore.review._state import State

FORMATS: Final = ("json", "csv", "markdown", "sarif")
FINGERPRINT: Final = "lakecoreFinding/v1"
"""Our own key among SARIF's `partialFingerprints`: the identity that a finding keeps."""
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {"critical": "error", "major": "error", "minor": "warning", "info": "note"}
_COLUMNS: Final = (
    "id",
    "state",
    "severity",
    "category",
    "path",
    "line",
    "end_line",
    "symbol",
    "claim",
    "quote",
    "confidence",
    "model",
    "reason",
    "who",
    "until",
)


def finding_body(one: Tracked) -> dict[str, Any]:
    """A finding, JSON-ready."""
    finding = one.finding
    return {
        "id": one.id,
        "state": one.state.value,
        "severity": finding.severity,
        "category": finding.category,
        "path": finding.path,
        "line": finding.line,
        "end_line": finding.end_line,
        "symbol": finding.symbol,
        "claim": finding.claim,
        "quote": finding.quote,
        "confidence": finding.confidence,
        "model": one.model,
        "reason": one.reason,
        "who": one.who,
        "until": None if one.until is None else one.until.isoformat(),
    }


def export(found: Iterable[Tracked], form: str, *, version: str) -> str:
    """Findings as text of one of `FORMATS`.

    Args:
        version: of Lakecore, for SARIF.
    """
    listed = list(found)
    if form == "sarif":
        return json.dumps(_sarif(listed, version), indent=2) + "\n"
    bodies = [finding_body(one) for one in listed]
    if form == "csv":
        return _csv(bodies)
    if form == "markdown":
        return _markdown(bodies)
    return json.dumps(bodies, indent=2) + "\n"


def _csv(bodies: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for body in bodies:
        writer.writerow({name: _cell(body[name]) for name in _COLUMNS})
    return text.getvalue()


def _cell(value: object) -> object:
    """A spreadsheet takes a text that begins like this for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _markdown(bodies: Sequence[Mapping[str, Any]]) -> str:
    if not bodies:
        return "No findings.\n"
    lines: list[str] = []
    for path in sorted({str(body["path"]) for body in bodies}):
        lines += [f"## {_inline(path)}", ""]
        for body in sorted((b for b in bodies if b["path"] == path), key=lambda b: int(b["line"])):
            where = f"line {body['line']}" + (
                f", {_code(body['symbol'])}" if body["symbol"] else ""
            )
            head = f"- **{body['severity']}** {body['category']}, {body['state']} ({where}): "
            lines += [head + _inline(body["claim"]), ""]
            longest = max((len(run) for run in _ticks(str(body["quote"]))), default=0)
            fence = "`" * max(3, longest + 1)
            quoted = [f"  {line}" for line in str(body["quote"]).splitlines()]
            lines += [f"  {fence}", *quoted, f"  {fence}", f"  `{body['id']}`", ""]
    return "\n".join(lines)


def _inline(text: str) -> str:
    """One line that no mark of Markdown or HTML gets out of."""
    flat = " ".join(text.split())
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|!&" else char for char in flat)


def _code(text: str) -> str:
    return f"`{text.replace('`', '')}`"


def _ticks(text: str) -> list[str]:
    runs, run = [], ""
    for char in text + " ":
        if char == "`":
            run += char
        elif run:
            runs.append(run)
            run = ""
    return runs


def _sarif(listed: Sequence[Tracked], version: str) -> dict[str, Any]:
    driver = {
        "name": "Lakecore review",
        "semanticVersion": version,
        "rules": [{"id": name, "shortDescription": {"text": name}} for name in CATEGORIES],
    }
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(one) for one in listed]}],
    }


def _result(one: Tracked) -> dict[str, Any]:
    finding = one.finding
    region = {
        "startLine": finding.line,
        "endLine": finding.end_line,
        "snippet": {"text": finding.quote},
    }
    artifact = {"uri": quote(finding.path, safe="/", errors="surrogateescape")}
    result: dict[str, Any] = {
        "ruleId": finding.category,
        "ruleIndex": CATEGORIES.index(finding.category),
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.claim or finding.category},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "partialFingerprints": {FINGERPRINT: one.id},
        "baselineState": _baseline(one.state),
        "properties": {"state": one.state.value, "severity": finding.severity},
    }
    if finding.symbol:
        logical = {"fullyQualifiedName": finding.symbol}
        result["locations"][0]["logicalLocations"] = [logical]
    if one.state is State.IGNORED:
        why = {"kind": "external", "status": "accepted", "justification": one.reason}
        result["suppressions"] = [why]
    return result


def _baseline(state: State) -> str:
    if state is State.NEW:
        return "new"
    return "absent" if state in (State.CONFIRMED_FIXED, State.REMOVED) else "unchanged"
