"""What is a claim and what is none: sentences of every kind, none of them with a repository."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakecore.auditor import Bound, find_claims

_PIECES = [
    *("add", "remove", "rename", "from", "to", "is", "no", "new", "only", "docs", "tests"),
    *("dependencies", "`a`", "`b_c()`", "src/a.py", "3", "5", "→", ",", ";", ".", "\n", "- ", "\t"),
]


def claimed(message: str) -> list[tuple[str, str, str]]:
    """Kind, action and target of each claim."""
    return [(c.kind.value, c.action.value, c.target) for c in find_claims(message)]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Add `frob`", [("symbol", "add", "frob")]),
        (
            "cli: add `frob` and `nib()`, remove `old_one`",
            [
                ("symbol", "add", "frob"),
                ("symbol", "add", "nib()"),
                ("removed", "remove", "old_one"),
            ],
        ),
        ("[core] Introduce read_header() to the parser", [("symbol", "add", "read_header()")]),
        ("feat(x)!: added `--dry-run`", [("symbol", "add", "--dry-run")]),
        ("Tidy\n\n- Drop the unused function `frob`\n- more", [("removed", "remove", "frob")]),
        ("`frob` is gone.", [("removed", "remove", "frob")]),
        ("Remove all uses of `frob`", [("removed", "remove", "frob")]),
        ("Rename `a` to `b`", [("renamed", "rename", "a")]),
        ("Renamed old_name → new_name", [("renamed", "rename", "old_name")]),
        ("Rename src/a.py to src/b.py", [("renamed", "rename", "src/a.py")]),
        ("Now `gate` is wired.", [("wired", "wire", "gate")]),
        ("`gate` is now wired into the router", [("wired", "wire", "gate")]),
        (
            "Register `Gate` and `check_all`",
            [("wired", "wire", "Gate"), ("wired", "wire", "check_all")],
        ),
        (
            "Add docs/a.md, delete src/b.rs",
            [("path", "add", "docs/a.md"), ("path", "remove", "src/b.rs")],
        ),
        ("Update README.md", [("path", "change", "README.md")]),
        ("x\n\n* src/a.go (Run): fix a crash", [("path", "change", "src/a.go")]),
        ("README.md is unchanged", [("unchanged", "keep", "README.md")]),
        ("Say so without touching src/a.py", [("unchanged", "keep", "src/a.py")]),
        ("Adds 3 tests", [("tests", "add", "tests")]),
        ("Tests 14 → 24 (10 new)", [("tests", "change", "tests")]),
        ("fix it, with tests", [("tests", "add", "tests")]),
        ("2 tests removed", [("tests", "remove", "tests")]),
        ("Touches 3 files", [("files", "change", "files")]),
        ("Delete two files", [("files", "remove", "files")]),
        ("Raise `limit` from 3 to 5", [("count", "change", "limit")]),
        ("max_rows: 10 → 20", [("count", "change", "max_rows")]),
        ("Set `limit` to 7", [("count", "change", "limit")]),
        ("Bump serde from 1.0.1 to 1.0.2", [("dependency", "bump", "serde")]),
        ("Add left-pad as a dependency", [("dependency", "add", "left-pad")]),
        ("Drop the dependency on `left-pad`", [("dependency", "remove", "left-pad")]),
        ("serde_json moved to [dependencies]", [("dependency", "move", "serde_json")]),
        ("No new dependencies.", [("dependency", "keep", "")]),
        ("No functional change", [("scope", "keep", "behaviour")]),
        ("Formatting only", [("scope", "keep", "formatting")]),
        ("docs-only", [("scope", "keep", "docs")]),
        ("docs: fix a typo", [("scope", "change", "typo")]),
        ("This reverts commit 0123456789abcdef.", [("revert", "remove", "0123456789abcdef")]),
    ],
)
def test_what_is_claimed(message: str, expected: list[tuple[str, str, str]]) -> None:
    """Each way of saying something about this commit."""
    assert claimed(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        "It should add `frob`",
        "This will let us remove `frob` later",
        "Instead of removing `frob`, keep it",
        "If `frob` is gone, delete `lock_file`",
        "Delete `lock_file` when done",
        "Remove `frob` on close",
        "Why not remove `frob`?",
        "The collector removes `frob` from memory",
        "Previously `frob` was removed",
        "Add support for `frob`",
        "Add `frob` support",
        "Add tests for `frob` in a follow-up",
        "12 tests pass",
        "Before, we had 3 tests",
        "This is not formatting only",
        "More than formatting only",
        "Tested on 3 machines",
        "> Remove `frob`",
        "```\nRemove `frob`\n```",
        "x\n\n    Remove README.md",
        'Revert "Remove `frob`"',
        "x\n\nReviewed-by: Remove `frob` <a@b.c>",
        "See https://example.com/add/src/a.py",
        "Add JavaScript and GitHub",
        "Merge branch 'add-frob' into main",
        "Merge pull request #1 from a/remove-frob",
        "Don't touch anything but src/a.py",
        "",
        "\n\n\n",
        "wip",
    ],
)
def test_what_is_no_claim(message: str) -> None:
    """Plans, questions, conditions, other times, quotes, and what programs do when they run."""
    assert claimed(message) == []


def test_numbers_and_how_they_are_meant() -> None:
    """Words, thousands, bounds, parts."""

    def first(message: str) -> tuple[int | None, Bound, bool]:
        claim = find_claims(message)[0]
        return claim.count, claim.bound, claim.scoped

    assert first("Add three tests") == (3, Bound.EXACT, False)
    assert first("Add at least 3 tests") == (3, Bound.AT_LEAST, False)
    assert first("Adds about 1,200 tests") == (1200, Bound.ABOUT, False)
    assert first("Add 3 tests for `frob`") == (3, Bound.EXACT, True)
    assert first("Touches only 2 files") == (2, Bound.EXACT, False)


def test_places_are_those_of_the_message() -> None:
    """The words of a claim are a piece of the message, over line ends, too."""
    message = "tidy\n\nWrap it: add `one` and\n  `two`, and that is\nall. Adds 3\ntests.\n"
    texts = [message[c.start : c.end] for c in find_claims(message)]
    assert texts == ["add `one`", "add `one` and\n  `two`", "Adds 3\ntests"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(_PIECES),
        max_size=40,
    )
)
def test_any_words_give_claims_that_lie_in_them(words: list[str]) -> None:
    """Whatever is said, claims are pieces of it, in order and bounded in number."""
    message = " ".join(words)
    claims = find_claims(message)
    assert list(claims) == sorted(claims, key=lambda c: (c.start, c.end))
    assert all(0 <= c.start < c.end <= len(message) for c in claims)
    assert len(claims) <= 200


@pytest.mark.parametrize(
    "message",
    [
        "add " + "`a`, " * 20_000,
        "a" * 200_000,
        "from 1 to 2 " * 20_000,
        "`" * 100_000,
        "add the " * 30_000,
        "a/" * 60_000 + ".py",
        "Tests " + "1 → 2 " * 20_000,
        "no new " * 30_000,
        "x_" * 80_000,
        "- \n" * 50_000,
    ],
)
def test_long_messages_take_a_bounded_time(message: str) -> None:
    """No message makes the search for claims slow: the patterns do not go back and forth."""
    import time

    began = time.process_time()
    assert len(find_claims(message)) <= 200
    assert time.process_time() - began < 5
