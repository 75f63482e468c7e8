"""Which column of the engine has which field. No I/O.

A field's name can be any text; the engine's columns are numbered. Where words are stemmed a field
has two: its stems, and its words as they are written, for phrases and prefixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lakecore.base import InvalidInput
from lakecore.base.limits import MAX_NAME_BYTES

KEY: Final = "key"
MAX_FIELDS: Final = 32


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields of an index, in their order."""

    fields: tuple[str, ...]
    has_stems: bool

    def column(self, field: str, *, stemmed: bool) -> str:
        """The engine's name for it."""
        number = self.fields.index(field)
        return f"s{number}" if stemmed and self.has_stems else f"w{number}"

    def check(self, fields: Sequence[str] | None) -> tuple[str, ...]:
        """`fields` where the index has them all; all of them for None.

        Raises:
            InvalidInput: no field, or one that the index has not.
        """
        if fields is None:
            return self.fields
        if isinstance(fields, str) or not fields:
            raise InvalidInput("search needs a list of fields", expected=", ".join(self.fields))
        for field in fields:
            if field not in self.fields:
                raise InvalidInput(
                    "the text index has no such field",
                    expected="one of " + ", ".join(self.fields),
                    found=repr(field)[:80],
                )
        return tuple(dict.fromkeys(fields))


def check_fields(fields: Sequence[str]) -> tuple[str, ...]:
    """The fields of a new index.

    Raises:
        InvalidInput: none, too many, one twice, or one that cannot be a column's name.
    """
    if isinstance(fields, str) or not 1 <= len(fields) <= MAX_FIELDS:
        raise InvalidInput("a text index needs fields", expected=f"a list of 1 to {MAX_FIELDS}")
    for field in fields:
        text = field if isinstance(field, str) else ""
        size = len(text.encode("utf-8", "surrogatepass"))
        if not 1 <= size <= MAX_NAME_BYTES or field == KEY or list(fields).count(field) > 1:
            raise InvalidInput(
                "not a name of a field of a text index",
                expected=f"1 to {MAX_NAME_BYTES} bytes, each once, and not {KEY!r}",
                found=repr(field)[:80],
            )
    return tuple(fields)
