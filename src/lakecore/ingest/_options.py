"""What can be said about a file and about how it is taken in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB

NULL_MARKERS: Final = ("", "NA", "N/A", "NULL", "null", "NaN", "\\N", "None")
"""Texts that mean 'no value' in a column whose other values are numbers, dates or booleans."""

MAX_REJECTS: Final = 100_000
"""More rejected rows than this, and the file is probably not what it seems to be."""

MAX_REJECT_TEXT_BYTES: Final = 64 * 1024
"""Longer raw texts are cut; what was cut off is named by length and hash."""

MAX_WORKBOOK_BYTES: Final = 1024 * MIB
"""Of a workbook's parts together, unpacked: its reader holds them in memory."""

FORMATS: Final = ("csv", "tsv", "json", "ndjson", "parquet", "arrow", "excel")

Contract = Literal["evolve", "freeze", "quarantine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """How to read a file and what to do with what does not fit.

    Args:
        format: one of `FORMATS`; None looks at the content, then at the name.
        delimiter: one character; None sniffs it. Also `quote` and `escape`.
        header: whether the first record names the columns; None decides from the values.
        skip_rows: lines before the header; None finds a preamble by itself.
        encoding: a Python codec name; None means UTF-8, UTF-16 with a mark, or, where no
            character is valid UTF-8, Windows-1252.
        null_markers: see `NULL_MARKERS`.
        sheet: the Excel sheet; None takes the first.
        contract: for a new dataset; an existing one keeps its own.
        on_bad_key: what happens to null and repeated keys within one file.
        strict: one rejected row refuses the whole file.
        again: take in a file that the dataset already holds.
        memory_limit_bytes: for the reader's own buffers.
        max_unpacked_bytes: of a compressed file, when it is unpacked; None: as the disk has room.
        temp_dir: where compressed or transcoded files are unpacked; None = the system's.
        bucket: of a new dataset, the named bucket for its table; '' is the lake's own store.
        file_name: the name to record, when the path is that of an upload's spool file.
    """

    format: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    header: bool | None = None
    skip_rows: int | None = None
    encoding: str | None = None
    null_markers: tuple[str, ...] = NULL_MARKERS
    sheet: str | None = None
    contract: Contract | None = None
    on_bad_key: Literal["refuse", "quarantine"] = "refuse"
    strict: bool = False
    again: bool = False
    max_rejects: int = MAX_REJECTS
    memory_limit_bytes: int = 256 * MIB
    threads: int = 2
    max_unpacked_bytes: int | None = None
    temp_dir: Path | None = None
    bucket: str = ""
    file_name: str | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise InvalidInput(
                "unknown format", expected=f"one of {', '.join(FORMATS)}", found=self.format
            )
        for name in ("delimiter", "quote", "escape"):
            value = getattr(self, name)
            if value is not None and len(value.encode()) != 1:
                raise InvalidInput(f"{name} is one ASCII character", found=repr(value))
        if self.max_rejects < 0 or self.threads < 1:
            raise InvalidInput("max_rejects is at least 0 and threads at least 1")
