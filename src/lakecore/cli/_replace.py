"""``lakecore replace``."""

from __future__ import annotations

from lakecore.cli._changes import rows_command

command = rows_command(
    "replace",
    "Make the dataset hold exactly these rows: others are deleted, by key where there is one.",
)
