"""Rows of a change as an Arrow stream: their types come with them, which JSON has no words for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from lakecore.gateway._body import describe_body, invalid, read_body
from lakecore.gateway._problems import HttpProblem

if TYPE_CHECKING:
    import pyarrow as pa
    from fastapi import Request

_M = TypeVar("_M", bound=BaseModel)
ARROW: Final = "application/vnd.apache.arrow.stream"
OPS: Final = ("insert", "upsert", "replace")
_MEMBERS: Final = ("op", "reason", "tier", "workspace")


async def read_rows(request: Request, model: type[_M]) -> tuple[_M, pa.Table]:
    """The rows of the body, and the other members of the change from the query's parameters.

    Raises:
        HttpProblem: no Arrow stream, or parameters that are none (400).
    """
    given = dict(request.query_params)
    strange = sorted(set(given) - set(_MEMBERS))
    if strange or given.get("op") not in OPS:
        raise HttpProblem(
            400,
            "bad-request",
            "rows as Arrow need their operation as a query parameter",
            expected=f"op = {' | '.join(OPS)}; {', '.join(_MEMBERS[1:])}",
            found=", ".join(strange)[:200] or str(given.get("op"))[:200],
        )
    try:
        asked = model.model_validate(given)
    except ValidationError as error:
        raise invalid("the parameters are not right", error.errors(include_url=False)) from None
    data = await read_body(request)
    return asked, await request.app.state.rooms.workers.call(_table, data)


def describe_rows(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of such a body: JSON, or rows alone."""
    described = describe_body(model)
    described["requestBody"]["content"][ARROW] = {"schema": {"type": "string", "format": "binary"}}
    names = [("op", {"type": "string", "enum": list(OPS)})]
    names += [(name, {"type": "string"}) for name in _MEMBERS[1:]]
    about = "Only with rows as an Arrow stream."
    described["parameters"] = [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": about}
        for name, schema in names
    ]
    return described


def _table(data: bytes) -> pa.Table:
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(data) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise HttpProblem(400, "bad-request", "not an Arrow stream", found=error) from None
    return table
