"""``lakecore insert``."""

from __future__ import annotations

from lakecore.cli._changes import rows_command

command = rows_command(
    "insert", "Add rows. In a dataset with a key, a row whose key is there already is refused."
)
