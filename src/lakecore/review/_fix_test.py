"""A test of a fix: one command on the code before and after it, each in a folder of its own.

It shows something where it fails before and passes after. Whatever keeps it from running on
either side is a reason, and no result: a test that is not there yet fails before every fix.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakecore.base import Inconclusive, InvalidInput
from lakecore.code import ExportLimits, export_tree, redacted, shown
from lakecore.review._command import TIMEOUT_S, CommandResult, Ran, run_command
from lakecore.review._confirm import FixTest

if TYPE_CHECKING:
    from lakecore.code import Repository


@dataclass(frozen=True, slots=True)
class FixTestRun:
    """A command on two revisions.

    Attributes:
        before, after: None where it was not run on that one.
        reason: why there is no result; "" where there is one.
    """

    words: tuple[str, ...]
    before_revision: str
    after_revision: str
    before: CommandResult | None = None
    after: CommandResult | None = None
    reason: str = ""

    @property
    def result(self) -> FixTest | None:
        """What it shows; None: nothing."""
        if self.reason or self.before is None or self.after is None:
            return None
        return FixTest(self.before.ran is Ran.FAILED, self.after.ran is Ran.PASSED)

    def to_body(self) -> dict[str, Any]:
        """JSON-ready, without what looks like a secret."""

        def side(result: CommandResult | None) -> dict[str, Any] | None:
            if result is None:
                return None
            return {
                "ran": result.ran.value,
                "exit_code": result.exit_code,
                "output": redacted(result.output),
            }

        return {
            "command": [redacted(word) for word in self.words],
            "reason": redacted(self.reason),
            "before_revision": self.before_revision,
            "after_revision": self.after_revision,
            "before": side(self.before),
            "after": side(self.after),
        }


def run_fix_test(
    repository: Repository,
    before: str,
    after: str,
    words: Sequence[str],
    *,
    carried: Sequence[str] = (),
    timeout_s: float = TIMEOUT_S,
    limits: ExportLimits | None = None,
) -> FixTestRun:
    """Run a command on both revisions.

    Args:
        before: the last revision with the finding; `after`: the one that is said to be fixed.
        carried: paths that are taken from `after` on both sides, such as the test itself.
        timeout_s: for each side.

    Raises:
        InvalidInput: `after` has no such path to carry.
    """
    made = FixTestRun(tuple(words), before, after)
    names = [_names_of(repository, revision) for revision in (before, after)]
    for path in carried:
        if path not in names[1]:
            raise InvalidInput(
                "there is no such path to take along", found=shown(path), where=after[:12]
            )
    for word in words:
        path = word.partition("::")[0].removeprefix("./").rstrip("/")
        is_carried = any(path == one or path.startswith(f"{one}/") for one in carried)
        if path in names[1] and path not in names[0] and not is_carried:
            reason = f"{path} is not there before: take it along, --with {path}"
            return _replaced(made, reason=reason)
    with tempfile.TemporaryDirectory(prefix="lakecore-confirm-") as root:
        sides: list[CommandResult] = []
        for name, revision in (("before", before), ("after", after)):
            folder, home = Path(root, name, "tree"), Path(root, name, "home")
            folder.mkdir(parents=True)
            home.mkdir()
            try:
                export_tree(
                    repository,
                    revision,
                    folder,
                    carried=carried if name == "before" else (),
                    carried_from=after,
                    limits=limits,
                )
            except Inconclusive as error:
                return _replaced(made, *sides, reason=f"{name}: {error}")
            sides.append(run_command(words, folder, home, timeout_s=timeout_s))
            if sides[-1].reason:
                return _replaced(made, *sides, reason=f"{name}: {sides[-1].reason}")
    return _replaced(made, *sides)


def _replaced(made: FixTestRun, *sides: CommandResult, reason: str = "") -> FixTestRun:
    before, after = (*sides, None, None)[:2]
    return FixTestRun(made.words, made.before_revision, made.after_revision, before, after, reason)


def _names_of(repository: Repository, revision: str) -> set[str]:
    """Its files and folders."""
    names: set[str] = set()
    for entry in repository.tree(revision):
        parts = entry.path.split("/")
        names.update("/".join(parts[:end]) for end in range(1, len(parts) + 1))
    return names
