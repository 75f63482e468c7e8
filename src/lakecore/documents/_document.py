"""The form of a document on the store, and what changed between two versions: no I/O."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lakecore.base import Bug, CorruptData, InvalidInput, UnsupportedFormat
from lakecore.base.limits import MAX_DOCUMENT_BYTES, MAX_NAME_BYTES
from lakecore.journal import CommitRecord

FORMAT: Final = 1
ROOT: Final = "documents/"

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_PATH = re.compile(r"documents/(?P<kind>[^/]+)/(?P<name>[^/]+)/(?P<version>\d{20})\.json")

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One version of one document.

    `body` is a JSON object, or None when this version removed the document.
    `version` counts from 0. `record` is the commit that created this version.
    """

    kind: str
    name: str
    version: int
    body: dict[str, Any] | None
    record: CommitRecord

    @property
    def path(self) -> str:
        return document_path(self.kind, self.name, self.version)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One changed top-level field, as JSON text; None on the side where it is absent."""

    field: str
    old: str | None
    new: str | None


def check_name(name: str, *, what: str) -> str:
    """`name` if it can stand in a path on every store, else `InvalidInput`."""
    if len(name.encode()) > MAX_NAME_BYTES or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"not a {what}",
            expected=f"a-z, 0-9, '_', '.', '-', at most {MAX_NAME_BYTES} bytes",
            found=repr(name),
        )
    return name


def folder(kind: str, name: str | None = None) -> str:
    return f"{ROOT}{kind}/" if name is None else f"{ROOT}{kind}/{name}/"


def document_path(kind: str, name: str, version: int) -> str:
    return f"{folder(kind, name)}{version:020d}.json"


def split_path(path: str) -> tuple[str, str, int] | None:
    """(kind, name, version) of a document's path; None for any other object."""
    match = _PATH.fullmatch(path)
    return (match["kind"], match["name"], int(match["version"])) if match else None


def canonical(value: object) -> str:
    """JSON text with sorted keys and no white space: equal values, equal text."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def body_of(document: Document, known_format: int, what: str) -> Body:
    """The body of a document of this format.

    Args:
        what: it is, for the error: ``an API key``.

    Raises:
        UnsupportedFormat: it is of another.
    """
    body = document.body or {}
    if body.get("format") != known_format:
        raise UnsupportedFormat(
            f"{what} is of a format that is not known",
            expected=known_format,
            found=body.get("format"),
            where=document.path,
            hint="use the Lakecore that wrote it, or a newer one",
        )
    return body


def body_sha256(body: Body | None) -> str:
    """The SHA-256, in hex, of a body's canonical text; ``null`` for a removed document."""
    # Text that is none is refused by the events' own rules.
    return hashlib.sha256(canonical(body).encode(errors="surrogatepass")).hexdigest()


def encode_document(
    kind: str, name: str, version: int, body: Body | None, record: CommitRecord
) -> bytes:
    """The bytes of one version. `InvalidInput` when the body is no JSON object or too large."""
    content = {
        "format": FORMAT,
        "kind": kind,
        "name": name,
        "version": version,
        "lakecore": record.to_json(),
        "body": body,
    }
    try:
        data = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            "a document's body must be JSON", where=f"{kind}/{name}", found=error
        ) from error
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InvalidInput(
            "a document is too large",
            expected=f"at most {MAX_DOCUMENT_BYTES:,} bytes",
            found=f"{len(data):,}",
            where=f"{kind}/{name}",
        )
    return data


def parse_document(path: str, data: bytes) -> Document:
    """The document stored at `path`. `CorruptData` when the bytes are not one."""
    where = split_path(path)
    if where is None:
        raise Bug("not a document's path", found=path)
    kind, name, version = where
    try:
        content = json.loads(data)
        if not isinstance(content, dict):
            raise TypeError("not an object")
        found_format = content["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData("a document is not readable", where=path, found=error) from error
    if found_format != FORMAT:
        raise UnsupportedFormat(
            "a document's format is unknown",
            expected=FORMAT,
            found=found_format,
            where=path,
            hint="read this lake with the Lakecore that wrote it, or a newer one",
        )
    try:
        identity = (content["kind"], content["name"], content["version"])
        record = CommitRecord.from_json(content["lakecore"])
        body = content["body"]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptData("a document lacks a part", where=path, found=repr(error)) from error
    if identity != (kind, name, version):
        raise CorruptData(
            "a document lies under another's name", where=path, expected=where, found=identity
        )
    if body is not None and not isinstance(body, dict):
        raise CorruptData("a document's body is no object", where=path)
    return Document(kind=kind, name=name, version=version, body=body, record=record)


def field_changes(old: Body | None, new: Body | None) -> Iterator[FieldChange]:
    """What changed: the whole document ('*') when one side is absent, else field by field."""
    if old is None or new is None:
        if old is not new:
            yield FieldChange(
                "*",
                None if old is None else canonical(old),
                None if new is None else canonical(new),
            )
        return
    for field in sorted(old.keys() | new.keys()):
        before = canonical(old[field]) if field in old else None
        after = canonical(new[field]) if field in new else None
        if before != after:
            yield FieldChange(field, before, after)
