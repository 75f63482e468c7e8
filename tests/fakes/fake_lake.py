"""A lake without storage: it remembers how it was called and answers what it was told to.

For tests of the command line alone: what it passes on, how it shows results, how it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lakecore.journal import Event

MOMENT = datetime(2026, 11, 22, 9, 30, 1, 250_000, tzinfo=UTC)


def event(**changes: Any) -> Event:
    """An update of one plane's seats, with `changes`."""
    parts: dict[str, Any] = {
        "seq": 7,
        "event_id": "m:0",
        "timestamp": MOMENT,
        "entity_type": "plane",
        "entity_id": "N10156",
        "field": "seats",
        "action": "update",
        "old_value": "55",
        "new_value": "60",
        "actor": "ada",
        "source": "cli",
        "dataset": "planes",
        "dataset_id": "d",
        "version": 3,
        "mutation_id": "m",
        "context": '{"reason":"refitted"}',
    }
    return Event(**{**parts, **changes})


@dataclass
class Recorder:
    """Any method, remembered: `calls` in order, `answers` by name (a value, or an error)."""

    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def method(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            answer = self.answers.get(name)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return method

    @property
    def last(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """The last call: name, arguments, keyword arguments."""
        return self.calls[-1]


@dataclass
class FakeLake(Recorder):
    """The face of a lake, its journal, and how it was opened."""

    journal: Recorder = field(default_factory=Recorder)
    opened: dict[str, Any] = field(default_factory=dict)
    closed: bool = False
    url: str = "memory://"
    lake_id: str = "11111111-1111-4111-8111-111111111111"
    actor: str = "ada"
    last_served: None = None

    def __enter__(self) -> FakeLake:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def open_lake(self, uri: str | None = None, **options: Any) -> FakeLake:
        """What the command line calls instead of the real one."""
        self.opened = {"uri": uri, **options}
        self.actor = options.get("actor") or self.actor
        return self
