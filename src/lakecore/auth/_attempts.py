"""How often somebody came with a wrong key, by the address they came from. No I/O.

256 random bits cannot be guessed; what is bounded here is the work and the noise of trying.
A bad neighbour behind one address does not lock the others out: a right key is let in
however many wrong ones came before it.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from lakecore.base import TooManyRequests

MAX_ADDRESSES: Final = 10_000
MAX_FAILURES: Final = 20
WINDOW_S: Final = 60.0
_MAX_ADDRESS_CHARACTERS: Final = 100


class Attempts:
    """Wrong keys by address: `MAX_FAILURES` in `WINDOW_S`. Threads may share it.

    The addresses that failed last are kept, at most `MAX_ADDRESSES`. Of IPv6 the first
    64 bits count: the rest is its holder's to choose.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def failed(self, address: str) -> None:
        """Count a wrong key.

        Raises:
            TooManyRequests: there were too many; the answer should be no other one.
        """
        group = address_group(address)
        now_s = self._monotonic_s()
        with self._lock:
            count, since_s = self._failures.get(group, (0, now_s))
            if now_s - since_s >= WINDOW_S:
                count, since_s = 0, now_s
            self._failures[group] = (count + 1, since_s)
            self._failures.move_to_end(group)
            if len(self._failures) > MAX_ADDRESSES:
                self._failures.popitem(last=False)
        if count >= MAX_FAILURES:
            left_s = max(1, round(WINDOW_S - (now_s - since_s)))
            raise TooManyRequests("too many wrong keys from this address", retry_after_s=left_s)

    def count(self, address: str) -> int:
        """Wrong keys from an address in the current window."""
        count, since_s = self._failures.get(address_group(address), (0, 0.0))
        return count if self._monotonic_s() - since_s < WINDOW_S else 0


def address_group(address: str) -> str:
    """What counts as one address.

    >>> address_group("10.0.0.1"), address_group("2001:db8::1:2"), address_group("::ffff:10.0.0.1")
    ('10.0.0.1', '2001:db8::/64', '10.0.0.1')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:_MAX_ADDRESS_CHARACTERS]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
