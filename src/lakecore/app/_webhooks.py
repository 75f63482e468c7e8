"""`Lake.webhooks`: who is told of which events; see docs/webhooks.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakecore.base import format_timestamp
from lakecore.journal import Author

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.webhooks import Deliverer, NewSecret, Webhook, Webhooks

_Author = Callable[[str | None, str, str], Author]


class WebhooksFace:
    """What `Lake` does with webhooks."""

    _parts: Components
    _author: _Author

    @cached_property
    def webhooks(self) -> LakeWebhooks:
        """The webhooks: create, list, test, rotate, enable, remove."""
        return LakeWebhooks(self._parts, self._author)


class LakeWebhooks:
    """The webhooks of a lake. Every change of them is in the journal; no secret is.

    They are delivered by `lakecore up` on the machine that made them.
    """

    def __init__(self, components: Components, author: _Author) -> None:
        self._components = components
        self._author = author

    def create(
        self,
        url: str,
        *,
        datasets: Iterable[str] | str = (),
        entity_types: Iterable[str] | str = (),
        actions: Iterable[str] | str = (),
        secret: str | None = None,
        from_seq: int | None = None,
        note: str = "",
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> NewSecret:
        """Have sealed events posted to a URL.

        Args:
            datasets: globs, as in scopes; none: everything but the lake's own tables.
            entity_types, actions: one of these; none: all.
            secret: ``env:LAKECORE_WEBHOOK_…`` or ``file:NAME``; None: one is made, and is in
                what is returned, this once.
            from_seq: begin at this event; below 0, so many before the end; None: from now on.
        """
        made = self._webhooks.create(
            url,
            datasets=datasets,
            entity_types=entity_types,
            actions=actions,
            secret=secret,
            from_seq=from_seq,
            note=note,
            author=self._author(actor, source, reason),
        )
        self._components.webhooks_changed()
        return made

    def get(self, webhook_id: str) -> Webhook:
        """One of them. Raises `NotFound`."""
        return self._webhooks.get(webhook_id)

    def describe(self) -> list[dict[str, Any]]:
        """All of them with how far this machine delivered them, JSON-ready."""
        return [self._described(webhook) for webhook in self._webhooks.list_webhooks()]

    def status(self, webhook_id: str) -> dict[str, Any]:
        """One of them with how far this machine delivered it, JSON-ready."""
        return self._described(self.get(webhook_id))

    def deliveries(self, webhook_id: str) -> list[dict[str, Any]]:
        """The last attempts of this machine, the newest first, JSON-ready."""
        webhook = self.get(webhook_id)
        return [asdict(attempt) for attempt in self._components.deliveries.attempts(webhook.id)]

    def test(self, webhook_id: str) -> dict[str, Any]:
        """Send a message that is about nothing, now and once; what came of it."""
        import asyncio

        from lakecore.webhooks import Sender, signed_headers, trial

        webhook, clock = self.get(webhook_id), self._components.clock
        now_us = clock.now_us()
        message = trial(webhook, self._components.format.lake_id, format_timestamp(now_us))
        secrets = self._webhooks.machine.signing(webhook, now_us)

        async def send() -> dict[str, Any]:
            sender = Sender(
                self._webhooks.allowed, timeout_s=self._components.settings.webhooks.timeout_s
            )
            try:
                headers = signed_headers(message.id, now_us // 1_000_000, message.body, secrets)
                outcome = await sender.send(webhook.url, headers, message.body)
            finally:
                await sender.close()
            return {"message": message.id, "delivered": outcome.is_delivered, **asdict(outcome)}

        return asyncio.run(send())

    def rotate(
        self,
        webhook_id: str,
        *,
        secret: str | None = None,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> NewSecret:
        """Another secret; the old one signs beside it for a day. This machine delivers then."""
        author = self._author(actor, source, reason)
        made = self._webhooks.rotate(webhook_id, secret=secret, author=author)
        self._components.webhooks_changed()
        return made

    def enable(
        self,
        webhook_id: str,
        *,
        from_seq: int | None = None,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> Webhook:
        """Deliver again, by this machine, from where it was left or from `from_seq`."""
        author = self._author(actor, source, reason)
        found = self._webhooks.enable(webhook_id, from_seq=from_seq, author=author)
        self._components.webhooks_changed()
        return found

    def remove(
        self, webhook_id: str, *, actor: str | None = None, source: str = "api", reason: str = ""
    ) -> Webhook:
        """End it: nothing is sent any more, within seconds."""
        webhook = self._webhooks.remove(webhook_id, author=self._author(actor, source, reason))
        self._components.webhooks_changed()
        self._components.deliveries.forget(webhook_id)
        return webhook

    def list(self) -> list[Webhook]:
        """All of them, the oldest first."""
        return self._webhooks.list_webhooks()

    @property
    def _webhooks(self) -> Webhooks:
        return self._components.webhooks

    def _described(self, webhook: Webhook) -> dict[str, Any]:
        line = self._components.deliveries.find(webhook.id)
        is_here = webhook.machine == self._webhooks.machine.fingerprint()
        state = "disabled" if not webhook.is_enabled else "elsewhere" if not is_here else "active"
        if state == "active" and line is not None and line.problem:
            state = "failing"
        return {
            **webhook.to_dict(),
            "state": state,
            "messages": 0 if line is None else line.messages,
            "events": 0 if line is None else line.events,
            "delivered_us": None if line is None else line.delivered_us,
            "attempts_failed": 0 if line is None else line.trouble.attempts,
            "next_us": line.trouble.next_us if line is not None and line.problem else None,
            "problem": "" if line is None else line.problem,
        }


def make_webhooks(parts: Components) -> Webhooks:
    """The webhooks of a lake, as its settings say."""
    from lakecore.webhooks import Allowed, Machine, Webhooks

    settings = parts.settings.webhooks
    folder = settings.secrets_directory
    machine = Machine(
        parts.state_dir, variable=os.environ.get, folder=Path(folder) if folder else None
    )
    return Webhooks(
        parts.documents,
        parts.journal,
        parts.clock,
        machine,
        allowed=Allowed.parse(settings.allow_networks),
    )


def make_deliverer(parts: Components) -> Deliverer:
    """What delivers them in a process that lives long."""
    from lakecore.webhooks import Deliverer, DeliverySettings

    settings = parts.settings.webhooks
    return Deliverer(
        parts.webhooks,
        parts.journal,
        parts.deliveries,
        lake_id=parts.format.lake_id,
        clock=parts.clock,
        traces=parts.traces,
        settings=DeliverySettings(
            timeout_s=settings.timeout_s,
            concurrency=settings.concurrency,
            give_up_s=settings.give_up_s,
        ),
    )
