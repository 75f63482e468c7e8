"""What stands in the way of undoing a mutation, named by row and field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lakecore.base import Conflict

MAX_NAMED_CONFLICTS: Final = 5

Cell = tuple[str, str]
"""(entity_id, field); the field of a whole row is '*'."""
Later = Callable[[Sequence[Cell]], Sequence[str | None]]
"""Which mutation was the last to change each cell, where that is known."""


@dataclass(frozen=True, slots=True)
class Found:
    """One cell that is not any more what the mutation made it."""

    cell: Cell
    expected: str | None
    found: str | None


class Conflicts:
    """Cells that cannot be undone; the first of them by name."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Found] = []

    def add(self, cell: Cell, expected: str | None = None, found: str | None = None) -> None:
        self.count += 1
        if len(self.first) < MAX_NAMED_CONFLICTS:
            self.first.append(Found(cell, expected, found))

    def error(self, dataset: str, later: Later | None) -> Conflict:
        """The refusal, naming rows, fields and, where known, who changed them since."""
        cells = [one.cell for one in self.first]
        by = later(cells) if later is not None else [None] * len(cells)
        texts = [
            f"{one.cell[0]} {one.cell[1]}: {_short(one.expected)} is {_short(one.found)} now"
            + (f", by mutation {mutation}" if mutation else "")
            for one, mutation in zip(self.first, by, strict=True)
        ]
        more = self.count - len(texts)
        return Conflict(
            "this mutation cannot be undone: rows were changed since",
            where=dataset,
            found="; ".join(texts) + (f"; and {more} more" if more > 0 else ""),
            hint="revert the later mutations first, or skip what is in conflict",
        )


def _short(text: str | None) -> str:
    return "absent" if text is None else text if len(text) <= 40 else f"{text[:39]}…"
