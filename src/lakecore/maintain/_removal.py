"""Removing files: several at a time, and whatever fails is left for the next run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore.base import Bug

if TYPE_CHECKING:
    from lakecore.storage import ObjectInfo, Store

_WORKERS: Final = 8
_PART: Final = 256


@dataclass(slots=True)
class Removed:
    """How far it came."""

    files: int = 0
    bytes: int = 0


def remove_files(
    store: Store, folder: str, files: Sequence[ObjectInfo], stop: Callable[[], None]
) -> Removed:
    """Delete `files`, all of which lie below `folder`; nothing happens to one that is gone.

    Raises:
        LakecoreError: the store's; what was removed until then is.
    """
    for info in files:
        below = info.path.removeprefix(f"{folder}/")
        if below == info.path or ".." in below.split("/") or "_delta_log" in below.split("/"):
            raise Bug("a file outside of the folder would be removed", where=info.path)
    removed = Removed()
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="lakecore-remove") as workers:
        for start in range(0, len(files), _PART):
            stop()
            part = files[start : start + _PART]
            for info, _ in zip(
                part, workers.map(store.delete, [f.path for f in part]), strict=True
            ):
                removed.files += 1
                removed.bytes += info.size_bytes
    return removed
