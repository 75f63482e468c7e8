"""Files over ranged requests, and uploads in parts; without a server."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.storage._remote_files import PART_BYTES, READ_AHEAD_BYTES, UploadParts, open_ranges

DATA = bytes(range(256)) * 20_000


class Ranges:
    """Serves ranges of `DATA`, and keeps what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def read(self, start: int, length: int) -> bytes:
        """As a store does."""
        self.asked.append((start, length))
        return DATA[start : start + length]


@given(st.lists(st.tuples(st.integers(0, len(DATA) + 9), st.integers(0, 3 << 20)), max_size=8))
def test_any_reads_give_the_bytes(reads: list[tuple[int, int]]) -> None:
    """Whatever is sought and read in whatever order."""
    with open_ranges(Ranges().read, len(DATA)) as file:
        for position, size in reads:
            assert file.seek(position) == position
            assert file.read(size) == DATA[position : position + size]


def test_requests_are_few() -> None:
    """Small reads share one request; the rest of a file is one; nothing is asked for twice."""
    ranges = Ranges()
    file = open_ranges(ranges.read, len(DATA))
    for _ in range(1_000):
        file.read(100)
    assert ranges.asked == [(0, READ_AHEAD_BYTES)]
    ranges.asked.clear()
    file.seek(-8, os.SEEK_END)
    assert file.read(8) == DATA[-8:]
    assert ranges.asked == [(len(DATA) - 8, 8)]
    ranges.asked.clear()
    file.seek(0)
    assert file.read() == DATA
    assert len(ranges.asked) == 1


def test_a_seek_before_the_start_is_refused() -> None:
    """As files do."""
    with pytest.raises(ValueError, match="negative"):
        open_ranges(Ranges().read, len(DATA)).seek(-1)


class Parts:
    """A large upload that keeps what it was given."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.state = "under way"

    def write(self, data: bytes, /) -> None:
        """Keep it."""
        self.parts.append(data)

    def complete(self) -> None:
        """It is whole."""
        self.state = "complete"

    def abort(self) -> None:
        """It is gone."""
        self.state = "aborted"


def test_an_upload_is_one_request_as_long_as_it_fits() -> None:
    """Up to the size of a part it is create-only; from then on it goes up in parts."""
    created: list[bytes] = []
    parts = Parts()
    small = UploadParts(created.append, lambda: parts)
    small.write(b"x" * PART_BYTES)
    small.finish()
    assert (created, parts.parts) == ([b"x" * PART_BYTES], [])
    large = UploadParts(created.append, lambda: parts)
    for _ in range(3):
        large.write(b"x" * PART_BYTES)
    large.write(b"tail")
    assert large.tell() == 3 * PART_BYTES + 4
    large.finish()
    large.abort()  # too late, as it should be
    assert parts.state == "complete"
    assert b"".join(parts.parts) == b"x" * 3 * PART_BYTES + b"tail"
    assert len(created) == 1


def test_a_closed_upload_takes_no_more() -> None:
    """As files do; what it has is kept until the block decides."""
    created: list[bytes] = []
    upload = UploadParts(created.append, Parts)
    upload.write(b"x")
    upload.close()
    with pytest.raises(ValueError, match="closed"):
        upload.write(b"y")
    upload.finish()
    assert created == [b"x"]
