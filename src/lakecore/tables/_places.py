"""Where the files of a table lie in the store.

The log names a file by its path from the table's folder, spelled as a URL. A table below
`workspaces/`, a branch of another one, also refers to files of that one: by a path that
goes up first (``../../../../tables/main/planes/part-1.parquet``). Log replay keeps that as
it is, and engines that resolve it as a URL read the branch without us.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from lakecore.base import CorruptData

BRANCHES: Final = "workspaces/"
"""Tables below it may refer to files elsewhere in the lake."""


def file_path(location: str, logged_path: str) -> str:
    """The store's path of a data file that the log of the table at `location` names.

    >>> file_path("tables/main/planes", "part%201.parquet")
    'tables/main/planes/part 1.parquet'
    >>> file_path("workspaces/w/main/planes", "../../../../tables/main/planes/a.parquet")
    'tables/main/planes/a.parquet'

    Raises:
        CorruptData: outside of the lake, or a reference where none may be.
    """
    found = _resolved(location, logged_path)
    if found is None:
        raise CorruptData(
            "a data file lies outside of its table", where=location, found=logged_path
        )
    return found


def is_outside(location: str, logged_path: str) -> bool:
    """Whether the table at `location` may not have a file of this path."""
    # A colon may be one of a URL's scheme: whoever writes ours spells it out.
    return ":" in logged_path or _resolved(location, logged_path) is None


def is_reference(logged_path: str) -> bool:
    """Whether the file is another table's."""
    return ".." in unquote(logged_path).split("/")


def reference(location: str, of: str, logged_path: str) -> str:
    """How the table at `location` refers to a file that the table at `of` names.

    >>> reference("workspaces/w/main/planes", "tables/main/planes", "part%201.parquet")
    '../../../../tables/main/planes/part%201.parquet'
    """
    return "../" * (location.count("/") + 1) + f"{quote(of)}/{logged_path}"


def _resolved(location: str, logged_path: str) -> str | None:
    if logged_path.startswith(("/", "file:")) or "://" in logged_path:
        return None
    path = unquote(logged_path)
    if not is_reference(logged_path):
        return f"{location}/{path}"
    if not location.startswith(BRANCHES):
        return None
    parts = location.split("/")
    for part in path.split("/"):
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            return None
    return "/".join(parts)
