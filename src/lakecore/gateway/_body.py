"""Request bodies: JSON checked by a model in a thread, and streams as they come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lakecore.gateway._guard import caller_of
from lakecore.gateway._problems import HttpProblem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import Request

_M = TypeVar("_M", bound=BaseModel)
_SHOWN_ERRORS = 5
_LONG_S = 1.0


class Model(BaseModel):
    """A JSON object with known members only: a misspelt limit must not look like one."""

    model_config = ConfigDict(extra="forbid", strict=True)


def content_type(request: Request) -> str:
    """The media type of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_type(request: Request, *allowed: str) -> str:
    """The body's media type, one of these.

    Raises:
        HttpProblem: another one (415).
    """
    found = content_type(request)
    if found not in allowed:
        raise HttpProblem(
            415,
            "unsupported-media-type",
            "a body of another type is needed",
            expected=", ".join(allowed),
            found=found[:200] or "none",
        )
    return found


async def read_json(request: Request, model: type[_M]) -> _M:
    """The body as `model`; parsed in a thread, by a parser that bounds its depth.

    Raises:
        HttpProblem: no such JSON (400), or no JSON at all (415).
    """
    check_type(request, "application/json")
    data = await read_body(request)
    found: _M = await request.app.state.rooms.workers.call(_parsed, model, data)
    return found


async def read_body(request: Request) -> bytes:
    """The whole body. Where it took long to come, the key is asked for again.

    Raises:
        Unauthenticated: it has ended meanwhile.
    """
    began_s = time.monotonic()
    data = await request.body()
    if time.monotonic() - began_s > _LONG_S:
        await request.app.state.rooms.workers.call(caller_of(request).recheck)
    return data


def describe_body(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a body that `read_json` reads."""
    schema = model.model_json_schema()
    # A reference would be looked for in the whole document.
    schema = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inlined(schema: Any, named: Mapping[str, Any]) -> Any:
    """A schema with what it refers to in its place. Models that hold themselves have none."""
    if isinstance(schema, list):
        return [_inlined(one, named) for one in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _inlined(named[reference.rpartition("/")[2]], named)
    return {name: _inlined(one, named) for name, one in schema.items()}


def _parsed(model: type[_M], data: bytes) -> _M:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise invalid("the body is not as it should be", error.errors(include_url=False)) from None


def invalid(message: str, errors: Sequence[Mapping[str, Any]]) -> HttpProblem:
    """Pydantic's errors as one problem: where, and what was expected."""
    shown = errors[:_SHOWN_ERRORS]
    more = f"; and {len(errors) - len(shown)} more" if len(errors) > len(shown) else ""
    return HttpProblem(
        400,
        "bad-request",
        message,
        where=", ".join(".".join(map(str, one["loc"])) for one in shown if one["loc"]) or None,
        expected="; ".join(str(one["msg"]) for one in shown) + more,
    )
