"""Findings for other programs: nothing that is quoted gets out of its place."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from lakecore.review import Finding, State
from lakecore.review._export import FINGERPRINT, FORMATS, export
from lakecore.review._memory import Tracked

NASTY = Tracked(
    "id-1",
    Finding(
        "security",
        "src/ö b.py",
        "check",
        "x = `a`\n```\n<script>alert(1)</script>",
        "=HYPERLINK(1) <b>[x](javascript:1)</b>\n# head",
        "critical",
        3,
        5,
        0.5,
    ),
    State.NEW,
    "qwen-oracle",
)
IGNORED = Tracked(
    "id-2",
    Finding("dead-code", "src/a.py", "", "pass", "is not used", "minor", 9, 9),
    State.IGNORED,
    reason="used by name",
    who="ada",
    until=datetime(2026, 12, 1, tzinfo=UTC),
)


def test_sarif() -> None:
    """Places, fingerprints, levels and suppressions of SARIF 2.1.0."""
    log = json.loads(export([NASTY, IGNORED], "sarif", version="1.2.3"))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    first, second = run["results"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules[first["ruleIndex"]] == first["ruleId"] == "security"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "src/%C3%B6%20b.py"
    assert (place["region"]["startLine"], place["region"]["endLine"]) == (3, 5)
    assert first["partialFingerprints"] == {FINGERPRINT: "id-1"}
    assert (first["level"], first["baselineState"]) == ("error", "new")
    assert second["suppressions"][0]["justification"] == "used by name"


def test_csv_is_no_spreadsheet_formula() -> None:
    """A cell that would be a formula is text."""
    rows = list(csv.DictReader(io.StringIO(export([NASTY, IGNORED], "csv", version="1"))))
    assert rows[0]["claim"].startswith("'=HYPERLINK")
    assert rows[0]["quote"] == NASTY.finding.quote
    assert (rows[1]["who"], rows[1]["until"]) == ("ada", "2026-12-01T00:00:00+00:00")


def test_markdown_marks_are_text() -> None:
    """Marks in claims and quotes do nothing."""
    text = export([NASTY, IGNORED], "markdown", version="1")
    assert "\\<b\\>" in text
    assert "\\[x\\]" in text
    assert "\n# head" not in text
    assert text.count("````") == 2  # a longer fence than the quote has
    assert text.index("src/a.py") < text.index("src/ö b.py")


@pytest.mark.parametrize("form", FORMATS)
def test_nothing(form: str) -> None:
    """No findings are exported in every form."""
    assert export([], form, version="1")
