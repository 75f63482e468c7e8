"""/datasets/{dataset}/diff and /entity: two versions compared, one row as it was."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from lakecore.base import InvalidInput, Unavailable
from lakecore.gateway._answers import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    cursor_at,
    json_answer,
    start_of,
)
from lakecore.gateway._guard import Access, caller_of, needs
from lakecore.gateway._query import chosen_type, stream

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.query import QueryResult

router = APIRouter(prefix="/datasets", tags=["catalog"])

_MOST: Final = 2**63 - 1
Number = Annotated[int | None, Query(ge=-_MOST, le=_MOST)]
Moment = Annotated[str, Query(max_length=64)]
_VERSION: Final = re.compile(r"-?[0-9]{1,18}")


@router.get("/{dataset}/diff")
@needs(Access("read", "path"))
async def diff(
    request: Request,
    dataset: str,
    after: Annotated[Moment, Query(alias="from")],
    until: Annotated[Moment, Query(alias="to")],
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=1_024)] = None,
) -> Response:
    """What turns one version, or the dataset at a time, into another: field by field.

    As JSON page by page, each computed anew; in the other forms of rows, as `Accept` says, all
    of it as one stream.
    """
    lake = caller_of(request).lake("read", dataset)
    media_type = chosen_type(request.headers.get("accept", ""))
    moments = _moment(after), _moment(until)
    if media_type != "application/json":
        if {"limit", "cursor"} & set(request.query_params):
            raise InvalidInput("rows in this form have no pages", expected="no limit, no cursor")
        return await stream(
            request, media_type, lambda: Batches.result(lake.diff(dataset, *moments))
        )
    start = start_of(cursor)

    def read() -> dict[str, Any]:
        items = _some(lake.diff(dataset, *moments), start, limit + 1)
        following = cursor_at(start + limit) if len(items) > limit else None
        return {"items": items[:limit], "next": following}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.get("/{dataset}/entity")
@needs(Access("read", "path"))
async def entity(
    request: Request,
    dataset: str,
    key: Annotated[str, Query(max_length=8_192)],
    seq: Number = None,
    version: Number = None,
    time: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """One row as the journal has it at a seq, a version or a time; `values` null: gone.

    A key of several columns is their values as a JSON array.
    """
    lake = caller_of(request).lake("read", dataset)

    def read() -> dict[str, Any]:
        found = lake.entity(dataset, key, seq=seq, version=version, time=time)
        return {"dataset": dataset, "key": key, "values": found}

    return json_answer(await request.app.state.rooms.workers.call(read))


class Batches:
    """Arrow's own stream, as a query's result reads it."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader
        self._is_over = False
        self.schema = reader.schema

    @classmethod
    def result(cls, reader: pa.RecordBatchReader | None) -> QueryResult:
        """A result with these rows; None: a diff without any."""
        import pyarrow as pa

        from lakecore.query import QueryResult
        from lakecore.tables import DIFF_COLUMNS

        if reader is None:
            schema = pa.schema([(name, pa.string()) for name in DIFF_COLUMNS])
            reader = pa.RecordBatchReader.from_batches(schema, [])
        return QueryResult(cls(reader))

    def next(self) -> pa.RecordBatch | None:
        """The next batch, None at the end."""
        if self._is_over:
            raise Unavailable("this was ended before all rows were there")
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            return None

    def cancel(self) -> None:
        """End it, before the next batch."""
        self._is_over = True

    def close(self) -> None:
        """Let go of the rows."""
        self._is_over = True


def _some(reader: pa.RecordBatchReader, start: int, count: int) -> list[dict[str, Any]]:
    """So many rows from there on; those before are passed over as they are."""
    found: list[dict[str, Any]] = []
    for batch in reader:
        if start >= batch.num_rows:
            start -= batch.num_rows
            continue
        found += batch.slice(start, count - len(found)).to_pylist()
        start = 0
        if len(found) >= count:
            break
    return found


def _moment(text: str) -> int | str:
    return int(text) if _VERSION.fullmatch(text) else text
