"""Confirming claimed fixes when somebody asks: the reviewed revision, a test, the decision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakecore.base import InvalidInput, NotFound, uuid7

if TYPE_CHECKING:
    from lakecore.app._review import Reviews
    from lakecore.review import Decided, FixTestRun, Loop, Memory, Tracked


def confirm_fixes(
    reviews: Reviews,
    repository: str | Path,
    finding: str = "",
    *,
    test: str | None = None,
    carried: Sequence[str] = (),
    timeout_s: float | None = None,
    who: str | None = None,
    **options: Any,
) -> list[Decided]:
    """Confirm what is claimed to be fixed in the reviewed revision.

    Args:
        finding: an id, or the beginning of one; "": all claims.
        test: a command that fails where the finding is and passes where it is fixed. It is run
            as this user, without a shell and without secrets, on both revisions in folders of
            its own: it is no sandbox.
        carried: paths that it takes from the reviewed revision on both, such as the test itself.
        options: those of `Reviews.run`; `revision` is that of the last iteration.

    Raises:
        NotFound: nothing was reviewed under this bar, or there is no such finding.
        InvalidInput: it is not claimed to be fixed, or a test without a finding.
    """
    from lakecore.code import Repository
    from lakecore.review import GitFiles, Selection, claims_of, confirm_on_demand

    if test is not None and not finding:
        raise InvalidInput("a test stands for one finding", hint="name the finding")
    run_id = uuid7()
    with reviews._loop(repository, run=run_id, **options) as loop:
        memory = loop.memory()
    if not memory.iteration:
        raise NotFound("nothing was reviewed under this bar yet", where=loop.repository)
    claims = claims_of(memory, finding)
    if not claims:
        return []
    options["revision"] = memory.revision
    with Repository.open(repository) as opened:
        there = GitFiles(opened, memory.revision)
        paths = sorted({one.finding.path for one in claims if there.has(one.finding.path)})
        ran = None
        if test is not None:
            ran = _tested(opened, loop, memory, claims[0], test, tuple(carried), timeout_s)
        options["selection"] = Selection(paths=tuple(paths)) if paths else Selection(("!**",))
        with reviews._loop(repository, run=run_id, **options) as asking:
            return confirm_on_demand(
                asking, memory, claims, run_id=run_id, who=who or reviews._lake.actor, test=ran
            )


def _tested(
    opened: Any,
    loop: Loop,
    memory: Memory,
    claim: Tracked,
    command: str,
    carried: tuple[str, ...],
    timeout_s: float | None,
) -> FixTestRun:
    from lakecore.review import (
        FINDINGS,
        REVIEWS,
        TIMEOUT_S,
        FixTestRun,
        last_open_revision,
        run_fix_test,
        words_of,
    )

    words = words_of(command)
    before = last_open_revision(
        [row for row in loop.rows(REVIEWS) if row["bar"] == loop.bar.id],
        [row for row in loop.rows(FINDINGS) if row["bar"] == loop.bar.id],
        claim.id,
    )
    if before is None:
        reason = "no reviewed revision has the finding"
        return FixTestRun(tuple(words), "", memory.revision, reason=reason)
    try:
        before = opened.resolve(before)
    except NotFound as error:
        return FixTestRun(tuple(words), before, memory.revision, reason=f"before: {error}")
    return run_fix_test(
        opened,
        before,
        memory.revision,
        words,
        carried=[path.removeprefix("./").rstrip("/") for path in carried],
        timeout_s=TIMEOUT_S if timeout_s is None else timeout_s,
    )
