"""Footers of many segments, asked for at a time where each is a round trip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from lakecore.journal._log.segment import FOLDER, SegmentFooter, read_footer, segment_path

if TYPE_CHECKING:
    from lakecore.storage import Store

_READERS: Final = 16
_AHEAD: Final = 64

Found = tuple[int, Callable[[], SegmentFooter]]
"""A position, and how to get the footer there; it raises as `read_footer` does."""


def footer_at(store: Store, position: int) -> SegmentFooter:
    """The footer of the segment at a position."""
    return read_footer(store, segment_path(position))


def footers_at(store: Store, positions: Iterator[int]) -> Iterator[Found]:
    """The footers at positions, in their order; on a remote store some are read ahead.

    What is wrong with one comes out when it is asked for, and not before.
    """
    if store.local_path(FOLDER[:-1]) is not None:
        yield from ((position, partial(footer_at, store, position)) for position in positions)
        return
    with ThreadPoolExecutor(_READERS, thread_name_prefix="lakecore-footers") as readers:
        while some := list(islice(positions, _AHEAD)):
            asked = [readers.submit(footer_at, store, position) for position in some]
            yield from zip(some, (future.result for future in asked), strict=True)
