"""Wrong keys by address: counted, bounded, forgotten."""

from __future__ import annotations

import pytest
from tests.fakes.seconds import Seconds

from lakecore.auth import Attempts
from lakecore.auth._attempts import MAX_ADDRESSES, MAX_FAILURES, WINDOW_S, address_group
from lakecore.base import TooManyRequests


def test_the_window(seconds: Seconds) -> None:
    """So many in a minute and no more; a minute later anew."""
    attempts = Attempts(seconds)
    for number in range(MAX_FAILURES):
        assert attempts.count("10.0.0.1") == number
        attempts.failed("10.0.0.1")
    seconds.wait(WINDOW_S - 1)
    with pytest.raises(TooManyRequests) as told:
        attempts.failed("10.0.0.1")
    assert told.value.retry_after_s == 1
    seconds.wait(1)
    assert attempts.count("10.0.0.1") == 0
    attempts.failed("10.0.0.1")


def test_memory_is_bounded(seconds: Seconds) -> None:
    """However many addresses come, so many are kept, the latest."""
    attempts = Attempts(seconds)
    for number in range(MAX_ADDRESSES + 100):
        attempts.failed(f"host-{number}")
    assert len(attempts._failures) == MAX_ADDRESSES
    assert (attempts.count("host-0"), attempts.count(f"host-{MAX_ADDRESSES}")) == (0, 1)


def test_what_one_address_is() -> None:
    """The 64 bits that a holder of IPv6 cannot choose; long nonsense is cut."""
    assert address_group("2001:db8:0:1::a") == address_group("2001:db8:0:1:ffff::b")
    assert address_group("2001:db8:0:1::a") != address_group("2001:db8:0:2::a")
    assert len(address_group("x" * 10_000)) == 100
