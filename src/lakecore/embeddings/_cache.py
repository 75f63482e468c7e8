"""Vectors that were computed, kept on this machine: by the text's hash, a file for each model.

- A cache: what it has lost is computed again. So commits are not synced, and a file that SQLite
  cannot read is put aside and begun anew.
- Nothing wrong comes out: every vector is stored with a checksum over key and numbers; one that
  does not fit is no hit.
- Bounded: beyond `max_bytes` those go that were not asked for longest. Files of other models count,
  and go first.
- Texts are not in it, their hashes are: who has the file can find out whether a known text was
  embedded.
- Several processes share a file (WAL); one that waits too long goes without.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import InvalidInput
from lakecore.base.limits import GIB, KIB, MIB

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]

FORMAT: Final = 1
FOLDER: Final = "embeddings"
MIN_BYTES: Final = 1 * MIB
MAX_BYTES: Final = 1 << 40
DEFAULT_BYTES: Final = 1 * GIB
_CHECK_BYTES: Final = 8
_ROW_BYTES: Final = 64
"""What a row takes beside its numbers."""
_BUSY_S: Final = 5.0
_LOOK_UP: Final = 500

_PAGE_BYTES: Final = 16 * KIB
"""Ten vectors of 384 numbers to a page, and little left over."""
_WAL_PAGES: Final = 256

_BROKEN: Final = (sqlite3.DatabaseError, UnicodeError, OverflowError)
"""What reading a damaged file comes to."""

_PUT: Final = "INSERT OR REPLACE INTO vectors (key, used, vector) VALUES (?, ?, ?)"

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS vectors
    (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, used INTEGER NOT NULL, vector BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS vectors_used ON vectors (used);
"""


class VectorCache:
    """The vectors of one model.

    Args:
        folder: of all models' files; made.
        name, dimension: the model's: another one has another file.
        max_bytes: of all files in the folder, 1 MiB to 1 TiB.
    """

    def __init__(
        self, folder: Path, name: str, dimension: int, *, max_bytes: int = DEFAULT_BYTES
    ) -> None:
        check_max_bytes(max_bytes)
        self._dimension = dimension
        self._name = name
        self._lock = threading.Lock()
        self._tick = 0
        self.path: Final = (
            folder / f"{_slug(name)}-{_digest(name.encode())[:4].hex()}.v{FORMAT}.sqlite"
        )
        folder.mkdir(parents=True, exist_ok=True)
        others = _make_room(folder, self.path, max_bytes // 2)
        row_bytes = dimension * 4 + _CHECK_BYTES + 2 * _ROW_BYTES
        self._max_rows: Final = max(1, (max_bytes - others) // row_bytes)
        self._db = self._open()

    def get(self, texts: Sequence[str]) -> dict[int, Vector]:
        """Vectors that are there, by the place of their text."""
        found: dict[int, Vector] = {}
        keys = [_digest(text.encode()) for text in texts]
        with self._lock:
            try:
                for start in range(0, len(keys), _LOOK_UP):
                    found |= self._look_up(keys, range(start, min(start + _LOOK_UP, len(keys))))
            except _BROKEN as error:
                self._after(error)
        return found

    def put(self, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        """Keep `vectors` (n, d), a row for each text."""
        with self._lock:
            self._tick += 1
            rows = [
                (key, self._tick, _packed(key, vector.tobytes()))
                for key, vector in zip(
                    (_digest(text.encode()) for text in texts), vectors, strict=True
                )
            ]
            try:
                with self._db:
                    self._db.executemany(_PUT, rows)
                    self._evict()
            except _BROKEN as error:
                self._after(error)

    def probe(self) -> bytes | None:
        """What was kept of the model's answer to a known text."""
        with self._lock, suppress(*_BROKEN):
            row = self._db.execute("SELECT value FROM about WHERE name = 'probe'").fetchone()
            return row[0] if row and isinstance(row[0], bytes) else None
        return None

    def restart(self, probe: bytes) -> None:
        """Forget all vectors, and keep `probe` for the next opening."""
        with self._lock, suppress(*_BROKEN), self._db:
            self._db.execute("DELETE FROM vectors")
            self._db.execute("INSERT OR REPLACE INTO about VALUES ('probe', ?)", (probe,))

    @property
    def count(self) -> int:
        """Vectors that are kept."""
        with self._lock, suppress(*_BROKEN):
            return int(self._db.execute("SELECT count(*) FROM vectors").fetchone()[0])
        return 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _look_up(self, keys: list[bytes], places: range) -> dict[int, Vector]:
        import numpy as np

        wanted: dict[bytes, list[int]] = {}
        for at in places:
            wanted.setdefault(keys[at], []).append(at)
        marks = ",".join("?" * len(wanted))
        query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"
        found: dict[int, Vector] = {}
        hits = []
        for key, packed in self._db.execute(query, list(wanted)):
            content = _unpacked(key, packed, self._dimension * 4)
            if content is not None and key in wanted:
                hits.append((self._tick, key))
                vector = np.frombuffer(content, np.float32)
                found |= dict.fromkeys(wanted[key], vector)
        if hits:
            # Who was asked for last goes last; one that is not written down is no harm.
            with suppress(sqlite3.OperationalError), self._db:
                self._db.executemany(
                    "UPDATE vectors SET used = ? WHERE key = ? AND used < ?",
                    [(tick, key, tick) for tick, key in hits],
                )
        return found

    def _evict(self) -> None:
        (count,) = self._db.execute("SELECT count(*) FROM vectors").fetchone()
        if count > self._max_rows:
            # A tenth more than needed, so that it is not done for every batch.
            surplus = count - self._max_rows + self._max_rows // 10
            self._db.execute(
                "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors ORDER BY used LIMIT ?)",
                (surplus,),
            )

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "unable to open" in str(error):
                return _nowhere()
            return self._anew()
        except _BROKEN:
            return self._anew()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=_BUSY_S, check_same_thread=False)
        try:
            db.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
            db.execute("PRAGMA synchronous=NORMAL")
            db.executescript(_TABLES)
            (tick,) = db.execute("SELECT coalesce(max(used), 0) FROM vectors").fetchone()
            self._tick = int(tick) + 1
        except BaseException:
            db.close()
            raise
        return db

    def _anew(self) -> sqlite3.Connection:
        """The file is no cache any more: away with it."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        try:
            return self._connect()
        except _BROKEN:
            return _nowhere()

    def _after(self, error: Exception) -> None:
        """Go on without what cannot be read; with a lock that is not had, only this time."""
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return
        self._db.close()
        self._db = self._anew()


def check_max_bytes(max_bytes: int) -> None:
    """Raises:
    InvalidInput: no size that a cache can have.
    """
    if not MIN_BYTES <= max_bytes <= MAX_BYTES:
        raise InvalidInput(
            "not a size of a cache",
            expected=f"{MIN_BYTES:,} to {MAX_BYTES:,} bytes",
            found=max_bytes,
        )


def _nowhere() -> sqlite3.Connection:
    """In memory, and of no more than this process's use: where the disk gives no file."""
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.executescript(_TABLES)
    return db


def _make_room(folder: Path, own: Path, most: int) -> int:
    """Remove other models' files until they have at most `most` bytes together; those they have."""
    sizes: list[tuple[float, int, Path]] = []
    for path in folder.glob("*.sqlite"):
        if path != own:
            with suppress(OSError):
                status = path.stat()
                sizes.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in sizes)
    for _, size, path in sorted(sizes):
        if total <= most:
            break
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        total -= size
    return total


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _packed(key: bytes, content: bytes) -> bytes:
    return _digest(key + content)[:_CHECK_BYTES] + content


def _unpacked(key: object, packed: object, size: int) -> bytes | None:
    if not isinstance(key, bytes) or not isinstance(packed, bytes):
        return None
    if len(packed) != size + _CHECK_BYTES:
        return None
    content = packed[_CHECK_BYTES:]
    return content if _packed(key, content) == packed else None


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._")[:80]
