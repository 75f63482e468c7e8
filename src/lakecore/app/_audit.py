"""Audits of commit messages as the settings have them; a lake is not needed for one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakecore.auditor import Audit, AuditLimits, Doubter, StatusTarget, make_status, send_status
from lakecore.base import InvalidInput
from lakecore.code import GitLimits, Repository
from lakecore.config import AuditorSettings


@contextmanager
def open_audit(
    revisions: str,
    *,
    repository: str | Path = ".",
    history: bool = False,
    settings: AuditorSettings | None = None,
    doubter: Doubter | None = None,
) -> Iterator[Audit]:
    """An audit that is ready to be iterated; its repository is closed when the block ends.

    Args:
        doubter: a model that is asked for doubts, such as `LadderDoubter`; None asks nobody.
    """
    bounds = settings or AuditorSettings()
    limits = AuditLimits(max_commits=bounds.max_commits, timeout_s=bounds.timeout_s)
    git_limits = GitLimits(timeout_s=bounds.git_timeout_s)
    with Repository.open(repository, limits=git_limits) as opened:
        yield Audit(opened, revisions, history=history, doubter=doubter, limits=limits)


def send_audit_status(
    audit: Audit,
    *,
    url: str,
    token_variable: str,
    kind: str = "",
    context: str = "",
    link: str = "",
) -> str:
    """Send the newest commit its status, and return its state.

    The token is the value of an environment variable, so that it stands on no command line.
    """
    token = os.environ.get(token_variable, "").strip()
    if not token:
        raise InvalidInput(
            "there is no token to send a status with",
            where=f"environment variable {token_variable}",
            hint="name the one that has it with --status-token-env",
        )
    target = StatusTarget(url=url, token=token, kind=kind, link=link)
    if context:
        target = StatusTarget(url=url, token=token, kind=kind, link=link, context=context)
    newest = audit.revisions.replace("...", "..").rsplit("..", 1)[-1] or "HEAD"
    status = make_status(audit.repository.resolve(newest), audit.verdict, audit.tally)
    send_status(target, status)
    return status.state
