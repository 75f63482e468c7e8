"""Which store answers: the lake's own, or a replica while it does not.

`Serving` has the parts of the lake, and of a replica once one was needed. A question that fails
in a way that may be the store's has the store looked at, once, within `probe_timeout_s`: where
it does not answer, the breaker opens, and this question and all that follow are put to the first
replica, in the order of the settings, that has a whole state. Nobody waits for the primary then; a
thread looks for it and closes the breaker when it is back.

- An answer is never partly of the one and partly of the other: parts with their caches are
  either the primary's or a replica's, and a question is put again from its start.
- Nothing is written meanwhile: the replica's store refuses it, `Unavailable`.
- A dataset in an archive that does not answer is read from a replica by itself: that question
  alone; everything else is the primary's.
- Every such answer says so: `Served`, by `Lake.served`, a `StaleAnswer` warning, a header, a note.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lakecore.app._buckets import is_away, open_bucket, open_lake_store
from lakecore.app._components import Components
from lakecore.app._format import PATH, read_format
from lakecore.app._replicas import replica_buckets
from lakecore.backup import read_replica
from lakecore.base import LakecoreError, StaleAnswer, Unavailable, format_timestamp
from lakecore.storage import Breaker, same_place

if TYPE_CHECKING:
    from lakecore.config import BucketSettings, Settings

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_LOOK_EVERY_S: Final = 5.0
_MAX_RETRIES: Final = "4"
_RETRY_TIMEOUT_S: Final = "15"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """That a replica answered instead of the primary.

    Attributes:
        replica: its name.
        at_us: as of when it has the lake, UTC; `age_s`: how long ago that is.
        tree_size: how many events it has.
        reason: why the primary, or the bucket `bucket`, was not asked.
    """

    replica: str
    at_us: int
    age_s: float
    tree_size: int
    reason: str
    bucket: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "replica": self.replica,
            "as_of": format_timestamp(self.at_us),
            "age_s": round(self.age_s, 3),
            "tree_size": self.tree_size,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        return (
            f"{self.reason}: the replica {self.replica!r} answers, as of "
            f"{format_timestamp(self.at_us)[:19]}Z ({self.age_s:,.0f} s ago)"
        )


class Serving:
    """The parts of one lake, and of a replica when they are needed. Threads share it."""

    def __init__(self, settings: Settings, *, create: bool) -> None:
        self.settings = settings
        self._replicas = replica_buckets(settings) if settings.storage.failover else []
        self._lock = threading.RLock()
        self._primary: Components | None = None
        self._replica: _Opened | None = None
        self._instead: ContextVar[str] = ContextVar("instead", default="")
        self._last_s = float("-inf")
        self.answers = 0
        """Questions that a replica answered."""

        self.last: Served | None = None
        """What was said of the last of them."""

        self.breaker = Breaker(
            self._look,
            interval_s=settings.storage.probe_interval_s,
            on_back=self._come_back,
        )
        self._open(create=create)

    @classmethod
    def of(cls, parts: Components) -> Serving:
        """Of parts that are open, without a replica."""
        made = cls.__new__(cls)
        made.settings = parts.settings
        made._replicas = []
        made._lock = threading.RLock()
        made._primary, made._replica = parts, None
        made._instead = ContextVar("instead", default="")
        made._last_s, made.answers, made.last = float("-inf"), 0, None
        made.breaker = Breaker(lambda: None, interval_s=1.0)
        return made

    @property
    def has_replicas(self) -> bool:
        """Whether anything could answer instead of the primary."""
        return bool(self._replicas)

    @property
    def parts(self) -> Components:
        """Of whoever answers now. Raises `Unavailable` when nobody does."""
        if self._replicas and (self.breaker.error is not None or self._instead.get()):
            return self._opened().parts
        primary = self._primary
        if primary is None:
            raise Unavailable("the lake is closed")
        return primary

    @property
    def served(self) -> Served | None:
        """That a replica answers now, and how old it is; None while the primary does."""
        instead = self._instead.get()
        error = self.breaker.error
        if not self._replicas or (error is None and not instead):
            return None
        opened = self._opened()
        what = f"the bucket {instead!r}" if instead else "the primary"
        return self._served(opened, f"{what} does not answer", instead)

    def served_since(self, monotonic_s: float) -> Served | None:
        """That a replica answered anything since then, by what is known: nothing is asked."""
        opened, last = self._replica, self.last
        if opened is None or last is None:
            return None
        if self._last_s < monotonic_s and self.breaker.error is None:
            return None
        return replace(last, age_s=max(0.0, opened.parts.clock.now_us() - last.at_us) / 1e6)

    # -- questions and changes --------------------------------------------------------

    def reading(self, ask: Callable[[], _T]) -> _T:
        """Put a question; to a replica when the primary turns out not to answer."""
        if not self._replicas:
            return ask()
        self._check_disk()
        if self.breaker.error is not None or self._instead.get():
            return self._noted(ask)
        try:
            return ask()
        except Exception as error:
            bucket = self._who_is_away(error)
            if bucket is None:
                raise
            if not bucket:
                return self._noted(ask)
            try:
                self._opened()
            except LakecoreError:
                raise error from None  # what is wrong is the bucket; the rest of the lake answers
            token = self._instead.set(bucket)
            try:
                return self._noted(ask)
            finally:
                self._instead.reset(token)

    def changing(self, change: Callable[[], _T]) -> _T:
        """Make a change; while the primary does not answer, say so at once."""
        if not self._replicas:
            return change()
        self._check_disk()
        if self.breaker.error is not None:
            raise _refused(self.breaker.error)
        try:
            return change()
        except Exception as error:
            if self._who_is_away(error) == "" and not isinstance(error, Unavailable):
                raise _refused(error) from error
            raise

    def close(self) -> None:
        self.breaker.close()
        with self._lock:
            opened, self._replica = self._replica, None
            primary = self._primary
        try:
            if opened is not None:
                opened.parts.close()
        finally:
            if primary is not None:
                primary.close()

    # -- the primary ------------------------------------------------------------------

    def _open(self, *, create: bool) -> None:
        settings = self.settings
        if self._replicas:
            settings = _impatient(settings)
            self.settings = settings
        try:
            self._primary = Components.open(settings, create=create)
        except Exception as error:
            # A lake that is not there yet is made, not looked for in a replica.
            if not self._replicas or not is_away(error) or self.breaker.ask():
                self.breaker.close()
                raise
            try:
                opened = self._opened()
            except LakecoreError as other:
                self.breaker.close()
                error.add_note(f"no replica answers either: {other}")
                raise error from None
            _log.warning("%s", self._served(opened, "the primary does not answer", ""))

    def _look(self) -> None:
        """Ask the primary who it is; raises what keeps it from saying so."""
        own = _own_bucket(self.settings)
        storage = self.settings.storage
        if own is not None:
            store = open_bucket(
                own,
                options=storage.options,
                uri=self.settings.lake.uri,
                probing_s=storage.probe_timeout_s,
            )
        else:
            store = open_lake_store(_probing(self.settings))
        try:
            found = read_format(store)
        finally:
            store.close()
        if self._primary is not None and found.lake_id != self._primary.format.lake_id:
            raise Unavailable("another lake is at the primary's place", found=found.lake_id)

    def _come_back(self) -> None:
        with self._lock:
            if self._primary is None:
                self._primary = Components.open(self.settings, create=False)
        _log.warning("the primary answers again")

    def _check_disk(self) -> None:
        """A disk that is not mounted any more answers: with nothing."""
        primary = self._primary
        if primary is None or self.breaker.error is not None:
            return
        file = primary.own_store.local_path(PATH)
        if file is not None and not file.exists():
            self.breaker.trip(Unavailable("the lake's folder is not there", where=file.parent))

    def _who_is_away(self, error: Exception) -> str | None:
        """'' for the primary, the name of an archive, or None: the error is the question's own."""
        if not is_away(error):
            return None
        if not self.breaker.ask():
            _log.warning("the primary does not answer: %s", self.breaker.error)
            return ""
        primary = self._primary
        away = primary.buckets.ask_used() if primary is not None else []
        return away[0] if away else None

    # -- the replica ------------------------------------------------------------------

    def _noted(self, ask: Callable[[], _T]) -> _T:
        """A replica's answer, said to be one."""
        served = self.served
        if served is not None:
            limit_s = self.settings.storage.max_stale_s
            if limit_s and served.age_s > limit_s:
                raise Unavailable(
                    "the primary does not answer, and the replica is too old",
                    expected=f"at most {limit_s:,.0f} s",
                    found=f"{served.age_s:,.0f} s",
                    where=served.replica,
                    hint="[storage] max_stale_s says how old answers may be",
                )
            # Before the answer: whoever hands it on must find it said.
            self.last, self._last_s = served, time.monotonic()
            warnings.warn(StaleAnswer(str(served)), stacklevel=4)
        found = ask()
        if served is not None:
            self.answers += 1
            self._last_s = time.monotonic()
            if hasattr(found, "served"):
                found.served = served
        return found

    def _served(self, opened: _Opened, reason: str, bucket: str) -> Served:
        state = opened.state()
        return Served(
            replica=opened.bucket.name,
            at_us=state[0],
            age_s=max(0.0, opened.parts.clock.now_us() - state[0]) / 1e6,
            tree_size=state[1],
            reason=reason,
            bucket=bucket,
        )

    def _opened(self) -> _Opened:
        """The replica that answers: the first one that can be opened."""
        with self._lock:
            if self._replica is not None:
                return self._replica
            errors = []
            for bucket in self._replicas:
                try:
                    self._replica = self._open_one(bucket)
                except LakecoreError as error:
                    errors.append(f"{bucket.name}: {error}")
                else:
                    return self._replica
            raise Unavailable(
                "neither the primary nor a replica answers",
                found="; ".join(errors),
                hint="try again when one of them is back",
            )

    def _open_one(self, bucket: BucketSettings) -> _Opened:
        store = open_bucket(bucket)
        try:
            state = read_replica(store)
            if state is None or state.complete is None:
                raise Unavailable("the replica has no whole state yet", where=store.url)
            known = self._primary.format.lake_id if self._primary is not None else state.lake_id
            if state.lake_id != known:
                raise Unavailable("the replica is another lake's", found=state.lake_id)
            lake = replace(self.settings.lake, uri=bucket.uri, maintain=False)
            journal = replace(self.settings.journal, checkpoint=False, compact=False)
            settings = replace(self.settings, lake=lake, journal=journal)
            parts = Components(
                store, settings, create=False, refusal=lambda path: _refused(self.breaker.error)
            )
        except BaseException:
            store.close()
            raise
        return _Opened(bucket, parts)


class _Opened:
    """A replica that is open, and what it says of its age."""

    def __init__(self, bucket: BucketSettings, parts: Components) -> None:
        self.bucket = bucket
        self.parts = parts
        self._looked_s = float("-inf")
        self._state = (0, 0)

    def state(self) -> tuple[int, int]:
        """(as of when, microseconds; how many events), looked up every few seconds."""
        if time.monotonic() - self._looked_s >= _LOOK_EVERY_S:
            found = read_replica(self.parts.own_store)
            if found is not None and found.complete is not None:
                self._state = (found.complete.at_us, found.complete.tree_size)
            self._looked_s = time.monotonic()
        return self._state


def reading(method: Callable[..., _T]) -> Callable[..., _T]:
    """A method of `Lake` that asks: a replica answers when the primary does not."""

    @wraps(method)
    def ask(self: Any, *arguments: Any, **options: Any) -> _T:
        serving: Serving = self._serving
        if not serving.has_replicas:
            return method(self, *arguments, **options)
        return serving.reading(lambda: method(self, *arguments, **options))

    return ask


def changing(method: Callable[..., _T]) -> Callable[..., _T]:
    """A method of `Lake` that changes something: refused at once while the primary is away."""

    @wraps(method)
    def change(self: Any, *arguments: Any, **options: Any) -> _T:
        serving: Serving = self._serving
        if not serving.has_replicas:
            return method(self, *arguments, **options)
        return serving.changing(lambda: method(self, *arguments, **options))

    return change


class ServedJournal:
    """A lake's journal, whose questions a replica answers when the primary does not."""

    ASKS: Final = frozenset(
        {
            *("entity_history", "recent", "query", "stats", "changes", "events_at", "export"),
            *("prove", "checkpoints", "completeness", "state"),
        }
    )

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._serving.parts.journal, name)
        if not callable(found):
            return found
        put = self._serving.reading if name in self.ASKS else None
        if put is None:
            return found
        return lambda *given, **options: put(
            lambda: getattr(self._serving.parts.journal, name)(*given, **options)
        )


class ServedPart:
    """A part of a lake, looked up each time it is asked: whoever answers now has it."""

    def __init__(self, serving: Serving, name: str) -> None:
        self._serving = serving
        self._name = name

    def __getattr__(self, method: str) -> Any:
        def call(*given: Any, **options: Any) -> Any:
            return self._serving.reading(
                lambda: getattr(getattr(self._serving.parts, self._name), method)(*given, **options)
            )

        return call


def _refused(error: Exception | None) -> LakecoreError:
    found = error.message if isinstance(error, LakecoreError) else error and str(error)
    return Unavailable(
        "the primary does not answer: nothing is changed meanwhile",
        found=found,
        hint="questions are answered by a replica; try again when the primary is back",
    )


def _own_bucket(settings: Settings) -> BucketSettings | None:
    uri = settings.lake.uri
    return next((one for one in settings.storage.bucket if same_place(one.uri, uri)), None)


def _impatient(settings: Settings) -> Settings:
    """With a replica to ask, nobody waits a minute for the primary, unless settings say so."""
    if "://" not in settings.lake.uri or settings.lake.uri.startswith(("memory:", "file:")):
        return settings
    options = {
        "max_retries": _MAX_RETRIES,
        "retry_timeout": _RETRY_TIMEOUT_S,
        **settings.storage.options,
    }
    return replace(settings, storage=replace(settings.storage, options=options))


def _probing(settings: Settings) -> Settings:
    if "://" not in settings.lake.uri or settings.lake.uri.startswith(("memory:", "file:")):
        return settings
    seconds = f"{settings.storage.probe_timeout_s}s"
    options = {
        **settings.storage.options,
        "max_retries": "0",
        "retry_timeout": "1",
        "timeout": seconds,
        "connect_timeout": seconds,
    }
    return replace(settings, storage=replace(settings.storage, options=options))
