"""A manifest is written byte for byte as ever, read back whole, and refused when it is not."""

from __future__ import annotations

import pytest
from tests.golden.generate_backup_v1 import FILE, manifest

from lakecore.backup import Manifest, read_manifest
from lakecore.base import CorruptData, LakecoreError, UnsupportedFormat
from lakecore.storage import open_store


def read(data: bytes, number: int = 7) -> Manifest:
    """A manifest from bytes."""
    store = open_store("memory://")
    store.create(f"backups/{number:020d}.json", data)
    return read_manifest(store, number)


def test_the_golden_manifest() -> None:
    """The same bytes, and the same manifest from them."""
    assert manifest().encode() == FILE.read_bytes()
    assert read(FILE.read_bytes()) == manifest()


def test_every_flipped_bit_is_found() -> None:
    """No byte of a manifest can change unseen."""
    data = FILE.read_bytes()
    for at in range(len(data) - 1):
        with pytest.raises(LakecoreError):
            read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_what_is_no_manifest() -> None:
    """Cut off, under another name, or newer: each is told."""
    data = FILE.read_bytes()
    for length in (0, 1, 100, len(data) - 2):
        with pytest.raises(CorruptData):
            read(data[:length])
    with pytest.raises(CorruptData, match="another's name"):
        read(data, number=8)
    with pytest.raises(UnsupportedFormat):
        read(data.replace(b'"format": 1', b'"format": 2'))
