"""What this machine has verified before, so that the next time only the rest is looked into.

``verified-1.sqlite`` in the state directory has a row for each position of the log: its
files as they were listed (size and time), and the tree after it. It is believed as far as
the files are still listed so and follow each other; from the first that is not, everything
is recomputed. It holds no secret and no proof: it may vanish, and then all is recomputed.

What it also tells: a log that is shorter than it was, or another one, lost or rewrote
events that this machine has seen. That is reported, whatever the log says of itself.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, OutOfSpace, ReadOnly, Unavailable
from lakecore.journal._check.report import Earlier, Problem
from lakecore.journal._log.runs import MERGED
from lakecore.journal._log.segment import FOLDER, segment_path
from lakecore.journal._sqlite import Database
from lakecore.tlog import Frontier

if TYPE_CHECKING:
    from lakecore.storage import ObjectInfo, Store

FILE: Final = "verified-1.sqlite"
"""The number is the version of its tables: another version makes another file."""
_IF_MEANT: Final = (
    "; if an older copy of the lake was restored, and that was meant: `lakecore verify --forget`"
)

_SCHEMA: Final = """
CREATE TABLE position (
    first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, at_us INTEGER NOT NULL,
    files TEXT NOT NULL, root TEXT NOT NULL, state TEXT NOT NULL, digest TEXT NOT NULL
);
"""
_FAILS: Final = (CorruptData, OutOfSpace, ReadOnly, Unavailable)
"""Without it everything is recomputed."""
_PAGE: Final = 1_000

Listing = Mapping[str, "ObjectInfo"]


@dataclass(frozen=True, slots=True)
class State:
    """Where recomputing goes on: the log's tree, open commits and hot logs at a position."""

    frontier: Frontier = field(default_factory=Frontier.empty)
    hot: Mapping[str, int] = field(default_factory=dict)
    commits: Mapping[str, Frontier] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(
            {
                "frontier": self.frontier.to_json(),
                "hot": dict(self.hot),
                "commits": {name: tree.to_json() for name, tree in self.commits.items()},
            }
        )

    @classmethod
    def from_json(cls, text: str) -> State:
        content = json.loads(text)
        return cls(
            Frontier.from_json(content["frontier"]),
            {str(name): int(offset) for name, offset in content["hot"].items()},
            {name: Frontier.from_json(tree) for name, tree in content["commits"].items()},
        )


@dataclass(frozen=True, slots=True)
class Known:
    """A position that was verified, and what was known after it."""

    first_seq: int
    count: int
    at_us: int
    files: tuple[tuple[str, int, int], ...]
    root: str
    state: str

    @property
    def end_seq(self) -> int:
        return self.first_seq + self.count

    def loss(self, size: int) -> Problem | None:
        """What the log lost, if it has fewer events than were verified up to this position."""
        if self.end_seq <= size:
            return None
        expected = f"{self.end_seq} events, verified before"
        found = f"the log has {size}{_IF_MEANT}"
        return Problem(segment_path(self.first_seq), None, "size", expected, found)

    def to_row(self) -> tuple[int | str, ...]:
        files = json.dumps(self.files)
        row = (self.first_seq, self.count, self.at_us, files, self.root, self.state)
        return (*row, _digest(row))


@dataclass(slots=True)
class Start:
    """From where to recompute.

    Attributes:
        after: the last position that is believed; None to begin at the first.
        state: the log's state there.
        roots: the roots at those sizes before it that checkpoints ask for.
        positions: how many are believed.
    """

    after: str | None = None
    state: State = field(default_factory=State)
    roots: dict[int, str] = field(default_factory=dict)
    positions: int = 0
    earlier: Earlier | None = None


class Verified:
    """The memory of one machine for one lake. Damage to it only makes it forget."""

    def __init__(self, state_dir: Path) -> None:
        self._database = Database(state_dir / FILE, _SCHEMA)
        self._waiting: list[Known] = []
        self._fails = False

    def start(self, files: Listing, sizes: Sequence[int]) -> Start:
        """Where to go on, by what is listed now.

        Args:
            sizes: whose roots are needed, ascending. One that is not the end of a position
                is recomputed.
        """
        start = Start()
        wanted = set(sizes)
        last: Known | None = None
        try:
            for known in self._all_known():
                between = any(known.first_seq < size < known.end_seq for size in wanted)
                if known.first_seq != (last.end_seq if last else 0) or between:
                    break
                if any(not _is_listed(files, *file) for file in known.files):
                    break
                last = known
                start.positions += 1
                if known.end_seq in wanted:
                    start.roots[known.end_seq] = known.root
            if last is not None:
                start.state = State.from_json(last.state)
                start.after = segment_path(last.first_seq)
                start.earlier = Earlier(last.end_seq, last.at_us)
        except (ValueError, KeyError, TypeError, AttributeError, CorruptData):
            return Start()
        return start

    def contradiction(self, now: Known) -> Problem | None:
        """How a position differs from the one that was verified before."""
        known = next(iter(self._known(now.first_seq - 1, 1)), None)
        if known is None or (known.first_seq, known.count) != (now.first_seq, now.count):
            return None
        if known.root == now.root:
            return None
        where = segment_path(now.first_seq)
        return Problem(where, None, "verified root", known.root, f"{now.root}{_IF_MEANT}")

    def last(self) -> Known | None:
        """The last position that was verified."""
        return next(iter(self._known(-1, 1, order="DESC")), None)

    def remember(self, known: Known) -> None:
        """Keep a position that was found whole, as is all before it."""
        self._waiting.append(known)
        if len(self._waiting) >= _PAGE:
            self.save()

    def save(self) -> None:
        """Write what was to be remembered; where that fails, it is recomputed the next time."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self._fails:
            return
        rows = [item.to_row() for item in waiting]
        try:
            with self._database.write() as writer:
                writer.executemany(
                    "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?, ?, ?)", rows
                )
        except _FAILS:
            self._fails = True

    def size(self) -> int:
        """How many events of the log were verified."""
        last = self.last()
        return 0 if last is None else last.end_seq

    def forget(self) -> None:
        """Have everything recomputed the next time."""
        self._database.close()
        for suffix in ("", "-wal", "-shm"):
            self._database.path.with_name(self._database.path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        self._database.close()

    def _all_known(self) -> Iterator[Known]:
        after = -1
        while found := self._known(after, _PAGE):
            yield from found
            after = found[-1].first_seq

    def _known(self, after: int, limit: int, *, order: str = "ASC") -> list[Known]:
        """What is remembered of the positions behind `after`; nothing where that fails."""
        statement = f"SELECT * FROM position WHERE first_seq > ? ORDER BY first_seq {order} LIMIT ?"
        try:
            with self._database.read() as reader:
                rows = (
                    [] if reader is None else reader.execute(statement, (after, limit)).fetchall()
                )
            # A row that is not what was written is as good as none, and ends what is known.
            known = itertools.takewhile(_is_as_written, rows)
            return [Known(row[0], row[1], row[2], _files(row[3]), row[4], row[5]) for row in known]
        except (*_FAILS, ValueError, TypeError):
            return []


def _digest(row: Sequence[int | str]) -> str:
    return hashlib.sha256(repr(tuple(row)).encode()).hexdigest()


def _is_as_written(row: Sequence[int | str]) -> bool:
    return row[-1] == _digest(row[:-1])


def _files(text: str) -> tuple[tuple[str, int, int], ...]:
    return tuple((path, size, modified) for path, size, modified in json.loads(text))


def listing(store: Store) -> dict[str, ObjectInfo]:
    """The files of the log, as they are listed now."""
    return {info.path: info for folder in (FOLDER, MERGED) for info in store.list_objects(folder)}


def _is_listed(files: Listing, path: str, size_bytes: int, modified_us: int) -> bool:
    info = files.get(path)
    return info is not None and (info.size_bytes, info.modified_us) == (size_bytes, modified_us)
