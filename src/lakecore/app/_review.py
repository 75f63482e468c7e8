"""What `Lake` offers of reviews: the loop, joined with the ladder, git, and `system.*`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput, NotFound, uuid7

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakecore.app._components import Components
    from lakecore.app._lake import Lake
    from lakecore.code import Repository
    from lakecore.llm import Answer
    from lakecore.records import RecordKind
    from lakecore.review import (
        Bar,
        Call,
        FileOutcome,
        IterationReport,
        Loop,
        Memory,
        Plan,
        Reply,
        RunResult,
        RunSettings,
        Selection,
        Tracked,
        TrustProfile,
    )

_FAMILY: Final = re.compile(r"[A-Za-z]+")
_MAX_PROMPT_CHARACTERS: Final = 100_000


class ReviewFace:
    """Reviews of the code of any git repository."""

    @property
    def reviews(self) -> Reviews:
        """The review loop; see docs/review.md."""
        lake: Any = self
        return Reviews(lake)


class Reviews:
    """The review loop with a lake's ladder and records.

    Every method takes `repository`, a folder in a git repository, and reads from its objects
    alone. What is known of a repository is kept under `name`, default its folder's name.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._parts: Components = lake._parts

    def plan(self, repository: str | Path, **options: Any) -> Plan:
        """What `run` with the same options would ask, before anything is asked."""
        with self._loop(repository, **options) as loop:
            return loop.plan()

    def run(
        self,
        repository: str | Path,
        *,
        run_id: str | None = None,
        on_file: Callable[[FileOutcome, int, int], None] | None = None,
        **options: Any,
    ) -> RunResult:
        """Make the next iteration, or finish the one of `run_id`.

        Args:
            on_file: told of each file, with how many are done, of how many.
            options: `revision` ("HEAD"), `selection`, `bar`, `settings`, `name`.
        """
        name = run_id or uuid7()
        with self._loop(repository, run=name, **options) as loop:
            return loop.run(name, on_file)

    def memory(self, repository: str | Path, **options: Any) -> Memory:
        """What is known of a repository under a bar: findings, scores, signals."""
        with self._loop(repository, **options) as loop:
            return loop.memory()

    def reports(self, repository: str | Path, **options: Any) -> list[IterationReport]:
        """The figures of each iteration under a bar, in order."""
        from lakecore.review import REVIEW, REVIEWS, iterations

        with self._loop(repository, **options) as loop:
            rows = [
                row
                for row in loop.rows(REVIEWS)
                if row["bar"] == loop.bar.id and row["purpose"] == REVIEW
            ]
            signals = {path: one.name.value for path, one in loop.memory().signals().items()}
            return iterations(rows, signals)

    def ignore(
        self,
        repository: str | Path,
        finding_id: str,
        *,
        reason: str,
        until: datetime | None = None,
        who: str | None = None,
        **options: Any,
    ) -> Tracked:
        """Leave a finding out of the gate, on a person's word, until a time."""
        with self._loop(repository, **options) as loop:
            return loop.ignore(finding_id, who=who or self._lake.actor, reason=reason, until=until)

    def trust(self) -> list[TrustProfile]:
        """Every model by what became of its findings, in all repositories."""
        from lakecore.review import FINDINGS, REVIEWS, by_trust, trust_of

        records = _Rows(self._lake)
        return by_trust(trust_of(records.read_all(REVIEWS), records.read_all(FINDINGS)))

    @contextmanager
    def _loop(
        self,
        repository: str | Path,
        *,
        revision: str = "HEAD",
        selection: Selection | None = None,
        bar: Bar | None = None,
        settings: RunSettings | None = None,
        name: str | None = None,
        run: str = "",
    ) -> Iterator[Loop]:
        from lakecore.code import Repository
        from lakecore.review import GitFiles, Loop

        with Repository.open(repository) as opened:
            yield Loop(
                name or _name_of(opened),
                GitFiles(opened, revision, selection),
                LadderModels(self._parts, self._lake.actor, run),
                _Rows(self._lake),
                bar or self.bar(),
                clock=self._parts.clock,
                settings=settings,
            )

    def bar(
        self, prompt: str = "forensic", *, output_format: str = "json", temperature: float = 0.0
    ) -> Bar:
        """The bar of a prompt: ``forensic``, ``soft``, or the path of a text of your own."""
        from lakecore.review import PROMPTS, Bar

        if output_format not in ("json", "markdown"):
            raise InvalidInput(
                "not a form of answers", expected="json or markdown", found=output_format[:80]
            )
        text = PROMPTS.get(prompt)
        if text is None:
            try:
                text = Path(prompt).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                known = ", ".join(sorted(PROMPTS))
                raise NotFound(
                    "there is no such prompt", expected=f"{known}, or a file", found=prompt[:200]
                ) from error
            if not text.strip() or len(text) > _MAX_PROMPT_CHARACTERS:
                raise InvalidInput("not a prompt", found=f"{len(text)} characters", where=prompt)
        return Bar(text, output_format=output_format, decoding={"temperature": temperature})


class LadderModels:
    """The ladder as the loop asks it: what goes wrong is an outcome."""

    def __init__(self, parts: Components, actor: str, run: str) -> None:
        self._parts = parts
        self._actor = actor
        self._run = run

    def ask(self, call: Call) -> Reply:
        """One question; by a rung of another family where that is wanted and to be had."""
        from lakecore.llm import LADDER, Ask, By, Output, Structured

        def check(value: Any) -> str | None:
            return call.accept(value if isinstance(value, str) else json.dumps(value))

        form = Structured.TEXT if call.schema is None else Structured.SCHEMA
        others = [
            rung.name
            for rung in self._parts.ladder.rungs
            if family_of(rung.model) not in call.avoid_families
        ]
        ask = Ask(
            messages=[
                {"role": "system", "content": call.system},
                {"role": "user", "content": call.user},
            ],
            model=others[0] if call.avoid_families and others else LADDER,
            parameters=dict(call.decoding),
            output=Output(form, call.schema, "review", check=check),
        )
        by = By(actor=self._actor, source="review", run=self._run)
        return self._reply(call, self._parts.ladder.complete(ask, by))

    def _reply(self, call: Call, answer: Answer) -> Reply:
        from lakecore.review import Reply

        outcome, text = answer.outcome.value, answer.text
        if outcome in ("unparsable", "schema") and text and call.accept(text) is None:
            outcome = "ok"  # in the other form: it is read all the same
        elif answer.ok and not isinstance(answer.value, str):
            text = json.dumps(answer.value)
        models = {rung.name: rung.model for rung in self._parts.ladder.rungs}
        model = models.get(answer.rung, "")
        return Reply(
            outcome,
            text,
            model=model,
            family=family_of(model),
            rung=answer.rung,
            attempts=answer.attempts,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cost_microusd=-(-answer.cost_nano // 1_000),
        )


class _Rows:
    """The loop's rows in the lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def append(self, kind: str, rows: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> None:
        self._lake._parts.records.append(kind, rows, ids=ids)

    def read(self, kind: str, repository: str) -> Iterable[Mapping[str, Any]]:
        query = f"select * from system.{kind} where repository = $repository order by time"
        with self._lake.sql(query, {"repository": repository}, engine="datafusion") as result:
            rows: Sequence[Mapping[str, Any]] = result.to_pylist()
        return rows

    def read_all(self, kind: str) -> Sequence[Mapping[str, Any]]:
        with self._lake.sql(
            f"select * from system.{kind} order by time", engine="datafusion"
        ) as result:
            rows: Sequence[Mapping[str, Any]] = result.to_pylist()
        return rows


def family_of(model: str) -> str:
    """The family that a model's name tells: ``org/qwen2.5-coder:7b`` is ``qwen``."""
    found = _FAMILY.match(model.rsplit("/", 1)[-1])
    return found[0].lower() if found else model


def _name_of(repository: Repository) -> str:
    return repository.root.name or str(repository.root)


def review_kinds() -> list[RecordKind]:
    """The columns of `system.reviews` and `system.findings`."""
    from lakecore.records import RecordKind
    from lakecore.review import FINDINGS, REVIEWS, findings_schema, reviews_schema

    return [
        RecordKind(
            REVIEWS, reviews_schema(), "Reviews of files: a row for each answer of a model."
        ),
        RecordKind(
            FINDINGS, findings_schema(), "Findings of reviews: a row for each sign that one got."
        ),
    ]
