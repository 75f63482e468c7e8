"""Keys within one file: there, not null, not repeated.

Seen keys are held as 64-bit hashes, 8 bytes each, up to `MAX_KEYS_HELD`; in a larger file
repeated keys are left to the table, which refuses them when it looks for new keys. Two
different keys with one hash would be taken for a repetition: among 16 million, the odds
are 1 in 130,000.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.ingest._contract import RejectRow, without

if TYPE_CHECKING:
    import pyarrow as pa

MAX_KEYS_HELD: Final = 16_000_000
_EXAMPLES: Final = 3


def check_key_columns(key: Sequence[str], names: Sequence[str], where: str) -> None:
    """Every key column is in the file; else `InvalidInput` naming the nearest one."""
    for column in key:
        if column not in names:
            near = difflib.get_close_matches(
                column.lower(), [n.lower() for n in names], n=1, cutoff=0.5
            )
            nearest = next((name for name in names if near and name.lower() == near[0]), None)
            raise InvalidInput(
                "the key column is not in the file",
                expected=column,
                found=", ".join(names[:20]),
                where=where,
                hint=f"Did you mean {nearest}?" if nearest else "Name a column of the file.",
            )


class KeyFilter:
    """Lets through the rows whose key is whole and new within the file."""

    def __init__(self, key: Sequence[str], *, refuse: bool, where: str) -> None:
        self._key = list(key)
        self._refuse = refuse
        self._where = where
        self._runs: list[Any] = []
        self._held = 0
        self._rows = 0

    def filter(
        self, batches: Iterator[pa.RecordBatch], reject: RejectRow
    ) -> Iterator[pa.RecordBatch]:
        """The good rows; the others are refused with examples, or told to `reject`."""
        for batch in batches:
            if not self._key:
                yield batch
                continue
            bad = self._bad_rows(batch)
            if bad and self._refuse:
                raise self._refused(batch, bad)
            for row, reason in sorted(bad.items()):
                reject(self._rows + row + 1, batch, row, self._key[0], reason)
            self._rows += batch.num_rows
            yield without(batch, list(bad))

    def _bad_rows(self, batch: pa.RecordBatch) -> dict[int, str]:
        import numpy as np
        import polars as pl

        bad: dict[int, str] = {}
        keys = batch.select(self._key)
        for name, column in zip(self._key, keys.columns, strict=True):
            if column.null_count:
                for row in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)):
                    bad.setdefault(int(row), f"the key is null: {name}")
        if self._held > MAX_KEYS_HELD:
            return bad
        frame = pl.from_arrow(keys)
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a batch becomes a frame
        hashes = frame.hash_rows(seed=0).to_numpy()
        _, first = np.unique(hashes, return_index=True)
        repeated = np.ones(len(hashes), dtype=bool)
        repeated[first] = False
        for run in self._runs:
            position = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            repeated |= run[position] == hashes
        for row in np.flatnonzero(repeated):
            bad.setdefault(int(row), f"the key is repeated: {_key_text(keys, int(row))}")
        self._hold(np.sort(hashes[~repeated]))
        return bad

    def _hold(self, run: Any) -> None:
        """Keep a sorted run; runs of like size are merged, so that there are few."""
        import numpy as np

        self._held += len(run)
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)
        if self._held > MAX_KEYS_HELD:
            self._runs.clear()

    def _refused(self, batch: pa.RecordBatch, bad: dict[int, str]) -> InvalidInput:
        examples = [f"row {self._rows + row + 1}: {reason}" for row, reason in sorted(bad.items())][
            :_EXAMPLES
        ]
        return InvalidInput(
            "rows without a usable key",
            expected="one row for each key",
            found="; ".join(examples),
            where=self._where,
            hint="Repair the file, or send such rows to quarantine.",
        )


def _key_text(keys: pa.RecordBatch, row: int) -> str:
    return ", ".join(
        f"{name} = {column[row].as_py()!r}"
        for name, column in zip(keys.schema.names, keys.columns, strict=True)
    )
