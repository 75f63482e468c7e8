"""One commit status, sent to Gitea or GitHub.

Both take ``POST {repository}/statuses/{sha}`` with state, description, context and
target_url. The token goes into one header and nowhere else: no error, no log has it. It is
sent over TLS, or to this machine. What is worth trying again (429, 5xx, no connection) is
tried again, at most three times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from lakecore.auditor._model import Tally, Verdict
from lakecore.base import InvalidInput, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    import httpx

MAX_ATTEMPTS: Final = 4
MAX_WAIT_S: Final = 10.0
MAX_DESCRIPTION_CHARS: Final = 140
_TIMEOUT_S: Final = 15.0
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
KINDS: Final = ("github", "gitea")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusTarget:
    """Where a status goes.

    Attributes:
        url: the repository's address in the API, such as
            ``https://api.github.com/repos/OWNER/NAME`` or
            ``https://HOST/api/v1/repos/OWNER/NAME``.
        token: who sends it; shown nowhere.
        kind: ``github`` or ``gitea``; empty: gitea where the address has ``/api/v1/``.
        context: which check it is.
        link: a page with the details; empty for none.
    """

    url: str
    token: str
    kind: str = ""
    context: str = "lakecore/auditor"
    link: str = ""

    def __repr__(self) -> str:
        return f"StatusTarget(url={self.url!r}, context={self.context!r})"


@dataclass(frozen=True, slots=True)
class Status:
    """A commit status: ``success``, ``failure`` or ``error``, and one line of text."""

    sha: str
    state: str
    description: str


_STATES: Final = {Verdict.CONTRADICTED: "failure", Verdict.INCONCLUSIVE: "error"}


def make_status(sha: str, verdict: Verdict, tally: Tally) -> Status:
    """What the newest commit of a range is told about all of it."""
    bad, unsure = tally.commits[Verdict.CONTRADICTED], tally.commits[Verdict.INCONCLUSIVE]
    if verdict is Verdict.CONTRADICTED:
        text = f"{bad:,} of {tally.commit_count:,} commits contradicted"
    elif verdict is Verdict.INCONCLUSIVE:
        text = f"inconclusive: {unsure:,} of {tally.commit_count:,} commits could not be audited"
    else:
        text = f"{tally.claims[Verdict.BACKED]:,} claims backed, none contradicted"
    return Status(sha, _STATES.get(verdict, "success"), text[:MAX_DESCRIPTION_CHARS])


def check_target(target: StatusTarget) -> str:
    """The repository's address without a slash at its end. Raises `InvalidInput`."""
    parts = urlsplit(target.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise InvalidInput(
            "this is no address of a repository",
            expected="https://HOST/…/repos/OWNER/NAME",
            found=parts._replace(netloc=parts.hostname or "").geturl()[:200],
        )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InvalidInput(
            "a token is not sent in the clear", expected="https", where=parts.hostname
        )
    if target.kind not in ("", *KINDS):
        raise InvalidInput("no such kind of API", expected=" or ".join(KINDS), found=target.kind)
    if not target.token or not target.token.isascii() or not target.token.isprintable():
        raise InvalidInput("there is no token to send a status with", where=parts.hostname)
    return target.url.rstrip("/")


def send_status(
    target: StatusTarget,
    status: Status,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Send a status. Raises `Refused`, `NotFound`, `InvalidInput`; after retries `Unavailable`."""
    import httpx

    address = f"{check_target(target)}/statuses/{status.sha}"
    host = urlsplit(address).hostname
    body = {
        "state": status.state,
        "description": status.description,
        "context": target.context,
    }
    if target.link:
        body["target_url"] = target.link
    reason = ""
    with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
        for attempt in range(MAX_ATTEMPTS):
            try:
                response = client.post(address, json=body, headers=_headers(target))
            except httpx.TransportError as error:
                reason, wait_s = type(error).__name__, 0.5 * 2**attempt
            else:
                if response.status_code in (200, 201):
                    return
                if response.status_code != 429 and response.status_code < 500:
                    raise _refusal(response, host)
                reason = f"HTTP {response.status_code}"
                wait_s = _asked_to_wait(response) or 0.5 * 2**attempt
            if attempt + 1 < MAX_ATTEMPTS:
                sleep(min(wait_s, MAX_WAIT_S))
    raise Unavailable(
        "the status could not be sent",
        found=reason,
        where=host,
        hint=f"tried {MAX_ATTEMPTS} times; try again later",
    )


def _headers(target: StatusTarget) -> dict[str, str]:
    gitea = target.kind == "gitea" or (not target.kind and "/api/v1/" in f"{target.url}/")
    if gitea:
        return {"Authorization": f"token {target.token}", "Accept": "application/json"}
    return {
        "Authorization": f"Bearer {target.token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def _asked_to_wait(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _refusal(response: httpx.Response, host: str | None) -> Exception:
    """What the other side says no with; its body is not repeated, it may repeat ours."""
    code = response.status_code
    if code in (401, 403):
        return Refused(
            "the status was refused",
            found=f"HTTP {code}",
            where=host,
            hint="the token needs the right to write commit statuses",
        )
    if code == 404:
        return NotFound(
            "there is no such repository or commit",
            found="HTTP 404",
            where=host,
            hint="is the commit pushed, and may the token see the repository?",
        )
    return InvalidInput("the status was not taken", found=f"HTTP {code}", where=host)
