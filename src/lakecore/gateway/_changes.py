"""Changes of rows: made, waiting, approved, rejected, undone. Always in the caller's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from lakecore.base import InvalidInput, NotFound
from lakecore.gateway._answers import DEFAULT_LIMIT, MAX_LIMIT, json_answer, page
from lakecore.gateway._body import Model, content_type, describe_body, read_json
from lakecore.gateway._guard import KNOWN, Access, Caller, caller_of, needs
from lakecore.gateway._requests import Answer, answer_once
from lakecore.gateway._rows import ARROW, describe_rows, read_rows

router = APIRouter(tags=["changes"])

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=1_024)]
Tier = Literal["auto", "dry_run", "sim", "preview"]

_ROWS = ("insert", "upsert", "replace")
_HELD, _DONE = 202, 200


class Mutation(Model):
    """One change of a dataset's rows; see `docs/changes.md`."""

    op: Literal["insert", "upsert", "replace", "update", "delete", "restore"]
    rows: list[dict[str, Any]] | None = None
    where: str | None = None
    keys: list[Any] | None = None
    set: dict[str, Any] | None = None
    all: bool = False
    version: int | None = None
    time: str | None = None
    reason: str = ""
    tier: Tier = "auto"
    workspace: str | None = None


class ColumnEdit(Model):
    """One column: `type` of an added or widened one, `new_name` of a renamed one."""

    op: Literal["add", "rename", "drop", "widen"]
    name: str
    type: str | None = None
    new_name: str | None = None


class Columns(Model):
    """Changes of columns, made in this order as one version."""

    changes: list[ColumnEdit]
    reason: str = ""
    tier: Tier = "auto"
    workspace: str | None = None


class Revert(Model):
    """Undoing one mutation; of a workspace, where it is named."""

    reason: str = ""
    tier: Tier = "auto"
    skip_conflicts: bool = False
    workspace: str | None = None


class Word(Model):
    """A decision and its reason."""

    reason: str = ""


@router.post("/datasets/{dataset}/mutations", openapi_extra=describe_rows(Mutation))
@needs(Access("write", "path"))
async def mutate(request: Request, dataset: str) -> Response:
    """Change rows: 200 when it is made, 202 when it waits for an approval.

    Rows may come as an Arrow stream, with the other members as query parameters.
    """
    if content_type(request) == ARROW:
        asked, table = await read_rows(request, Mutation)
    else:
        asked, table = await read_json(request, Mutation), None
    caller = caller_of(request)
    lake = caller.lake("write", dataset)
    arguments: dict[str, Any] = {"rows": [table], "named": {}}
    if table is None:
        arguments = _arguments(asked)

    def make(mutation_id: str | None) -> Answer:
        result = getattr(lake, asked.op)(
            dataset,
            *arguments["rows"],
            **arguments["named"],
            reason=asked.reason,
            tier=asked.tier,
            mutation_id=mutation_id,
            workspace=asked.workspace,
        )
        return told(caller, result)

    return await answer_once(request, make, lambda known: recovered(caller, known))


@router.post("/datasets/{dataset}/columns", openapi_extra=describe_body(Columns))
@needs(Access("admin", "path"))
async def columns(request: Request, dataset: str) -> Response:
    """Change columns: 200 when it is made, 202 when it waits for an approval."""
    asked = await read_json(request, Columns)
    caller = caller_of(request)
    lake = caller.lake("admin", dataset)
    changes = [_column_change(one) for one in asked.changes]

    def make(mutation_id: str | None) -> Answer:
        result = lake.alter_columns(
            dataset,
            changes,
            reason=asked.reason,
            tier=asked.tier,
            mutation_id=mutation_id,
            workspace=asked.workspace,
        )
        return told(caller, result)

    return await answer_once(request, make, lambda known: recovered(caller, known))


@router.post("/mutations/{mutation_id}/revert", openapi_extra=describe_body(Revert))
@needs(Access("write", "asked"))
async def revert(request: Request, mutation_id: str) -> Response:
    """Undo exactly one mutation, whatever came after it."""
    asked = await read_json(request, Revert)
    caller = caller_of(request)

    def make(own_id: str | None) -> Answer:
        where = caller.looking()
        if asked.workspace is not None:
            where = where.workspace(asked.workspace, create=False)
        caller.lake("write", where.mutated(mutation_id).name)
        result = where.undo(
            mutation_id,
            skip_conflicts=asked.skip_conflicts,
            reason=asked.reason,
            tier=asked.tier,
            mutation_id=own_id,
        )
        return told(caller, result)

    return await answer_once(request, make, lambda known: recovered(caller, known))


@router.get("/pending")
@needs(KNOWN)
async def pending(
    request: Request,
    decided: bool = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """The changes that wait, of datasets that the caller may read or approve; oldest first."""
    caller = caller_of(request)
    lake = caller.looking()

    def read() -> dict[str, Any]:
        found = [one for one in lake.pending(decided=decided) if _may_see(caller, one.dataset)]
        some = page(found, limit, cursor)
        return {**some, "items": [_shown(one) for one in some["items"]]}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.get("/pending/{change_id}")
@needs(KNOWN)
async def pending_change(
    request: Request, change_id: str, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """One change that waits or waited, with what it would change, for who may read that."""
    caller = caller_of(request)
    lake = caller.looking()

    def read() -> dict[str, Any]:
        found = lake.pending_change(change_id)
        if not _may_see(caller, found.dataset):
            raise NotFound("no such pending change", where=change_id[:200])
        decision = found.decision
        shown = _shown(found) | {name: decision.get(name) for name in ("rule_set", "rules", "size")}
        if not caller.may("read", found.dataset):
            return shown
        shown["samples"] = decision.get("samples", [])
        try:
            diff = lake.pending_diff(change_id, limit=limit).to_pylist()
        except NotFound:
            diff = []  # decided: the journal has what was made
        return {**shown, "diff": diff}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.post("/pending/{change_id}/approve", openapi_extra=describe_body(Word))
@needs(Access("approve", "asked"))
async def approve(request: Request, change_id: str) -> Response:
    """Make a change that waits, exactly as it was shown."""
    asked = await read_json(request, Word)
    caller = caller_of(request)

    def make(mutation_id: str | None) -> Answer:
        found = caller.looking().pending_change(change_id)
        lake = caller.lake("approve", found.dataset)
        return told(caller, lake.approve(change_id, reason=asked.reason))

    return await answer_once(request, make)


@router.post("/pending/{change_id}/reject", openapi_extra=describe_body(Word))
@needs(Access("approve", "asked"))
async def reject(request: Request, change_id: str) -> Response:
    """Have a change that waits not made."""
    asked = await read_json(request, Word)
    caller = caller_of(request)

    def make(mutation_id: str | None) -> Answer:
        found = caller.looking().pending_change(change_id)
        lake = caller.lake("approve", found.dataset)
        return Answer.of(_shown(lake.reject(change_id, asked.reason)))

    return await answer_once(request, make)


def _arguments(asked: Mutation) -> dict[str, Any]:
    """What the call of the lake takes, and nothing that it would pass over in silence."""
    allowed = {
        **{name: {"rows"} for name in _ROWS},
        "update": {"set", "where", "keys", "all"},
        "delete": {"where", "keys", "all"},
        "restore": {"version", "time"},
    }[asked.op]
    shape = {"rows", "set", "where", "keys", "all", "version", "time"}
    strange = sorted((asked.model_fields_set & shape) - allowed)
    if strange:
        raise InvalidInput(
            f"{asked.op} does not take this",
            expected=", ".join(sorted(allowed)),
            found=", ".join(strange),
        )
    needed = "rows" if asked.op in _ROWS else "set" if asked.op == "update" else None
    if needed is not None and getattr(asked, needed) is None:
        raise InvalidInput(f"{asked.op} needs {needed}")
    named = {name: getattr(asked, name) for name in allowed - {"rows"}}
    return {"rows": [asked.rows] if asked.op in _ROWS else [], "named": named}


def _column_change(edit: ColumnEdit) -> Any:
    """As the tables take it; every operation has the members that it needs, and no others."""
    from lakecore.tables import AddColumn, DropColumn, RenameColumn, WidenColumn

    kinds = {"add": AddColumn, "rename": RenameColumn, "drop": DropColumn, "widen": WidenColumn}
    kind = kinds[edit.op]
    needed = [one.name for one in fields(kind)]
    given = edit.model_dump(exclude={"op"}, exclude_none=True)
    if sorted(given) != sorted(needed):
        raise InvalidInput(
            f"to {edit.op} a column takes other members",
            expected=", ".join(needed),
            found=", ".join(given),
        )
    return kind(**given)


def told(caller: Caller, result: Any) -> Answer:
    """What a change did. Values of rows only for who may read them."""
    shown = {one.name: getattr(result, one.name) for one in fields(result)}
    shown["committed"] = result.committed
    if not caller.may("read", result.dataset):
        shown["changes"] = []
        decision: Mapping[str, Any] = shown.get("decision") or {}
        shown["decision"] = {name: part for name, part in decision.items() if name != "samples"}
    return Answer.of(shown, _HELD if result.held else _DONE)


def recovered(caller: Caller, mutation_id: str) -> Answer | None:
    """What the journal says of a mutation whose answer was lost; None: it was not made."""
    found = caller.looking().journal.query(mutation_id=mutation_id, limit=1).items
    made = [event for event in found if event.version is not None]
    if not made:
        return None
    told = {"mutation_id": mutation_id, "dataset": made[0].dataset, "version": made[0].version}
    return Answer.of({**told, "committed": True, "held": False})


def _may_see(caller: Caller, dataset: str) -> bool:
    return caller.may("read", dataset) or caller.may("approve", dataset)


def _shown(pending: Any) -> dict[str, Any]:
    """A waiting change without its arguments: they may be rows."""
    body = pending.body
    decision = body["decision"]
    return {
        "id": pending.id,
        **{name: body[name] for name in ("state", "op", "dataset", "counts", "shown")},
        **{
            name: body.get(name)
            for name in ("created_us", "expires_us", "decided_us", "decided_by")
        },
        "actor": pending.author.actor,
        "reason": pending.author.reason,
        "tier": decision.get("tier"),
        "reasons": [one["message"] for one in decision.get("reasons", ())],
        "approval": decision.get("approval"),
    }
