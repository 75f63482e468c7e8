"""What `Lake` offers of changes that wait for an approval."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.app._components import Components
    from lakecore.changes import ChangeResult, Pending
    from lakecore.journal import Author


class PendingFace:
    """Looking at what waits, approving and rejecting it."""

    _parts: Components
    _author: Callable[[str | None, str, str], Author]

    def pending(self, *, decided: bool = False) -> list[Pending]:
        """The changes that wait, the oldest first; with `decided` also those that did."""
        return self._parts.approvals.list_pending(decided=decided)

    def pending_change(self, change_id: str) -> Pending:
        """One change that waits or waited. Raises `NotFound`."""
        return self._parts.approvals.get(change_id)

    def pending_diff(self, change_id: str, *, offset: int = 0, limit: int = 100) -> pa.Table:
        """Some rows of what a waiting change would change, field by field.

        Raises:
            NotFound: there is no such change, or it is decided: the journal has what was made.
        """
        from lakecore.changes import read_page

        pending = self._parts.approvals.get(change_id)
        return read_page(self._parts.store, pending.body["diff"], offset=offset, limit=limit)

    def approve(
        self, change_id: str, *, actor: str | None = None, source: str = "api", reason: str = ""
    ) -> ChangeResult:
        """Make a change that waits, exactly as it was shown.

        Raises:
            Refused: not by this actor, or not any more.
            Conflict: it is another change by now, and waits again with its new diff.
        """
        author = self._author(actor, source, reason)
        return self._parts.approvals.approve(change_id, author=author)

    def reject(
        self, change_id: str, reason: str = "", *, actor: str | None = None, source: str = "api"
    ) -> Pending:
        """Have a change that waits not made. Raises `Conflict` when it is decided already."""
        author = self._author(actor, source, reason)
        return self._parts.approvals.reject(change_id, reason, author=author)
