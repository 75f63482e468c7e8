"""A lake's ladder as an audit asks it for doubts: bounded, on the bill, and never a verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Unavailable, uuid7

if TYPE_CHECKING:
    from lakecore.app._lake import Lake

MAX_ANSWER_TOKENS: Final = 1_200
_DOUBT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "path": {"type": "string"},
        "line": {"type": "integer"},
    },
    "required": ["text", "path", "line"],
    "additionalProperties": False,
}
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"doubts": {"type": "array", "items": _DOUBT}},
    "required": ["doubts"],
    "additionalProperties": False,
}


class LadderDoubter:
    """Asks the ladder, about so many commits at most.

    Satisfies `lakecore.auditor.Doubter`: the prompt comes with what is untrusted marked, and what
    goes wrong is an error that the audit makes a note of. No tools are given; secrets are taken
    out twice, by who makes the prompt and by the ladder.
    """

    def __init__(self, lake: Lake, *, max_commits: int) -> None:
        self._lake = lake
        self._left = self._most = max_commits
        self._run = uuid7()

    def ask(self, prompt: str) -> str:
        """The answer as text. Raises `Unavailable` where there is none."""
        from lakecore.llm import Ask, By, Output, Structured

        if self._left <= 0:
            raise Unavailable(
                f"only {self._most:,} commits are asked about", hint="[auditor] max_doubted_commits"
            )
        self._left -= 1
        ask = Ask(
            messages=[{"role": "user", "content": prompt}],
            parameters={"temperature": 0.0},
            max_output_tokens=MAX_ANSWER_TOKENS,
            output=Output(Structured.SCHEMA, SCHEMA, "doubts"),
        )
        by = By(actor=self._lake.actor, source="audit", run=self._run)
        answer = self._lake.ladder.complete(ask, by)
        if not answer.ok:
            raise Unavailable(f"no rung has an answer ({answer.outcome.value})")
        return answer.value if isinstance(answer.value, str) else json.dumps(answer.value)
