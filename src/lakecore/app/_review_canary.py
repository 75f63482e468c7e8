"""Canaries of a lake's models: a set of cases in a folder, tried on rungs, run after run.

What came of each run is in `system.canaries`. A run is compared with those before it of the same
set, bar and model alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput, NotFound, uuid7

if TYPE_CHECKING:
    from lakecore.app._lake import Lake
    from lakecore.records import RecordKind
    from lakecore.review import Bar, CanaryRun, CaseSet, Drift, Selection, Trials

CANARIES: Final = "canaries"
MAX_TEXTS: Final = 200
MAX_EARLIER: Final = 1_000
_EARLIER: Final = f"""
select hits, planted, scores from system.canaries
where set_id = $set and bar = $bar and model = $model and is_whole order by time limit {MAX_EARLIER}
"""


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """One rung's run.

    Attributes:
        drift: against the limits; None: not every case was answered.
        earlier: runs before this one that it is compared with.
    """

    rung: str
    trials: Trials
    drift: Drift | None
    earlier: int

    @property
    def state(self) -> str:
        """``alarm``, ``as it was``, or ``inconclusive``."""
        if self.drift is None or not (self.drift.is_judged or self.drift.is_alarm):
            return "inconclusive"
        return "alarm" if self.drift.is_alarm else "as it was"

    @property
    def reason(self) -> str:
        """Why it is that."""
        if self.drift is not None:
            return self.drift.reason
        told = ", ".join(f"{n} × {why}" for why, n in self.trials.unanswered.items())
        return f"not every case was answered: {told}"

    def to_body(self) -> dict[str, Any]:
        """JSON-ready."""
        body = {"rung": self.rung, "state": self.state, "reason": self.reason}
        return body | {"earlier_runs": self.earlier} | self.trials.to_body()


def make_canaries(
    folder: Path, repository: str | Path, selection: Selection | None, *, seed: str, each: int
) -> CaseSet:
    """Plant faults in copies of a repository's files, and write them as a set.

    Raises:
        InvalidInput: there is another set in the folder, or no file has a line for a fault.
    """
    from lakecore.code import Repository, SourceKind
    from lakecore.review import GitFiles, make_cases, write_cases

    with Repository.open(repository) as opened:
        files = GitFiles(opened, "HEAD", selection)
        sources = ((ref.path, files.source(ref)) for ref in files.listed()[:MAX_TEXTS])
        texts = [(path, one.text) for path, one in sources if one.kind is SourceKind.TEXT]
    cases = make_cases(texts, seed=seed, each=each)
    write_cases(folder, cases)
    return cases


def run_canaries(
    lake: Lake,
    folder: Path,
    *,
    bar: Bar,
    rungs: Sequence[str] = (),
    workers: int = 4,
    on_case: Callable[[str, int, int], None] = lambda rung, done, of: None,
) -> list[CanaryResult]:
    """Try a set on rungs, by default on each of the ladder; keep what came of it; tell of alarms.

    An alarm is an event of source ``review`` and kind ``canary_alarm``.

    Raises:
        NotFound: there is no such set, or no such rung.
        InvalidInput: no rung is configured.
    """
    from lakecore.app._review import LadderModels
    from lakecore.review import judge_canary, read_cases, try_on

    cases = read_cases(folder)
    known = [rung.name for rung in lake.ladder.rungs]
    if unknown := [name for name in rungs if name not in known]:
        raise NotFound("there is no such rung", expected=", ".join(known), found=unknown[0][:80])
    if not known:
        raise InvalidInput("no rung is configured", hint="[[llm.rung]] in lakecore.toml")
    results = []
    for name in rungs or known:
        run_id = uuid7()

        def on_one(done: int, of: int, name: str = name) -> None:
            on_case(name, done, of)

        models = LadderModels(lake._parts, lake.actor, run_id, only=name)
        trials = try_on(cases, bar, models, run_id=run_id, workers=workers, on_case=on_one)
        earlier = _earlier(lake, cases.id, bar.id, trials.model)
        result = CanaryResult(name, trials, judge_canary(earlier, trials), len(earlier))
        _record(lake, run_id, cases.id, bar.id, result)
        if result.state == "alarm":
            lake.observe(
                "review",
                "canary_alarm",
                f"{trials.model} is not what it was: {result.reason}",
                level="error",
                rung=name,
                model=trials.model,
                bar=bar.id,
                set_id=cases.id,
                run_id=run_id,
            )
        results.append(result)
    return results


def canary_kind() -> RecordKind:
    """The columns of `system.canaries`."""
    import pyarrow as pa

    from lakecore.records import RecordKind

    texts = ("run_id", "set_id", "bar", "rung", "model", "state", "reason")
    counts = ("hits", "planted", "clean", "clean_with_findings", "other_findings")
    return RecordKind(
        CANARIES,
        pa.schema(
            [
                ("time", pa.timestamp("us", "UTC")),
                *((name, pa.string()) for name in texts),
                *((name, pa.int64()) for name in (*counts, "cost_microusd")),
                ("is_whole", pa.bool_()),
                ("scores", pa.list_(pa.float64())),
                ("misses", pa.list_(pa.string())),
            ]
        ),
        "Models tried on a fixed set: a row for each run of a rung.",
        entity_type="canary",
    )


def _earlier(lake: Lake, set_id: str, bar: str, model: str) -> list[CanaryRun]:
    from lakecore.review import CanaryRun

    with lake.sql(
        _EARLIER, {"set": set_id, "bar": bar, "model": model}, engine="datafusion"
    ) as result:
        rows = result.to_pylist()
    return [CanaryRun(r["hits"], r["planted"], tuple(r["scores"])) for r in rows]


def _record(lake: Lake, run_id: str, set_id: str, bar: str, result: CanaryResult) -> None:
    trials = result.trials
    body = trials.to_body()
    row = {name: body[name] for name in ("hits", "planted", "clean", "is_whole", "model")}
    row |= {name: body[name] for name in ("clean_with_findings", "other_findings")}
    row |= {"run_id": run_id, "set_id": set_id, "bar": bar, "rung": result.rung}
    row |= {"state": result.state, "reason": result.reason}
    row |= {"scores": list(trials.canary_run().scores), "cost_microusd": trials.cost_microusd}
    row |= {"misses": [case.id for case in trials.misses]}
    lake._parts.records.append(CANARIES, [row], ids=[run_id])
