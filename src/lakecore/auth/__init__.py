"""Principals, API keys and scopes: one check for every door.

A door (HTTP, MCP, the control plane) asks two questions and no other:

    Keys.authenticate(text)                 who is it?     `Unauthenticated` (HTTP's 401)
    authorize(principal, action, dataset)   may they?      `Refused` (HTTP's 403)

and writes history by `Principal.author` alone, so that the key's principal is the actor.

===============  ==================================================================
`_text`          the text of a key: prefix, id, secret, checksum
`_scopes`        actions over globs of datasets, deny by default
`_principal`     who asks; `authorize`
`_key`           what is known of a key; the document of kind ``keys``
`_keys`          making, rotating, revoking, authenticating
`_known`         the keys as this process knows them, never older than 4 s
`_attempts`      wrong keys by address
`_last_used`     when a key was used, without a write a request
`_table`         `system.keys`
===============  ==================================================================

Of a key's secret only the SHA-256 is kept. That is no password's hash, and need not be slow:
the secret is 256 random bits.

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.auth import Keys, Principal, authorize
>>> from lakecore.documents import Documents
>>> from lakecore.journal import Journal
>>> from lakecore.storage import open_store
>>> store = open_store("memory://")
>>> keys = Keys(Documents(store, Journal.open(store, Path(mkdtemp()))))
>>> owner = Principal.local("ada").author(source="cli", reason="tidies the hangar")
>>> made = keys.create("agent:tidy", scopes=["read:*", "write:planes"], author=owner)
>>> tidy = keys.authenticate(made.text)
>>> tidy.name, tidy.kind, tidy.author().actor
('agent:tidy', 'agent', 'agent:tidy')
>>> authorize(tidy, "write", "planes")
>>> authorize(tidy, "write", "hr.staff")  # doctest: +ELLIPSIS
Traceback (most recent call last):
...
lakecore.base.errors.Refused: the key does not allow this at key ...: expected write:hr.staff, \
found read:*, write:planes
"""

from lakecore.auth._attempts import Attempts, address_group
from lakecore.auth._key import Key, State
from lakecore.auth._keys import DEFAULT_OVERLAP_S, Keys, NewKey
from lakecore.auth._known import BOUND_S
from lakecore.auth._principal import KEY_MEMBER, KINDS, Principal, authorize, may
from lakecore.auth._scopes import ACTIONS, EVERYTHING, Scopes
from lakecore.auth._table import keys_table
from lakecore.auth._text import redact

__all__ = [
    "ACTIONS",
    "BOUND_S",
    "DEFAULT_OVERLAP_S",
    "EVERYTHING",
    "KEY_MEMBER",
    "KINDS",
    "Attempts",
    "Key",
    "Keys",
    "NewKey",
    "Principal",
    "Scopes",
    "State",
    "address_group",
    "authorize",
    "keys_table",
    "may",
    "redact",
]
