"""Which small files become one (pure).

Files are taken in the order of the key's first column, so that the new ones are as
selective as the old ones were together. A file that is larger than all others of its bin
waits until as much has come: so a row is rewritten some ten times at most, however often
single rows are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lakecore.tables import DataFile, TableState

_SMALL: Final = 4
"""A file is small below this part of a whole one, in bytes and in rows."""
_FILE_ROWS: Final = 1 << 20


def choose_bins(
    files: Sequence[DataFile], *, target_bytes: int, min_files: int, step_bytes: int
) -> list[list[DataFile]]:
    """Bins of small files, each at most `target_bytes`; none where it is not worth it.

    >>> from lakecore.tables import DataFile
    >>> files = [DataFile(f"{n}", 10, 1) for n in range(5)] + [DataFile("large", 900, 1)]
    >>> [len(some) for some in choose_bins(files, target_bytes=1000, min_files=4, step_bytes=99)]
    [5]
    """
    bins: list[list[DataFile]] = []
    current: list[DataFile] = []
    size_bytes = rows = 0
    for file in files:
        if not _is_small(file, target_bytes):
            continue
        count = file.rows or 0
        if current and (size_bytes + file.size_bytes > target_bytes or rows + count > _FILE_ROWS):
            bins.append(current)
            current, size_bytes, rows = [], 0, 0
        current.append(file)
        size_bytes += file.size_bytes
        rows += count
    bins.append(current)
    balanced = map(_balanced, bins)
    return _within(
        [some for some in balanced if _is_worthwhile(some, target_bytes, min_files)], step_bytes
    )


def in_key_order(state: TableState, key: Sequence[str]) -> list[DataFile]:
    """The table's files by the lower bound of the key's first column, where it is known."""
    bounds = state.bounds(key[0]) if key else None
    if bounds is None:
        return state.files
    lows: list[Any] = bounds[0].to_pylist()
    pairs = list(zip(lows, state.files, strict=True))
    try:
        known = sorted((pair for pair in pairs if pair[0] is not None), key=lambda pair: pair[0])
    except TypeError:
        return state.files
    return [file for _, file in known] + [file for low, file in pairs if low is None]


def _is_small(file: DataFile, target_bytes: int) -> bool:
    return file.size_bytes * _SMALL < target_bytes and (file.rows or 0) * _SMALL < _FILE_ROWS


def _is_worthwhile(files: list[DataFile], target_bytes: int, min_files: int) -> bool:
    """Many files, or a few that fill half of one: what they become is small no more."""
    size_bytes = sum(file.size_bytes for file in files)
    rows = sum(file.rows or 0 for file in files)
    is_full = size_bytes * 2 >= target_bytes or rows * 2 >= _FILE_ROWS
    return len(files) >= max(2, 2 if is_full else min_files)


def _balanced(files: list[DataFile]) -> list[DataFile]:
    """Without the files that are larger than all smaller ones together."""
    by_size = sorted(files, key=lambda file: file.size_bytes)
    total = sum(file.size_bytes for file in by_size)
    while by_size and by_size[-1].size_bytes > total - by_size[-1].size_bytes:
        total -= by_size.pop().size_bytes
    kept = {file.path for file in by_size}
    return [file for file in files if file.path in kept]


def _within(bins: list[list[DataFile]], step_bytes: int) -> list[list[DataFile]]:
    """The first of the bins, as far as the bound goes; one at least."""
    taken: list[list[DataFile]] = []
    total = 0
    for some in bins:
        total += sum(file.size_bytes for file in some)
        if taken and total > step_bytes:
            break
        taken.append(some)
    return taken
