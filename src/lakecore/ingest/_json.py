"""JSON (an array or a sequence of objects) and NDJSON.

NDJSON is read line by line: a line that is no JSON object is rejected with its number.
An array is taken apart by DuckDB, element by element, in bounded memory; an element
may have up to 64 MiB, and an array whose syntax is broken is refused as a whole, since
nothing after the break can be trusted. Objects become structs, arrays lists, places with
values of different kinds JSON text; an object with a repeated key is rejected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB
from lakecore.ingest._files import FileScan, head_of, transcode
from lakecore.ingest._options import IngestOptions
from lakecore.ingest._rows import Record, RowSource

if TYPE_CHECKING:
    import pyarrow as pa

_MAX_RECORD_BYTES: Final = 64 * MIB
_LINE_BYTES: Final = 1 * MIB


class JsonSource(RowSource):
    """See `Source`."""

    def __init__(
        self,
        path: Path,
        name: str,
        options: IngestOptions,
        *,
        scan: FileScan,
        text: FileScan,
        scratch: Path,
        target: pa.Schema | None = None,
        lines: bool = False,
    ) -> None:
        super().__init__(path, name, options, scan=scan, scratch=scratch, target=target)
        if text.size_bytes == 0:
            raise InvalidInput("the file is empty", where=name)
        encoding = options.encoding or ("utf-8" if text.encoding != "utf-16" else "utf-16")
        if encoding.lower().replace("_", "-") not in {"utf-8", "utf8", "utf-8-sig"}:
            self.path = scratch / "utf8"
            transcode(path, self.path, encoding, name)
            self.notes.append(f"read as {encoding}")
        self._lines = lines or self._is_lines()
        self.format = "ndjson" if self._lines else "json"
        self.begin()

    def _is_lines(self) -> bool:
        head = head_of(self.path, _LINE_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
        if head.startswith(b"["):
            return False
        if not head.startswith(b"{"):
            raise InvalidInput(
                "this is no JSON of records",
                expected="an array of objects, or objects",
                found=repr(head[:40].decode("utf-8", "backslashreplace")),
                where=self.name,
            )
        # A first line that is whole by itself: NDJSON. Else objects over several lines.
        first, newline, rest = head.partition(b"\n")
        try:
            msgspec.json.decode(first)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            second = rest.partition(b"\n")[0].strip()
            return bool(newline) and second.startswith(b"{") and second.endswith(b"}")
        return True

    def records(self) -> Iterator[Record]:
        texts = self._text_lines() if self._lines else self._elements()
        decoder = msgspec.json.Decoder()
        for number, raw in texts:
            try:
                value = decoder.decode(raw)
            except RecursionError:
                self.log.add(number, raw, "nested too deeply")
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self.log.add(number, raw, f"no valid JSON: {error}")
            else:
                if not isinstance(value, dict):
                    self.log.add(number, raw, "not a JSON object")
                elif repeated := _repeated_key(raw, value):
                    self.log.add(number, raw, f"the key {repeated!r} is repeated")
                else:
                    yield number, value, raw

    def _text_lines(self) -> Iterator[tuple[int, bytes]]:
        with self.path.open("rb") as file:
            number = 0
            while line := file.readline(_MAX_RECORD_BYTES):
                number += 1
                if not line.endswith(b"\n") and len(line) >= _MAX_RECORD_BYTES:
                    raise InvalidInput(
                        "a line is too long",
                        expected=f"at most {_MAX_RECORD_BYTES} bytes",
                        where=f"{self.name}, line {number}",
                    )
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if text := line.strip():
                    yield number, text

    def _elements(self) -> Iterator[tuple[int, bytes]]:
        """The elements of an array, or objects one after the other, as DuckDB finds them."""
        import duckdb

        array = head_of(self.path, _LINE_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
        literal = "'" + str(self.path).replace("'", "''") + "'"
        connection = duckdb.connect(
            config={
                "memory_limit": f"{max(self.options.memory_limit_bytes, 512 * MIB) // MIB}MiB",
                "threads": "1",
                "temp_directory": str(self.scratch),
            }
        )
        try:
            connection.execute("set enable_progress_bar = false")
            cursor = connection.execute(
                f"from read_json({literal}, format = '{'array' if array else 'unstructured'}', "
                "records = false, columns = {json: 'JSON'}, compression = 'none', "
                f"maximum_object_size = {_MAX_RECORD_BYTES})"
            )
            number = 0
            while rows := cursor.fetchmany(2_048):
                for (text,) in rows:
                    number += 1
                    yield number, (text if text is not None else "null").encode()
        except duckdb.Error as error:
            found = str(error).splitlines()[0].replace(str(self.path), self.name)
            raise InvalidInput(
                "the JSON cannot be read",
                found=found,
                where=self.name,
                hint="NDJSON, one object per line, can be read although lines are broken.",
            ) from None
        finally:
            connection.close()


def _repeated_key(raw: bytes, value: dict[str, Any]) -> str | None:
    """A key that an object has twice. Decoding keeps the last one without a word."""
    # An object of n pairs holds at least n colons: only where there are more is it worth
    # a slow look.
    if raw.count(b":") == _count_pairs(value):
        return None
    repeated: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in items:
            if key in seen:
                repeated.append(key)
            seen.add(key)

    json.loads(raw, object_pairs_hook=pairs)
    return repeated[0] if repeated else None


def _count_pairs(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_pairs, value.values()))
    if isinstance(value, list):
        return sum(map(_count_pairs, value))
    return 0
