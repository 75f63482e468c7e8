"""An index as the registry has it: what it is over, what it covers, where its files are. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, InvalidInput
from lakecore.base.limits import MAX_NAME_BYTES

if TYPE_CHECKING:
    from lakecore.documents import Document

FORMAT: Final = 1
KIND: Final = "indexes"
"""The kind of their documents."""

KINDS: Final = ("vector", "text", "hybrid")
METRICS: Final = ("cosine", "dot", "l2")
BUILDING: Final = "building"
READY: Final = "ready"
STALE: Final = "stale"
FAILED: Final = "failed"
MAX_INDEX_COLUMNS: Final = 32
RESERVED: Final = ("_key", "_rank", "_score", "_highlight", "_covered_version", "_rows_behind")
"""Columns that an answer has of its own."""

PARAMETERS: Final[Mapping[str, tuple[float, float, float]]] = {
    # name: default, least, most
    "exact_rows": (5_000, 0, 1_000_000),
    "connectivity": (16, 4, 128),
    "expansion_add": (64, 8, 2_048),
    "min_recall": (0.95, 0.5, 1.0),
}
"""What may be set: rows up to which every vector is compared, and the graph above that."""

TAKEN: Final = "indexes"
"""A name that is a route of its own."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object of an index: never changed, so its hash says whether it is whole."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentInfo:
    """Rows that were written together.

    Attributes:
        rows: as written.
        dead: of these, those that changed or went since.
        is_delta: it has what refreshes added since the others were written.
        is_exact: every vector is compared; else a graph finds candidates.
    """

    id: str
    rows: int
    dead: int = 0
    is_delta: bool = False
    is_exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A whole index at one version of its table.

    Attributes:
        version: of the table.
        rows: that can be found.
        skipped: rows of the table without any text or vector.
        model: that made the vectors; None: they are the dataset's own.
        recall: of the ten nearest, measured against the exact answer; 1.0 where all is exact.
        expansion: how far the graph is searched for that recall.
        files: by name; names of one part begin with it.
    """

    id: str
    version: int
    rows: int
    skipped: int
    model: str | None
    recall: float | None
    expansion: int
    built_us: int
    duration_s: float
    segments: tuple[SegmentInfo, ...]
    files: Mapping[str, StoredFile]

    @property
    def size_bytes(self) -> int:
        """Bytes of its files."""
        return sum(file.size_bytes for file in self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One index.

    Attributes:
        id: of this index and no other, also where one of its name was dropped before.
        dataset: what it was called when the index was made; `dataset_id` is what counts.
        key: the columns that identify a row.
        model: that its vectors are made with; None: the column has them, or there are none.
        dimension: of its vectors; None: there are none, or no row yet.
        state: building (nothing to search yet), ready, failed (nothing to search, see `error`).
        error: why the last build failed.
        version: of its document.
    """

    name: str
    id: str
    dataset: str
    dataset_id: str
    kind: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    model: str | None
    dimension: int | None
    metric: str
    parameters: Mapping[str, float]
    created_us: int
    state: str = BUILDING
    error: str = ""
    generation: Generation | None = None
    version: int = field(default=-1, compare=False)

    @property
    def has_vectors(self) -> bool:
        return self.kind != "text"

    @property
    def has_text(self) -> bool:
        return self.kind != "vector"

    @property
    def stored_columns(self) -> tuple[str, ...]:
        """Columns whose values an answer has, beside the key's: the texts."""
        if self.has_vectors and self.model is None:
            return ()
        return tuple(name for name in self.columns if name not in self.key)

    @property
    def folder(self) -> str:
        """Where its files are."""
        return f"{ROOT}{self.id}/"

    def parameter(self, name: str) -> float:
        """As set, or the default."""
        return self.parameters.get(name, PARAMETERS[name][0])

    def with_generation(self, generation: Generation) -> Index:
        return replace(self, generation=generation, state=READY, error="")

    def with_failure(self, error: str) -> Index:
        """A build failed; what is there is served on."""
        state = READY if self.generation is not None else FAILED
        return replace(self, state=state, error=error)

    def to_body(self) -> dict[str, Any]:
        """The JSON object of its document."""
        return {
            "format": FORMAT,
            "id": self.id,
            "dataset": self.dataset,
            "dataset_id": self.dataset_id,
            "kind": self.kind,
            "columns": list(self.columns),
            "key": list(self.key),
            "model": self.model,
            "dimension": self.dimension,
            "metric": self.metric,
            "parameters": dict(self.parameters),
            "created_us": self.created_us,
            "state": self.state,
            "error": self.error,
            "generation": None if self.generation is None else _generation_body(self.generation),
        }


ROOT: Final = "search/"


def check_index_name(name: object) -> str:
    """The name, or `InvalidInput`."""
    is_name = isinstance(name, str) and len(name) <= MAX_NAME_BYTES and _NAME.fullmatch(name)
    if not is_name or name == TAKEN:
        raise InvalidInput(
            "not a name of an index",
            expected=f"a-z, 0-9, _, no digit first, at most {MAX_NAME_BYTES} characters; "
            f"and not {TAKEN}",
            found=repr(name)[:200],
        )
    return str(name)


def check_columns(columns: Sequence[str] | str) -> tuple[str, ...]:
    """Columns to index, each once, or `InvalidInput`."""
    found = (columns,) if isinstance(columns, str) else tuple(columns)
    if not found or len(found) > MAX_INDEX_COLUMNS or len(set(found)) != len(found):
        raise InvalidInput(
            "not columns to index",
            expected=f"1 to {MAX_INDEX_COLUMNS} names, each once",
            found=repr(found)[:200],
        )
    if taken := [name for name in found if name in RESERVED]:
        raise InvalidInput("an answer has a column of that name itself", found=", ".join(taken))
    return found


def check_choice(value: str, choices: Sequence[str], what: str) -> str:
    """One of these words, or `InvalidInput`."""
    if value not in choices:
        raise InvalidInput(f"not a {what}", expected=" | ".join(choices), found=repr(value)[:100])
    return value


def check_parameters(given: Mapping[str, object] | None) -> dict[str, float]:
    """Parameters within their bounds, or `InvalidInput`."""
    found: dict[str, float] = {}
    for name, value in (given or {}).items():
        if name not in PARAMETERS:
            raise InvalidInput(
                "not a parameter of an index", expected=" | ".join(PARAMETERS), found=name[:100]
            )
        _, least, most = PARAMETERS[name]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:  # type: ignore[operator]  # it is a number
            raise InvalidInput(
                "a parameter is out of bounds",
                expected=f"{least:g} to {most:g}",
                found=repr(value)[:100],
                where=name,
            )
        found[name] = value  # type: ignore[assignment]  # it is a number
    return found


def read_index(document: Document) -> Index:
    """The index of a document that has a body. Unknown members are left alone.

    Raises:
        UnsupportedFormat: a newer Lakecore wrote it.
        CorruptData: it lacks a part, or a part has not its form.
    """
    from lakecore.documents import body_of

    body = body_of(document, FORMAT, "an index")
    try:
        generation = body["generation"]
        return Index(
            name=document.name,
            id=_text(body["id"]),
            dataset=_text(body["dataset"]),
            dataset_id=_text(body["dataset_id"]),
            kind=check_choice(body["kind"], KINDS, "kind of index"),
            columns=tuple(map(_text, body["columns"])),
            key=tuple(map(_text, body["key"])),
            model=None if body["model"] is None else _text(body["model"]),
            dimension=None if body["dimension"] is None else int(body["dimension"]),
            metric=check_choice(body["metric"], METRICS, "metric"),
            parameters=check_parameters(body["parameters"]),
            created_us=int(body["created_us"]),
            state=_text(body["state"]),
            error=_text(body["error"]),
            generation=None if generation is None else _generation(generation),
            version=document.version,
        )
    except (AttributeError, InvalidInput, KeyError, TypeError, ValueError) as error:
        raise CorruptData(
            "an index's document lacks a part", where=document.path, found=repr(error)[:300]
        ) from error


def _generation_body(generation: Generation) -> dict[str, Any]:
    return {
        "id": generation.id,
        "version": generation.version,
        "rows": generation.rows,
        "skipped": generation.skipped,
        "model": generation.model,
        "recall": generation.recall,
        "expansion": generation.expansion,
        "built_us": generation.built_us,
        "duration_s": generation.duration_s,
        "segments": [
            {
                "id": segment.id,
                "rows": segment.rows,
                "dead": segment.dead,
                "delta": segment.is_delta,
                "exact": segment.is_exact,
            }
            for segment in generation.segments
        ],
        "files": {
            name: {"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256}
            for name, file in generation.files.items()
        },
    }


def _generation(body: Mapping[str, Any]) -> Generation:
    return Generation(
        id=_text(body["id"]),
        version=int(body["version"]),
        rows=int(body["rows"]),
        skipped=int(body["skipped"]),
        model=None if body["model"] is None else _text(body["model"]),
        recall=None if body["recall"] is None else float(body["recall"]),
        expansion=int(body["expansion"]),
        built_us=int(body["built_us"]),
        duration_s=float(body["duration_s"]),
        segments=tuple(
            SegmentInfo(
                id=_text(one["id"]),
                rows=int(one["rows"]),
                dead=int(one["dead"]),
                is_delta=bool(one["delta"]),
                is_exact=bool(one["exact"]),
            )
            for one in body["segments"]
        ),
        files={
            _text(name): StoredFile(
                _inside(one["path"]), int(one["size_bytes"]), _text(one["sha256"])
            )
            for name, one in body["files"].items()
        },
    )


def _inside(path: object) -> str:
    """A path of an index's own: a document must not name other objects of the lake."""
    text = _text(path)
    if not text.startswith(ROOT) or ".." in text.split("/"):
        raise ValueError("a file that is no index's")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return value
