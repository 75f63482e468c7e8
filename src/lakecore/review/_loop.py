"""`Loop`: a repository under one bar, what is known of it, and its next iteration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lakecore.base import Clock, InvalidInput, NotFound, uuid7
from lakecore.code import SourceKind, shown
from lakecore.review._examine import Text
from lakecore.review._gate import FileOutcome
from lakecore.review._make import finding_row
from lakecore.review._memory import FileMemory, Memory, Tracked, replay
from lakecore.review._plan import Plan, RunResult, RunSettings
from lakecore.review._ports import FileRef, Files, Models, Records
from lakecore.review._prompt import Bar, question
from lakecore.review._rows import FINDINGS, REVIEWS
from lakecore.review._run import Run
from lakecore.review._split import tokens_of
from lakecore.review._state import Sign, State, can, next_state

MAX_FILES: Final = 20_000
_ANSWER_TOKENS: Final = 800
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Loop:
    """The review loop over one repository under one bar.

    Args:
        repository: the name under which its rows are kept.
        trust: in models, 0 to 1, as far as it is to count for the gradient's tier.

    Attributes:
        on_plan: told of a run's plan before anything is asked.
    """

    def __init__(
        self,
        repository: str,
        files: Files,
        models: Models,
        records: Records,
        bar: Bar,
        *,
        clock: Clock,
        settings: RunSettings | None = None,
        trust: Mapping[str, float] | None = None,
    ) -> None:
        self.repository = repository
        self.bar = bar
        self.files = files
        self.models = models
        self.records = records
        self.clock = clock
        self.settings = settings or RunSettings()
        self.trust = trust or {}
        self.on_plan: Callable[[Plan], None] = lambda plan: None

    def memory(self, *, without_run: str | None = None) -> Memory:
        """What is known; `without_run` leaves the rows of one run out."""
        return self.replayed(self.rows(REVIEWS, without_run), self.rows(FINDINGS, without_run))

    def replayed(
        self, reviews: Iterable[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]]
    ) -> Memory:
        """What these rows say under this bar, now."""
        return replay(reviews, findings, self.bar.id, now=self.now())

    def now(self) -> datetime:
        """By the loop's clock."""
        return _EPOCH + timedelta(microseconds=self.clock.now_us())

    def plan(self) -> Plan:
        """What a run would ask now."""
        return self.plan_from(self.known_before(None))

    def run(
        self, run_id: str, on_file: Callable[[FileOutcome, int, int], None] | None = None
    ) -> RunResult:
        """Make the next iteration, or finish the one of this id.

        Args:
            on_file: told of each file, with how many are done, of how many.
        """
        return Run(self, run_id, on_file or (lambda outcome, done, of: None)).run()

    def ignore(
        self, finding_id: str, *, who: str, reason: str, until: datetime | None = None
    ) -> Tracked:
        """Leave a finding out of the gate, on a person's word, until a time.

        A reason that begins with ``wrong`` says that the finding is none: it counts against the
        model that made it.

        Raises:
            NotFound: there is no such finding under this bar.
            InvalidInput: no reason, or a finding that is not open.
        """
        if not reason.strip():
            raise InvalidInput("a reason is needed", where=finding_id)
        memory = self.memory()
        for known in memory.files.values():
            one = known.tracked.get(finding_id)
            if one is None:
                continue
            if not can(one.state, Sign.IGNORE):
                raise InvalidInput("this finding is not open", found=one.state.value)
            state = next_state(one.state, Sign.IGNORE)
            now = replace(one, state=state, reason=reason, who=who, until=until)
            self._decide(now, Sign.IGNORE, memory.iteration)
            return now
        raise NotFound("there is no such finding", found=finding_id, where=self.repository)

    def _decide(self, one: Tracked, sign: Sign, iteration: int) -> None:
        """A person's row: it is of the last iteration, and of no run."""
        row = finding_row(one, sign) | {
            "time": self.now(),
            "repository": self.repository,
            "bar": self.bar.id,
            "run_id": "",
            "iteration": iteration,
            "batch": "",
        }
        self.records.append(FINDINGS, [row], [f"{uuid7()}:{one.id}"])

    def rows(self, kind: str, without_run: str | None = None) -> list[Mapping[str, Any]]:
        rows = self.records.read(kind, self.repository)
        return [row for row in rows if row["run_id"] != without_run]

    def known_before(self, run_id: str | None) -> Memory:
        """What is known before a run, with files under the names that they have now."""
        memory = self.memory(without_run=run_id)
        for new, old in sorted(self.renames(memory).items()):
            memory.rename(old, new)
        return memory

    def renames(self, memory: Memory) -> Mapping[str, str]:
        """New path to old path, since the last iteration."""
        return self.files.renames(memory.revision) if memory.revision else {}

    def plan_from(self, memory: Memory) -> Plan:
        listed = self.files.listed()
        if len(listed) > MAX_FILES:
            raise InvalidInput(
                "too many files for one review", expected=f"at most {MAX_FILES}", found=len(listed)
            )
        wanted: list[FileRef] = []
        unchanged: list[str] = []
        unreadable: list[tuple[str, str]] = []
        renamed = self.renames(memory)
        questions = tokens = 0
        for ref in listed:
            if shown(ref.path) != ref.path:
                unreadable.append((shown(ref.path), "a name that is no UTF-8"))
                continue
            known = memory.files.get(ref.path)
            is_known = known is not None and self._is_done(known, ref)
            # What is renamed is reviewed, so that its new name is on record.
            if is_known and ref.path not in renamed:
                unchanged.append(ref.path)
                continue
            source = self.files.source(ref)
            if source.kind is not SourceKind.TEXT:
                unreadable.append((ref.path, source.kind.value))
                continue
            wanted.append(ref)
            text = Text(ref.path, source.text, source.language)
            parts = text.parts(self.settings.max_tokens).parts
            questions += len(parts)
            fixed = tokens_of(self.bar.instructions())
            tokens += sum(fixed + tokens_of(question(ref.path, part.text)) for part in parts)
        return Plan(
            tuple(wanted),
            tuple(unchanged),
            tuple(unreadable),
            questions,
            tokens,
            questions * _ANSWER_TOKENS,
        )

    def _is_done(self, known: FileMemory, ref: FileRef) -> bool:
        """Whether nothing is to be learned of a file by asking again."""
        claims = any(one.state is State.CLAIMED_FIXED for one in known.tracked.values())
        return not self.settings.everything and known.blob == ref.blob and not claims
