"""One-time links and sessions, by a clock that the test sets."""

from __future__ import annotations

import pytest

from lakecore.auth import Principal
from lakecore.console import Sessions
from lakecore.console._sessions import MOST_S

ADA = Principal.local("ada")


@pytest.fixture
def sessions() -> Sessions:
    """With room for three."""
    return Sessions(idle_s=100, link_s=10, most=3)


def test_a_link_works_once(sessions: Sessions) -> None:
    """And nothing that is not it, which uses nothing up."""
    link = sessions.link(0)
    assert not sessions.redeem(link[:-1], 1)
    assert not sessions.redeem("", 1)
    assert sessions.redeem(link, 1)
    assert not sessions.redeem(link, 1)


def test_a_link_ends(sessions: Sessions) -> None:
    """After its time, and when there is another."""
    link = sessions.link(0)
    assert not sessions.redeem(link, 10)
    first, second = sessions.link(20), sessions.link(20)
    assert not sessions.redeem(first, 21)
    assert sessions.redeem(second, 21)


def test_a_session_lasts_while_it_is_used(sessions: Sessions) -> None:
    """Idle for too long, it has ended, also for who comes back."""
    text = sessions.begin(ADA, 0)
    assert sessions.find(text, 99) is ADA
    assert sessions.find(text, 198) is ADA
    assert sessions.find(text, 298) is None
    assert sessions.find(text, 299) is None


def test_a_session_ends_however_busy_it_is(sessions: Sessions) -> None:
    """After a month."""
    text = sessions.begin(ADA, 0)
    now = 0.0
    while (now := now + 99) < MOST_S:
        assert sessions.find(text, now) is ADA
    assert sessions.find(text, now) is None


def test_there_are_only_so_many(sessions: Sessions) -> None:
    """The one that was used least recently makes room."""
    texts = [sessions.begin(ADA, n) for n in range(3)]
    assert sessions.find(texts[0], 5) is ADA
    sessions.begin(ADA, 6)
    assert len(sessions) == 3
    assert sessions.find(texts[1], 7) is None
    assert sessions.find(texts[0], 7) is ADA


def test_who_logs_out_is_out(sessions: Sessions) -> None:
    """And so is nobody else."""
    mine, other = sessions.begin(ADA, 0), sessions.begin(ADA, 0)
    sessions.end(mine)
    sessions.end("no such session")
    assert sessions.find(mine, 1) is None
    assert sessions.find(other, 1) is ADA


def test_what_is_in_memory_opens_nothing(sessions: Sessions) -> None:
    """Only hashes are kept."""
    texts = [sessions.link(0), sessions.begin(ADA, 0)]
    kept = repr((sessions._link, sessions._open))
    assert not any(text in kept for text in texts)
