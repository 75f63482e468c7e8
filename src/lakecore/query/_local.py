"""Queries in this process: the fast way.

DataFusion computes on its own threads. The reader waits for one batch at a time on an event
loop, because that is the one wait that can be given up: a cancelled wait drops the stream,
and DataFusion's tasks end at their next pause. Joins make none (see `QuerySettings.isolation`),
so a stopped query can go on for a while; `Runaways` knows which ones do.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lakecore.base import LakecoreError
from lakecore.query._errors import cancelled, time_limit
from lakecore.query._providers import LINKS
from lakecore.query._stream import Deadline

if TYPE_CHECKING:
    from datafusion import DataFrame

    from lakecore.query._session import Session


_FIRST_LOOK_S: Final = 0.002
_PAUSE_S: Final = 0.1
"""Within this time DataFusion pauses, unless it is busy with a join."""


class LoopThread:
    """An event loop in a thread of its own, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._owner = os.getpid()

    def submit(self, stream: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(_next_batch(stream), self._running())

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call in this thread, unless it is closed before."""
        loop = self._running()
        loop.call_soon_threadsafe(loop.call_later, delay_s, call)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._owner != os.getpid():  # a fork has no threads
                self._loop, self._owner = asyncio.new_event_loop(), os.getpid()
                self._thread = threading.Thread(
                    target=_run_and_close, args=(self._loop,), name="lakecore-query", daemon=True
                )
                self._thread.start()
            return self._loop

    def close(self) -> None:
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None and self._owner == os.getpid():
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_PAUSE_S)


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

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._folders: set[Path] = set()

    def leave(self, folder: Path) -> None:
        """The query of this folder was stopped before its end."""
        with self._lock:
            self._folders.add(folder)
        self._watch(folder, _FIRST_LOOK_S)

    def busy(self) -> bool:
        """Whether some stopped query still computes, a moment after it was stopped."""
        give_up_at = time.monotonic() + _PAUSE_S
        while self._folders:
            if time.monotonic() > give_up_at:
                return True
            time.sleep(_FIRST_LOOK_S)
        return False

    def _watch(self, folder: Path, delay_s: float) -> None:
        if _held_open(folder):
            longer_s = min(2 * delay_s, 1.0)
            self._loop.call_later(delay_s, lambda: self._watch(folder, longer_s))
        else:
            self._forget(folder)

    def _forget(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with self._lock:
            self._folders.discard(folder)

    def close(self) -> None:
        for folder in list(self._folders):
            self._forget(folder)


def _held_open(folder: Path) -> bool:
    # DataFusion makes a folder inside and removes it with the last task of the query.
    if not folder.is_dir():
        return False
    return any(child.is_dir() for child in folder.iterdir() if not child.name.startswith(LINKS))


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
        leave: Callable[[Session], None],
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
        self._leave = leave
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
            self._check()
            session = self._session
            self._stop(finished=True)
            if session is not None:
                self._leave(session)
            return None
        with self._lock:
            if not self._ended:  # one ahead: the reader and DataFusion work at the same time
                self._waiting = self._loop.submit(self._stream)
        return found.to_pyarrow()

    def _check(self) -> None:
        session = self._session
        try:
            if session is not None:
                session.tables.check()
        except LakecoreError:
            self._stop(finished=True)
            raise

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
