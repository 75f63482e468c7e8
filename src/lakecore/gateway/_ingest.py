"""/ingest/file: one file into a dataset, read from a temporary file, never held in memory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData, UploadFile

from lakecore.base import InvalidInput
from lakecore.base.limits import KIB, MIB
from lakecore.gateway._answers import json_answer, to_json
from lakecore.gateway._body import check_type
from lakecore.gateway._guard import Access, Caller, caller_of, needs

if TYPE_CHECKING:
    from lakecore.gateway._app import Rooms

router = APIRouter(prefix="/ingest", tags=["ingest"])

_FIELDS: Final = ("file", "dataset", "key", "entity_type", "mode", "bucket", "reason", "tier")
_MAX_FIELDS: Final = 32
_MAX_FIELD_BYTES: Final = 64 * KIB
_MAX_NAME_CHARACTERS: Final = 200
_DESCRIBED: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "dataset"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "key": {"type": "array", "items": {"type": "string"}},
                        **{
                            name: {"type": "string"}
                            for name in _FIELDS
                            if name not in ("file", "key")
                        },
                    },
                }
            }
        },
    }
}


@router.post("/file", openapi_extra=_DESCRIBED)
@needs(Access("write", "asked"))
async def ingest_file(request: Request) -> Response:
    """Load a file: CSV, TSV, JSON, NDJSON, Parquet, Arrow, Excel, also compressed.

    `key` may be given more than once. The same file again is recognised by its content.
    202 when the change waits for an approval.
    """
    check_type(request, "multipart/form-data")
    caller = caller_of(request)
    async with request.form(
        max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
    ) as form:
        rooms: Rooms = request.app.state.rooms
        # It may have come for hours.
        await rooms.workers.call(caller.recheck)
        return await rooms.workers.call(_ingest, caller, form, rooms.settings.max_upload_bytes)


def _ingest(caller: Caller, form: FormData, most_bytes: int) -> Response:
    strange = sorted(set(form) - set(_FIELDS))
    if strange:
        raise InvalidInput(
            "a form has fields that are not known",
            expected=", ".join(_FIELDS),
            found=", ".join(strange)[:200],
        )
    from lakecore.ingest import IngestOptions

    upload = form.get("file")
    dataset = _text(form, "dataset")
    if not isinstance(upload, UploadFile) or not dataset:
        raise InvalidInput("a form needs a file and a dataset")
    lake = caller.lake("write", dataset)
    # Only recorded; a client's path says nothing here.
    name = Path((upload.filename or "upload").replace("\\", "/")).name[:_MAX_NAME_CHARACTERS]
    options: dict[str, Any] = {
        "key": [one for one in form.getlist("key") if isinstance(one, str) and one],
        "entity_type": _text(form, "entity_type") or None,
        "mode": _text(form, "mode") or "append",
        "bucket": _text(form, "bucket"),
        "reason": _text(form, "reason"),
        "tier": _text(form, "tier") or "auto",
    }
    with tempfile.TemporaryDirectory(prefix="lakecore-upload-") as folder:
        # The readers look at a file more than once, by its path and its ending.
        path = Path(folder) / f"upload{''.join(Path(name).suffixes[-2:])[:20]}"
        with path.open("wb") as copy:
            shutil.copyfileobj(upload.file, copy, MIB)
        (result,) = lake.ingest(
            path,
            dataset=dataset,
            options=IngestOptions(
                file_name=name or "upload",
                temp_dir=Path(folder),
                max_unpacked_bytes=most_bytes,
            ),
            **options,
        )
    return json_answer(to_json(result), 202 if result.held else 200)


def _text(form: FormData, name: str) -> str:
    values = form.getlist(name)
    if len(values) > 1 or not all(isinstance(value, str) for value in values):
        raise InvalidInput("a field has one text", where=name)
    return str(values[0]) if values else ""
