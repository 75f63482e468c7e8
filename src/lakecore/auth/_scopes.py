"""Scopes: what a key may do, with which datasets. Deny by default. No I/O.

A scope is an action over datasets. Actions do not imply each other: a key with ``write``
alone cannot read what it writes. Datasets are named by globs, in which `*` stands for any
text within a name and `?` for one character:

=============  ===================================================================
glob           covers
=============  ===================================================================
``planes``     one dataset, also named ``main.planes``
``hr.*``       every dataset of the schema ``hr``
``plane*``     datasets without a schema whose name begins so
``*``          everything: every dataset, `system.*`, and the lake as a whole
``system.x``   tables of the lake itself are covered by ``*``, or by a glob that
               spells the schema ``system``; ``sys*.*`` covers none
=============  ===================================================================

What concerns no single dataset (keys, rules, maintenance, the whole journal, models) needs
its action over ``*``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from lakecore.auth._text import redact
from lakecore.base import InvalidInput
from lakecore.base.limits import MAX_NAME_BYTES

ACTIONS: Final = ("read", "write", "approve", "admin", "model")
"""read rows and history; change them; decide what waits; keys, rules, catalog, maintenance; ask
models, which costs money and sends text to whoever serves them."""

EVERYTHING: Final = "*"
MAX_GLOBS: Final = 256

_SYSTEM: Final = "system"
_GLOB: Final = re.compile(r"[a-z0-9_*?]+(\.[a-z0-9_*?]+)?")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")


class Scopes:
    """Actions, and the globs of the datasets that each covers. Immutable.

    >>> scopes = Scopes.parse(["read", "write:hr.*"], datasets=["*"])
    >>> scopes.covers("read", "planes"), scopes.covers("write", "planes")
    (True, False)
    >>> scopes.covers("write", "hr.staff"), scopes.covers("admin", None)
    (True, False)
    """

    __slots__ = ("_globs",)

    def __init__(self, globs: Mapping[str, Iterable[str]]) -> None:
        found: dict[str, tuple[str, ...]] = {}
        for action in sorted(globs, key=_rank):
            names = sorted({check_glob(glob) for glob in _texts(globs[action], "globs")})
            if names:
                found[action] = tuple(names)
        if sum(map(len, found.values())) > MAX_GLOBS:
            raise InvalidInput("too many scopes", expected=f"at most {MAX_GLOBS}")
        self._globs = found

    @classmethod
    def parse(cls, scopes: Iterable[str], *, datasets: Iterable[str] = ()) -> Scopes:
        """Scopes as people write them: ``write:hr.*``, or ``write`` over all of `datasets`.

        Raises:
            InvalidInput: unknown action, bad glob, or an action that covers no dataset.
        """
        shared = _texts(datasets, "datasets")
        globs: dict[str, list[str]] = {}
        for text in _texts(scopes, "scopes"):
            action, colon, glob = text.partition(":")
            if not colon and not shared:
                raise InvalidInput(
                    "a scope needs datasets",
                    found=redact(action)[:200],
                    hint="for example read:hr.*, or the datasets apart",
                )
            globs.setdefault(action, []).extend([glob] if colon else shared)
        return cls(globs)

    def covers(self, action: str, dataset: str | None) -> bool:
        """Whether `action` is covered for a dataset; None: for the lake as a whole."""
        globs = self._globs.get(action, ())
        if dataset is None:
            return EVERYTHING in globs
        if len(dataset) > MAX_NAME_BYTES or not _NAME.fullmatch(dataset):
            return False
        return any(_matches(glob, dataset) for glob in globs)

    def to_body(self) -> dict[str, list[str]]:
        """As in a key's document: globs by action."""
        return {action: list(globs) for action, globs in self._globs.items()}

    def to_list(self) -> list[str]:
        """Each as `parse` takes it."""
        return [f"{action}:{glob}" for action, globs in self._globs.items() for glob in globs]

    def __bool__(self) -> bool:
        return bool(self._globs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scopes) and self._globs == other._globs

    def __hash__(self) -> int:
        return hash(tuple(self._globs.items()))

    def __repr__(self) -> str:
        return f"Scopes({', '.join(self.to_list())})"


def check_glob(glob: str) -> str:
    """The glob in its one spelling (``main.x`` is ``x``), or `InvalidInput`."""
    if not isinstance(glob, str) or len(glob) > MAX_NAME_BYTES or not _GLOB.fullmatch(glob):
        raise InvalidInput(
            "not a glob of datasets",
            expected="a dataset's name with * and ?, for example hr.*",
            found=redact(repr(glob))[:200],
        )
    return glob.removeprefix("main.") if glob != "main.*" else glob


@lru_cache(maxsize=4_096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(re.escape(glob).replace(r"\*", ".*").replace(r"\?", "."))


def _matches(glob: str, dataset: str) -> bool:
    if glob == EVERYTHING:
        return True
    schema_glob, name_glob = _split(glob)
    schema, name = _split(dataset)
    if schema == _SYSTEM and schema_glob != _SYSTEM:
        return False
    return bool(_pattern(schema_glob).fullmatch(schema) and _pattern(name_glob).fullmatch(name))


def _split(name: str) -> tuple[str, str]:
    schema, dot, rest = name.partition(".")
    return (schema, rest) if dot else ("main", name)


def _rank(action: str) -> int:
    if action not in ACTIONS:
        raise InvalidInput(
            "not a scope", expected=" | ".join(ACTIONS), found=redact(repr(action))[:200]
        )
    return ACTIONS.index(action)


def _texts(texts: Iterable[str], what: str) -> list[str]:
    found = [texts] if isinstance(texts, str) else list(texts)
    if not all(isinstance(text, str) for text in found):
        raise InvalidInput(f"{what} are a list of texts", found=redact(repr(found))[:200])
    return found
