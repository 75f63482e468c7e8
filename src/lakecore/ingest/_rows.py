"""Records that are Python objects (JSON, Excel) as typed batches, with rejects.

The shape of the first records decides the columns. Later records of another shape are
rejected while they are rare; when they are not, the stream ends with `TypesChanged` and
the file is read again with all shapes seen so far merged (see `_delimited`: the same
bounds, 10 rows and 1 %). New fields widen the shape in the same way, so none gets lost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.ingest._base import SourceBase, TypesChanged
from lakecore.ingest._files import FileScan
from lakecore.ingest._names import clean_names
from lakecore.ingest._options import IngestOptions
from lakecore.ingest._shape import Misfit, Shape, arrow_type, fit, merge, shape_of

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE_ROWS: Final = 20_000
_BATCH_ROWS: Final = 4_096
_WIDEN_ROWS: Final = 10
_WIDEN_SHARE: Final = 0.01

Record = tuple[int, Any, "str | bytes"]
"""Line or number of a record, its value, its raw text."""


class RowSource(SourceBase, ABC):
    """A reader gives `records`, which logs what is no record at all."""

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
        super().__init__(path, name, options, scan=scan, scratch=scratch)
        self._target = target
        self._merged: dict[str, Shape] = {}

    @abstractmethod
    def records(self) -> Iterable[Record]:
        """The file's records, each a mapping."""

    def begin(self) -> None:
        """Read the sample that decides the columns."""
        import pyarrow as pa

        records = iter(self.records())
        sample = list(islice(records, _SAMPLE_ROWS))
        shape: Shape = dict(self._merged)
        for _, value, _ in sample:
            shape = merge(shape, shape_of(value)) if value else shape
        assert isinstance(shape, dict)  # noqa: S101 - records are objects
        self._shape: dict[str, Shape] = {
            key: self._wanted(key, part) for key, part in shape.items()
        }
        if not self._shape and not self.log.count:
            raise InvalidInput("there is no record with a field", where=self.name)
        names, renamed = clean_names(list(self._shape))
        self.notes += [note for note in renamed if note not in self.notes]
        self.schema = pa.schema(
            [
                pa.field(n, arrow_type(part))
                for n, part in zip(names, self._shape.values(), strict=True)
            ]
        )
        self._records = chain(sample, records)
        self._rows, self._misfits = 0, 0

    def _wanted(self, name: str, shape: Shape) -> Shape:
        """Text where the dataset has text and the value is a number or mixed; else as found."""
        import pyarrow as pa

        if self._target is None or name not in self._target.names:
            return shape
        kind = self._target.field(name).type
        if pa.types.is_floating(kind) and shape == "int64":
            return "double"
        return shape

    def batches(self) -> pa.RecordBatchReader:
        """The accepted rows; see the module for `TypesChanged`."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.schema, self._typed())

    def _typed(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        columns = {name: field.type for name, field in zip(self._shape, self.schema, strict=True)}
        kind = pa.struct([pa.field(name, column) for name, column in columns.items()])
        while group := list(islice(self._records, _BATCH_ROWS)):
            rows = list(self._fitting(group))
            self._rows += len(group)
            self._check_widening()
            struct = pa.array(rows, type=kind)
            yield pa.record_batch(struct.flatten(), schema=self.schema)

    def _fitting(self, group: list[Record]) -> Iterator[dict[str, Any]]:
        for line, value, text in group:
            try:
                if unknown := value.keys() - self._shape.keys():
                    raise Misfit(f"{min(unknown)}: unknown field")
                row = {name: fit(value.get(name), part, name) for name, part in self._shape.items()}
            except Misfit as misfit:
                self._misfits += 1
                shape = merge(self._merged or dict(self._shape), shape_of(value))
                assert isinstance(shape, dict)  # noqa: S101 - records are objects
                self._merged = shape
                column, _, _ = str(misfit).partition(":")
                self.log.add(line, text, str(misfit), column.split(".")[0].split("[")[0])
            else:
                yield row

    def _check_widening(self) -> None:
        if self._misfits > _WIDEN_ROWS and self._misfits > _WIDEN_SHARE * self._rows:
            self.needs_restart = True
            self.notes.append(f"columns widened: {self._misfits} of {self._rows} records differ")
            raise TypesChanged(self.name)

    def restart(self) -> None:
        super().restart()
        self.begin()
