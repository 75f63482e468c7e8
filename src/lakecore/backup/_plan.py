"""Which objects are in a backup: the lists and the rules of the package's docstring."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, NotFound, UnsupportedFormat
from lakecore.journal import Journal, read_commit_record
from lakecore.storage import ObjectInfo, Store

if TYPE_CHECKING:
    from lakecore.journal import Cut

LAKE: Final = "lakecore.json"
CHECKPOINTS: Final = "journal/checkpoints/"

DOCUMENTS: Final = "documents/"
TABLES: Final = ("tables/", "workspaces/")
"""Where tables are in a lake's own store; others are in buckets."""

Roots = Callable[[], Sequence[str]]
"""Folders below ``buckets/`` with tables of the lake, asked after its documents are listed: so a
table whose dataset was listed is found."""

_COMMIT: Final = re.compile(r"((?:documents|tables|workspaces|buckets)/.+)/(\d{20})\.json")
_LOG_FOLDER: Final = "/_delta_log/"
_NUMBERS: Final = re.compile(r"\d{20}")
_HINT: Final = "_last_checkpoint"
_OWN_WAY: Final = frozenset({"documents", "tables", "workspaces", "buckets", "journal"})
_STATE: Final = ".local"
_DERIVED: Final = frozenset({"index", "tiles"})
_CUT: Final = frozenset({"log", "merged", "staged"})


class Changed(Exception):
    """The lake is not as it was listed: take the cut again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one backup has to hold."""

    cut: Cut
    objects: list[ObjectInfo]
    warnings: list[str]


def no_roots() -> Sequence[str]:
    """All tables are in the lake's own store."""
    return ()


def commit_objects(store: Store, roots: Roots = no_roots) -> dict[str, ObjectInfo]:
    """Every document version and table version, by path."""
    documents = [info for info in store.list_objects(DOCUMENTS) if is_commit(info.path)]
    tables = [
        info
        for prefix in (*TABLES, *roots())
        for info in store.list_objects(prefix)
        if is_commit(info.path)
    ]
    return {info.path: info for info in (*documents, *tables)}


def is_commit(path: str) -> bool:
    """Whether an object is a version of a document or of a table."""
    match = _COMMIT.fullmatch(path)
    return match is not None and (
        path.startswith("documents/") or match[1].endswith(_LOG_FOLDER.rstrip("/"))
    )


def make_plan(store: Store, journal: Journal, roots: Roots = no_roots) -> Plan:
    """List a consistent state of the lake.

    Raises:
        Changed: try again.
    """
    before = commit_objects(store, roots)
    cut = journal.cut()
    now = commit_objects(store, roots)
    taken, staged = _admitted(store, cut, before, now)
    newest: dict[str, int] = {}
    for path in taken:
        folder, version = _parts(path)
        newest[folder] = max(newest.get(folder, -1), version)
    objects = [*taken.values(), *cut.objects, *staged]
    objects += _table_files(store, newest, roots)
    objects += _rest(store)
    warnings = [str(problem) for problem in cut.problems]
    return Plan(cut, sorted(objects, key=lambda info: info.path), warnings)


def _admitted(
    store: Store, cut: Cut, before: dict[str, ObjectInfo], now: dict[str, ObjectInfo]
) -> tuple[dict[str, ObjectInfo], list[ObjectInfo]]:
    """The versions that are in the backup, and the staged files that their events need."""
    young = {path for path in now if path not in before}
    # Before the lists were made, or sealed in the cut: see the package's docstring.
    commit_ids = {path: _commit_id(store, path) for path in young}
    late = {path for path, commit_id in commit_ids.items() if not cut.is_sealed(commit_id)}
    newest: dict[str, int] = {}
    for path in now.keys() - late:
        folder, version = _parts(path)
        newest[folder] = max(newest.get(folder, -1), version)
    staged = {file.target: file for file in cut.staged if file.target}
    needed = [file.info for file in cut.staged if cut.is_partial(file.commit_id)]
    needed += [file.info for file in cut.staged if not file.commit_id]
    taken = {}
    for path, info in now.items():
        folder, version = _parts(path)
        if path in late:
            if version > newest.get(folder, -1):
                continue
            if path not in staged:
                raise Changed(path)  # a gap, and its events have gone on
        taken[path] = info
        if path in staged and staged[path].info not in needed:
            needed.append(staged[path].info)
    return taken, needed


def _commit_id(store: Store, path: str) -> str:
    """The id in a commit object; '' for a foreign one, which then waits for the next backup."""
    try:
        record = read_commit_record(store.get(path))
    except NotFound:
        raise Changed(path) from None
    except (CorruptData, UnsupportedFormat):
        return ""
    return record.commit_id if record else ""


def _table_files(store: Store, newest: dict[str, int], roots: Roots) -> Iterator[ObjectInfo]:
    """Data files, and what of a table's log is beside its versions and not newer than they."""
    listed = (info for prefix in (*TABLES, *roots()) for info in store.list_objects(prefix))
    for info in listed:
        folder, mark, name = info.path.rpartition(_LOG_FOLDER)
        if not mark:
            yield info
            continue
        if is_commit(info.path) or name == _HINT:
            continue
        numbers = [int(number) for number in _NUMBERS.findall(name)]
        if max(numbers, default=0) <= newest.get(f"{folder}/_delta_log", -1):
            yield info


def _rest(store: Store) -> Iterator[ObjectInfo]:
    """Everything else that is the lake's, also what this release does not know."""
    yield store.head(LAKE)
    for info in store.list_objects("documents/"):
        if not is_commit(info.path):
            yield info
    for folder in store.list_folders("journal/"):
        if folder not in _DERIVED | _CUT:
            yield from store.list_objects(f"journal/{folder}/")
    for folder in store.list_folders(""):
        if folder not in _OWN_WAY and folder != _STATE:
            yield from store.list_objects(f"{folder}/")


def newest_checkpoint(infos: Iterable[ObjectInfo], tree_size: int) -> str | None:
    """The path of the newest signed note about at most `tree_size` events."""
    found = (
        (int(name), info.path)
        for info in infos
        if info.path.startswith(CHECKPOINTS)
        and (name := info.path.removeprefix(CHECKPOINTS)).isdigit()
        and int(name) <= tree_size
    )
    return max(found, default=(0, None))[1]


def _parts(path: str) -> tuple[str, int]:
    folder, _, name = path.rpartition("/")
    return folder, int(name.removesuffix(".json"))
