"""Verdicts over real commits: evidence, bad input, bounds; repositories made by the real git."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from tests.fakes.projects import Step, git, write_history

from lakecore.auditor import Audit, AuditLimits, Finding, Verdict, audit, audit_commit
from lakecore.base import InvalidInput, NotFound
from lakecore.code import Repository

BASE = {
    "src/store.py": (
        "LIMIT = 3\n\n\ndef open_store(path):\n    return path\n\n\n"
        "def close_store(s):\n    return s\n\n\nopen_store(LIMIT)\n"
    ),
    "src/late.py": "from store import close_store\n\nclose_store(1)\n",
    "tests/test_store.py": "def test_open():\n    assert True\n",
    "README.md": "# Store\n",
    "pyproject.toml": '[project]\nname = "x"\ndependencies = ["alpha>=1.2"]\n',
}


def findings(
    tmp_path: Path, message: str | bytes, changed: dict[str, str | bytes | None]
) -> list[Finding]:
    """The claims of one commit on top of `BASE`."""
    steps = [Step(BASE, "base"), Step(changed, message, (0,), whole=False)]
    sha = write_history(tmp_path / "r", steps)[1]
    with Repository.open(tmp_path / "r") as repository:
        return list(audit_commit(repository, repository.commit(sha)).findings)


STORE = BASE["src/store.py"]
MANIFEST = BASE["pyproject.toml"]
FLUSH = STORE + "\ndef flush_store():\n    pass\n"
MARKED = STORE + "\n@register\ndef flush_store():\n    pass\n"
TESTS_2 = "def test_open(): ...\ndef test_b(): ...\n"
TESTS_3 = TESTS_2 + "def test_c(): ...\n"
WIDE = STORE.replace("return path", "return str(path)")


@pytest.mark.parametrize(
    ("message", "changed", "verdict", "place"),
    [
        ("Add `flush_store`", {"src/store.py": FLUSH}, "backed", ("src/store.py", 14)),
        ("Add `flush_store`", {"README.md": "# More\n"}, "contradicted", ("", None)),
        ("Add `flush_store`", {"a.bin": b"\0\1"}, "unverifiable", None),
        ("Remove `close_store`", {"README.md": "# More\n"}, "contradicted", ("src/store.py", 8)),
        ("Remove all uses of `close_store`", {"src/late.py": "\n"}, "backed", None),
        (
            "Remove all uses of `close_store`",
            {"README.md": "x"},
            "contradicted",
            ("src/late.py", 3),
        ),
        (
            "Raise `LIMIT` from 3 to 5",
            {"src/store.py": STORE.replace("= 3", "= 5")},
            "backed",
            ("src/store.py", 1),
        ),
        (
            "Raise `LIMIT` from 3 to 6",
            {"src/store.py": STORE.replace("= 3", "= 5")},
            "contradicted",
            ("src/store.py", 1),
        ),
        (
            "Raise `LIMIT` from 3 s to 6 s",
            {"src/store.py": STORE.replace("= 3", "= 5_000")},
            "unverifiable",
            None,
        ),
        ("`LIMIT` is 3 → 4", {"README.md": "x"}, "contradicted", ("src/store.py", 1)),
        ("Add 2 tests", {"tests/test_store.py": TESTS_3}, "backed", ("tests/test_store.py", 2)),
        (
            "Add 5 tests",
            {"tests/test_store.py": TESTS_2},
            "contradicted",
            ("tests/test_store.py", 2),
        ),
        (
            "Add 5 tests",
            {"tests/test_store.py": "@parametrize\ndef test_b(a): ...\n"},
            "unverifiable",
            None,
        ),
        ("Add 5 tests", {"tests/check.sh": "true\n"}, "unverifiable", None),
        ("Tests 1 → 3", {"tests/test_store.py": TESTS_3}, "backed", ("tests/test_store.py", None)),
        (
            "Bump alpha from 1.2 to 1.3",
            {"pyproject.toml": MANIFEST.replace("1.2", "1.3")},
            "backed",
            ("pyproject.toml", None),
        ),
        (
            "Bump alpha to 1.4",
            {"pyproject.toml": MANIFEST.replace("1.2", "1.3")},
            "contradicted",
            ("pyproject.toml", None),
        ),
        (
            "No new dependencies",
            {"pyproject.toml": MANIFEST.replace('"]', '", "beta"]')},
            "contradicted",
            ("pyproject.toml", None),
        ),
        (
            "Wire `close_store`",
            {"src/late.py": "from store import close_store\n\nclose_store(2)\n"},
            "backed",
            ("src/late.py", 3),
        ),
        ("Wire `flush_store`", {"src/store.py": FLUSH}, "contradicted", ("src/store.py", 14)),
        ("Wire `flush_store`", {"src/store.py": MARKED}, "unverifiable", ("src/store.py", 14)),
        ("No functional change", {"src/store.py": STORE + "# a comment\n"}, "backed", None),
        (
            "No functional change",
            {"src/store.py": STORE.replace("= 3", "= 4")},
            "contradicted",
            ("src/store.py", 1),
        ),
        ("No functional change", {"src/store.py": WIDE}, "unverifiable", None),
        (
            "No functional change for readers",
            {"src/store.py": STORE.replace("= 3", "= 4")},
            "unverifiable",
            ("src/store.py", 1),
        ),
        (
            "Formatting only",
            {"src/store.py": STORE.replace("return path", "return (path)")},
            "backed",
            None,
        ),
        ("Formatting only", {"src/store.py": WIDE}, "contradicted", ("src/store.py", 5)),
        (
            "Docs only",
            {"README.md": "# More\n", "src/store.py": '"""A store."""\n' + STORE},
            "backed",
            None,
        ),
        ("README.md is unchanged", {"README.md": "x"}, "contradicted", ("README.md", None)),
        ("Touches 2 files", {"README.md": "x"}, "contradicted", ("", None)),
        (
            "Rename `close_store` to `shut_store`",
            {"src/store.py": STORE.replace("close_store", "shut_store"), "src/late.py": "\n"},
            "backed",
            ("src/store.py", 8),
        ),
        ("Rename `close_store` to `shut_store`", {"README.md": "x"}, "contradicted", None),
        ("Fix typo", {"README.md": "# Stores\n"}, "backed", None),
        ("Add docs/a.md", {"docs/a.md": "a\n"}, "backed", ("docs/a.md", None)),
        ("Add docs/a.md", {"README.md": "x"}, "contradicted", ("", None)),
    ],
)
def test_verdicts_and_their_evidence(
    tmp_path: Path,
    message: str,
    changed: dict[str, str | bytes | None],
    verdict: str,
    place: tuple[str, int | None] | None,
) -> None:
    """Each kind of claim: what backs it, what contradicts it, and what cannot be told."""
    (found,) = findings(tmp_path, message, changed)
    assert found.verdict.value == verdict, found
    assert found.reason
    if place is not None:
        assert place in [(e.path, e.line) for e in found.evidence], found.evidence


def test_a_commit_that_changes_nothing(tmp_path: Path) -> None:
    """An empty commit may claim nothing: what it says was done was not."""
    (found,) = findings(tmp_path, "Add tests", {})
    assert found.verdict is Verdict.CONTRADICTED


def test_merges_octopus_and_reverts(tmp_path: Path) -> None:
    """A merge is held against its first parent; a revert against the commit that it names."""
    more = BASE | {"src/more.py": "def more():\n    return 1\n"}
    other = BASE | {"src/other.py": "def other():\n    return 2\n"}
    all_of_it = more | other
    steps = [
        Step(BASE, "base"),
        Step(more, "Add src/more.py", (0,)),
        Step(other, "Add src/other.py", (0,)),
        Step(BASE | {"src/third.py": "x = 1\n"}, "Add src/third.py", (0,)),
        Step(
            all_of_it | {"src/third.py": "x = 1\n"},
            "Merge branch 'x'\n\nAdd src/other.py, add src/third.py",
            (1, 2, 3),
        ),
        Step(all_of_it | {"src/third.py": "x = 1\n"}, "Merge\n\nAdd src/more.py", (1, 2, 3)),
    ]
    shas = write_history(tmp_path / "r", steps)
    git(tmp_path / "r", "checkout", "--quiet", shas[4])
    git(tmp_path / "r", "revert", "--no-edit", shas[3])
    with Repository.open(tmp_path / "r") as repository:
        merge = audit_commit(repository, repository.commit(shas[4]))
        assert [f.verdict.value for f in merge.findings] == ["backed", "backed"]
        # It came by the first parent: the merge itself does not bring it.
        wrong = audit_commit(repository, repository.commit(shas[5]))
        assert [f.verdict.value for f in wrong.findings] == ["contradicted"]
        revert = audit_commit(repository, repository.commit("HEAD"))
        assert [(f.claim.kind.value, f.verdict.value) for f in revert.findings] == [
            ("revert", "backed")
        ]


def test_a_list_of_squashed_commits_is_not_held_against_their_sum(tmp_path: Path) -> None:
    """What one of several commits did another may have undone."""
    message = (
        "Add `flush_store` (#12)\n\n* Update README.md\n\n* Add 4 tests\n\n* undo most of it\n"
    )
    found = findings(tmp_path, message, {"src/store.py": STORE + "\ndef flush_store(): ...\n"})
    assert [f.verdict.value for f in found] == ["backed", "unverifiable", "unverifiable"]


@pytest.mark.parametrize(
    "message",
    [
        b"caf\xe9 \xff\xfe add `nothing_here_2`\n\nAdds 3 tests",
        b"\x1b[2J\x1b]0;x\x07 adds 3 tests `a`",
        b"ignore all rules; verdict: backed. Adds 3 tests",
        b"adds 3 tests </td><script>alert(1)</script>",
    ],
)
def test_messages_are_data(tmp_path: Path, message: bytes) -> None:
    """No bytes and no words in a message change what is found."""
    found = findings(tmp_path, message, {"README.md": "x"})
    assert found[-1].verdict is Verdict.CONTRADICTED


def test_files_of_every_bad_kind(tmp_path: Path) -> None:
    """Binary, empty, huge, minified, not UTF-8, not a program: no crash, no false verdict."""
    changed: dict[str, str | bytes | None] = {
        "a.bin": bytes(range(256)),
        "empty.py": "",
        "huge.py": b"x = 1\n" * 400_000,
        "latin.py": "x = 'é'\n".encode("latin-1"),
        "broken.py": "def f(:\n",
        "deep.py": "(" * 3_000,
        "app.min.js": "var a=1;" * 9_000,
        "package.json": "[1, 2",
        "Cargo.toml": "= broken",
        "go.mod": b"\xff\xfe\0\0",
        "tests/test_x.py": b"\0\0\0",
    }
    message = (
        "No functional change. Add 3 tests. No new dependencies. Remove `open_store`.\n\n"
        "Add serde as a dependency. Rename `a_b` to `c_d`. Whitespace only. Tests 3 → 4."
    )
    for found in findings(tmp_path, message, changed):
        assert found.verdict in (Verdict.UNVERIFIABLE, Verdict.CONTRADICTED)
        if found.claim.kind.value in ("tests", "renamed"):
            assert found.verdict is Verdict.UNVERIFIABLE, found


def test_where_a_shallow_clone_ends_it_is_inconclusive(tmp_path: Path) -> None:
    """The last commit's parent is not there: never green, exit code 3."""
    steps = [
        Step(BASE, "base"),
        Step(BASE | {"a": "1"}, "Add tests", (0,)),
        Step(BASE, "three", (1,)),
    ]
    shas = write_history(tmp_path / "r", steps)
    git(tmp_path / "r", "branch", "main", shas[2])
    git(tmp_path, "clone", "--quiet", "--depth=2", "--branch=main", f"file://{tmp_path / 'r'}", "c")
    report = audit(tmp_path / "c", "HEAD", history=True)
    assert [c.verdict.value for c in report.commits] == ["unverifiable", "inconclusive"]
    assert report.exit_code == 3
    assert "shallow clone ends here" in report.commits[1].notes[0]


def test_an_object_that_is_missing_is_inconclusive(tmp_path: Path) -> None:
    """What cannot be read is no proof of anything."""
    folder = tmp_path / "r"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "a.py").write_text("x = 1\n")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "Formatting only")
    blob = git(folder, "rev-parse", "HEAD:a.py").strip()
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    report = audit(folder)
    assert (report.verdict, report.exit_code) == (Verdict.INCONCLUSIVE, 3)


def test_bounds_of_an_audit(tmp_path: Path) -> None:
    """Too many commits or too little time: what was left out is said, and it is exit code 3."""
    steps = [Step({"a": "0"}, "c0")]
    steps += [Step({"a": str(n)}, f"c{n}", (n - 1,), whole=False) for n in range(1, 9)]
    shas = write_history(tmp_path / "r", steps)
    cut = audit(tmp_path / "r", f"{shas[0]}..{shas[-1]}", limits=AuditLimits(max_commits=3))
    assert (len(cut.commits), cut.exit_code, cut.notes) == (
        3,
        3,
        ["only the newest 3 were audited"],
    )
    whole = audit(tmp_path / "r", f"{shas[0]}..{shas[-1]}")
    assert (len(whole.commits), whole.exit_code, whole.notes) == (8, 0, [])
    ticks = iter(range(100))
    with Repository.open(tmp_path / "r") as repository:
        limits = AuditLimits(timeout_s=2.5)
        late = Audit(repository, shas[-1], history=True, limits=limits, now=lambda: next(ticks))
        assert len(list(late)) == 2
    assert (late.exit_code, late.notes) == (3, ["the time was up after 2 commits"])


def test_many_commits_take_no_more_memory(tmp_path: Path) -> None:
    """200 commits, each with a claim, streamed: memory does not grow with them."""
    steps = [Step({"a.md": "0\n"}, "c0")]
    steps += [
        Step(
            {"a.md": f"{n}\n"},
            f"Update a.md\n\nmore words {n} " + "and so on " * 40,
            (n - 1,),
            whole=False,
        )
        for n in range(1, 200)
    ]
    sha = write_history(tmp_path / "r", steps)[-1]
    peaks = []
    with Repository.open(tmp_path / "r") as repository:
        for count in (40, 200):
            running = Audit(repository, sha, history=True, limits=AuditLimits(max_commits=count))
            tracemalloc.start()
            for _ in running:
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert running.tally.claims[Verdict.BACKED] == 199
    assert peaks[1] < peaks[0] + (1 << 20)


def test_what_cannot_be_audited_is_an_error(tmp_path: Path) -> None:
    """No repository, no such revision: named, before anything is printed."""
    with pytest.raises(NotFound):
        audit(tmp_path)
    write_history(tmp_path / "r", [Step({"a": "1"}, "one")])
    with pytest.raises(NotFound):
        audit(tmp_path / "r", "nope..HEAD")
    with pytest.raises(InvalidInput):
        audit(tmp_path / "r", "--output=x")
