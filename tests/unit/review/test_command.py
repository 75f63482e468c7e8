"""Commands of others: no shell, no secrets, bounded, and nothing of them stays."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from lakecore.base import InvalidInput
from lakecore.review._command import CommandResult, Ran, run_command, words_of


def run(tmp_path: Path, *words: str, timeout_s: float = 20, size: int = 1_000) -> CommandResult:
    """A command in a folder of its own."""
    folder, home = tmp_path / "tree", tmp_path / "home"
    folder.mkdir(exist_ok=True)
    home.mkdir(exist_ok=True)
    return run_command(words, folder, home, timeout_s=timeout_s, max_output_bytes=size)


def python(tmp_path: Path, text: str, **given: float) -> CommandResult:
    """A Python program."""
    return run(tmp_path, sys.executable, "-c", text, **given)  # type: ignore[arg-type]  # as given


def test_words_are_arguments(tmp_path: Path) -> None:
    """What a shell would do something with is text."""
    words = words_of("echo '$HOME `id` ; rm -rf x' | cat > y")
    assert words == ["echo", "$HOME `id` ; rm -rf x", "|", "cat", ">", "y"]
    done = run(tmp_path, *words)
    assert (done.ran, done.output) == (Ran.PASSED, "$HOME `id` ; rm -rf x | cat > y\n")
    assert list((tmp_path / "tree").iterdir()) == []


@pytest.mark.parametrize("text", ["", "  ", "echo 'a", "x" * 5_000, "echo \0"])
def test_what_is_no_command(text: str) -> None:
    """Nothing, an open quote, far too much."""
    with pytest.raises(InvalidInput):
        words_of(text)


def test_no_secret_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment only what is on the list."""
    monkeypatch.setenv("LAKECORE_SECRET_TOKEN", "s3cr3t")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    done = python(tmp_path, "import os; print(sorted(os.environ)); print(os.environ['HOME'])")
    assert "s3cr3t" not in done.output
    assert "SECRET" not in done.output
    assert str(tmp_path / "home") in done.output
    assert "'PATH'" in done.output


@pytest.mark.parametrize(
    ("text", "ran", "code"),
    [
        ("pass", Ran.PASSED, 0),
        ("raise SystemExit(1)", Ran.FAILED, 1),
        ("raise SystemExit(3)", Ran.FAILED, 3),
        ("raise SystemExit(127)", Ran.NOT_RUN, 127),
        ("import os; os.kill(os.getpid(), 9)", Ran.NOT_RUN, -9),
    ],
)
def test_how_it_ends(tmp_path: Path, text: str, ran: Ran, code: int) -> None:
    """A failure is an exit code of its own; a signal and a missing program are none."""
    done = python(tmp_path, text)
    assert (done.ran, done.exit_code) == (ran, code)
    assert bool(done.reason) == (ran is Ran.NOT_RUN)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """Nothing was run, and it is said why."""
    done = run(tmp_path, "no-such-program", "x")
    assert done.ran is Ran.NOT_RUN
    assert "no-such-program cannot be run" in done.reason


@pytest.mark.parametrize("words", [("{}/pytest", "x.py"), ("env", "{}/pytest"), ("sh", "-c", ":")])
def test_pytest_without_a_test_is_no_failure(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Its exit codes beyond 1 say that no test was run to its end; those of others fail."""
    program = tmp_path / "pytest"
    program.write_text("#!/bin/sh\nexit 4\n")
    program.chmod(0o755)
    done = run(tmp_path, *(word.format(tmp_path) for word in words))
    expected = {"env": Ran.FAILED, "sh": Ran.PASSED}.get(words[0], Ran.NOT_RUN)
    assert done.ran is expected


def test_it_ends_in_time_with_all_that_it_started(tmp_path: Path) -> None:
    """The whole group is killed, also where the leader ended well."""
    child = "import time; time.sleep(60)"
    begin = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]);"
    for rest, timeout_s, ran in ((" p.wait()", 0.7, Ran.TIMED_OUT), ("", 20, Ran.PASSED)):
        done = python(tmp_path, f"{begin} print(p.pid, flush=True);{rest}", timeout_s=timeout_s)
        assert done.ran is ran
        pid = int(done.output.split()[-1])
        for _ in range(100):
            if _is_gone(pid):
                break
            time.sleep(0.05)
        assert _is_gone(pid)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Killed, and nobody has asked for it yet.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_output_is_cut_at_its_beginning(tmp_path: Path) -> None:
    """The end is kept; what is not text is replaced."""
    text = "import sys; sys.stdout.buffer.write(b'a' * 10**6 + b'\\xff the end')"
    done = python(tmp_path, text, size=20)
    assert done.output.startswith("… 999,9")
    assert done.output.endswith("� the end")
