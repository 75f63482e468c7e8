"""Reading one step ahead: the reader's threads work while the last batch is converted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_BATCHES_AHEAD: Final = 2


class Ahead:
    """The batches of a reader, pulled by a thread of its own, at most two in waiting.

    What the reader raises is raised from the iteration. `close` ends the thread; it waits
    for the batch that is being read.
    """

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader: pa.RecordBatchReader | None = reader
        self._queue: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(
            _BATCHES_AHEAD
        )
        self._closed = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._pull, name="lakecore-ingest", daemon=True)
        self._thread.start()

    def _pull(self) -> None:
        end: BaseException | None = None
        try:
            for batch in self._reader or ():
                if not self._put(batch):
                    return
        except BaseException as error:
            end = error
        self._put(end)

    def _put(self, item: pa.RecordBatch | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while not self._ended and not self._closed.is_set():
            item = self._queue.get()
            self._ended = item is None or isinstance(item, BaseException)
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop reading. Harmless when everything has been read."""
        self._closed.set()
        self._thread.join()
        self._reader = None


def read_ahead(reader: pa.RecordBatchReader) -> Ahead:
    return Ahead(reader)
