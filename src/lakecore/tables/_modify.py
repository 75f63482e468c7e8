"""Update and delete by condition or key, file by file; key changes as delete + insert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from lakecore.tables._attempt import Attempt
from lakecore.tables._given_keys import GivenKeys
from lakecore.tables._keys import (
    MAX_NAMED_KEYS,
    candidate_files,
    check_keys,
    duplicate_error,
    key_frame,
    key_names,
    refuse_duplicates,
)
from lakecore.tables._operations import journal_batch
from lakecore.tables._prune import files_that_may_match
from lakecore.tables._rewrite import NO_ROWS, Reach, Rewriter, Touch
from lakecore.tables._row_hashes import RowHashes
from lakecore.tables._sql import Assignments, Condition, describe
from lakecore.tables._state import DataFile, TableState


class Modify:
    """Rows that meet `where` (all when None) get `values`, or go when `values` is None.

    With `keys` (see `key_table`) only rows that have one of them.
    """

    removes = True

    def __init__(
        self,
        where: str | None,
        values: Mapping[str, object] | None,
        keys: object | None = None,
    ) -> None:
        self._where = where
        self._values = values
        self._keys = keys

    @property
    def name(self) -> str:
        return "DELETE" if self._values is None else "UPDATE"

    def parameters(self) -> dict[str, str]:
        parameters = describe(self._where, self._values)
        return parameters if self._keys is None else {**parameters, "keys": "given"}

    def discard(self) -> None:
        """Attempts own everything."""

    def plan(self, attempt: Attempt) -> None:
        schema = attempt.schema
        condition = Condition(self._where, schema) if self._where is not None else None
        assignments = Assignments(self._values, schema) if self._values is not None else None
        hashes = None if attempt.dataset.key else RowHashes()
        key_set = set(attempt.dataset.key) & set(self._values or ())
        given = GivenKeys(attempt, self._keys) if self._keys is not None else None
        with Rewriter(attempt, hashes) as rewriter:
            for file in _candidates(attempt, condition, given):
                hits = _hits(attempt, file, condition, given)
                if hits is not None:
                    touch = _toucher(hits, assignments, attempt, bool(key_set))
                    rewriter.rewrite(file, touch, _reach(hits, assignments, bool(key_set)))
        if given is not None:
            attempt.missing = given.missing
        if rewriter.rekeyed:
            _check_rekeyed(attempt, rewriter.rekeyed)
        if hashes is not None and attempt.changes_something:
            count = attempt.updated + attempt.deleted
            journal_batch(attempt, self.name.lower(), hashes, count)

    def unaffected(self, attempt: Attempt, added: TableState) -> bool:
        """Whether the plan would be the same with these files more: none of their rows is meant."""
        if set(attempt.dataset.key) & set(self._values or ()):
            return False
        condition = Condition(self._where, attempt.schema) if self._where is not None else None
        given = GivenKeys(attempt, self._keys) if self._keys is not None else None
        files = files_that_may_match(added, condition) if given is None else added.files
        return all(_hits(attempt, file, condition, given) is None for file in files)


def _candidates(
    attempt: Attempt, condition: Condition | None, given: GivenKeys | None
) -> list[DataFile]:
    if given is not None:
        # A key is there or not, whatever the condition says of its row.
        return given.files()
    return files_that_may_match(attempt.base, condition)


def _hits(
    attempt: Attempt, file: DataFile, condition: Condition | None, given: GivenKeys | None
) -> Any:
    """Which rows of a file are meant; None when none are."""
    wanted = given.matches(file) if given is not None else None
    if given is not None and (wanted is None or condition is None):
        return wanted
    with attempt.reader(file) as reader:
        if condition is None:
            return np.ones(reader.rows, dtype=np.bool_) if reader.rows else None
        masks = [condition.matches(rows) for rows in reader.chunks(condition.columns)]
    mask = np.concatenate(masks) if masks else np.zeros(0, dtype=np.bool_)
    if wanted is not None:
        mask &= wanted
    return mask if mask.any() else None


def _toucher(mask: Any, assignments: Assignments | None, attempt: Attempt, keys: bool) -> Any:
    def touch(chunk: pa.Table, start: int) -> Touch:
        positions = np.flatnonzero(mask[start : start + chunk.num_rows])
        if not len(positions):
            return Touch(NO_ROWS, None, NO_ROWS)
        if assignments is None:
            return Touch(NO_ROWS, None, positions)
        values = assignments.evaluate(chunk.take(pa.array(positions)))
        if keys:
            own = tuple(name for name in attempt.dataset.key if name in values.schema.names)
            check_keys(values, own, first_row=start)
        return Touch(positions, values, NO_ROWS)

    return touch


def _reach(mask: Any, assignments: Assignments | None, keys: bool) -> Reach | None:
    """What of a file an update has to see; None for a delete.

    Rows whose key changes are journaled whole.
    """
    if assignments is None:
        return None

    def hits(start: int, end: int) -> bool:
        return bool(mask[start:end].any())

    return Reach(hits, None if keys else assignments.columns)


def _check_rekeyed(attempt: Attempt, moved: list[tuple[pa.Table, pa.Table]]) -> None:
    """No row that has a new key shares it with another row of the table as it becomes."""
    key = attempt.dataset.key
    names = key_names(key)
    old = key_frame(pa.concat_tables([before for before, _ in moved]), key)
    new_rows = pa.concat_tables([after for _, after in moved])
    new = key_frame(new_rows, key)
    refuse_duplicates(new, new_rows, key)
    for file in candidate_files(attempt.base, key, new):
        for present in attempt.read_keys(file):
            kept = key_frame(present, key).join(old, on=names, how="anti")
            both = kept.join(new, on=names, how="semi")
            if both.height:
                found = present.take(both["row"].head(MAX_NAMED_KEYS).to_arrow())
                raise duplicate_error("the new key belongs to another row", found, key)
