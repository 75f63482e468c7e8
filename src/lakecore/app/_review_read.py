"""What is known of reviews, read from their rows alone: no repository is opened, nothing is asked.

Rows are read by SQL in the caller's name. Scores and signals belong to one repository under one
bar: the newest bar is taken where none is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from lakecore.base import InvalidInput, NotFound

if TYPE_CHECKING:
    from lakecore.app._review import Reviews
    from lakecore.app._review_views import ReviewViews
    from lakecore.review import Loop, Memory, Tracked

_NO_TEXT: Final = ("answer",)
"""Columns of a review that are long, and of which nothing here is made."""
_RUN_COLUMNS: Final = """
    run_id, repository, bar, revision, iteration, min(time) as began, max(time) as last,
    count(distinct case when purpose = 'review' then path end) as files,
    count(distinct case when purpose = 'review' and outcome = 'ok' then path end) as reviewed,
    count(*) as answers, sum(prompt_tokens) as prompt_tokens,
    sum(completion_tokens) as completion_tokens, sum(cost_microusd) as cost_microusd
"""
_GROUPED: Final = "group by run_id, repository, bar, revision, iteration"
_ITERATION: Final = (
    *("iteration", "run_id", "revision", "time", "path", "blob", "outcome", "is_clipped"),
    *("is_changed", "model", "rung", "attempts", "prompt_tokens", "completion_tokens"),
    *("cost_microusd", "output_format", "verdict", "score", "confirmed_score", "confidence"),
    *("gradient_tier", "critical_failures_count", "verified_components_count"),
    *("missing_components_count", "grounded", "ungrounded", "open_weight", "confirmed_count"),
)


@dataclass(frozen=True, slots=True)
class Scope:
    """One repository under one bar."""

    repository: str
    bar: str


class ReviewReading:
    """Reviews as their rows have them."""

    def __init__(self, reviews: Reviews) -> None:
        self._reviews = reviews
        self._lake = reviews._lake

    def scopes(self) -> list[dict[str, Any]]:
        """Repositories and bars of which there are rows, the newest first."""
        return self._sql(
            "select repository, bar, max(time) as last from system.reviews "
            "group by repository, bar order by last desc, bar"
        )

    def scope(self, repository: str | None = None, bar: str | None = None) -> Scope:
        """Which one is meant.

        Raises:
            NotFound: there is none.
            InvalidInput: there are several repositories, and none was named.
        """
        scopes = self.scopes()
        names = sorted({one["repository"] for one in scopes})
        if repository is None and len(names) > 1:
            raise InvalidInput("which repository?", expected=", ".join(names)[:1_000])
        for one in scopes:
            if repository in (None, one["repository"]) and bar in (None, one["bar"]):
                return Scope(one["repository"], one["bar"])
        raise NotFound(
            "there is no such review",
            expected=", ".join(names)[:1_000] or "a first review",
            found=f"{repository or 'any repository'}, {bar or 'any bar'}"[:300],
        )

    # -- runs -------------------------------------------------------------------------

    def runs(self, repository: str | None = None, bar: str | None = None) -> list[dict[str, Any]]:
        """Every run that left rows, the newest first."""
        query = (
            f"select {_RUN_COLUMNS} from system.reviews "
            "where ($repository is null or repository = $repository) "
            f"and ($bar is null or bar = $bar) {_GROUPED} order by began desc, run_id"
        )
        rows = self._sql(query, repository=repository, bar=bar)
        return [_run(row) for row in rows]

    def run(self, run_id: str) -> dict[str, Any]:
        """One run with its files: the last word on each. Raises `NotFound`."""
        query = f"select {_RUN_COLUMNS} from system.reviews where run_id = $id {_GROUPED}"
        rows = self._sql(query, id=run_id)
        if not rows:
            raise NotFound("there is no such run of a review", found=run_id[:200])
        files = self._sql(
            f"select {', '.join(_ITERATION)} from system.reviews "
            "where run_id = $id and purpose = 'review' order by time",
            id=run_id,
        )
        last = {row["path"]: row for row in files}
        return _run(rows[0]) | {"paths": [_told(last[path]) for path in sorted(last)]}

    # -- files and findings -----------------------------------------------------------

    def files(self, scope: Scope) -> list[dict[str, Any]]:
        """Each file: its scores, its open findings, its signal class and why."""
        memory = self.memory(scope)
        signals = memory.signals()
        return [_file(memory, path, signals.get(path)) for path in sorted(memory.files)]

    def file(self, scope: Scope, path: str) -> dict[str, Any]:
        """One file: its iterations, under whatever names it had, and its findings."""
        memory = self.memory(scope)
        known = memory.files.get(path)
        if known is None:
            raise NotFound("no review has this file", found=path[:300], where=scope.repository)
        rows = self._reviews_rows(scope, "and purpose = 'review'")
        names, mine = {path}, []
        for row in sorted(rows, key=lambda row: row["time"], reverse=True):
            if row["path"] in names:
                mine.append(row)
                if row["renamed_from"]:
                    names.add(row["renamed_from"])
        noise = memory.noise
        return {
            "repository": scope.repository,
            "bar": scope.bar,
            **_file(memory, path, memory.signals().get(path)),
            "noise": None
            if noise is None
            else {
                "sigma": noise.sigma,
                "redetection": noise.redetection,
                "novelty_p95": noise.novelty_p95,
                "pairs": noise.pairs,
            },
            "iterations": [
                _told({name: row[name] for name in (*_ITERATION, "found")}) for row in mine[::-1]
            ],
            "findings": [self._body(one) for one in _in_order(known.tracked.values())],
        }

    def findings(
        self,
        scope: Scope,
        *,
        state: str | None = None,
        severity: str | None = None,
        path: str | None = None,
        symbol: str | None = None,
    ) -> list[dict[str, Any]]:
        """Findings that match; without a state those that are open; ``all``: whatever state."""
        from lakecore.review import SEVERITIES, State

        states = [one.value for one in State]
        for name, value, known in (
            ("state", state, [*states, "open", "all"]),
            ("severity", severity, SEVERITIES),
        ):
            if value is not None and value not in known:
                raise InvalidInput(
                    f"no such {name}", expected=", ".join(known), found=value[:80], where=name
                )
        memory = self.memory(scope)
        return [
            self._body(one)
            for file in sorted(memory.files)
            if path in (None, file)
            for one in _in_order(memory.files[file].tracked.values())
            if state == "all"
            or one.state.value == state
            or (state in (None, "open") and one.is_open)
            if severity in (None, one.finding.severity)
            if symbol in (None, one.finding.symbol)
        ]

    def report(self, scope: Scope) -> list[dict[str, Any]]:
        """The figures of each iteration, in order."""
        from lakecore.review import iterations

        rows = self._reviews_rows(scope, "and purpose = 'review'")
        signals = {path: one.name.value for path, one in self.memory(scope).signals().items()}
        return [one.to_body() for one in iterations(rows, signals)]

    def trust(self) -> list[dict[str, Any]]:
        """Every model by what became of its findings."""
        return [
            {
                "model": one.model,
                "trust": one.trust,
                "confirmed": one.confirmed,
                "refuted": one.refuted,
                "control_hits": one.control_hits,
                "control_misses": one.control_misses,
                "grounded": one.grounded,
                "ungrounded": one.ungrounded,
                "precision": list(one.precision),
                "recall": list(one.recall),
                "evidence": list(one.evidence),
            }
            for one in self._reviews.trust()
        ]

    def ignore(
        self, scope: Scope, finding_id: str, *, reason: str, until: datetime | None = None
    ) -> dict[str, Any]:
        """Leave a finding out of the gate, on the caller's word."""
        loop = self._loop(scope)
        return self._body(loop.ignore(finding_id, who=self._lake.actor, reason=reason, until=until))

    def metrics(self) -> list[dict[str, Any]]:
        """Figures of all reviews, each with its query, n, interval and goal."""
        from lakecore.app._review_metrics import review_metrics

        return review_metrics(self)

    @property
    def views(self) -> ReviewViews:
        """What the views of the control plane ask."""
        from lakecore.app._review_views import ReviewViews

        return ReviewViews(self)

    def memory(self, scope: Scope) -> Memory:
        """What is known, replayed."""
        return self._loop(scope).memory()

    # -- inside -----------------------------------------------------------------------

    def _loop(self, scope: Scope) -> Loop:
        """A loop that knows its rows, and neither files nor models."""
        from lakecore.app._review import _Rows
        from lakecore.review import KnownBar, Loop

        nothing = cast(Any, None)
        rows = _WithoutText(_Rows(self._lake), self)
        bar = KnownBar(known_id=scope.bar)
        clock = self._reviews._parts.clock
        return Loop(scope.repository, nothing, nothing, rows, bar, clock=clock)

    def _reviews_rows(self, scope: Scope, more: str = "") -> list[dict[str, Any]]:
        from lakecore.review import reviews_schema

        names = ", ".join(name for name in reviews_schema().names if name not in _NO_TEXT)
        return self._sql(
            f"select {names} from system.reviews "
            f"where repository = $repository and bar = $bar {more} order by time",
            repository=scope.repository,
            bar=scope.bar,
        )

    def _body(self, one: Tracked) -> dict[str, Any]:
        from lakecore.review import finding_body

        return finding_body(one)

    def _sql(self, query: str, **params: object) -> list[dict[str, Any]]:
        with self._lake.sql(query, params, engine="datafusion") as result:
            return list(result.to_pylist())


class _WithoutText:
    """The loop's rows, without the answers, which replaying does not need."""

    def __init__(self, rows: Any, reading: ReviewReading) -> None:
        self._rows = rows
        self._reading = reading

    def append(self, kind: str, rows: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> None:
        self._rows.append(kind, rows, ids)

    def read(self, kind: str, repository: str) -> Sequence[Mapping[str, Any]]:
        from lakecore.review import REVIEWS, reviews_schema

        if kind != REVIEWS:
            found: Sequence[Mapping[str, Any]] = self._rows.read(kind, repository)
            return found
        names = ", ".join(name for name in reviews_schema().names if name not in _NO_TEXT)
        return self._reading._sql(
            f"select {names} from system.reviews where repository = $repository order by time",
            repository=repository,
        )


def _run(row: Mapping[str, Any]) -> dict[str, Any]:
    told = _told(row)
    told["id"] = told.pop("run_id")
    return told


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row, JSON-ready."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _file(memory: Memory, path: str, signal: Any) -> dict[str, Any]:
    known = memory.files[path]
    return {
        "path": path,
        "score": known.points[-1].score if known.points else None,
        "confirmed_score": known.confirmed_score,
        "open": sum(one.is_open for one in known.tracked.values()),
        "findings_count": len(known.tracked),
        "signal": "INSUFFICIENT" if signal is None else signal.name.value,
        "reason": "not reviewed yet" if signal is None else signal.reason,
    }


def _in_order(found: Any) -> list[Tracked]:
    from lakecore.review import SEVERITIES

    return sorted(found, key=lambda one: (SEVERITIES.index(one.finding.severity), one.finding.line))
