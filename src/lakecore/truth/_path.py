r"""Dot paths: ``after.name``, a dot in a name as ``\.``, an item of a list by its index.

>>> Path.parse(r"after.file\.name.0").segments
('after', 'file.name', '0')
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lakecore.base import InvalidInput
from lakecore.truth._bounds import MAX_PATH_CHARACTERS, MAX_PATH_SEGMENTS


class _Missing:
    """What a path finds where the context has no such member."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Path:
    """Where to look in a context."""

    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Path:
        r"""Read a dot path.

        Raises:
            InvalidInput: it is empty, too long, has an empty member, or a backslash before
                anything but a dot or a backslash.
        """
        if len(text) > MAX_PATH_CHARACTERS:
            raise InvalidInput(
                "the path is too long",
                expected=f"at most {MAX_PATH_CHARACTERS} characters",
                found=len(text),
            )
        segments = _split(text)
        if not all(segments):
            raise InvalidInput(
                "the path has an empty member", expected="names joined by dots", found=repr(text)
            )
        if len(segments) > MAX_PATH_SEGMENTS:
            raise InvalidInput(
                "the path has too many members",
                expected=f"at most {MAX_PATH_SEGMENTS}",
                found=len(segments),
            )
        return cls(tuple(segments))

    def __str__(self) -> str:
        return join(self.segments)

    def find(self, context: object) -> Any:
        """The value there; `MISSING` where a member is not there; None below a null."""
        return find(context, self.segments)


def join(segments: Iterable[str]) -> str:
    """The text of a path, dots and backslashes in names escaped."""
    return ".".join(part.replace("\\", "\\\\").replace(".", "\\.") for part in segments)


def find(context: object, segments: tuple[str, ...]) -> Any:
    """Follow `segments` from `context`; see `Path.find`."""
    value: Any = context
    for segment in segments:
        if value.__class__ is dict or isinstance(value, Mapping):
            value = value.get(segment, MISSING)
            if value is MISSING:
                return MISSING
        elif value is None:
            return None
        elif isinstance(value, list | tuple):
            if not (segment.isascii() and segment.isdigit() and int(segment) < len(value)):
                return MISSING
            value = value[int(segment)]
        else:
            return MISSING
    return value


def _split(text: str) -> list[str]:
    segments, current, characters = [], "", iter(text)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("\\", "."):
                raise InvalidInput(
                    "the path has a backslash that escapes nothing",
                    expected=r"\. for a dot in a name, \\ for a backslash",
                    found=repr(text),
                )
            current += escaped
        elif character == ".":
            segments.append(current)
            current = ""
        else:
            current += character
    return [*segments, current]
