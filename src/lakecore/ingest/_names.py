"""Column names from whatever a header holds."""

from __future__ import annotations

from collections.abc import Sequence

from lakecore.base import InvalidInput
from lakecore.base.limits import MAX_COLUMNS


def clean_names(raw: Sequence[str]) -> tuple[list[str], list[str]]:
    """Usable, distinct names, and a note for each that had to be changed.

    Trimmed, byte-order marks and control characters dropped; an empty one becomes
    ``column_N`` (N from 1), a repeated one ``name_2``, ``name_3``; comparison ignores
    case, because SQL does.

    >>> clean_names(["id", " name", "", "id"])[0]
    ['id', 'name', 'column_3', 'id_2']
    >>> clean_names(["id", "id"])[1]
    ["column 2 'id' is named 'id_2'"]
    """
    if len(raw) > MAX_COLUMNS:
        raise InvalidInput("too many columns", expected=f"at most {MAX_COLUMNS}", found=len(raw))
    trimmed = [_trim(name) for name in raw]
    taken: set[str] = set()
    reserved = {name.casefold() for name in trimmed}
    names: list[str] = []
    notes: list[str] = []
    for index, (original, name) in enumerate(zip(raw, trimmed, strict=True), start=1):
        chosen = name or f"column_{index}"
        number = 1
        # A suffix must not take the name of a later column that is really called so.
        while chosen.casefold() in taken or (chosen != name and chosen.casefold() in reserved):
            number += 1
            chosen = f"{name or f'column_{index}'}_{number}"
        taken.add(chosen.casefold())
        names.append(chosen)
        if chosen != original.strip().lstrip("\ufeff"):
            notes.append(f"column {index} {original!r} is named {chosen!r}")
    return names, notes


def _trim(name: str) -> str:
    text = "".join(" " if ord(char) < 32 or ord(char) == 127 else char for char in name)
    return (
        " ".join(text.replace("\ufeff", "").split())
        if text != name
        else (text.replace("\ufeff", "").strip())
    )
