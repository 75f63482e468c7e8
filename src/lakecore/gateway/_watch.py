"""Answers without a near end, and the keys that they were begun with.

A key is asked for when a request comes; a tail, or rows that are sent for an hour, outlive that.
One task looks after all of them: every `LOOK_S` it asks for each key once whether it is still
good. What a key that has ended began is ended, and so is everything when that cannot be told:
nobody is served by what is known no longer.

`LOOK_S` and what the keys themselves take (a listing every 2 s) are below the promised 5 s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from lakecore.base import LakecoreError

if TYPE_CHECKING:
    from lakecore.auth import Principal
    from lakecore.gateway._guard import Caller
    from lakecore.gateway._ports import Authenticator
    from lakecore.gateway._workers import Workers

LOOK_S: Final = 1.0

_log = logging.getLogger(__name__)


class Held:
    """One answer that is watched. `error` is why it has to end, None while it may go on."""

    __slots__ = ("_end", "caller", "error")

    def __init__(self, caller: Caller, end: Callable[[], None]) -> None:
        self.caller = caller
        self.error: LakecoreError | None = None
        self._end = end

    def finish(self, error: LakecoreError) -> None:
        if self.error is None:
            self.error = error
            self._end()

    def check(self) -> None:
        """Raises what it has to end with."""
        if self.error is not None:
            raise self.error


class Watch:
    """For one event loop."""

    def __init__(self, authenticator: Authenticator | None, workers: Workers) -> None:
        self._authenticator = authenticator
        self._workers = workers
        self._held: set[Held] = set()
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def holding(self, caller: Caller, end: Callable[[], None]) -> Iterator[Held]:
        """Watch an answer while this block lasts.

        Args:
            end: called on the event loop when it has to end, once `error` is set.
        """
        held = Held(caller, end)
        self._held.add(held)
        if self._authenticator is not None and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look(self._authenticator))
        try:
            yield held
        finally:
            self._held.discard(held)

    async def _look(self, authenticator: Authenticator) -> None:
        while self._held:
            await asyncio.sleep(LOOK_S)
            if not self._held:
                return
            asked = {held.caller.principal.key_id: held.caller.principal for held in self._held}
            ended = await self._workers.aside(partial(_ended, authenticator, asked))
            for held in list(self._held):
                error = ended.get(held.caller.principal.key_id)
                if error is not None:
                    held.finish(error)


def _ended(
    authenticator: Authenticator, principals: dict[str | None, Principal]
) -> dict[str | None, LakecoreError]:
    """Of some principals, by their keys, those that may not go on, and why."""
    found: dict[str | None, LakecoreError] = {}
    for key_id, principal in principals.items():
        try:
            authenticator.recheck(principal)
        except LakecoreError as error:
            found[key_id] = error
        except Exception as error:
            _log.exception("whether a key is good cannot be told")
            found[key_id] = LakecoreError("whether the key is still good cannot be told")
            found[key_id].__cause__ = error
    return found
