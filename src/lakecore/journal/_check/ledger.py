"""What the journal says of each commit object: sealed, pending, dead, or not at all.

It lies in a temporary file, by folder and path, so that ten million commits take no more
memory than ten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore.journal._commits.commit import Fate

if TYPE_CHECKING:
    from lakecore.journal._check.report import Problem
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import PendingList

_CACHE_KIB: Final = 16_384
"""Of the temporary file in memory."""
_COLUMNS: Final = "path, commit_id, digest, total, count, last_seq"


@dataclass(frozen=True, slots=True)
class SealedVersion:
    """The sealed events of one commit: `count` of its `total`; `last_seq` is the last one's.

    `digest` is that of the whole commit, `path` the object that it is of.
    """

    path: str
    commit_id: str
    digest: str
    total: int
    count: int
    last_seq: int


class Ledger:
    """What is sealed and staged, as of when it was made; a context manager.

    Attributes:
        pending: what is committed and not yet sealed, {path: age in seconds}.
        undecided: what is staged for an object that does not exist (yet), by path.
        dead: what is staged for an object that became another commit's, by path.
        unreadable: staged files, and parts of the hot log, that are damaged.
    """

    def __init__(
        self,
        footers: Footers,
        staged: PendingList,
        now_us: int,
        unreadable: tuple[Problem, ...] = (),
    ) -> None:
        committed = staged.with_fate(Fate.COMMITTED)
        self.unreadable = unreadable
        self.undecided = [c.header.target.path for c in staged.with_fate(Fate.UNDECIDED)]
        self.dead = [c.header.target.path for c in staged.with_fate(Fate.DEAD)]
        of_objects = [c for c in committed if c.header.target.path]
        self.pending: Mapping[str, float] = {
            c.header.target.path: (now_us - c.timestamp_us) / 1e6 for c in of_objects
        }
        self._pending_ids = {c.header.target.path: c.commit_id for c in of_objects}
        # Without a name: a temporary file, removed when it is closed.
        self._database = sqlite3.connect("", isolation_level=None)
        run = self._database.execute
        run("PRAGMA journal_mode = OFF")
        run(f"PRAGMA cache_size = -{_CACHE_KIB}")
        run("CREATE TABLE told (folder TEXT, path TEXT, commit_id TEXT, digest TEXT, "
            "total INTEGER, count INTEGER, last_seq INTEGER, "
            "PRIMARY KEY (folder, path, commit_id)) WITHOUT ROWID")  # fmt: skip
        run("BEGIN")
        self._database.executemany(
            "INSERT INTO told VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "count = count + excluded.count, last_seq = max(last_seq, excluded.last_seq)",
            (
                (
                    commit.target.rpartition("/")[0],
                    commit.target,
                    commit.commit_id,
                    commit.digest,
                    commit.total,
                    commit.count,
                    piece.first_seq + commit.count - 1,
                )
                for piece in footers.all_pieces()
                # Direct events are of no object.
                if (commit := piece.commit).target
            ),
        )

    def folders(self) -> list[str]:
        """The folders of all objects that sealed events are of, sorted."""
        rows = self._database.execute("SELECT DISTINCT folder FROM told ORDER BY folder")
        return [folder for (folder,) in rows]

    def sealed(self, folder: str) -> Iterator[SealedVersion]:
        """What is sealed of the objects right in a folder, by path; a path may come twice."""
        for row in self._database.execute(
            f"SELECT {_COLUMNS} FROM told WHERE folder = ? ORDER BY path, commit_id", (folder,)
        ):
            yield SealedVersion(*row)

    def sealed_at(self, path: str) -> list[SealedVersion]:
        """The commits that are sealed for one object: one, unless something was put back."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM told WHERE folder = ? AND path = ? ORDER BY last_seq",
            (path.rpartition("/")[0], path),
        )
        return [SealedVersion(*row) for row in rows]

    def pending_id(self, path: str) -> str | None:
        """The commit that is committed at a path and not sealed yet."""
        return self._pending_ids.get(path)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
