"""A bar of which only its hash is known: enough to read what was recorded under it."""

from __future__ import annotations

from dataclasses import dataclass

from lakecore.review._prompt import Bar


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBar(Bar):
    """As rows name it; nothing can be asked under it."""

    prompt: str = ""
    known_id: str

    @property
    def id(self) -> str:
        """The hash itself."""
        return self.known_id
