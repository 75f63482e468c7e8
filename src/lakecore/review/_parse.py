"""A reviewer's answer as a value: JSON by its schema, or Markdown. Pure, and forgiving of form.

What is read is only form. What a finding says is held against the file later (`_finding`):
an answer is text of somebody who cannot be trusted, and nothing in it is an instruction.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lakecore.review._finding import CATEGORIES, SEVERITIES, RawFinding

MAX_ANSWER_CHARACTERS: Final = 400_000
MAX_FINDINGS: Final = 200
VERDICTS: Final = ("pass", "needs_work", "fail")

ANSWER_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["verdict", "score", "confidence", "findings"],
    "properties": {
        "verdict": {"enum": list(VERDICTS)},
        "score": {"type": "number", "minimum": 0, "maximum": 10},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "findings": {
            "type": "array",
            "maxItems": MAX_FINDINGS,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["category", "severity", "symbol", "quote", "claim", "confidence"],
                "properties": {
                    "category": {"enum": list(CATEGORIES)},
                    "severity": {"enum": list(SEVERITIES)},
                    "symbol": {"type": "string"},
                    "quote": {"type": "string"},
                    "claim": {"type": "string"},
                    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                },
            },
        },
        "verified_components": {"type": "array", "items": {"type": "string"}},
        "missing_components": {"type": "array", "items": {"type": "string"}},
    },
}
"""What a structured answer looks like, as a JSON schema."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A review as it was given.

    Attributes:
        output_format: ``json`` or ``markdown``.
        score: 0 to 10; None: the answer has none.
        confidence: 0 to 1; None: the answer has none.
    """

    output_format: str
    verdict: str | None
    score: float | None
    confidence: float | None
    findings: tuple[RawFinding, ...]
    verified_components: tuple[str, ...] = field(default=())
    missing_components: tuple[str, ...] = field(default=())


def parse(text: str) -> Answer | None:
    """The answer; None where it is neither form: prose, or nothing."""
    text = text[:MAX_ANSWER_CHARACTERS].strip()
    body = _json_in(text)
    answer = _of_json(body) if body is not None else _of_markdown(text)
    is_review = answer.score is not None or answer.verdict is not None
    return answer if is_review else None


def _json_in(text: str) -> Mapping[str, Any] | None:
    """The largest JSON object of a text: the whole, a fenced block, or what braces enclose."""
    fenced = re.findall(r"```(?:json)?\s*\n(.*?)```", text, re.DOTALL)
    start, end = text.find("{"), text.rfind("}")
    for candidate in (text, *sorted(fenced, key=len, reverse=True), text[start : end + 1]):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def _of_json(body: Mapping[str, Any]) -> Answer:
    listed = [
        *_findings(body.get("findings"), None),
        # The forensic form names the worst by themselves.
        *_findings(body.get("critical_failures"), "critical"),
    ]
    return Answer(
        "json",
        _verdict(body.get("verdict")),
        _score(body.get("score")),
        _share(body.get("confidence")),
        tuple(listed[:MAX_FINDINGS]),
        _texts(body.get("verified_components")),
        _texts(body.get("missing_components")),
    )


def _findings(value: object, severity: str | None) -> Iterable[RawFinding]:
    for one in value if isinstance(value, list) else ():
        if not isinstance(one, dict):
            continue
        quote = one.get("quote") or one.get("evidence") or ""
        claim = one.get("claim") or one.get("description") or one.get("reason") or ""
        yield RawFinding(
            _word(one.get("category")),
            _text(quote),
            _text(claim),
            _word(one.get("severity") or severity),
            _text(one.get("symbol")),
            _share(one.get("confidence")),
        )


_HEAD: Final = re.compile(
    r"^\s*(?:[-*]|\d+\.|\#{2,6})\s*\[(?P<severity>[\w-]+)\]\s*\[(?P<category>[\w -]+)\]\s*"
    r"(?:`(?P<symbol>[^`\n]*)`\s*[:\u2013\u2014-]?\s*)?(?P<claim>.*)$"
)
_FIELD: Final = re.compile(
    r"^\W*(?P<name>verdict|score|confidence)\W*[:=]\W*(?P<value>[\w.% /]+)", re.IGNORECASE
)
_FENCE: Final = re.compile(r"^\s*```")
_QUOTED: Final = re.compile(r"^\s*>\s?(.*)$")
_SECTION: Final = re.compile(r"^#{1,6}\s*(?P<title>verified|missing)[ _]components", re.IGNORECASE)
_ITEM: Final = re.compile(r"^\s*[-*]\s+(.*)$")


def _of_markdown(text: str) -> Answer:
    """`- [severity][category] `symbol`: claim` with its quote behind: `>` lines or a fence."""
    fields: dict[str, str] = {}
    parts: dict[str, list[str]] = {"verified": [], "missing": []}
    heads: list[tuple[re.Match[str], list[str]]] = []
    section: str | None = None
    is_fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            is_fenced = not is_fenced
        elif is_fenced:
            if heads:
                heads[-1][1].append(line)
        elif head := _HEAD.match(line):
            heads.append((head, []))
            section = None
        elif (quoted := _QUOTED.match(line)) and heads:
            heads[-1][1].append(quoted[1])
        elif title := _SECTION.match(line):
            section = title["title"].lower()
        elif section and (item := _ITEM.match(line)):
            parts[section].append(item[1].strip())
        elif stated := _FIELD.match(line):
            fields.setdefault(stated["name"].lower(), stated["value"].strip())
    findings = [
        RawFinding(
            _word(head["category"]),
            "\n".join(quote).strip(),
            head["claim"].strip(),
            _word(head["severity"]),
            head["symbol"] or "",
        )
        for head, quote in heads[:MAX_FINDINGS]
    ]
    return Answer(
        "markdown",
        _verdict(fields.get("verdict")),
        _score(fields.get("score")),
        _share(fields.get("confidence")),
        tuple(findings),
        tuple(parts["verified"]),
        tuple(parts["missing"]),
    )


def _verdict(value: object) -> str | None:
    word = _word(value).replace("-", "_")
    return word if word in VERDICTS else None


def _score(value: object) -> float | None:
    """8, "8", "8/10": within 0 to 10, else None."""
    number = _number(value.split("/")[0] if isinstance(value, str) else value)
    return number if number is not None and 0 <= number <= 10 else None


def _share(value: object) -> float | None:
    """0.85, "85%", 85: 0 to 1, else None."""
    is_percent = isinstance(value, str) and "%" in value
    number = _number(value.replace("%", "").split("/")[0] if isinstance(value, str) else value)
    if number is None:
        return None
    if is_percent or 1 < number <= 100:
        number /= 100
    return number if 0 <= number <= 1 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _word(value: object) -> str:
    return value.strip().lower().replace(" ", "-") if isinstance(value, str) else ""


def _text(value: object) -> str:
    """A text that can be kept: half of a character, which JSON can say, is replaced."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else ()
    return tuple(_text(one) for one in listed if isinstance(one, str))[:MAX_FINDINGS]
