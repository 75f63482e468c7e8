"""One file, asked about once: questions, answers, what of them counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lakecore.code import Code, Language, parse
from lakecore.review._finding import Finding, Grounded, RawFinding, ground
from lakecore.review._parse import ANSWER_SCHEMA, VERDICTS, Answer
from lakecore.review._parse import parse as parse_answer
from lakecore.review._ports import Call, Models, Reply
from lakecore.review._prompt import Bar, question
from lakecore.review._split import Parts, fits, split

UNPARSABLE: Final = "unparsable"
UNGROUNDED: Final = "ungrounded"
MAX_KEPT_ANSWER_CHARACTERS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of it.

    Attributes:
        outcome: ``ok`` when every part was answered; else the word for what went wrong first.
        reply: the sum of the parts' attempts, tokens and cost; model and rung of the last.
        is_clipped: some lines were in no question.
    """

    outcome: str
    reply: Reply
    findings: tuple[Finding, ...] = ()
    ungrounded: int = 0
    is_clipped: bool = False
    output_format: str | None = None
    verdict: str | None = None
    score: float | None = None
    confidence: float | None = None
    verified: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    answer: str = ""


class Text:
    """A file's text with its symbols, parsed when somebody asks."""

    def __init__(self, path: str, text: str, language: Language) -> None:
        self.path = path
        self.text = text
        self.language = language
        self._code: Code | None = None

    def with_line_changed(self, text: str) -> Text:
        """The same file with one line that says something else and defines nothing.

        Its symbols are where they were: they are not looked for again.
        """
        changed = Text(self.path, text, self.language)
        changed._code = self.code
        return changed

    @property
    def code(self) -> Code:
        """Its symbols."""
        if self._code is None:
            self._code = parse(self.text, self.language)
        return self._code

    def symbol_at(self, line: int) -> str:
        """The qualified name of the definition around a line; "" at the top level."""
        found = self.code.symbol_at(line)
        return "" if found is None else found.qualified

    def parts(self, max_tokens: int) -> Parts:
        """Its parts, cut where definitions begin."""
        if fits(self.text, max_tokens):
            return split(self.text, max_tokens)  # where to cut does not matter
        starts = [symbol.start_line for symbol in self.code.symbols]
        return split(self.text, max_tokens, starts)


def examine(
    text: Text,
    bar: Bar,
    models: Models,
    *,
    call_id: str,
    max_tokens: int,
    proposal: str = "",
    avoid_families: frozenset[str] = frozenset(),
) -> Examined:
    """Ask about every part of a file.

    Args:
        call_id: the name of the question; its parts are numbered.
        max_tokens: of one part.
    """
    parts = text.parts(max_tokens)
    answers: list[tuple[Answer, int]] = []
    replies: list[Reply] = []
    outcome = "ok"
    for number, part in enumerate(parts.parts, 1):
        of_all = f"part {number} of {len(parts.parts)}, lines {part.first} to {part.last}"
        reply = models.ask(
            Call(
                id=f"{call_id}:{number}",
                system=bar.instructions(),
                user=question(
                    text.path,
                    part.text,
                    part=of_all if len(parts.parts) > 1 else "",
                    proposal=proposal,
                ),
                schema=ANSWER_SCHEMA if bar.output_format == "json" else None,
                decoding=bar.decoding or {},
                accept=_acceptance(text),
                avoid_families=avoid_families,
            )
        )
        replies.append(reply)
        answer = parse_answer(reply.text) if reply.outcome == "ok" else None
        if answer is None:
            outcome = reply.outcome if reply.outcome != "ok" else UNPARSABLE
            break
        answers.append((answer, part.last - part.first + 1))
    total = _sum(replies)
    if outcome != "ok" or not answers:
        kept = replies[-1].text[:MAX_KEPT_ANSWER_CHARACTERS] if replies else ""
        # Without a part there was nothing to ask: an empty file.
        return Examined(outcome if replies else "empty", total, is_clipped=True, answer=kept)
    grounded = _grounded(text, [raw for answer, _ in answers for raw in answer.findings])
    scored = [(answer.score, lines) for answer, lines in answers if answer.score is not None]
    given = [answer.confidence for answer, _ in answers if answer.confidence is not None]
    verdicts = [answer.verdict for answer, _ in answers if answer.verdict is not None]
    return Examined(
        outcome="ok" if scored else UNPARSABLE,
        reply=total,
        findings=grounded.findings,
        ungrounded=len(grounded.refused),
        is_clipped=parts.is_clipped,
        output_format=answers[0][0].output_format,
        verdict=max(verdicts, key=VERDICTS.index) if verdicts else None,
        score=_mean(scored),
        confidence=min(given) if given else None,
        verified=tuple(one for answer, _ in answers for one in answer.verified_components),
        missing=tuple(one for answer, _ in answers for one in answer.missing_components),
        answer="\n".join(reply.text for reply in replies)[:MAX_KEPT_ANSWER_CHARACTERS],
    )


def _acceptance(text: Text) -> Callable[[str], str | None]:
    """Why an answer cannot be used; one of which nothing is grounded is made up."""

    def accept(given: str) -> str | None:
        answer = parse_answer(given)
        if answer is None or answer.score is None:
            return UNPARSABLE
        if answer.findings and not ground(answer.findings, text.path, text.text).findings:
            return UNGROUNDED
        return None

    return accept


def _grounded(text: Text, raw: Sequence[RawFinding]) -> Grounded:
    found = ground(raw, text.path, text.text, text.symbol_at)
    # Where parts overlap, two of them may say the same: that is no made-up finding.
    refused = tuple(one for one in found.refused if not one[1].startswith("repeated"))
    return replace(found, refused=refused)


def _mean(scored: Sequence[tuple[float, int]]) -> float | None:
    lines = sum(count for _, count in scored)
    return round(sum(score * count for score, count in scored) / lines, 2) if lines else None


def _sum(replies: Sequence[Reply]) -> Reply:
    if not replies:
        return Reply("ok", attempts=0)
    return replace(
        replies[-1],
        attempts=max(reply.attempts for reply in replies),
        prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        completion_tokens=sum(reply.completion_tokens for reply in replies),
        cost_microusd=sum(reply.cost_microusd for reply in replies),
    )
