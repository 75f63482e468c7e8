"""New keys against each other and against the table: few in memory, many by hashes on disk.

Many keys are hashed to 64 bits; the hashes are spilled into files by their first bits, and
one file at a time is sorted. Equal hashes are the only keys that can be equal, so only
these are compared. The hashes live as long as the check: no format depends on them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakecore.tables._keys import (
    MAX_NAMED_KEYS,
    candidate_files,
    duplicate_error,
    key_frame,
    key_names,
    refuse_duplicates,
)
from lakecore.tables._state import DataFile, TableState
from lakecore.tables._types import TableSettings

if TYPE_CHECKING:
    import polars as pl

KeyBatches = Callable[[], Iterator[pa.Table]]
"""Key columns as tables, anew at every call."""

Hashes = npt.NDArray[np.uint64]

_PARTITION_ROWS: Final = 1 << 23
"""Hashes that are sorted at once: 64 MiB of them."""
_MAX_DOUBTFUL: Final = 1_024
"""Hashes whose keys are compared at once. More are hardly ever accidents of hashing."""


def check_new_keys(
    *,
    new: KeyBatches,
    new_rows: int,
    state: TableState,
    read_keys: Callable[[DataFile], Iterator[pa.Table]],
    key: Sequence[str],
    settings: TableSettings,
) -> None:
    """Refuse new rows that share a key with each other or with a row of the table.

    Few keys are held in memory; of many, hashes are spilled to disk. Of the table only
    files whose statistics overlap are read.

    Raises:
        InvalidInput: names up to five of the keys.
    """
    if new_rows > settings.keys_in_memory:
        with tempfile.TemporaryDirectory(prefix="lakecore-keys-", dir=settings.temp_dir) as folder:
            _Spilled(new, new_rows, key, Path(folder)).check(state, read_keys)
        return
    tables = list(new())
    if not tables:
        return
    rows = pa.concat_tables(tables)
    keys = key_frame(rows, key)
    refuse_duplicates(keys, rows, key)
    for file in candidate_files(state, key, keys):
        for present in read_keys(file):
            _refuse_present(present, keys, key)


def _refuse_present(present: pa.Table, keys: pl.DataFrame, key: Sequence[str]) -> None:
    both = key_frame(present, key).join(keys, on=key_names(key), how="semi", nulls_equal=True)
    if both.height:
        found = present.take(both["row"].head(MAX_NAMED_KEYS).to_arrow())
        raise duplicate_error("the key is already in the dataset", found, key)


class _Spilled:
    """The hashes of new keys in files of `folder`, each a range of hashes."""

    def __init__(self, new: KeyBatches, new_rows: int, key: Sequence[str], folder: Path) -> None:
        self._new = new
        self._key = key
        self._folder = folder
        self._bits = max(0, (new_rows // _PARTITION_ROWS).bit_length())
        self._ends: pl.DataFrame | None = None

    def check(self, state: TableState, read_keys: Callable[[DataFile], Iterator[pa.Table]]) -> None:
        self._spill()
        for doubtful in self._sort():
            rows = self._with_hashes(doubtful)
            refuse_duplicates(key_frame(rows, self._key), rows, self._key)
        for file in self._overlapping(state):
            for present in read_keys(file):
                hashes = self._hashes(key_frame(present, self._key))
                hit = hashes[self._contains(hashes)]
                for start in range(0, len(hit), _MAX_DOUBTFUL):
                    rows = self._with_hashes(hit[start : start + _MAX_DOUBTFUL])
                    _refuse_present(present, key_frame(rows, self._key), self._key)

    def _spill(self) -> None:
        import polars as pl

        for rows in self._new():
            keys = key_frame(rows, self._key)
            hashes = self._hashes(keys)
            parts = self._parts(hashes)
            for part in np.unique(parts).tolist():
                with self._file(part).open("ab") as file:
                    hashes[parts == part].tofile(file)
            ends = keys.select(
                pl.concat([pl.col(name).min(), pl.col(name).max()]).alias(name)
                for name in key_names(self._key)
            )
            self._ends = ends if self._ends is None else self._ends.vstack(ends)

    def _sort(self) -> Iterator[Hashes]:
        """Sort each file in its place; hashes that occur in it more than once, some at a time."""
        for part in range(1 << self._bits):
            if not self._file(part).exists():
                continue
            hashes = np.fromfile(self._file(part), np.uint64)
            hashes.sort()
            hashes.tofile(self._file(part))
            double = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
            for start in range(0, len(double), _MAX_DOUBTFUL):
                yield double[start : start + _MAX_DOUBTFUL]

    def _contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Which hashes are among the sorted ones."""
        found = np.zeros(len(hashes), np.bool_)
        parts = self._parts(hashes)
        for part in np.unique(parts).tolist():
            if not self._file(part).exists():
                continue
            mine = parts == part
            there: Any = np.memmap(self._file(part), np.uint64, mode="r")
            at = np.searchsorted(there, hashes[mine])
            found[mine] = there[np.minimum(at, len(there) - 1)] == hashes[mine]
        return found

    def _with_hashes(self, wanted: Hashes) -> pa.Table:
        """The new keys with one of these hashes, read once more."""
        found = []
        for rows in self._new():
            mask = np.isin(self._hashes(key_frame(rows, self._key)), wanted)
            if mask.any():
                found.append(rows.select(list(self._key)).filter(pa.array(mask)))
        return pa.concat_tables(found)

    def _overlapping(self, state: TableState) -> list[DataFile]:
        """Files whose range of keys meets that of all new ones together."""
        if self._ends is None:
            return []
        possible = []
        for position, file in enumerate(state.files):
            if all(
                _in_range(state, column, position, self._ends[name])
                for name, column in zip(key_names(self._key), self._key, strict=True)
            ):
                possible.append(file)
        return possible

    def _hashes(self, keys: pl.DataFrame) -> Hashes:
        return keys.drop("row").hash_rows(seed=0).to_numpy()

    def _parts(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        if not self._bits:
            return np.zeros(len(hashes), np.int64)
        return (hashes >> np.uint64(64 - self._bits)).astype(np.int64)

    def _file(self, part: int) -> Path:
        return self._folder / f"{part:04d}"


def _in_range(state: TableState, column: str, position: int, ends: pl.Series) -> bool:
    bounds = state.bounds(column)
    if bounds is None:
        return True
    low, high = (side[position].as_py() for side in bounds)
    return low is None or high is None or bool(low <= ends.max() and high >= ends.min())
