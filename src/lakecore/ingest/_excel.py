"""Excel and OpenDocument sheets, through python-calamine (extra ``excel``).

One sheet, the first or the one named; its first filled row is the header. A sheet has at
most about a million rows, so it is read whole. Whole numbers are integers, dates have no
zone, columns of different kinds are text.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.ingest._compressed import check_workbook
from lakecore.ingest._files import FileScan
from lakecore.ingest._names import clean_names
from lakecore.ingest._options import MAX_WORKBOOK_BYTES, IngestOptions
from lakecore.ingest._rows import Record, RowSource

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT: Final = 1 << 53


class ExcelSource(RowSource):
    """See `Source`; a reject's line is the sheet's row."""

    format = "excel"

    def __init__(
        self,
        path: Path,
        name: str,
        options: IngestOptions,
        *,
        scan: FileScan,
        scratch: Path,
        target: pa.Schema | None,
    ) -> None:
        super().__init__(path, name, options, scan=scan, scratch=scratch, target=target)
        rows = self._read()
        filled = [index for index, row in enumerate(rows) if any(cell != "" for cell in row)]
        if not filled:
            raise InvalidInput("the sheet is empty", where=name)
        header = rows[filled[0]]
        named = options.header is not False
        self._names, renamed = clean_names([str(cell) if named else "" for cell in header])
        self.notes += renamed if named else []
        self._body = [(index + 1, rows[index]) for index in filled[1 if named else 0 :]]
        self._texts = self._mixed_columns()
        self.begin()

    def _read(self) -> list[list[Any]]:
        try:
            import python_calamine
        except ImportError:
            raise InvalidInput(
                "reading Excel needs python-calamine",
                where=self.name,
                hint='Install it: pip install "lakecore[excel]".',
            ) from None
        most_bytes = min(self.options.max_unpacked_bytes or MAX_WORKBOOK_BYTES, MAX_WORKBOOK_BYTES)
        check_workbook(self.path, most_bytes, self.name)
        try:
            book = python_calamine.load_workbook(str(self.path))
            if self.options.sheet is not None and self.options.sheet not in book.sheet_names:
                raise InvalidInput(
                    "no such sheet",
                    expected=", ".join(book.sheet_names),
                    found=self.options.sheet,
                    where=self.name,
                )
            sheet = self.options.sheet or book.sheet_names[0]
            self.notes.append(f"sheet {sheet!r}")
            rows: list[list[Any]] = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
        except (python_calamine.CalamineError, OSError, IndexError) as error:
            raise InvalidInput(
                "the workbook cannot be read",
                found=error,
                where=self.name,
                hint="Open it and save it again, or export the sheet as CSV.",
            ) from None
        return rows

    def _mixed_columns(self) -> set[str]:
        kinds: dict[str, set[str]] = {name: set() for name in self._names}
        for _, row in self._body:
            for name, cell in zip(self._names, row, strict=False):
                if cell != "" and cell not in self.options.null_markers:
                    kinds[name].add(_kind(cell))
        return {name for name, found in kinds.items() if len(found) > 1}

    def records(self) -> Iterator[Record]:
        for number, row in self._body:
            value = {
                name: self._cell(name, cell) for name, cell in zip(self._names, row, strict=False)
            }
            text = "\t".join("" if cell is None else str(cell) for cell in row)
            yield number, value, text

    def _cell(self, name: str, cell: Any) -> Any:
        if cell == "":
            return None
        if name in self._texts:
            return _text(cell)
        if isinstance(cell, float) and cell.is_integer() and abs(cell) <= _EXACT:
            return int(cell)
        return cell


def _kind(cell: Any) -> str:
    if isinstance(cell, bool):
        return "boolean"
    if isinstance(cell, int | float):
        return "number"
    return "date" if isinstance(cell, date) else type(cell).__name__


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return str(cell)
