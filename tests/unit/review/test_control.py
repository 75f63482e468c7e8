"""Planted faults: one line, another meaning, the same for the same seed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lakecore.review
from lakecore.review import Finding
from lakecore.review._control import is_found, plant
from lakecore.review._tokens import is_changed

MODULES = sorted(Path(lakecore.review.__file__).parent.glob("_*.py"))
HAVE_NO_PLACE = (
    *("__init__.py", "_trust.py", "_score.py", "_ports.py", "_rows.py", "_plan.py"),
    *("_known_bar.py", "_page_style.py"),
)
GO = """package rules

// if a == b it is always fine
func Check(a int, b int) bool {
\tif a == b && a > 0 {
\t\treturn true
\t}
\treturn false
}
"""


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_in_our_own_modules(module: Path) -> None:
    """One line differs, it means something else, and it is still Python."""
    text = module.read_text()
    for seed in range(8):
        control = plant(text, str(seed))
        if control is None:
            assert module.name in HAVE_NO_PLACE
            return
        assert control == plant(text, str(seed))
        before, after = text.splitlines(), control.text.splitlines()
        differ = [
            n for n, (one, two) in enumerate(zip(before, after, strict=True), 1) if one != two
        ]
        assert differ == [control.line]
        assert is_changed(control.before, control.after, "python")
        ast.parse(control.text)


def test_places_that_are_kept_out() -> None:
    """No fault where one must not be."""
    for seed in range(20):
        control = plant(GO, str(seed), avoid=range(6, 9))
        assert control is not None
        assert control.line == 5
    assert plant(GO, "1", avoid=range(1, 20)) is None
    assert plant("", "1") is None


def test_found_is_a_matter_of_place() -> None:
    """Only a finding at the planted line finds it."""
    control = plant(GO, "1", avoid=range(6, 9))
    assert control is not None
    at = Finding("correctness", "r.go", "Check", control.after, "any words", "minor", 5, 5)
    elsewhere = Finding("correctness", "r.go", "Check", "return false", "planted", "major", 8, 8)
    assert is_found(control, [elsewhere, at])
    assert not is_found(control, [elsewhere])
