"""docs/security.md promises nothing without a test."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "docs" / "security.md"


def test_every_promise_names_a_test_that_is_there() -> None:
    """Each row of the table has one, and each that is named is defined somewhere."""
    tests = "\n".join(file.read_text() for file in (REPOSITORY / "tests").rglob("test_*.py"))
    page = PAGE.read_text()
    tables = page.split("| promise |")[1:]
    assert len(tables) == 2
    for table in tables:
        rows = table.split("\n\n")[0].splitlines()[2:]
        assert len(rows) > 10
        for row in rows:
            names = re.findall(r"`(test_\w+)`", row)
            assert names, row
            assert [name for name in names if f"def {name}(" not in tests] == []
