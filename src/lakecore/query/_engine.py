"""The engine: takes a statement, decides where it runs, hands out its result."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput, Refused
from lakecore.base.limits import KIB
from lakecore.query._contexts import Bounds, Contexts, Kept
from lakecore.query._dml import SqlChange, read_change
from lakecore.query._errors import READ_ONLY
from lakecore.query._isolated import IsolatedStream, Processes
from lakecore.query._local import LocalStream, LoopThread, Runaways, make_scratch
from lakecore.query._params import bind
from lakecore.query._result import QueryResult
from lakecore.query._session import Session, is_pairwise, is_swelling
from lakecore.query._settings import MAX_STATEMENT_BYTES, MIN_MEMORY_BYTES, QuerySettings
from lakecore.query._source import TableSource
from lakecore.query._stream import BatchStream, Deadline
from lakecore.query._wire import Job, NotPortable

if TYPE_CHECKING:
    from datafusion import DataFrame

    from lakecore.spark import SparkServer

DATAFUSION: Final = "datafusion"
ENGINES: Final = (DATAFUSION, "spark")

MAX_LOCAL_OPERATORS: Final = 500
"""A chain of operators is a tree as deep as it is long; its walk is on the thread's stack."""

MAX_LOCAL_CHARACTERS: Final = 64 * KIB
"""Longer texts hold longer chains of what is no operator: steps of WITH, tables in FROM."""

_OPERATOR: Final = re.compile(
    r"[-+*/%|&^<>=~:!?]+"
    r"|\b(?:and|or|not|is|in|like|ilike|between|collate|at|union|except|intersect|join)\b",
    re.IGNORECASE,
)


class QueryEngine:
    """Read-only SQL over a table source. Threads may share it; each query is on its own.

    Args:
        source: resolves the names of tables.
        settings: bounds of every query.
        spark: where queries run that ask for the engine ``spark``.
    """

    def __init__(
        self,
        source: TableSource,
        settings: QuerySettings | None = None,
        *,
        spark: SparkServer | None = None,
    ) -> None:
        self._source = source
        self._spark = spark
        self._settings = settings or QuerySettings()
        self._loop = LoopThread()
        self._runaways = Runaways(self._loop)
        self._contexts = Contexts()
        self._processes = Processes(self._settings.idle_processes)

    def sql(
        self,
        text: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        *,
        timeout_s: float | None = None,
        max_rows: int | None = None,
        memory_limit_bytes: int | None = None,
        engine: str = DATAFUSION,
    ) -> QueryResult:
        """Plan one statement and start it; its rows are computed while they are read.

        Args:
            text: one SELECT, EXPLAIN, DESCRIBE or SHOW statement. Names without a schema are in
                `main`. ``as_of('planes', 3)``, ``as_of('planes', '2026-01-31T12:00:00Z')`` and
                ``"planes@3"`` are a table as it was at a version or time;
                ``history('planes', 'N10156')`` are the events of a row, and
                ``changes('planes', 1, 5)`` what changed behind version or time 1 up to 5.
            params: values for ``$name`` (a mapping) or ``$1``, ``$2``, … (a sequence).
            timeout_s: seconds from now to the last batch; default: the settings'.
            max_rows: rows that the result may have, further ones are cut off; default: the
                settings'.
            memory_limit_bytes: for what the query holds before it spills; default: the settings'.
            engine: ``datafusion``, or ``spark``: the same rows from a Spark Connect server, whose
                memory is its own business.

        Raises:
            InvalidInput: the statement, a parameter or a limit is wrong.
            NotFound: a table, or the version or time of one, does not exist.
            Refused: the statement would change something.
            Unavailable: planning alone took longer than the time limit.
        """
        limits = self._limits(timeout_s, max_rows, memory_limit_bytes)
        _check_text(text)
        values = bind(params)
        deadline = Deadline(limits.timeout_s)
        if engine != DATAFUSION:
            stream = self._on_spark(engine, text, values, limits, deadline)
            return QueryResult(stream, max_rows=limits.max_rows)
        bounds = Bounds(limits.memory_limit_bytes, limits.target_partitions, limits.spill_directory)
        kept = self._contexts.take(text, bounds)
        scratch = kept.scratch if kept is not None else make_scratch(limits.spill_directory)
        kept = kept or Kept(None, scratch, bounds)
        try:
            stream = self._start(text, values, limits, deadline, kept)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        return QueryResult(stream, max_rows=limits.max_rows)

    def statement(
        self,
        text: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        *,
        timeout_s: float | None = None,
        max_rows: int | None = None,
        memory_limit_bytes: int | None = None,
        engine: str = DATAFUSION,
    ) -> QueryResult | SqlChange:
        """As `sql`; of INSERT, UPDATE, DELETE and their like, what they would change.

        Nothing is changed here: that is for who has the tables. What changes rows is for
        DataFusion, whichever engine is asked for. Limits hold for the rows of a change, too, but
        for `max_rows`, which a change does not take.

        Raises:
            Refused: also, the change is not one of its table's rows, each by itself.
        """
        try:
            return self.sql(
                text,
                params,
                timeout_s=timeout_s,
                max_rows=max_rows,
                memory_limit_bytes=memory_limit_bytes,
                engine=engine,
            )
        except Refused as error:
            if error.message != READ_ONLY:
                raise
            limits = self._limits(timeout_s, None, memory_limit_bytes)
            change = self._change(text, bind(params), limits)
            if change is None:
                raise
        if max_rows is not None:
            change.close()
            raise InvalidInput("a change takes no limit of rows", found=max_rows)
        return change

    def _on_spark(
        self,
        engine: str,
        text: str,
        values: Mapping[str, Any],
        limits: QuerySettings,
        deadline: Deadline,
    ) -> BatchStream:
        if engine not in ENGINES:
            raise InvalidInput("no such engine", expected=" or ".join(ENGINES), found=engine)
        if self._spark is None:
            raise InvalidInput(
                "no Spark server is set", expected="[query] spark = 'sc://host:port'", found="none"
            )
        if _is_long(text):
            raise InvalidInput(
                "the statement is too long for Spark",
                expected=f"at most {MAX_LOCAL_CHARACTERS} characters",
                found=len(text),
            )
        from lakecore.query._spark import start

        return start(self._spark, self._source, text, values, limits, deadline)

    def _change(
        self, text: str, values: Mapping[str, Any], limits: QuerySettings
    ) -> SqlChange | None:
        """What a statement changes, None where it is none that changes rows."""
        if _is_long(text):
            raise Refused(
                "the statement is too long for a change",
                expected=f"at most {MAX_LOCAL_CHARACTERS} characters",
                found=len(text),
                hint="give the rows in parts, or as a file or rows rather than as SQL",
            )
        deadline = Deadline(limits.timeout_s)
        scratch = make_scratch(limits.spill_directory)
        bounds = Bounds(limits.memory_limit_bytes, limits.target_partitions, limits.spill_directory)
        session = Session(self._source, values, bounds=bounds, scratch=scratch)
        change: SqlChange | None = None

        def run(frame: DataFrame) -> QueryResult:
            if limits.timeout_s is not None and _is_risky(frame):
                raise Refused(
                    "a query that could not be stopped is not made a change",
                    expected="joins with an equality, and no functions such as repeat",
                    hint="ask for the rows, and give them to POST /datasets/{dataset}/mutations",
                )
            stream = LocalStream(
                session,
                frame,
                text,
                scratch=scratch,
                deadline=deadline,
                loop=self._loop,
                runaways=self._runaways,
                leave=lambda ended: None,
            )
            return QueryResult(stream)

        try:
            frame = session.plan_change(text)
            if frame is not None:
                change = read_change(frame, session.context, run)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = session.translate(error, text)
            raise failure from (None if failure is error else error)
        finally:
            if change is None or change.rows is None:
                shutil.rmtree(scratch, ignore_errors=True)
        return change

    def _limits(
        self, timeout_s: float | None, max_rows: int | None, memory_limit_bytes: int | None
    ) -> QuerySettings:
        given = {
            "timeout_s": timeout_s,
            "max_rows": max_rows,
            "memory_limit_bytes": memory_limit_bytes,
        }
        changes: dict[str, Any] = {
            name: value for name, value in given.items() if value is not None
        }
        limits = replace(self._settings, **changes)
        least = {"timeout_s": 0.001, "max_rows": 0, "memory_limit_bytes": MIN_MEMORY_BYTES}
        for name, smallest in least.items():
            value = getattr(limits, name)
            if value is not None and not value >= smallest:
                raise InvalidInput(
                    "a limit is too small", expected=f"{name} >= {smallest}", found=value
                )
        return limits

    def _start(
        self,
        text: str,
        values: Mapping[str, Any],
        limits: QuerySettings,
        deadline: Deadline,
        kept: Kept,
    ) -> BatchStream:
        scratch = kept.scratch
        if limits.isolation == "always" or (limits.isolation == "auto" and self._suspect(text)):
            stream = self._isolated(text, values, limits, deadline, scratch)
            if stream is not None:
                return stream
            kept = replace(kept, context=None)  # the folder that it spills into was removed
        session = Session(
            self._source,
            values,
            bounds=kept.bounds,
            scratch=scratch,
            context=kept.context,
        )
        try:
            frame = session.plan(text, limits.max_rows)
            if limits.isolation == "auto" and limits.timeout_s is not None and _is_risky(frame):
                stream = self._isolated(text, values, limits, deadline, scratch)
                if stream is not None:
                    return stream
            return LocalStream(
                session,
                frame,
                text,
                scratch=scratch,
                deadline=deadline,
                loop=self._loop,
                runaways=self._runaways,
                leave=lambda ended: self._contexts.give_back(ended, kept),
            )
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = session.translate(error, text)
            raise failure from (None if failure is error else error)

    def _suspect(self, text: str) -> bool:
        """Whether a text could overflow the stack, or the next query could find no processor."""
        return _is_long(text) or self._runaways.busy()

    def _isolated(
        self,
        text: str,
        values: Mapping[str, Any],
        limits: QuerySettings,
        deadline: Deadline,
        scratch: Path,
    ) -> BatchStream | None:
        """The query in another process; None when some table can be read in this one alone."""
        job = Job(
            text,
            values,
            limits.max_rows,
            limits.memory_limit_bytes,
            limits.target_partitions,
            str(scratch),
        )
        try:
            return IsolatedStream(self._processes, self._source, job, deadline)
        except NotPortable:
            scratch.mkdir(exist_ok=True)
            return None

    def over(self, source: TableSource) -> QueryEngine:
        """The same engine over other tables: it shares all else, and ends with this one."""
        other = copy.copy(self)
        other._source = source
        return other

    def close(self) -> None:
        """End what runs beside this process. Open results must not be read any more."""
        self._processes.close()
        self._contexts.close()
        self._runaways.close()
        self._loop.close()

    def __enter__(self) -> QueryEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _is_risky(frame: DataFrame) -> bool:
    """Whether a plan may hold a step that cannot be interrupted."""
    return is_swelling(frame) or is_pairwise(frame)


def _is_long(text: str) -> bool:
    """Whether a text is so long, or such a chain, that its plan may be too deep for a thread."""
    if len(text) > MAX_LOCAL_CHARACTERS:
        return True
    return sum(1 for _ in _OPERATOR.finditer(text)) > MAX_LOCAL_OPERATORS


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise InvalidInput("a statement is text", found=type(text).__name__)
    if len(text) > MAX_STATEMENT_BYTES:
        raise InvalidInput(
            "the statement is too long",
            expected=f"at most {MAX_STATEMENT_BYTES} characters",
            found=len(text),
            hint="give values as parameters",
        )
