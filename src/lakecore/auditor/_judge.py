"""From a claim and the facts to a verdict.

A contradiction needs proof: what the message says must be impossible given the diff and the
tree. Everything that may be true in some reading is unverifiable, and so is what cannot be
seen (binary files, submodules, what was cut).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lakecore.auditor._facts import Facts
from lakecore.auditor._judge_counts import judge_count, judge_files, judge_tests
from lakecore.auditor._judge_dependencies import judge_dependency
from lakecore.auditor._judge_paths import judge_path, judge_renamed_path, judge_unchanged
from lakecore.auditor._judge_scope import judge_revert, judge_scope
from lakecore.auditor._judge_symbols import (
    judge_added,
    judge_removed,
    judge_renamed,
    judge_wired,
)
from lakecore.auditor._model import Claim, Evidence, Finding, Kind, Verdict

Judgement = tuple[Verdict, str, tuple[Evidence, ...]]


def _renamed(claim: Claim, facts: Facts) -> Judgement:
    return (judge_renamed_path if claim.unit == "path" else judge_renamed)(claim, facts)


_JUDGES: Final[dict[Kind, Callable[[Claim, Facts], Judgement]]] = {
    Kind.PATH: judge_path,
    Kind.SYMBOL: judge_added,
    Kind.COUNT: judge_count,
    Kind.FILES: judge_files,
    Kind.TESTS: judge_tests,
    Kind.DEPENDENCY: judge_dependency,
    Kind.WIRED: judge_wired,
    Kind.REMOVED: judge_removed,
    Kind.RENAMED: _renamed,
    Kind.UNCHANGED: judge_unchanged,
    Kind.SCOPE: judge_scope,
    Kind.REVERT: judge_revert,
}


def judge(claim: Claim, facts: Facts) -> Finding:
    """The verdict of one claim."""
    verdict, reason, evidence = _JUDGES[claim.kind](claim, facts)
    return Finding(claim, verdict, reason, evidence)
