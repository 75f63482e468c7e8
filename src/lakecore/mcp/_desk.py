"""The lake as one visitor may use it: every tool asks here, and a lake is had by no other way."""

from __future__ import annotations

from typing import Any

from lakecore.auth import Principal, authorize, may
from lakecore.base import NotFound
from lakecore.mcp._ports import ActingAs, Visitor

SOURCE = "mcp"
"""The `source` of what is changed through this door; a principal without a key and without a
kind in its name counts as an agent then."""


class Desk:
    """What a visitor may reach. Calls may block."""

    def __init__(self, visitor: Visitor, acting_as: ActingAs) -> None:
        self.visitor = visitor
        self._acting_as = acting_as

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self.visitor.principal

    def lake(self, action: str, dataset: str | None = None) -> Any:
        """The lake in the visitor's name, once they may do this. Raises `Refused`."""
        authorize(self.principal, action, dataset)
        return self._acting_as(self.principal)

    def looking(self) -> Any:
        """The lake where it shows no more than the visitor may see: SQL, or what is asked next."""
        return self._acting_as(self.principal)

    def asking(self, action: str) -> Any:
        """The lake for an action over something that is found out later. Raises `Refused`."""
        if not self.principal.scopes.to_body().get(action):
            authorize(self.principal, action)
        return self._acting_as(self.principal)

    def as_(self, principal: Principal) -> Any:
        """The lake in another's name, who was asked: an approver's."""
        return self._acting_as(principal)

    def may(self, action: str, dataset: str | None = None) -> bool:
        """Whether they may: to leave out what they may not see."""
        return may(self.principal, action, dataset)

    def pending(self, change_id: str) -> Any:
        """A change that waits or waited, of a dataset that they may read or approve.

        Raises:
            NotFound: there is none, or it is not for them to see.
        """
        found = self.looking().pending_change(change_id)
        mine = found.author.actor == self.principal.name and self.may("write", found.dataset)
        seen = self.may("read", found.dataset) or self.may("approve", found.dataset)
        if not (mine or seen):
            raise NotFound("no such pending change", where=change_id[:200])
        return found
