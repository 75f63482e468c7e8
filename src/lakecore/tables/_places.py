"""Where the files of a table lie in the store."""

from __future__ import annotations

from urllib.parse import unquote


def file_path(location: str, logged_path: str) -> str:
    """The store's path of a data file that the log of the table at `location` names.

    >>> file_path("tables/main/planes", "part%201.parquet")
    'tables/main/planes/part 1.parquet'
    """
    # The log spells paths as URLs do.
    return f"{location}/{unquote(logged_path)}"
