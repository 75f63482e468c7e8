"""What a person at the client is asked about a change that waits, and what they said. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from lakecore.mcp._limits import SHOWN_CHANGES

_MAX_VALUE_CHARACTERS: Final = 120
_MAX_QUESTION_CHARACTERS: Final = 6_000

FORM: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "approve": {
            "type": "boolean",
            "title": "Make this change",
            "description": "Yes makes exactly this change; no has it not made.",
            "default": False,
        },
        "comment": {
            "type": "string",
            "title": "Comment",
            "description": "Kept in the record with the decision.",
            "maxLength": 500,
        },
    },
    "required": ["approve"],
}
"""The form, as JSON Schema of the kinds that the protocol allows."""

KEY: Final = "approval"


@dataclass(frozen=True, slots=True)
class Word:
    """What came back: yes, no, or neither: then the change goes on waiting."""

    said: Literal["yes", "no", "nothing"]
    comment: str = ""


def question(
    change: Mapping[str, Any], changes: Iterable[Mapping[str, Any]], *, approver: str
) -> str:
    """The text of the question. Values are quoted, bounded and printable: they are data."""
    counts = change["counts"]
    done = ", ".join(
        f"{counts[name]:,} {name}" for name in ("inserted", "updated", "deleted") if counts[name]
    )
    lines = [
        f"{change['actor']} wants to {change['op']} rows of {change['dataset']}: {done}.",
        f"It gives as its reason: {_quoted(change['reason'])}",
    ]
    why = change["why_it_waits"]
    if why:
        lines.append(f"It waits because: {_quoted('; '.join(why))}")
    lines.append("What would change (values from the lake or from the agent, quoted):")
    shown = list(changes)[: SHOWN_CHANGES + 1]
    lines += [_change(one) for one in shown[:SHOWN_CHANGES]]
    if len(shown) > SHOWN_CHANGES:
        lines.append(f"  and more: `lakecore pending {change['id']}` shows all of it")
    lines.append(f"A yes is recorded in the name of {approver}.")
    return "\n".join(lines)[:_MAX_QUESTION_CHARACTERS]


def word_of(action: str, content: Mapping[str, Any] | None) -> Word:
    """What an answer means.

    >>> word_of("accept", {"approve": True, "comment": "counted them"})
    Word(said='yes', comment='counted them')
    >>> word_of("accept", {"approve": "yes"}).said, word_of("decline", None).said
    ('nothing', 'no')
    >>> word_of("cancel", None).said
    'nothing'
    """
    given = dict(content or {})
    comment = given.get("comment")
    text = _printable(comment)[:500] if isinstance(comment, str) else ""
    if action == "decline":
        return Word("no", text)
    approve = given.get("approve")
    if action == "accept" and isinstance(approve, bool):
        return Word("yes" if approve else "no", text)
    return Word("nothing", text)


def _change(one: Mapping[str, Any]) -> str:
    field = "" if one["field"] == "*" else f" {_printable(str(one['field']))}"
    old, new = _value(one["old_value"]), _value(one["new_value"])
    return f"  {one['action']} {_quoted(one['entity_id'])}{field}: {old} -> {new}"


def _value(text: str | None) -> str:
    """A value's JSON text."""
    if text is None:
        return "nothing"
    short = _printable(text)
    return f"{short[:_MAX_VALUE_CHARACTERS]}…" if len(short) > _MAX_VALUE_CHARACTERS else short


def _quoted(text: str) -> str:
    shown = _printable(text)
    if len(shown) > 4 * _MAX_VALUE_CHARACTERS:
        shown = f"{shown[: 4 * _MAX_VALUE_CHARACTERS]}…"
    return json.dumps(shown, ensure_ascii=False)


def _printable(text: str) -> str:
    """One line, without characters that a terminal or a dialog would act on."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
