"""What `Lake` offers of reviews: the loop, joined with the ladder, git, and `system.*`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.app._review_canary import canary_kind
from lakecore.app._review_search import search_reviews
from lakecore.app._review_trust import (
    Counted,
    counted_in,
    profiles_of,
    record_trust,
    trust_kind,
)
from lakecore.base import InvalidInput, NotFound, uuid7

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from lakecore.app._components import Components
    from lakecore.app._lake import Lake
    from lakecore.app._review_read import ReviewReading
    from lakecore.code import Repository
    from lakecore.llm import Answer
    from lakecore.records import RecordKind
    from lakecore.review import (
        Bar,
        Call,
        Decided,
        FileOutcome,
        Hit,
        IterationReport,
        Loop,
        Memory,
        Plan,
        RefactorSignal,
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
        on_plan: Callable[[Plan], None] = lambda plan: None,
        stop: Event | None = None,
        **options: Any,
    ) -> RunResult:
        """Make the next iteration, or finish the one of `run_id`.

        Args:
            on_file: told of each file, with how many are done, of how many.
            on_plan: told of what will be asked, before it is.
            stop: once it is set, nothing more is asked, and the run ends as far as it is.
            options: `revision` ("HEAD"), `selection`, `bar`, `settings`, `name`.
        """
        from lakecore.app._review_events import ReviewEvents

        name = run_id or uuid7()
        with self._loop(repository, run=name, **options) as loop:
            loop.on_plan = on_plan
            if stop is not None:
                from lakecore.app._review_desk import Stopping

                loop.models = Stopping(loop.models, stop)
            facts = {"repository": loop.repository, "run": name, "bar": loop.bar.id}
            events = ReviewEvents(lambda: self._parts.observer, self._lake.actor, facts)

            def told(outcome: FileOutcome, done: int, of: int) -> None:
                events.file(outcome, done, of)
                if on_file is not None:
                    on_file(outcome, done, of)

            try:
                result = loop.run(name, told)
                events.iteration(result)
            finally:
                events.close()
        record_trust(self._lake, name)
        return result

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

    def page(self, repository: str | Path, **options: Any) -> str:
        """The report of all iterations under a bar as one HTML file, without a script."""
        from lakecore._version import __version__
        from lakecore.review import REVIEWS, PageFacts, report_page

        with self._loop(repository, **options) as loop:
            return report_page(
                PageFacts(
                    loop.repository,
                    loop.bar.id,
                    loop.memory(),
                    [row for row in loop.rows(REVIEWS) if row["bar"] == loop.bar.id],
                    self.trust(),
                    loop.now(),
                    __version__,
                )
            )

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

    def confirm(self, repository: str | Path, finding: str = "", **options: Any) -> list[Decided]:
        """Confirm claimed fixes now, one or all; see `confirm_fixes` for the options."""
        from lakecore.app._review_confirm import confirm_fixes

        return confirm_fixes(self, repository, finding, **options)

    @property
    def reading(self) -> ReviewReading:
        """What is known of reviews by their rows alone: runs, files, findings, report."""
        from lakecore.app._review_read import ReviewReading

        return ReviewReading(self)

    def start(
        self,
        run_id: str | None = None,
        *,
        repository: str,
        revision: str = "HEAD",
        patterns: Sequence[str] = (),
        paths: Sequence[str] = (),
        since: str | None = None,
        churn: int | None = None,
        prompt: str = "forensic",
        answer: str = "json",
        temperature: float = 0.0,
        **settings: Any,
    ) -> dict[str, Any]:
        """Begin a run of a repository of the settings in the background of this process.

        Args:
            settings: of `RunSettings`.
        """
        from lakecore.review import PROMPTS, RunSettings, Selection

        if prompt not in PROMPTS:
            raise InvalidInput("not a prompt of ours", expected=", ".join(PROMPTS), found=prompt)
        return self._parts.reviews.start(
            self._lake,
            repository,
            run_id=run_id,
            revision=revision,
            selection=Selection(tuple(patterns), since, churn, tuple(paths)),
            bar=self.bar(prompt, output_format=answer, temperature=temperature),
            settings=RunSettings(**settings),
        )

    def one_run(self, run_id: str) -> dict[str, Any]:
        """A run by its rows, and where it is, if this process makes it. Raises `NotFound`."""
        begun = self._parts.reviews.state(run_id)
        if begun is None:
            return self.reading.run(run_id) | {"state": "unknown"}
        try:
            return self.reading.run(run_id) | begun
        except NotFound:
            return begun | {"paths": []}

    def trust(self) -> list[TrustProfile]:
        """Every model by what became of its findings, in all repositories."""
        return profiles_of(self._lake)

    def search(self, term: str, **options: Any) -> list[Hit]:
        """Files, findings and reviews that a symbol or term is in, and why each is where it is.

        Args:
            options: `repository`, by its name here; `kind`: file, finding or review; `limit`.
        """
        return search_reviews(self._lake, term, **options)

    def refactor_signals(self, repository: str | Path, **options: Any) -> list[RefactorSignal]:
        """Where files should be made anew rather than mended again, each with its reason."""
        from lakecore.code import Repository
        from lakecore.review import FINDINGS, refactor_signals

        with self._loop(repository, **options) as loop:
            rows = [row for row in loop.rows(FINDINGS) if row["bar"] == loop.bar.id]
            memory = loop.memory()
            revision = loop.files.revision
        with Repository.open(repository) as opened:
            return refactor_signals(memory, rows, opened.churn(revision))

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

        counted = counted_in(self._lake, run) if run else Counted()
        with Repository.open(repository) as opened:
            yield Loop(
                name or _name_of(opened),
                GitFiles(opened, revision, selection),
                LadderModels(self._parts, self._lake.actor, run, counted.order, key=self._key()),
                _Rows(self._lake),
                bar or self.bar(),
                clock=self._parts.clock,
                settings=settings,
                trust=counted.tier,
            )

    def _key(self) -> str:
        """The id of the key that the lake is used with: whose budget it is."""
        principal = getattr(self._lake, "_principal", None)
        return getattr(principal, "key_id", None) or ""

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
    """The ladder as the loop asks it: what goes wrong is an outcome.

    Args:
        order: rungs by name, as they are asked; empty: as settings have them.
        only: the one rung that is asked.
    """

    def __init__(
        self,
        parts: Components,
        actor: str,
        run: str,
        order: Sequence[str] = (),
        *,
        only: str = "",
        key: str = "",
    ) -> None:
        self._parts = parts
        self._actor = actor
        self._key = key
        self._run = run
        rungs = {rung.name: rung for rung in parts.ladder.rungs}
        self._order = order
        self._only = only
        self._rungs = [rungs[name] for name in order] or list(parts.ladder.rungs)

    def ask(self, call: Call) -> Reply:
        """One question; by a rung of another family where that is wanted and to be had."""
        from lakecore.llm import LADDER, Ask, By, Output, Structured

        def check(value: Any) -> str | None:
            return call.accept(value if isinstance(value, str) else json.dumps(value))

        form = Structured.TEXT if call.schema is None else Structured.SCHEMA
        others = [
            rung.name for rung in self._rungs if family_of(rung.model) not in call.avoid_families
        ]
        ask = Ask(
            messages=[
                {"role": "system", "content": call.system},
                {"role": "user", "content": call.user},
            ],
            model=self._only or (others[0] if call.avoid_families and others else LADDER),
            order=self._order,
            parameters=dict(call.decoding),
            output=Output(form, call.schema, "review", check=check),
        )
        by = By(actor=self._actor, key=self._key, source="review", run=self._run)
        return self._reply(call, self._parts.ladder.complete(ask, by))

    def _reply(self, call: Call, answer: Answer) -> Reply:
        from lakecore.review import Reply

        # A server's JSON can say half of a character, and no column keeps one.
        outcome, text = answer.outcome.value, answer.text.encode("utf-8", "replace").decode()
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
        # Answers are for people to look at: the loop has no use for them, and they are most of it.
        columns = "* exclude (answer)" if kind == "reviews" else "*"
        query = f"select {columns} from system.{kind} where repository = $repository order by time"
        with self._lake.sql(query, {"repository": repository}, engine="datafusion") as result:
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
    from lakecore.review import (
        CONFIRMATIONS,
        FINDINGS,
        REVIEWS,
        confirmations_schema,
        findings_schema,
        reviews_schema,
    )

    return [
        RecordKind(
            CONFIRMATIONS,
            confirmations_schema(),
            "Confirmations that somebody asked for: a row for each decision, with its test.",
        ),
        RecordKind(
            REVIEWS, reviews_schema(), "Reviews of files: a row for each answer of a model."
        ),
        RecordKind(
            FINDINGS, findings_schema(), "Findings of reviews: a row for each sign that one got."
        ),
        trust_kind(),
        canary_kind(),
    ]
