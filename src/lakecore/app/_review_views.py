"""What the views of the control plane ask of reviews: a map, one file's way, what is overruled.

Everything here is of rows, read in the caller's name, and bounded. Where the settings name the
repository, git says how long its files are and how often they changed; else nobody knows, and
that is what the answer says.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import NotFound

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.app._review_read import ReviewReading, Scope
    from lakecore.review import FileMemory, Signal

MAX_FILES: Final = 20_000
MAX_SIGNS: Final = 20_000
MAX_POINTS: Final = 24
MAX_ANSWER_CHARACTERS: Final = 200_000
_MAX_KEPT: Final = 8
_LAST: Final = """
select path, model, time, prompt_tokens from (
    select path, model, time, prompt_tokens,
        row_number() over (partition by path order by time desc) as nth
    from system.reviews
    where repository = $repository and bar = $bar and purpose = 'review' and outcome = 'ok'
) as ordered where nth = 1
"""
_SIGNS: Final = f"""
select time, iteration, finding_id, sign, state, reason, who, model, run_id, batch
from system.findings where repository = $repository and bar = $bar
order by time limit {MAX_SIGNS}
"""
_ANSWERS: Final = """
select time, run_id, purpose, outcome, model, rung, attempts, prompt_tokens, completion_tokens,
    cost_microusd, output_format, answer, blob, iteration, revision
from system.reviews
where repository = $repository and bar = $bar and path = $path and run_id = $run
order by time limit 50
"""
_RUNGS: Final = """
select rung, model, outcome, count(*) as attempts, sum(prompt_tokens) as prompt_tokens,
    sum(completion_tokens) as completion_tokens, sum(cost_usd) as cost_usd, max(detail) as detail
from system.usage where source = 'review' and run = $run
group by rung, model, outcome order by rung, outcome limit 200
"""


class ReviewViews:
    """Answers made for pages; `reading` is where they are from."""

    def __init__(self, reading: ReviewReading) -> None:
        self._reading = reading
        self._parts: Components = reading._reviews._parts

    def map(self, scope: Scope) -> dict[str, Any]:
        """Every file with its size, its overlays, its last scores, and whether it needs a person.

        Returns:
            ``{"repository", "bar", "code", "is_cut", "items"}``; ``code`` is ``git``, or why
            lines and churn are not known.
        """
        memory = self._reading.memory(scope)
        signals = memory.signals()
        last = {row["path"]: row for row in self._sql(_LAST, scope)}
        trust = {one["model"]: one["trust"] for one in self._reading.trust()}
        lines, churn, code = code_figures(self._parts, scope.repository)
        items = [
            {
                "path": path,
                "lines": lines.get(path),
                "tokens": last.get(path, {}).get("prompt_tokens"),
                "churn": churn.get(path, 0) if code == "git" else None,
                "model": last.get(path, {}).get("model"),
                "trust": trust.get(last.get(path, {}).get("model")),
                "time": _iso(last.get(path, {}).get("time")),
                **_figures(memory.files[path], signals.get(path)),
            }
            for path in sorted(memory.files)[:MAX_FILES]
        ]
        noise = memory.noise
        return {
            "repository": scope.repository,
            "bar": scope.bar,
            "iteration": memory.iteration,
            "code": code,
            "sigma": None if noise is None else noise.sigma,
            "is_cut": len(memory.files) > MAX_FILES,
            "items": items,
        }

    def file(self, scope: Scope, path: str) -> dict[str, Any]:
        """One file as `ReviewReading.file` has it, and every sign that its findings got."""
        found = self._reading.file(scope, path)
        mine = {one["id"] for one in found["findings"]}
        batches = {
            f"{row['run_id']} {row['batch']}"
            for row in self._reading._sql(
                "select distinct run_id, batch from system.reviews "
                "where repository = $repository and bar = $bar",
                repository=scope.repository,
                bar=scope.bar,
            )
        }
        signs: dict[str, list[dict[str, Any]]] = {}
        for row in self._sql(_SIGNS, scope):
            # A batch that no review names is what a killed process left.
            if row["batch"] and f"{row['run_id']} {row['batch']}" not in batches:
                continue
            if row["finding_id"] in mine:
                told = {name: row[name] for name in ("iteration", "sign", "state", "reason", "who")}
                signs.setdefault(row["finding_id"], []).append(told | {"time": _iso(row["time"])})
        for one in found["findings"]:
            one["signs"] = signs.get(one["id"], [])
        return found

    def asked(self, scope: Scope, path: str, run: str, *, with_usage: bool) -> dict[str, Any]:
        """What was asked about a file in a run, what was answered, and what was read out of it.

        Args:
            with_usage: also what each rung was asked in that run, of `system.usage`.
        """
        from lakecore.app._beside import redact

        rows = self._reading._sql(
            _ANSWERS, repository=scope.repository, bar=scope.bar, path=path, run=run
        )
        if not rows:
            raise NotFound("this run has no review of this file", found=path[:300], where=run[:100])
        answers = []
        for row in rows:
            text = redact(row.pop("answer") or "")
            told = {**row, "time": _iso(row["time"])}
            told |= {"answer": text[:MAX_ANSWER_CHARACTERS], "parsed": _parsed(text)}
            answers.append(told | {"is_cut": len(text) > MAX_ANSWER_CHARACTERS})
        rungs = self._reading._sql(_RUNGS, run=run) if with_usage else None
        return {"path": path, "run": run, "prompt": _prompt(scope), "answers": answers} | {
            "rungs": None
            if rungs is None
            else [{**row, "detail": redact(row["detail"] or "")} for row in rungs]
        }

    def overrides(self, scope: Scope) -> list[dict[str, Any]]:
        """What people said against the reviewers: findings that do not count, why, until when."""
        return self._reading.findings(scope, state="ignored")

    def refactor_signals(self, scope: Scope) -> list[dict[str, Any]]:
        """Where files should be made anew; without the repository, none of kind ``churn``."""
        from lakecore.review import refactor_signals

        rows = self._reading._sql(
            f"select finding_id, symbol, state, path, iteration from system.findings "
            f"where repository = $repository and bar = $bar order by time limit {MAX_SIGNS}",
            repository=scope.repository,
            bar=scope.bar,
        )
        _, churn, _ = code_figures(self._parts, scope.repository)
        memory = self._reading.memory(scope)
        return [one.to_body() for one in refactor_signals(memory, rows, churn)]

    def scrum_log(self, scope: Scope) -> list[dict[str, Any]]:
        """Each iteration in three parts, the newest first: done, moved, in the way."""
        runs = {one["iteration"]: one for one in self._reading.runs(scope.repository, scope.bar)}
        found = []
        for report in reversed(self._reading.report(scope)):
            run = runs.get(report["iteration"], {})
            found.append(
                {
                    "iteration": report["iteration"],
                    "run": run.get("id"),
                    "revision": run.get("revision"),
                    "time": run.get("began"),
                    "done": f"{report['reviewed']} of {report['files']} files reviewed",
                    "moved": report["movement"],
                    "missing": report["files"] - report["reviewed"],
                    "tiers": report["tiers"],
                    "cost_microusd": run.get("cost_microusd"),
                }
            )
        return found

    def _sql(self, query: str, scope: Scope) -> list[dict[str, Any]]:
        return self._reading._sql(query, repository=scope.repository, bar=scope.bar)


def _figures(known: FileMemory, signal: Signal | None) -> dict[str, Any]:
    name = "INSUFFICIENT" if signal is None else signal.name.value
    states = [one.state.value for one in known.tracked.values()]
    need, why = _need(known, name, states.count("reopened"))
    return {
        "score": known.points[-1].score if known.points else None,
        "confirmed_score": known.confirmed_score,
        "open": sum(one.is_open for one in known.tracked.values()),
        "open_weight": known.open_weight,
        "severe": len(known.severe_open),
        "confirmed": known.confirmed_count,
        "signal": name,
        "reason": "not reviewed yet" if signal is None else signal.reason,
        "need": need,
        "need_why": why,
        "scores": [point.score for point in known.points[-MAX_POINTS:]],
        "weights": [point.open_weight for point in known.points[-MAX_POINTS:]],
    }


def _need(known: FileMemory, signal: str, reopened: int) -> tuple[int, str]:
    """How much a file needs a person, 0 to 5, and why."""
    severe = len(known.severe_open)
    if signal == "LOOPING":
        return 5, "edits do not help: a severe finding stays"
    if reopened:
        return 4, f"{reopened} confirmed fixed came back"
    if signal == "ORBITING":
        return 3, "each fix makes room for another finding"
    if severe:
        return 2, f"{severe} severe open"
    if any(one.is_open for one in known.tracked.values()):
        return 1, "findings open, none of them severe"
    return 0, "nothing open"


def _parsed(text: str) -> dict[str, Any] | None:
    from lakecore.review import parse

    found = parse(text)
    if found is None:
        return None
    return {
        "output_format": found.output_format,
        "verdict": found.verdict,
        "score": found.score,
        "confidence": found.confidence,
        "findings": [
            {
                name: getattr(one, name)
                for name in ("category", "severity", "symbol", "quote", "claim", "confidence")
            }
            for one in found.findings
        ],
        "verified_components": list(found.verified_components),
        "missing_components": list(found.missing_components),
    }


def _prompt(scope: Scope) -> str | None:
    """The instructions of a bar, where it is one of ours at temperature 0; None: not known."""
    from lakecore.review import PROMPTS, Bar

    for text in PROMPTS.values():
        for form in ("json", "markdown"):
            bar = Bar(text, output_format=form, decoding={"temperature": 0.0})
            if bar.id == scope.bar:
                return bar.instructions()
    return None


_Figures = tuple[Mapping[str, int], Mapping[str, int]]
_known: OrderedDict[tuple[str, str], _Figures] = OrderedDict()
_known_lock = threading.Lock()


def code_figures(
    parts: Components, repository: str
) -> tuple[Mapping[str, int], Mapping[str, int], str]:
    """Lines and commits by path as of HEAD, and ``git``; or why they are not known."""
    from lakecore.base import LakecoreError
    from lakecore.code import Repository

    try:
        path = parts.reviews.path_of(repository)
        with Repository.open(path) as opened:
            key = (str(path), opened.resolve("HEAD"))
            with _known_lock:
                found = _known.get(key)
            if found is None:
                found = _lines(opened, key[1]), dict(opened.churn(key[1]))
                with _known_lock:
                    _known[key] = found
                    while len(_known) > _MAX_KEPT:
                        _known.popitem(last=False)
    except NotFound:
        return {}, {}, "no [[review.repository]] of the settings has this name"
    except LakecoreError as error:
        return {}, {}, f"the repository cannot be read: {error.message}"[:300]
    return *found, "git"


def _lines(opened: Any, revision: str) -> dict[str, int]:
    entries: Iterable[Any] = opened.tree(revision)[:MAX_FILES]
    found = {}
    for entry in entries:
        source = opened.read_entry(entry)
        if source.readable:
            found[entry.path] = source.text.count("\n") + 1
    return found


def _iso(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat())
