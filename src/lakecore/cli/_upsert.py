"""``lakecore upsert``."""

from __future__ import annotations

from lakecore.cli._changes import rows_command

command = rows_command(
    "upsert", "Add the rows whose key is new, and change those whose key is there."
)
