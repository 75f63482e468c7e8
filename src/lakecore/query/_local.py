"""Queries in this process: the fast way.

DataFusion computes on its own threads. The reader waits for one batch at a time on an event
loop, because that is the one wait that can be given up: a cancelled wait drops the stream,
and DataFusion's tasks end at their next pause. Joins make none (see `QuerySettings.isolation`),
so a stopped query can go on for a while; `Runaways` knows which ones do.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import time
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lakecore.base import LakecoreError
from lakecore.query._errors import cancelled, time_limit
from lakecore.query._stream import Deadline

if TYPE_CHECKING:
    from datafusion import DataFrame

    from lakecore.query._session import Session


_PAUSE_S: Final = 0.1
"""Within this time DataFusion pauses, unless it is busy with a join."""


class LoopThread:
    """An event loop in a thread of its own, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, stream: Any) -> Future[Any]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run_and_close, args=(self._loop,), name="lakecore-query", daemon=True
                )
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(_next_batch(stream), self._loop)

    def close(self) -> None:
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)
            assert self._thread is not None  # noqa: S101 - started with the loop
            self._thread.join(_PAUSE_S)


def _run_and_close(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _next_batch(stream: Any) -> Any:
    # Errors are values here: a raised one would keep this frame, and with it the stream,
    # alive in its traceback.
    try:
        return await stream.__anext__()
    except StopAsyncIteration:
        return None
    except asyncio.CancelledError:
        return None
    except BaseException as error:
        return error.with_traceback(None)


class Runaways:
    """Stopped queries that are still computing, known by the spill folder that they hold open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folders: set[Path] = set()

    def leave(self, folder: Path) -> None:
        """The query of this folder was stopped before its end."""
        with self._lock:
            self._folders.add(folder)

    def busy(self) -> bool:
        """Whether some stopped query still computes, a moment after it was stopped."""
        give_up_at = time.monotonic() + _PAUSE_S
        while self._some_left():
            if time.monotonic() > give_up_at:
                return True
            time.sleep(_PAUSE_S / 50)
        return False

    def _some_left(self) -> bool:
        with self._lock:
            for folder in [held for held in self._folders if not _held_open(held)]:
                self._folders.discard(folder)
                shutil.rmtree(folder, ignore_errors=True)
            return bool(self._folders)

    def close(self) -> None:
        with self._lock:
            for folder in self._folders:
                shutil.rmtree(folder, ignore_errors=True)
            self._folders.clear()


def _held_open(folder: Path) -> bool:
    # DataFusion makes a folder inside and removes it with the last task of the query.
    return any(child.is_dir() for child in folder.iterdir()) if folder.is_dir() else False


def make_scratch(spill_directory: Any) -> Path:
    """A folder for one query."""
    if spill_directory is not None:
        Path(spill_directory).mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="lakecore-query-", dir=spill_directory))


class LocalStream:
    """A query on DataFusion's threads in this process."""

    def __init__(
        self,
        session: Session,
        frame: DataFrame,
        text: str,
        *,
        scratch: Path,
        deadline: Deadline,
        loop: LoopThread,
        runaways: Runaways,
    ) -> None:
        # The inner stream: the outer one's coroutine would hold it in a traceback.
        self._stream: Any = frame.execute_stream().rbs
        self._session: Session | None = session
        self.schema: pa.Schema = frame.schema()
        self._text = text
        self._scratch = scratch
        self._deadline = deadline
        self._loop = loop
        self._runaways = runaways
        self._lock = threading.Lock()
        self._waiting: Future[Any] | None = None
        self._cancelled = False
        self._ended = False

    def next(self) -> pa.RecordBatch | None:
        with self._lock:
            if self._cancelled:
                raise cancelled()
            if self._ended:
                return None
            waiting = self._waiting or self._loop.submit(self._stream)
            self._waiting = waiting
        try:
            found = waiting.result(self._deadline.remaining_s())
        except TimeoutError:
            self._stop(finished=False)
            raise time_limit(self._deadline.seconds or 0.0) from None
        except CancelledError:
            self._stop(finished=False)
            raise cancelled() from None
        except BaseException:  # an interrupt from the keyboard
            self._stop(finished=False)
            raise
        if isinstance(found, BaseException):
            raise self._failed(found) from found
        if found is None:
            self._stop(finished=True)
            return None
        with self._lock:
            if not self._ended:  # one ahead: the reader and DataFusion work at the same time
                self._waiting = self._loop.submit(self._stream)
        return found.to_pyarrow()

    def _failed(self, error: BaseException) -> LakecoreError:
        session = self._session
        assert session is not None  # noqa: S101 - the stream has not ended
        failure = session.translate(error, self._text)
        self._stop(finished=True)
        return failure

    def cancel(self) -> None:
        with self._lock:
            if self._ended:
                return
            self._cancelled = True
        self._stop(finished=False)

    def close(self) -> None:
        self._stop(finished=False)

    def _stop(self, *, finished: bool) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
            if self._waiting is not None:
                self._waiting.cancel()
            self._stream = self._session = None
        if finished:
            shutil.rmtree(self._scratch, ignore_errors=True)
        else:
            self._runaways.leave(self._scratch)
