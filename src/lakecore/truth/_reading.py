"""Reading members of a document: each is what it has to be, or an error says where and why not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from lakecore.base import InvalidInput
from lakecore.truth import _bounds as bounds

_Choice = TypeVar("_Choice", bound=StrEnum)


class At(NamedTuple):
    """Where the parser is: the source, the rule, and the path in it."""

    source: str
    path: str = ""

    def member(self, name: str) -> At:
        return self._replace(path=f"{self.path}.{name}" if self.path else name)

    def item(self, index: int) -> At:
        return self._replace(path=f"{self.path}[{index}]")

    def rule(self, name: str) -> At:
        return At(f"{self.source}: rule {name}")

    def __str__(self) -> str:
        return f"{self.source}: {self.path}" if self.path else self.source


def table_of(value: Any, known: Iterable[str], at: At) -> Mapping[str, Any]:
    known = tuple(known)
    if not isinstance(value, Mapping):
        raise refusal(at, "not a table", f"a table with {', '.join(known)}", value)
    check_members(value, known, at)
    return value


def check_members(table: Mapping[str, Any], known: Iterable[str], at: At) -> None:
    known = tuple(known)
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            raise InvalidInput(
                "not a member that is known here",
                expected=" or ".join(near) or f"one of {', '.join(known)}",
                found=str(name)[: bounds.MAX_SHOWN_CHARACTERS],
                where=at.member(str(name)[: bounds.MAX_SHOWN_CHARACTERS]),
            )


def text_of(table: Mapping[str, Any], name: str, at: At, *, default: str | None = None) -> str:
    value = table.get(name, default)
    at = at.member(name)
    if not isinstance(value, str):
        raise refusal(at, f"{name} is not a text", "text", value)
    at_most(len(value), bounds.MAX_TEXT_CHARACTERS, at, "characters")
    return unicode_text(value, at)


def unicode_text(value: str, at: At) -> str:
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise refusal(at, "not Unicode text", "Unicode text", ascii(value))
    return value


def texts_of(value: Any, at: At) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise refusal(at, "not a list of texts", "texts", value)
    at_most(len(value), bounds.MAX_ACTIONS, at, "texts")
    return tuple(
        text_of({"item": item}, "item", at.item(index)) for index, item in enumerate(value)
    )


def classes_of(value: Any, at: At) -> tuple[str, ...]:
    """Task classes: a name, or several different ones."""
    classes = texts_of([value] if isinstance(value, str) else value, at)
    if not classes or not all(classes) or len(set(classes)) < len(classes):
        raise refusal(at, "the task class is wrong", 'a name, several different, or "*"', value)
    return classes


def choice_of(
    table: Mapping[str, Any],
    name: str,
    kind: type[_Choice],
    at: At,
    default: _Choice | None = None,
) -> _Choice:
    value = table.get(name, default)
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(kind)
        raise refusal(at.member(name), f"{name} is not known", f"one of {choices}", value) from None


def at_most(count: int, bound: int, at: At, what: str) -> None:
    if count > bound:
        raise refusal(at, f"too many {what}", f"at most {bound:,}", f"{count:,}")


def refusal(at: At, message: str, expected: object, found: object) -> InvalidInput:
    shown = "nothing" if found is None else str(found)[: bounds.MAX_SHOWN_CHARACTERS]
    return InvalidInput(message, expected=expected, found=shown, where=at)


def located(error: InvalidInput, at: At) -> InvalidInput:
    return InvalidInput(error.message, expected=error.expected, found=error.found, where=at)
