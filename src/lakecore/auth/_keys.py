"""The API keys of a lake: made, rotated, revoked, and told apart when somebody comes with one."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lakecore.auth._attempts import Attempts
from lakecore.auth._key import KIND, MAX_TIME_US, Key, State, check_note, check_principal, read_key
from lakecore.auth._known import KnownKeys
from lakecore.auth._last_used import LastUsed
from lakecore.auth._principal import Principal
from lakecore.auth._scopes import Scopes
from lakecore.auth._text import SECRET_BYTES, Presented, is_id, key_text, new_id, parse_key
from lakecore.base import (
    AlreadyExists,
    Clock,
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    SystemClock,
    Unauthenticated,
)
from lakecore.documents import Document, Documents
from lakecore.journal import Author

DEFAULT_OVERLAP_S: Final = 24 * 3600.0
MAX_OVERLAP_S: Final = 90 * 24 * 3600.0
MAX_KEYS: Final = 10_000
"""Documents of keys, ended ones too: one listing of them has to end well within `BOUND_S`."""

_SECOND_US: Final = 1_000_000
_NOBODY: Final = Key(
    id="0" * 12,
    principal=Principal(name="nobody", scopes=Scopes({})),
    created_us=0,
    secret_sha256=secrets.token_hex(32),
)
"""What an unknown key is compared with: the hash of nothing that anybody has."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, with its text: the only time that it is there to be read."""

    key: Key
    text: str = field(repr=False)


class Keys:
    """The keys of one lake. Threads may share it; processes need not know each other.

    Args:
        state_dir: where this machine notes when keys were used; None: only in memory.
        monotonic_s: seconds that never go back.
    """

    def __init__(
        self,
        documents: Documents,
        clock: Clock | None = None,
        *,
        state_dir: Path | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._documents = documents
        self._clock = clock or SystemClock()
        self._monotonic_s = monotonic_s
        self._known = KnownKeys(documents, monotonic_s)
        self._used = LastUsed(state_dir)
        self._attempts = Attempts(monotonic_s)
        self._since = (self._clock.now_us(), monotonic_s())

    # -- who is it --------------------------------------------------------------------

    def authenticate(self, text: str | None, *, address: str | None = None) -> Principal:
        """The principal of a key.

        Args:
            text: as it was sent, without ``Bearer``.
            address: of the client; wrong keys are counted by it.

        Raises:
            Unauthenticated: no key, or none that opens anything. Which of unknown, wrong,
                revoked and expired it is is not told, not even by the time it takes.
            TooManyRequests: instead, where many wrong ones came from that address.
            Unavailable: the store does not answer and what is known is too old.
        """
        try:
            return self._authenticate(text)
        except Unauthenticated:
            if address is not None and text:
                self._attempts.failed(address)
            raise

    def at_once(self, text: str | None) -> Principal | None:
        """As `authenticate`, for who must not wait: no store and no disk is asked.

        None where they would have to be, and for whatever opens nothing: `authenticate` knows.
        """
        keys = self._known.fresh()
        if keys is None or text is None:
            return None
        now_us = self._now_us()
        try:
            key = _matching(keys, parse_key(text), now_us)
        except Unauthenticated:
            return None
        return None if self._used.is_due(key.id, now_us) else key.principal

    def recheck(self, principal: Principal) -> None:
        """Whether a principal's key is still good: for what goes on for long, such as a tail.

        Raises:
            Unauthenticated: not any more.
        """
        if principal.key_id is None:
            return
        key = self._known.keys().get(principal.key_id)
        if key is None or key.state(self._now_us()) is not State.LIVE:
            raise _invalid()

    def principal_of(self, key_id: str) -> Principal:
        """Who comes, or came, with a key, whatever became of it. Raises `NotFound`."""
        key = self._known.keys().get(key_id) or self.get(key_id)
        return key.principal

    # -- looking ----------------------------------------------------------------------

    def list_keys(self) -> list[Key]:
        """All keys there ever were, the oldest first. Raises where one is not readable."""
        documents = self._documents.list_documents(KIND)
        keys = [read_key(document) for document in documents if document.body is not None]
        return sorted(keys, key=lambda key: (key.created_us, key.id))

    def get(self, key_id: str) -> Key:
        """One key by its id. Raises `NotFound`."""
        document = self._documents.get(KIND, key_id) if is_id(key_id) else None
        if document is None or document.body is None:
            raise _no_such_key(key_id)
        return read_key(document)

    def state(self, key: Key) -> State:
        """As of now."""
        return key.state(self._now_us())

    def last_used_us(self) -> dict[str, int]:
        """When keys were last used on this machine, by id, to the minute."""
        return self._used.times_us()

    # -- changing ---------------------------------------------------------------------

    def create(
        self,
        principal: str,
        *,
        scopes: Iterable[str] | Scopes,
        author: Author,
        datasets: Iterable[str] = (),
        kind: str | None = None,
        roles: Iterable[str] = (),
        trust: float | None = None,
        expires_us: int | None = None,
        note: str = "",
    ) -> NewKey:
        """Make a key. Its text is in what is returned, and nowhere else.

        Args:
            principal: who comes with it: the actor of all that is done with the key.
            scopes, datasets: see `Scopes.parse`.
            kind: one of `KINDS`; default what the name says.
            roles, trust: what rules and approvals look at.
            expires_us: microseconds since the epoch; None: never.

        Raises:
            InvalidInput: a part is not of its form, or there is an API key in one.
        """
        granted = scopes if isinstance(scopes, Scopes) else Scopes.parse(scopes, datasets=datasets)
        key_id = new_id()
        who = check_principal(
            principal, key_id=key_id, kind=kind, roles=roles, trust=trust, scopes=granted
        )
        return self._enter(who, check_note(note), self._check_expiry(expires_us), None, author)

    def rotate(
        self,
        key_id: str,
        *,
        author: Author,
        overlap_s: float = DEFAULT_OVERLAP_S,
        expires_us: int | None = None,
    ) -> NewKey:
        """Make a successor with the same principal and scopes; both live for the overlap.

        Args:
            overlap_s: seconds that the old key lives on, at most to its own end.
            expires_us: the successor's end; default: as long from now as the old key's life
                was to be.

        Raises:
            Refused: the key is not live.
            Conflict: it was rotated before.
        """
        if not 0 <= overlap_s <= MAX_OVERLAP_S:
            raise InvalidInput(
                "not an overlap", expected=f"0 to {MAX_OVERLAP_S:,.0f} s", found=overlap_s
            )
        old = self.get(key_id)
        self._check_rotatable(old)
        now_us = self._now_us()
        if expires_us is None and old.expires_us is not None:
            expires_us = now_us + (old.expires_us - old.created_us)
        who = replace(old.principal, key_id=new_id())
        made = self._enter(who, old.note, self._check_expiry(expires_us), old.id, author)
        # Crash window: a successor whose text nobody has, and the old key as it was.
        overlap_ends_us = now_us + int(overlap_s * _SECOND_US)

        def rotated(now: Key) -> dict[str, Any]:
            self._check_rotatable(now)
            return {"rotated_to": made.key.id, "overlap_ends_us": overlap_ends_us}

        try:
            self._change(old.id, rotated, author=author, action="rotate")
        except (Conflict, Refused):
            # Somebody rotated or revoked it meanwhile: theirs holds.
            self.revoke(made.key.id, author=author)
            raise
        return made

    def revoke(self, key_id: str, *, author: Author) -> Key:
        """End a key: here at once, in every other process within `BOUND_S`.

        Its successor, where it has one, lives on. Nothing happens to a revoked key.
        """

        def revoked(now: Key) -> dict[str, Any]:
            return {} if now.revoked_us is not None else {"revoked_us": self._clock.now_us()}

        return self._change(key_id, revoked, author=author, action="revoke")

    # -- inside -----------------------------------------------------------------------

    def _authenticate(self, text: str | None) -> Principal:
        presented = parse_key(text)
        keys = self._known.keys()
        now_us = self._now_us()
        key = _matching(keys, presented, now_us)
        self._used.touch(key.id, now_us)
        return key.principal

    def _now_us(self) -> int:
        """The clock, but never behind the time that passed since the start.

        A clock that is set back does not revive what expired; one that jumps ahead and comes
        back ends nothing for good.
        """
        began_us, began_s = self._since
        passed_us = int((self._monotonic_s() - began_s) * _SECOND_US)
        return max(self._clock.now_us(), began_us + passed_us)

    def _check_expiry(self, expires_us: int | None) -> int | None:
        if expires_us is not None and expires_us <= self._now_us():
            raise InvalidInput("a key cannot end before it begins", where="expires")
        if expires_us is not None and expires_us > MAX_TIME_US:
            raise InvalidInput("too late an end", expected="before the year 10000", where="expires")
        return expires_us

    def _check_rotatable(self, key: Key) -> None:
        if key.rotated_to is not None:
            raise Conflict(
                "the key was rotated before",
                where=key.id,
                found=f"its successor is {key.rotated_to}",
                hint="rotate that one, or revoke both and create a key",
            )
        state = self.state(key)
        if state is not State.LIVE:
            raise Refused(
                "only a live key is rotated", where=key.id, found=state, hint="create a key"
            )

    def _enter(
        self,
        who: Principal,
        note: str,
        expires_us: int | None,
        rotated_from: str | None,
        author: Author,
    ) -> NewKey:
        if len(self._known.look()) >= MAX_KEYS:
            raise Refused("there are too many keys", expected=f"at most {MAX_KEYS:,}, ended too")
        key_id = who.key_id or new_id()
        text = key_text(key_id, secrets.token_bytes(SECRET_BYTES))
        key = Key(
            id=key_id,
            principal=who,
            created_us=self._clock.now_us(),
            expires_us=expires_us,
            rotated_from=rotated_from,
            note=note,
            secret_sha256=parse_key(text).secret_sha256,
        )

        def enter(now: Document | None) -> dict[str, Any]:
            if now is not None:
                raise AlreadyExists("there is a key of that id", where=key_id, hint="try again")
            return key.to_body()

        document = self._documents.change(KIND, key_id, enter, author=author, action="create")
        entered = read_key(document)
        self._known.enter(entered)
        return NewKey(entered, text)

    def _change(
        self, key_id: str, step: Callable[[Key], dict[str, Any]], *, author: Author, action: str
    ) -> Key:
        if not is_id(key_id):
            raise _no_such_key(key_id)

        def changed(now: Document | None) -> dict[str, Any]:
            if now is None or now.body is None:
                raise _no_such_key(key_id)
            return {**now.body, **step(read_key(now))}

        document = self._documents.change(KIND, key_id, changed, author=author, action=action)
        key = read_key(document)
        self._known.enter(key)
        return key


def _matching(keys: Mapping[str, Key], presented: Presented, now_us: int) -> Key:
    """The live key that this is; `Unauthenticated` after the same work for whatever it is not."""
    key = keys.get(presented.key_id, _NOBODY)
    is_same = hmac.compare_digest(presented.secret_sha256, key.secret_sha256)
    is_live = key.state(now_us) is State.LIVE
    if not (is_same and is_live):
        raise _invalid()
    return key


def _invalid() -> Unauthenticated:
    return Unauthenticated(
        "this API key opens nothing", hint="it is unknown, revoked or expired: ask for another"
    )


def _no_such_key(key_id: str) -> NotFound:
    # A whole key given for an id must not come back in an error.
    shown = key_id if is_id(key_id) else None
    return NotFound("there is no key of that id", where=shown, hint="see `lakecore keys list`")
