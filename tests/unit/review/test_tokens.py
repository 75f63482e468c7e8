"""What is a change of code, and what only of its looks."""

from __future__ import annotations

import pytest

from lakecore.review import contains, is_changed

FILE = "def load(path):\n    total = open(path)\n    return total\n"


@pytest.mark.parametrize(
    ("old", "new", "language", "changed"),
    [
        ("a = b + 1", "a  =  b+1", "python", False),
        ("a = b + 1", "a = (b + 1)", "python", True),
        ("a = b", "a = b  # safe now", "python", False),
        ("a = b;", "a = b; // safe now", "rust", False),
        ("a = b;", "a /* safe */ = b;", "typescript", False),
        ("a // b", "a / b", "python", True),
        ("x = '#1'", "x = '#2'", "python", True),
        ("if a < b", "if a <= b", "go", True),
        ("return True", "return False", "python", True),
        ("f(1)", "f(2)", "python", True),
        ("open(path)", "safe_open(path)", "python", True),
    ],
)
def test_what_changes(old: str, new: str, language: str, changed: bool) -> None:
    """Spacing and comments are no change; operators, values and foreign names are."""
    assert is_changed(old, new, language) is changed
    assert is_changed(new, old, language) is changed


def test_a_definition_under_another_name_is_no_change() -> None:
    """A renaming is none only where it is whole and the name is the file's own."""
    old, new = "total = open(path)", "opened = open(path)"
    renamed = FILE.replace("total", "opened")
    assert not is_changed(old, new, "python", old_file=FILE, new_file=renamed)
    # Half renamed is another program.
    assert is_changed(
        old, new, "python", old_file=FILE, new_file=FILE.replace("total", "opened", 1)
    )
    # What is defined elsewhere is another thing under another name.
    swapped = FILE.replace("open(", "safe_open(")
    assert is_changed(old, "total = safe_open(path)", "python", old_file=FILE, new_file=swapped)


def test_two_names_do_not_become_one() -> None:
    """A renaming that merges two names is a change."""
    old = "a = 1\nb = 2\nreturn a - b"
    new = "a = 1\na = 2\nreturn a - a"
    assert is_changed(old, new, "python", old_file=old, new_file=new)


@pytest.mark.parametrize(
    ("quote", "there"),
    [
        ("total=open( path )", True),
        ("open(pat", False),
        ("return  total  # now", True),
        ("", False),
    ],
)
def test_contains(quote: str, there: bool) -> None:
    """Code is found again whatever its spacing and comments."""
    assert contains(FILE, quote, "python") is there
