"""Appends that repeat an id a caller supplied before: acknowledged again, recorded once.

1. Of ids that are twice in the batch the first is taken; the others are compared with what
   is stored of it, or will be.
2. What is taken is looked up in sealed history, then appended on the condition that the log of
   unsealed events has none of the ids: checked where the append is made durable, so two
   threads or processes with one id cannot both pass.
3. What is found is compared with the stored event, in the fields that the caller gave now.
   One that differs refuses the whole batch. Equal ones are left out, and 2. is done again
   with the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakecore.base import CorruptData, InvalidInput, Unavailable
from lakecore.journal._events.rules import STAGED_FIELDS
from lakecore.journal._hot.batch import decode_batches, encode_table
from lakecore.journal._hot.group import Behind, Entry
from lakecore.journal._hot.keys import NO_KEY, split

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.sealed_ids import SealedIds

IsGiven = Callable[[int, str], bool]
"""Whether the caller gave a row's field, or left it to its default."""

_MAX_ROUNDS: Final = 64
_EXCERPT: Final = 80
_WHERE: Final = "the events to record"


class ConditionalLog(Protocol):
    """Where direct events are acknowledged, as far as repeated ids go."""

    def append_once(self, entry: Entry) -> dict[int, int]:
        """Make it durable; or {row: place} of ids that are there, and nothing is stored."""

    def rows_at(self, places: Sequence[int], log_id: str | None = None) -> pa.Table | None:
        """The stored events at such places; None when one of them was sealed meanwhile, or
        the log has another name than that."""

    @property
    def log_id(self) -> str | None: ...


class Once:
    """Appends batches with supplied ids. Threads share it."""

    def __init__(self, footers: Footers, ids: SealedIds, log: ConditionalLog) -> None:
        self._footers = footers
        self._ids = ids
        self._log = log
        self._is_ready = False

    def append(self, entry: Entry, is_given: IsGiven) -> int:
        """Make a batch durable as the module says; return how many events were new.

        Raises:
            InvalidInput: an id has other content already; nothing of the batch is recorded.
            Unavailable, CorruptData, ...: of the log, or of the history that has to be read.
        """
        if not self._is_ready:
            self._footers.refresh()
            self._is_ready = True
        whole = entry
        rows = list(range(entry.count))
        twins = _twins(entry.keys)
        if twins:
            entry, rows = _without(entry, rows, {row for later in twins.values() for row in later})
        for _ in range(_MAX_ROUNDS):
            self._ids.catch_up()
            entry.log_id = self._log.log_id
            entry.covered = self._ids.covered(entry.log_id)
            refusal = _refusal_of_twins(whole, twins, is_given) if twins else None
            entry.only_looks = refusal is not None
            stored: pa.Table | None = None
            try:
                if found := self._ids.find(entry.keys):
                    stored = self._ids.rows_at(list(found.values()))
                elif found := self._log.append_once(entry):
                    stored = self._log.rows_at(list(found.values()), entry.log_id)
                elif refusal is not None:
                    raise refusal
                else:
                    return entry.count
            except Behind:
                stored = None
            if stored is None:
                self._footers.refresh()
                entry = _again(entry)
                continue
            known = [rows[at] for at in found]
            _compare(_table(entry).take(list(found)), stored, known, is_given)
            for at, row in enumerate(known):
                if later := twins.pop(row, []):
                    same = stored.take([at] * len(later))
                    _compare(_table(whole).take(later), same, later, is_given)
            if len(found) == entry.count:
                return 0
            entry, rows = _without(entry, rows, set(found))
        raise Unavailable(
            "other writers kept sealing and repeating these ids",
            found=f"{_MAX_ROUNDS} rounds",
            where=_WHERE,
            hint="try again later",
        )


def _twins(keys: bytes) -> dict[int, list[int]]:
    """{row: later rows with the same key}."""
    first: dict[bytes, int] = {}
    twins: dict[int, list[int]] = {}
    for row, key in enumerate(split(keys)):
        if key != NO_KEY and first.setdefault(key, row) != row:
            twins.setdefault(first[key], []).append(row)
    return twins


def _refusal_of_twins(
    whole: Entry, twins: dict[int, list[int]], is_given: IsGiven
) -> InvalidInput | None:
    """The error of ids that are twice with other content, if none of them is stored yet."""
    pairs = [(first, row) for first, later in twins.items() for row in later]
    table = _table(whole)
    first, later = (table.take([pair[side] for pair in pairs]) for side in (0, 1))
    try:
        _compare(later, first, [row for _, row in pairs], is_given)
    except InvalidInput as error:
        return error
    return None


def _table(entry: Entry) -> pa.Table:
    return decode_batches([(entry.encoding, entry.data)], where=_WHERE)


def _again(entry: Entry) -> Entry:
    return Entry(entry.encoding, entry.count, entry.data, entry.keys)


def _without(entry: Entry, rows: list[int], gone: set[int]) -> tuple[Entry, list[int]]:
    """What is left of a batch, and the rows that the caller knows it by."""
    kept = [at for at in range(entry.count) if at not in gone]  # never all
    encoding, data = encode_table(_table(entry).take(kept))
    keys = split(entry.keys)
    rest = Entry(encoding, len(kept), data, b"".join([keys[at] for at in kept]))
    return rest, [rows[at] for at in kept]


def _compare(given: pa.Table, stored: pa.Table, rows: list[int], is_given: IsGiven) -> None:
    """Refuse the first field that was given and is not what is stored."""
    import pyarrow as pa

    for name in STAGED_FIELDS:
        ours: Any = given.column(name)
        theirs: Any = stored.column(name)
        if name == "timestamp":
            ours, theirs = ours.cast(pa.int64()), theirs.cast(pa.int64())
        if ours.equals(theirs):
            continue
        pairs = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
        for at, (mine, other) in enumerate(pairs):
            if mine == other or not is_given(rows[at], name):
                continue
            if name == "event_id":
                raise CorruptData(
                    "another event is stored where this id was noted",
                    expected=_excerpt(mine),
                    found=_excerpt(other),
                    where=_WHERE,
                )
            raise InvalidInput(
                "an event with this id is recorded, with other content",
                expected=f"{name} {_excerpt(other)}",
                found=f"{name} {_excerpt(mine)}",
                where=f"row {rows[at]}, event {_excerpt(given.column('event_id')[at].as_py())}, "
                f"field {name}",
                hint="give another event another id; leave out fields that may differ",
            )


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"
