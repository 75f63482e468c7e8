"""The archives of a lake's journal, by the names that settings give them."""

from __future__ import annotations

import threading

from lakecore.base import InvalidInput, Unavailable
from lakecore.config import Settings
from lakecore.storage import Store, open_store

_REMOTE = ("s3", "gs", "az")


class Archives:
    """From a name to its store, which is opened when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._places = settings.journal.archives
        self._options = settings.storage.options
        self._stores: dict[str, Store] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Store:
        with self._lock:
            if name not in self._stores:
                place = self._places.get(name)
                if place is None:
                    raise Unavailable(
                        "an archive is not configured",
                        found=name,
                        hint=f'in lakecore.toml: [journal.archives] {name} = "<where it is>"',
                    )
                is_remote = place.partition("://")[0] in _REMOTE
                self._stores[name] = open_store(place, options=self._options if is_remote else None)
            return self._stores[name]

    def name_of(self, text: str) -> str:
        """The name of an archive, from its name or its place."""
        for name, place in self._places.items():
            if text in (name, place):
                return name
        raise InvalidInput(
            "there is no such archive in the settings",
            expected=", ".join(self._places) or None,
            found=text,
            hint=f'in lakecore.toml: [journal.archives] cold = "{text}": '
            "whoever reads the lake needs to know where its events are",
        )
