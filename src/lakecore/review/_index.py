"""The reverse index: from a symbol or a term to files, findings and reviews.

Derived from the rows of the loop, in a file of its own, and never trusted: it may be thrown away,
and is made again. What is new since the last time is read, a minute before that again: rows of
several threads and machines do not come in the order of their times. How many rows there were
until then is kept; is it another number now, some came later still, and all is read again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from lakecore.base import Unavailable
from lakecore.review._rows import FINDINGS, REVIEW, REVIEWS
from lakecore.review._state import OPEN, State
from lakecore.review._words import Hit, ranked, term_words, words

VERSION: Final = 1
MAX_DOCUMENTS: Final = 200_000
MAX_CANDIDATES: Final = 500
MAX_HITS: Final = 200
MAX_SYMBOLS: Final = 200
MAX_CHARACTERS: Final = 4_000
MARGIN: Final = timedelta(minutes=1)
KINDS: Final = ("file", "finding", "review")
_WAIT_S: Final = 30.0
_PLACES: Final = ("symbol", "path", "claim", "quote", "answer")
_TOLD: Final = ("id", "kind", "repository", "bar", "line", "severity", "state", "is_open", "time")
_TABLES: Final = f"""
create table if not exists documents (
  number integer primary key, key text unique not null, {", ".join((*_TOLD, *_PLACES))}
);
create index if not exists by_time on documents (kind, time);
create virtual table if not exists terms using fts5 (
  {", ".join(_PLACES)}, content = '', tokenize = "unicode61 tokenchars '_'"
);
create table if not exists reached (kind text primary key, until text, rows integer);
"""

Count = Callable[[str, datetime | None], tuple[int, datetime | None]]
"""Of a kind of rows: how many until a time (None: at all), and the time of the newest."""
Read = Callable[[str, datetime | None], Iterable[Mapping[str, Any]]]
"""Rows of a kind behind a time (None: all), in the order of their times."""


class ReviewIndex:
    """The index in a file. Threads and processes may share the file; one of them writes."""

    def __init__(self, file: Path, *, max_documents: int = MAX_DOCUMENTS) -> None:
        self._file = file
        self._max = max_documents

    def sync(self, count: Count, read: Read) -> int:
        """Take in what is new; how many rows were read.

        All of it is one transaction: killed in between, the index is what it was.
        """
        with closing(self._open()) as database, database:
            database.execute("begin immediate")
            if any(self._is_behind(database, kind, count) for kind in (REVIEWS, FINDINGS)):
                for table in ("documents", "reached"):
                    database.execute(f"delete from {table}")
                database.execute("insert into terms (terms) values ('delete-all')")
            return sum(self._sync(database, kind, count, read) for kind in (REVIEWS, FINDINGS))

    def search(
        self, term: str, *, repository: str | None = None, kind: str | None = None, limit: int = 20
    ) -> list[Hit]:
        """What the term is in, the best first; every word of it, or its beginning, has to be.

        Of the 500 that SQLite's BM25 has first, so that a common word takes no longer.
        """
        wanted = term_words(term)
        if not wanted:
            return []
        match = " AND ".join(f'"{one}"{"*" if len(one) > 2 else ""}' for one in wanted)
        query = f"""
            select {", ".join(f"documents.{name}" for name in (*_TOLD, *_PLACES))}
            from terms join documents on documents.number = terms.rowid
            where terms match ? and (? is null or repository = ?) and (? is null or kind = ?)
            order by bm25(terms, 8, 4, 2, 1, 1) limit {MAX_CANDIDATES}
        """
        with closing(self._open()) as database:
            found = database.execute(query, (match, repository, repository, kind, kind))
            names = [column[0] for column in found.description]
            rows = [dict(zip(names, row, strict=True)) for row in found]
        return ranked(rows, term)[: min(limit, MAX_HITS)]

    def size(self) -> dict[str, int]:
        """Documents by kind."""
        with closing(self._open()) as database:
            return dict(database.execute("select kind, count(*) from documents group by kind"))

    # -- writing ----------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        for attempt in (1, 2):
            database = sqlite3.connect(self._file, timeout=_WAIT_S, isolation_level=None)
            try:
                version = database.execute("pragma user_version").fetchone()[0]
                if version not in (0, VERSION):
                    raise sqlite3.DatabaseError("another version")
                database.execute("pragma journal_mode = wal")
                database.executescript(_TABLES)
                database.execute(f"pragma user_version = {VERSION}")
                return database
            except sqlite3.OperationalError as error:
                database.close()
                raise Unavailable("the index is in use", where=self._file) from error
            except sqlite3.DatabaseError:
                # Damaged, or of another release: it is made again from the rows.
                database.close()
                if attempt == 2:
                    raise
                for suffix in ("", "-wal", "-shm"):
                    self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        raise AssertionError  # pragma: no cover

    def _is_behind(self, database: sqlite3.Connection, kind: str, count: Count) -> bool:
        """Whether rows came, or went, that are older than what was reached."""
        row = database.execute("select until, rows from reached where kind = ?", (kind,)).fetchone()
        return row is not None and count(kind, _moment(row[0]))[0] != row[1]

    def _sync(self, database: sqlite3.Connection, kind: str, count: Count, read: Read) -> int:
        row = database.execute("select until from reached where kind = ?", (kind,)).fetchone()
        _, newest = count(kind, None)
        if newest is None:
            return 0
        until = newest - MARGIN
        # Counted before it is read: what comes in between is read, and noticed the next time.
        rows, _ = count(kind, until)
        seen = 0
        for one in read(kind, _moment(row[0]) if row else None):
            seen += 1
            _add(database, kind, one)
        database.execute(
            "insert or replace into reached values (?, ?, ?)", (kind, until.isoformat(), rows)
        )
        self._bound(database)
        return seen

    def _bound(self, database: sqlite3.Connection) -> None:
        """The oldest go: reviews first, then findings that are closed, open ones, files."""
        over = database.execute("select count(*) from documents").fetchone()[0] - self._max
        if over <= 0:
            return
        found = database.execute(
            "select number from documents order by case when kind = 'review' then 0 "
            "when kind = 'finding' then 1 + is_open else 3 end, time limit ?",
            (over,),
        ).fetchall()
        for (number,) in found:
            _forget(database, number)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _add(database: sqlite3.Connection, kind: str, row: Mapping[str, Any]) -> None:
    if kind == FINDINGS:
        _put(database, _finding(row))
        _put_file(database, row)
    elif row["purpose"] == REVIEW and row["outcome"] == "ok":
        _put(database, _review(row))
        _put_file(database, row)


def _finding(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["finding_id"],
        "kind": "finding",
        "repository": row["repository"],
        "bar": row["bar"],
        "line": row["line"],
        "severity": row["severity"],
        "state": row["state"],
        "is_open": State(row["state"]) in OPEN,
        "time": row["time"].isoformat(),
        "symbol": row["symbol"] or "",
        "path": row["path"] or "",
        "claim": (row["claim"] or "")[:MAX_CHARACTERS],
        "quote": (row["quote"] or "")[:MAX_CHARACTERS],
        "answer": "",
    }


def _review(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{row['run_id']}:{row['path']}",
        "kind": "review",
        "repository": row["repository"],
        "bar": row["bar"],
        "line": None,
        "severity": None,
        "state": row["verdict"] or "",
        "is_open": False,
        "time": row["time"].isoformat(),
        "symbol": "",
        "path": row["path"] or "",
        "claim": "",
        "quote": "",
        "answer": (row["answer"] or "")[:MAX_CHARACTERS],
    }


def _put_file(database: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    """The file of a row, with the symbols in which something was found."""
    key = _key("file", row["repository"], "", row["path"])
    had = database.execute("select symbol from documents where key = ?", (key,)).fetchone()
    symbols = had[0].split() if had else []
    new = str(row.get("symbol") or "")
    if had and (not new or new in symbols):
        return
    # In the order of their names: it is the same in whatever order rows come.
    kept = " ".join(sorted([*symbols, new])[:MAX_SYMBOLS]).strip()
    document = dict.fromkeys((*_TOLD, *_PLACES), "")
    document |= {"id": row["path"], "kind": "file", "repository": row["repository"]}
    document |= {"path": row["path"], "symbol": kept}
    _put(database, document | {"line": None, "severity": None, "is_open": False})


def _put(database: sqlite3.Connection, document: Mapping[str, Any]) -> None:
    """A document in place of what it was before; an older one changes nothing."""
    key = _key(document["kind"], document["repository"], document["bar"], document["id"])
    had = database.execute("select number, time from documents where key = ?", (key,)).fetchone()
    if had is not None:
        if had[1] > document["time"]:
            return
        _forget(database, had[0])
    names = (*_TOLD, *_PLACES)
    marks = ", ".join("?" * (len(names) + 1))
    done = database.execute(
        f"insert into documents (key, {', '.join(names)}) values ({marks})",
        (key, *(document[name] for name in names)),
    )
    database.execute(
        f"insert into terms (rowid, {', '.join(_PLACES)}) values (?, ?, ?, ?, ?, ?)",
        (done.lastrowid, *_indexed(document)),
    )


def _forget(database: sqlite3.Connection, number: int) -> None:
    """Take a document out. A table of terms without texts has to be told what was in it."""
    names = ", ".join(_PLACES)
    row = database.execute(
        f"select {names} from documents where number = ?",
        (number,),
    ).fetchone()
    document = dict(zip(_PLACES, row, strict=True))
    database.execute(
        f"insert into terms (terms, rowid, {names}) values ('delete', ?, ?, ?, ?, ?, ?)",
        (number, *_indexed(document)),
    )
    database.execute("delete from documents where number = ?", (number,))


def _indexed(document: Mapping[str, Any]) -> list[str]:
    return [" ".join(words(str(document[name] or ""))) for name in _PLACES]


def _key(*parts: Any) -> str:
    return "\0".join(map(str, parts))
