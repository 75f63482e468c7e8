"""Who asks for a change, as rules and the gradient see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from lakecore.journal import Author
    from lakecore.truth import Principal

_KIND_OF_SOURCE: Final = {
    "agent": "agent",
    "mcp": "agent",
    "ingest": "pipeline",
    "pipeline": "pipeline",
    "external": "service",
    "maintain": "service",
}


class Principals(Protocol):
    """Knows kind, roles and trust of who changes something. Threads ask at the same time."""

    def principal(self, author: Author) -> Principal:
        """The principal behind an author; always the same for the same author, until told."""
        ...


class NamedPrincipals:
    """Principals where nobody has a key: the name as given, the kind as name and source tell.

    A name such as ``agent:tidy`` says its kind before the colon; else the source does. Roles
    and trust are nobody's.

    >>> from lakecore.journal import Author
    >>> known = NamedPrincipals()
    >>> known.principal(Author(actor="agent:tidy")).kind
    'agent'
    >>> known.principal(Author(actor="loader", source="ingest")).kind
    'pipeline'
    """

    def principal(self, author: Author) -> Principal:
        from lakecore.truth import Principal

        prefix, colon, _ = author.actor.partition(":")
        if colon and prefix in ("agent", "pipeline", "service"):
            return Principal(author.actor, kind=prefix)
        return Principal(author.actor, kind=_KIND_OF_SOURCE.get(author.source, "person"))
