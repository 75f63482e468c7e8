"""The webhooks of a lake: made, changed, removed; each change is in the journal."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import (
    Clock,
    CorruptData,
    InvalidInput,
    NotFound,
    Refused,
    UnsupportedFormat,
)
from lakecore.webhooks._address import Allowed, check_url
from lakecore.webhooks._machine import Machine
from lakecore.webhooks._sign import secret_text
from lakecore.webhooks._webhook import (
    KIND,
    MACHINE,
    Webhook,
    check_globs,
    check_note,
    check_reference,
    check_words,
    is_id,
    read_webhook,
)

if TYPE_CHECKING:
    from lakecore.documents import Document, Documents
    from lakecore.journal import Author, Journal

MAX_WEBHOOKS: Final = 100
OVERLAP_S: Final = 24 * 3_600
"""After a rotation both secrets sign for so long."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A webhook with the secret that was made for it: the only time that it is shown.

    Attributes:
        secret: None where it is the operator's own, by reference.
    """

    webhook: Webhook
    secret: str | None = field(repr=False)


class Webhooks:
    """The subscriptions of one lake. Threads may share it; processes need not know each other.

    Args:
        machine: whose key signs what is made here.
        allowed: networks beside the public internet that messages may go to.
    """

    def __init__(
        self,
        documents: Documents,
        journal: Journal,
        clock: Clock,
        machine: Machine,
        *,
        allowed: Allowed,
    ) -> None:
        self._documents = documents
        self._journal = journal
        self._clock = clock
        self.machine = machine
        self.allowed = allowed

    # -- looking ----------------------------------------------------------------------

    def list_webhooks(self) -> list[Webhook]:
        """All of them, the oldest first; one whose document is damaged is left out, and said."""
        found = []
        for name, version in self._documents.newest_versions(KIND).items():
            try:
                document = self._documents.get(KIND, name, version=version)
                if document is not None and document.body is not None:
                    found.append(read_webhook(document))
            except (CorruptData, UnsupportedFormat) as error:
                _log.warning("a webhook is not readable and is not delivered: %s", error)
        return sorted(found, key=lambda webhook: (webhook.created_us, webhook.id))

    def get(self, webhook_id: str) -> Webhook:
        """One of them. Raises `NotFound`."""
        document = self._documents.get(KIND, webhook_id) if is_id(webhook_id) else None
        if document is None or document.body is None:
            raise _no_such(webhook_id)
        return read_webhook(document)

    # -- changing ---------------------------------------------------------------------

    def create(
        self,
        url: str,
        *,
        author: Author,
        datasets: Iterable[str] | str = (),
        entity_types: Iterable[str] | str = (),
        actions: Iterable[str] | str = (),
        secret: str | None = None,
        from_seq: int | None = None,
        note: str = "",
    ) -> NewSecret:
        """Have events posted to a URL, from now on, by this machine.

        Args:
            datasets, entity_types, actions: which events; see `Webhook`.
            secret: a reference to one of the operator's own; None: one is made and shown once.
            from_seq: begin there; below 0, so many events before the end; None: now.

        Raises:
            InvalidInput, Refused: a part is not of its form, or it is not to be reached.
        """
        if len(self._documents.newest_versions(KIND)) >= MAX_WEBHOOKS * 10:
            raise Refused("too many webhooks were made here", expected=f"{MAX_WEBHOOKS * 10:,}")
        if len(self.list_webhooks()) >= MAX_WEBHOOKS:
            raise Refused("there are too many webhooks", expected=f"at most {MAX_WEBHOOKS}")
        webhook = Webhook(
            id=f"wh-{secrets.token_hex(8)}",
            url=check_url(url, self.allowed),
            datasets=check_globs(datasets),
            entity_types=check_words(entity_types, "entity_types"),
            actions=check_words(actions, "actions"),
            secret=f"{MACHINE}:1" if secret is None else _given(secret),
            machine=self.machine.make(),
            cursor=self._cursor(from_seq),
            created_us=self._clock.now_us(),
            enabled_us=self._clock.now_us(),
            note=check_note(note),
        )
        # It has to be there before anything relies on it.
        found = self.machine.secret(webhook.id, webhook.secret)
        made = self._commit(webhook.id, lambda now: webhook, author, "create")
        return NewSecret(made, secret_text(found) if secret is None else None)

    def rotate(self, webhook_id: str, *, author: Author, secret: str | None = None) -> NewSecret:
        """Another secret; the old one signs beside it for a day. This machine delivers then.

        Args:
            secret: a reference; None: one is made and shown once.
        """
        machine = self.machine.make()

        def turned(now: Webhook) -> Webhook:
            is_ours = now.machine == machine
            kind, _, number = now.secret.partition(":")
            following = int(number) + 1 if kind == MACHINE else 1
            return replace(
                now,
                secret=f"{MACHINE}:{following}" if secret is None else _given(secret),
                # The secret that another machine derives is not to be had here.
                previous=now.secret if is_ours or kind != MACHINE else None,
                previous_until_us=self._clock.now_us() + OVERLAP_S * 1_000_000,
                machine=machine,
            )

        before = turned(self.get(webhook_id))
        self.machine.secret(webhook_id, before.secret)
        made = self._commit(webhook_id, turned, author, "rotate")
        found = self.machine.secret(webhook_id, made.secret)
        return NewSecret(made, secret_text(found) if secret is None else None)

    def enable(self, webhook_id: str, *, author: Author, from_seq: int | None = None) -> Webhook:
        """Deliver again, by this machine, from where it was left, or from `from_seq`.

        Raises:
            InvalidInput: its secret is another machine's: rotate it.
        """
        machine = self.machine.make()
        cursor = None if from_seq is None else self._cursor(from_seq)

        def enabled(now: Webhook) -> Webhook:
            if now.machine != machine and now.secret.startswith(f"{MACHINE}:"):
                raise InvalidInput(
                    "another machine has the secret of this webhook",
                    where=webhook_id,
                    hint="`lakecore webhooks rotate` makes one here",
                )
            return replace(
                now,
                machine=machine,
                cursor=cursor or now.cursor,
                enabled_us=self._clock.now_us(),
                disabled_us=None,
                disabled_why="",
            )

        return self._commit(webhook_id, enabled, author, "enable")

    def disable(self, webhook_id: str, why: str, *, author: Author) -> Webhook:
        """Deliver no more, until it is enabled."""
        now_us = self._clock.now_us()

        def disabled(now: Webhook) -> Webhook:
            if not now.is_enabled:
                return now
            return replace(now, disabled_us=now_us, disabled_why=why)

        return self._commit(webhook_id, disabled, author, "disable")

    def remove(self, webhook_id: str, *, author: Author) -> Webhook:
        """End it; its document keeps that it was there."""
        webhook = self.get(webhook_id)
        self._documents.change(KIND, webhook_id, lambda now: None, author=author, action="remove")
        return webhook

    def _commit(
        self,
        webhook_id: str,
        change: Callable[[Any], Webhook],
        author: Author,
        action: str,
    ) -> Webhook:
        def changed(now: Document | None) -> dict[str, Any]:
            if action == "create":
                return change(None).to_body()
            if now is None or now.body is None:
                raise _no_such(webhook_id)
            # Members that a newer Lakecore wrote stay.
            return {**now.body, **change(read_webhook(now)).to_body()}

        if not is_id(webhook_id):
            raise _no_such(webhook_id)
        document = self._documents.change(KIND, webhook_id, changed, author=author, action=action)
        return read_webhook(document)

    def _cursor(self, from_seq: int | None) -> str:
        start = self._journal.tree_size() if from_seq is None else from_seq
        tail = self._journal.tail(from_seq=start)
        try:
            return tail.cursor
        finally:
            tail.close()


def _given(reference: str) -> str:
    checked = check_reference(reference)
    if checked.startswith(f"{MACHINE}:"):
        raise InvalidInput("secrets of a machine are made, not named", where="secret")
    return checked


def _no_such(webhook_id: str) -> NotFound:
    shown = webhook_id if is_id(webhook_id) else None
    hint = "see `lakecore webhooks list`"
    return NotFound("there is no webhook of that id", where=shown, hint=hint)
