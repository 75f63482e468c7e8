"""Reviews that others begin, in a process that serves: few at a time, one of a repository.

Whoever asks names a repository of the settings, never a path. A run is a row of threads and
`system.reviews` has what it found out, so one that ended early, with its process or without, is
finished by its id.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Conflict, LakecoreError, NotFound, TooManyRequests, uuid7

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.app._lake import Lake
    from lakecore.review import Call, FileOutcome, Models, Reply

MAX_KEPT: Final = 1_000
"""Runs of this process whose state is remembered."""
RETRY_AFTER_S: Final = 30
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Begun:
    """A run of this process.

    Attributes:
        state: ``running``, ``ended``, ``failed``.
        done, of: files.
        exit_code: of the gate, once it has ended.
    """

    id: str
    repository: str
    actor: str
    state: str = "running"
    done: int = 0
    of: int = 0
    exit_code: int | None = None
    reason: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_body(self) -> dict[str, Any]:
        """JSON-ready."""
        names = ("id", "repository", "actor", "state", "done", "of", "exit_code", "reason")
        return {name: getattr(self, name) for name in names}


class ReviewDesk:
    """The reviews of one lake that this process makes for others. Threads share it."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts
        self._settings = parts.settings.review
        self._locks = parts.state_dir / "review-locks"
        self._begun: OrderedDict[str, Begun] = OrderedDict()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._workers: ThreadPoolExecutor | None = None

    def path_of(self, repository: str) -> Path:
        """The folder of a repository of the settings. Raises `NotFound`."""
        for one in self._settings.repository:
            if one.name == repository and one.path:
                return Path(one.path)
        # Which names there are is nobody's business who only guesses.
        raise NotFound(
            "there is no such repository in [review]",
            found=repository[:100],
            hint="[[review.repository]] in lakecore.toml names those that may be reviewed",
        )

    def start(
        self, lake: Lake, repository: str, *, run_id: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Begin a run, or finish the one of this id, behind the answer.

        Args:
            lake: in the caller's name.
            options: those of `Reviews.run`, without a path.

        Raises:
            NotFound: no such repository, revision or file.
            Conflict: the repository is under review.
            TooManyRequests: as many reviews as `[review] max_runs` are under way.
        """
        path = self.path_of(repository)
        # What is wrong with the question is said at once.
        with lake.reviews._loop(path, name=repository, **options) as loop:
            loop.files.listed()
        held = self._held(repository)
        with self._lock:
            running = sum(one.state == "running" for one in self._begun.values())
            if self._closing.is_set() or running >= self._settings.max_runs:
                raise TooManyRequests(
                    f"{running} reviews are under way", retry_after_s=RETRY_AFTER_S
                )
            held.__enter__()
            begun = Begun(run_id or uuid7(), repository, lake.actor, options=options)
            self._begun[begun.id] = begun
            while len(self._begun) > MAX_KEPT:
                self._begun.popitem(last=False)
            if self._workers is None:
                self._workers = ThreadPoolExecutor(
                    self._settings.max_runs, thread_name_prefix="lakecore-review-run"
                )
            self._workers.submit(self._work, begun, lake, path, held)
        return begun.to_body()

    def state(self, run_id: str) -> dict[str, Any] | None:
        """How far a run of this process is; None: it is none."""
        with self._lock:
            begun = self._begun.get(run_id)
            return None if begun is None else begun.to_body()

    def close(self) -> None:
        """Ask nothing more; what is not done is done when the run is finished by its id."""
        self._closing.set()
        if self._workers is not None:
            self._workers.shutdown(wait=True, cancel_futures=True)

    # -- inside -----------------------------------------------------------------------

    def _work(
        self, begun: Begun, lake: Lake, path: Path, held: contextlib.AbstractContextManager[None]
    ) -> None:
        def told(outcome: FileOutcome, done: int, of: int) -> None:
            begun.done, begun.of = done, of

        try:
            result = lake.reviews.run(
                path,
                run_id=begun.id,
                on_file=told,
                name=begun.repository,
                stop=self._closing,
                **begun.options,
            )
            begun.exit_code, begun.reason = result.gate.exit_code, result.gate.reason
            begun.state = "ended"
        except LakecoreError as error:
            begun.state, begun.reason = "failed", str(error)[:1_000]
        except Exception:
            _log.exception("review %s ended by a bug", begun.id)
            begun.state, begun.reason = "failed", "this is a bug in Lakecore"
        finally:
            held.__exit__(None, None, None)

    @contextlib.contextmanager
    def _held(self, repository: str) -> Iterator[None]:
        """A repository, for one review among all processes of this machine that serve."""
        self._locks.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(repository.encode(errors="replace")).hexdigest()[:32]
        lock = os.open(self._locks / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Conflict(
                    "this repository is under review", where=repository, hint="wait for its end"
                ) from error
            yield
        finally:
            os.close(lock)


class Stopping:
    """Models that are asked nothing more once something is set."""

    def __init__(self, models: Models, stop: threading.Event) -> None:
        self._models = models
        self._stop = stop

    def ask(self, call: Call) -> Reply:
        """As the models have it."""
        from lakecore.review import Reply

        return Reply("stopped", attempts=0) if self._stop.is_set() else self._models.ask(call)
