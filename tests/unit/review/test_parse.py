"""Answers in both forms, and what is neither."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.review import ANSWER_SCHEMA, parse

BODY = {
    "verdict": "needs_work",
    "score": 4,
    "confidence": 0.85,
    "findings": [
        {
            "category": "unenforced",
            "severity": "critical",
            "symbol": "check",
            "quote": "return True",
            "claim": "looks at no condition",
            "confidence": 0.9,
        }
    ],
    "verified_components": ["evaluate"],
    "missing_components": [],
}
MARKDOWN = """# Review

**Verdict:** needs_work
Score: 4/10
- Confidence: 85%

- [critical][unenforced] `check`: looks at no condition
  > return True

## Verified components
- evaluate
"""


def test_both_forms_say_the_same() -> None:
    """JSON and Markdown of one review are one value."""
    jsonschema.validate(BODY, ANSWER_SCHEMA)
    structured, prose = parse(json.dumps(BODY)), parse(MARKDOWN)
    assert structured is not None
    assert prose is not None
    assert (structured.output_format, prose.output_format) == ("json", "markdown")
    for name in ("verdict", "score", "confidence", "verified_components"):
        assert getattr(structured, name) == getattr(prose, name), name
    [one], [other] = structured.findings, prose.findings
    assert (one.quote, one.claim, one.category, one.severity, one.symbol) == (
        (other.quote, other.claim, other.category, other.severity, other.symbol)
    )


@pytest.mark.parametrize(
    "text",
    [
        "```json\n{}\n```",
        "Sure! Here is the review you asked for:\n\n```json\n{}\n```\nAnything else?",
        "The review: {} I hope it helps.",
    ],
)
def test_json_is_found_in_what_is_around_it(text: str) -> None:
    """Fences and talk around an object do not hide it."""
    answer = parse(text.replace("{}", json.dumps(BODY)))
    assert answer is not None
    assert (answer.output_format, len(answer.findings)) == ("json", 1)


def test_the_forensic_form() -> None:
    """Critical failures with evidence are findings, too."""
    failures = [{"category": "unwired", "evidence": "fn auth()", "reason": "never called"}]
    answer = parse(json.dumps({"verdict": "fail", "score": "3/10", "critical_failures": failures}))
    assert answer is not None
    assert (answer.score, answer.findings[0].severity, answer.findings[0].quote) == (
        (3.0, "critical", "fn auth()")
    )


@pytest.mark.parametrize(
    "text",
    ["", "I am sorry, I cannot do that.", "[]", "null", "{}", '{"score": 11}', "{" * 5_000],
)
def test_what_is_no_review(text: str) -> None:
    """Prose, nothing, and values out of range are no review."""
    assert parse(text) is None


@given(st.text(max_size=300) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_nothing_breaks_it(text: str) -> None:
    """Any text is read or refused."""
    answer = parse(text)
    assert answer is None or answer.score is None or 0 <= answer.score <= 10
