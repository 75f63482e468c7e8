"""DataFusion contexts that are kept between queries, for what they know of files.

A context reads the footers of the Parquet files that a query names, and knows them from then
on. A query over a journal of 10M events would otherwise spend most of its time on them: an
actor in a minute takes 75 ms with a new context and 35 ms with one that is kept.

A kept context belongs to one query at a time, so its memory limit is that query's. It is
given back only by a query that came to its end: one that was stopped may still compute, and
its context goes with it. What it knows is bounded (`_LIMITS`), and is of a file's size and
time; of what lies in a folder it knows nothing.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions

from lakecore.query._source import MAIN

if TYPE_CHECKING:
    from lakecore.query._session import Session

CATALOG: Final = "lake"
MAX_KEPT: Final = 2
_LIMITS: Final = {"metadata_cache_limit": "32M", "list_files_cache_limit": "0M"}
_WORD: Final = re.compile(r"\w+")
_MAX_NAMES: Final = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a context is made with."""

    memory_limit_bytes: int
    target_partitions: int | None
    spill_directory: str | os.PathLike[str] | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A context, None before it is made, and the folder that each query with it has."""

    context: SessionContext | None
    scratch: Path
    bounds: Bounds


def new_context(bounds: Bounds, scratch: Path) -> SessionContext:
    """A context that spills into a folder. Making one takes about a millisecond."""
    config = SessionConfig().with_information_schema(True)
    config = config.with_default_catalog_and_schema(CATALOG, MAIN)
    config = config.with_create_default_catalog_and_schema(False)
    config = config.set("datafusion.execution.time_zone", "+00:00")
    if bounds.target_partitions is not None:
        config = config.with_target_partitions(bounds.target_partitions)
    runtime = RuntimeEnvBuilder().with_fair_spill_pool(bounds.memory_limit_bytes)
    context = SessionContext(config, runtime.with_disk_manager_specified(scratch))
    limit_caches(context)
    return context


def allowed(*, changes: bool = False) -> SQLOptions:
    """What statements may be: queries; with `changes` also what changes rows, to be planned."""
    options = SQLOptions().with_allow_ddl(False).with_allow_dml(changes)
    return options.with_allow_statements(False)


def limit_caches(context: SessionContext) -> None:
    for name, value in _LIMITS.items():
        _set(context, name, value)


class Contexts:
    """The idle contexts of one engine. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Kept] = []
        self._names: set[str] = set()
        self._owner = os.getpid()

    def take(self, text: str, bounds: Bounds) -> Kept | None:
        """A context for a statement that seems to name a table of files; None: make one."""
        if not self._idle or not self._names.intersection(_WORD.findall(text.lower())):
            return None
        with self._lock:
            if self._owner != os.getpid():  # a fork has no threads to run them
                self._idle.clear()
            found = next((kept for kept in reversed(self._idle) if kept.bounds == bounds), None)
            if found is None:
                return None
            self._idle.remove(found)
        try:
            found.scratch.mkdir(mode=0o700)
        except OSError:
            return None  # somebody else's by now, or it cannot be made: another one may be
        if found.context is not None:
            _set(found.context, "temp_directory", str(found.scratch))
        return found

    def give_back(self, session: Session, kept: Kept) -> None:
        """Keep the context of a query that came to its end, if it read tables of files."""
        names = session.tables.file_tables
        if not names:
            return
        context = session.release()
        with self._lock:
            if self._owner != os.getpid():
                return
            if len(self._names) + len(names) > _MAX_NAMES:
                self._names.clear()
            self._names |= names
            self._idle.append(replace(kept, context=context))
            del self._idle[:-MAX_KEPT]

    def close(self) -> None:
        with self._lock:
            self._idle.clear()


def _set(context: SessionContext, name: str, value: str) -> None:
    quoted = value.replace("'", "''")
    context.sql(f"SET datafusion.runtime.{name} = '{quoted}'")
