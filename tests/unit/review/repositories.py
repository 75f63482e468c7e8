"""Generated repositories with planted faults, and edits of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.fakes.oracle_models import FAULT

_QUIET = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-01-31T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-31T12:00:00Z",
}


def faulty(number: int, functions: int = 3) -> str:
    """A module; its first function is wrong."""
    parts = [f'"""Rules {number}."""\n']
    for at in range(functions):
        verb = FAULT if at == 0 else f"match_{at}("
        parts.append(
            f"def check_{number}_{at}(rule, context):\n"
            f"    if rule.is_off == context.level_{at}:\n"
            "        return False\n"
            f"    return {verb}rule, context, {number})\n"
        )
    return "\n".join(parts)


def mended(text: str) -> str:
    """The module, right."""
    return text.replace(f"return {FAULT}rule", "return rule.holds(rule")


class Project:
    """A repository in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.root), *arguments],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | _QUIET,
        )
        return done.stdout

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def commit(self, message: str = "a change") -> str:
        self.git("add", "-A")
        if self.git("status", "--porcelain"):
            self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()
