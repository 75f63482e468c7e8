"""The index against the log. It is derived: what is wrong with it is told, and built again.

Where a row is damaged, its line in the index may still be whole. A line whose hash begins
with the row's stored check is the one that was sealed, so it tells which field differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, LakecoreError, NotFound, UnsupportedFormat
from lakecore.journal._check.report import Problem
from lakecore.journal._index.blocks import Block, unpack
from lakecore.journal._index.files import IndexFile
from lakecore.journal._index.layout import TRAILER_BYTES, Trailer
from lakecore.journal._index.names import FOLDER, Name, parse_name

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.storage import Store
    from lakecore.tlog import Hashes

_BUCKETS: Final = 4_096
_BLOCKS: Final = 128
"""Of lines that are decompressed and hashed at once."""
_MAX_SHOWN: Final = 80


class _WholeFile(IndexFile):
    """An index file whose bytes are in memory."""

    def __init__(self, store: Store, name: Name) -> None:
        self._data = store.get(name.path)
        trailer = Trailer.decode(self._data[-TRAILER_BYTES:], name.path)
        super().__init__(name, trailer, len(self._data))

    def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]

    def read_table(self, offset: int, size: int) -> bytes:
        return self.read(offset, size)


def index_names(store: Store) -> list[Name]:
    """The index files that are there."""
    found = (parse_name(info.path[len(FOLDER) :]) for info in store.list_objects(FOLDER))
    return sorted(name for name in found if name is not None)


def check_lines(store: Store, names: Iterable[Name], first: int, hashes: Hashes) -> list[Problem]:
    """Files of lines for events among those from `first` on, against their leaf hashes."""
    from lakecore.tlog import sha256_rows

    problems = []
    end = first + len(hashes)
    for name in names:
        if not name.is_lines or name.first < first or name.end > end:
            continue
        try:
            file = _checked(store, name)
            at = name.first - first
            for start in range(0, file.trailer.block_count, _BLOCKS):
                numbers = range(start, min(start + _BLOCKS, file.trailer.block_count))
                blocks = unpack([file.packed(number) for number in numbers])
                lines = _as_column(blocks)
                is_same = sha256_rows(lines, b"\0") == hashes[at:][: len(lines)]
                if not is_same.all():
                    row = int(is_same.all(axis=1).argmin())
                    number = start + row // file.trailer.block_rows
                    raise CorruptData(f"line block {number} has other events", where=name.path)
                at += len(lines)
        except NotFound:
            continue  # merged into another since it was listed
        except (CorruptData, UnsupportedFormat) as error:
            problems.append(_derived(name, error))
    return problems


def _as_column(blocks: Sequence[Block]) -> pa.Array:
    """The lines of blocks as large_binary, without an object for each line."""
    import numpy as np
    import pyarrow as pa

    lengths = np.concatenate([np.asarray(block.lengths, np.int64) for block in blocks])
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    text = b"".join([block.text() for block in blocks])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.large_binary(), len(lengths), buffers)


def check_postings(store: Store, name: Name) -> list[Problem]:
    """A file of postings: whether it is the bytes that it was."""
    try:
        _checked(store, name)
    except NotFound:
        return []
    except (CorruptData, UnsupportedFormat) as error:
        return [_derived(name, error)]
    return []


def name_fields(
    store: Store, names: Sequence[Name], rows: list[Problem], lines: Mapping[int, tuple[int, bytes]]
) -> list[Problem]:
    """The same damaged rows, with the field where the index knows it.

    Args:
        rows: of one position; `expected` begins with the check that was stored.
        lines: {row: (seq, canonical line as it is now)} of some of them.
    """
    named = []
    for problem in rows:
        known = lines.get(-1 if problem.row is None else problem.row)
        named.append(_named(store, names, problem, *known) if known else problem)
    return named


def _named(store: Store, names: Sequence[Name], problem: Problem, seq: int, line: bytes) -> Problem:
    for name in names:
        if not name.is_lines or not name.first <= seq < name.end:
            continue
        try:
            file = _WholeFile(store, name)
            number, row = divmod(seq - name.first, file.trailer.block_rows)
            sealed = bytes(file.block(number).line(row))
        except LakecoreError:
            continue
        if not hashlib.sha256(b"\0" + sealed).hexdigest().startswith(problem.expected[:8]):
            continue
        before, now = json.loads(sealed), json.loads(line)
        differing = [field for field in before if before[field] != now.get(field)]
        if differing:
            field = differing[0]
            return replace(
                problem,
                field=", ".join(differing),
                expected=_shown(before[field]) + " (by the line index)",
                found=_shown(now.get(field)),
            )
    return problem


def _checked(store: Store, name: Name) -> IndexFile:
    file = _WholeFile(store, name)
    count = 1 << file.trailer.bucket_bits
    for start in range(0, count, _BUCKETS):
        file.buckets(range(start, min(start + _BUCKETS, count)))
    return file


def _derived(name: Name, error: LakecoreError) -> Problem:
    return Problem(name.path, None, None, "an index of the log's events", str(error))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
