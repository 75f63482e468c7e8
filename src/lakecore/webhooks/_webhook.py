"""One subscription: its document, and which events are for it. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lakecore.auth import Scopes
from lakecore.base import CorruptData, InvalidInput

if TYPE_CHECKING:
    from lakecore.documents import Document
    from lakecore.journal import Event

KIND: Final = "webhooks"
FORMAT: Final = 1
MACHINE: Final = "machine"
MAX_FILTERS: Final = 64
MAX_NOTE_CHARACTERS: Final = 500

_ID: Final = re.compile(r"wh-[0-9a-f]{16}")
_WORD: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")
_REFERENCE: Final = re.compile(
    r"machine:[1-9][0-9]{0,5}|env:LAKECORE_WEBHOOK_[A-Z0-9]+(?:_[A-Z0-9]+)*"
    r"|file:[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Who wants to be told of which events.

    Attributes:
        id: the name of its document.
        url: where messages are posted.
        datasets: globs; none: everything but the lake's own tables.
        entity_types, actions: one of these; none: all.
        secret: a reference, never the secret: ``machine:<generation>``, ``env:<name>`` or
            ``file:<name>``.
        previous: the reference before the last rotation; signs too until `previous_until_us`.
        machine: the fingerprint of the machine that delivers.
        cursor: where it begins, on a machine that has delivered nothing of it yet.
        enabled_us: what failed before then does not count.
        disabled_us: since when nothing is delivered; `disabled_why` says why.
        version: of the document.
    """

    id: str
    url: str
    datasets: tuple[str, ...] = ()
    entity_types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    secret: str
    previous: str | None = None
    previous_until_us: int | None = None
    machine: str
    cursor: str
    created_us: int
    enabled_us: int
    note: str = ""
    disabled_us: int | None = None
    disabled_why: str = ""
    version: int = -1

    @property
    def is_enabled(self) -> bool:
        """Whether it is delivered."""
        return self.disabled_us is None

    @property
    def origin(self) -> str:
        """The URL without path and query, which may hold what is not for logs."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}"

    def chooser(self) -> Callable[[Event], bool]:
        """Whether an event is for it.

        What a workspace did and nobody merged is for none. Globs cover as those of a key's
        scopes do; without globs, everything but the lake's own tables is covered.
        """
        scopes = Scopes({"read": self.datasets}) if self.datasets else None

        def is_chosen(event: Event) -> bool:
            if event.workspace_id and event.dataset_id and event.version is None:
                return False
            if self.entity_types and event.entity_type not in self.entity_types:
                return False
            if self.actions and event.action not in self.actions:
                return False
            if scopes is None:
                return not event.dataset.startswith("system.")
            return scopes.covers("read", event.dataset or None)

        return is_chosen

    def to_body(self) -> dict[str, Any]:
        """The JSON object of its document."""
        return {
            "format": FORMAT,
            "url": self.url,
            "datasets": list(self.datasets),
            "entity_types": list(self.entity_types),
            "actions": list(self.actions),
            "secret": self.secret,
            "previous": self.previous,
            "previous_until_us": self.previous_until_us,
            "machine": self.machine,
            "cursor": self.cursor,
            "created_us": self.created_us,
            "enabled_us": self.enabled_us,
            "note": self.note,
            "disabled_us": self.disabled_us,
            "disabled_why": self.disabled_why,
        }

    def to_dict(self) -> dict[str, Any]:
        """What may be shown of it, JSON-ready: there is no secret in it."""
        body = self.to_body()
        del body["format"]
        return {"id": self.id, **body}


def read_webhook(document: Document) -> Webhook:
    """The subscription of a document that has a body. Unknown members are left alone.

    Raises:
        UnsupportedFormat: a newer Lakecore wrote it.
        CorruptData: it lacks a part, or a part has not its form.
    """
    from lakecore.documents import body_of

    body = body_of(document, FORMAT, "a webhook")
    try:
        return Webhook(
            id=document.name,
            url=_text(body["url"]),
            datasets=_texts(body["datasets"]),
            entity_types=_texts(body["entity_types"]),
            actions=_texts(body["actions"]),
            secret=check_reference(_text(body["secret"])),
            previous=None if body["previous"] is None else check_reference(body["previous"]),
            previous_until_us=_time(body["previous_until_us"]),
            machine=_text(body["machine"]),
            cursor=_text(body["cursor"]),
            created_us=_time(body["created_us"]) or 0,
            enabled_us=_time(body["enabled_us"]) or 0,
            note=_text(body["note"]),
            disabled_us=_time(body["disabled_us"]),
            disabled_why=_text(body["disabled_why"]),
            version=document.version,
        )
    except (AttributeError, InvalidInput, KeyError, TypeError, ValueError) as error:
        raise CorruptData(
            "a webhook's document lacks a part", where=document.path, found=repr(error)
        ) from error


def is_id(text: str) -> bool:
    """Whether `text` can be the id of a webhook."""
    return _ID.fullmatch(text) is not None


def check_globs(globs: Iterable[str] | str) -> tuple[str, ...]:
    """Globs of datasets, as in scopes. Raises `InvalidInput`."""
    given = (globs,) if isinstance(globs, str) else tuple(globs)
    return tuple(Scopes({"read": given}).to_body().get("read", ()))


def check_words(words: Iterable[str] | str, where: str) -> tuple[str, ...]:
    """Entity types or actions. Raises `InvalidInput`."""
    texts = (words,) if isinstance(words, str) else tuple(words)
    bad = [text for text in texts if not isinstance(text, str) or not _WORD.fullmatch(text)]
    if bad or len(texts) > MAX_FILTERS:
        raise InvalidInput(
            "not a filter",
            expected=f"at most {MAX_FILTERS} words",
            found=repr(bad or len(texts))[:200],
            where=where,
        )
    return tuple(dict.fromkeys(texts))


def check_reference(text: str) -> str:
    """Where a secret is. Raises `InvalidInput`, without what was given: it may be a secret."""
    if not _REFERENCE.fullmatch(text):
        raise InvalidInput(
            "not a reference to a signing secret",
            expected="env:LAKECORE_WEBHOOK_NAME, or file:NAME in [webhooks] secrets_directory",
            found="a value that is not shown",
            where="secret",
        )
    return text


def check_note(note: str) -> str:
    """A line about it. Raises `InvalidInput`."""
    if not note.isprintable() or len(note) > MAX_NOTE_CHARACTERS or "whsec_" in note:
        raise InvalidInput(
            "not a note",
            expected=f"one line of at most {MAX_NOTE_CHARACTERS} characters, without a secret",
            where="note",
        )
    return note


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} is no list")
    return tuple(map(_text, value))


def _time(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no time")
    return value
