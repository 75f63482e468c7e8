"""The examples of docs/auditor.md and examples/audit run."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes.projects import Step, git, write_history

from lakecore.auditor import Kind

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "auditor.md").read_text(encoding="utf-8")
PYCON = re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL)
STORE = "LIMIT = 3\n\n\ndef open_store(path):\n    return path\n\n\nopen_store(LIMIT)\n"
TESTS = "from store import open_store\n\n\ndef test_open():\n    assert open_store(1)\n"
MORE = "\n\n\ndef test_flush():\n    assert 1\n\n\ndef test_flush_twice():\n    assert 1\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The repository of the page: a function, and two tests where three are claimed."""
    steps = [
        Step({"src/store.py": STORE, "tests/test_store.py": TESTS}, "store: begin"),
        Step(
            {
                "src/store.py": STORE + "\n\n\n\n\ndef flush_store():\n    return 1\n",
                "tests/test_store.py": TESTS + MORE,
            },
            "store: add `flush_store`, with 3 tests",
            (0,),
        ),
    ]
    shas = write_history(tmp_path / "r", steps)
    git(tmp_path / "r", "checkout", "--quiet", "-B", "main", shas[1])
    return tmp_path / "r"


def test_the_session_runs(place: Path) -> None:
    """The Python on the page answers what the page says."""
    assert len(PYCON) == 1
    names = {"repository": place}
    test = doctest.DocTestParser().get_doctest(PYCON[0], names, "auditor.md", "auditor.md", 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_first_example_prints_that(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command's output is the page's, the commit's name aside."""
    from lakecore.cli import root

    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as caught:
        root.main(["audit", "HEAD~1..HEAD"])
    assert caught.value.code == 1
    shown = re.findall(r"```console\n\$ .*?\n(.*?)```", PAGE, re.DOTALL)[0]
    assert capsys.readouterr().out[10:] == shown[10:]


def test_every_kind_is_on_the_page() -> None:
    """The table of kinds has all of them."""
    assert set(re.findall(r"^\| ([a-z]+) \| ", PAGE, re.M)) >= {kind.value for kind in Kind}


def test_the_hook_refuses_and_lets_pass(place: Path, tmp_path: Path) -> None:
    """A real push through the hook: a lie is refused, an honest commit passes, a deletion too."""
    git(tmp_path, "init", "--quiet", "--bare", "far.git")
    git(place, "remote", "add", "origin", str(tmp_path / "far.git"))
    git(place, "push", "--quiet", "origin", "HEAD~1:refs/heads/main")
    hook = place / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text((ROOT / "examples" / "audit" / "pre-push").read_text())
    hook.chmod(0o755)

    def push(what: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "push", "origin", what],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ
            | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        )

    refused = push("HEAD:refs/heads/main")
    assert refused.returncode != 0
    assert "2 tests were found" in refused.stdout + refused.stderr
    assert push("HEAD:refs/heads/new").returncode != 0
    git(place, "commit", "--quiet", "--amend", "-m", "store: add `flush_store`, with 2 tests")
    assert push("HEAD:refs/heads/main").returncode == 0
    assert push("HEAD:refs/heads/new").returncode == 0
    assert push(":refs/heads/new").returncode == 0
