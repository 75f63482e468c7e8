"""The rows of `system.runs` and `system.steps`: their columns, and how they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lakecore.agents._run import Run, Step, spent

if TYPE_CHECKING:
    import pyarrow as pa

RUNS: Final = "runs"
STEPS: Final = "steps"
MAX_CELL_CHARACTERS: Final = 20_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def runs_schema() -> pa.Schema:
    """A row for each state that a run came to; the last one of a run is where it stands."""
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    return pa.schema(
        [
            ("time", pa.timestamp("us", "UTC")),
            ("run", text),
            ("state", text),
            ("actor", text),
            ("key_id", text),
            ("task", text),
            ("model", text),
            ("pending", text),
            ("result", text),
            ("reason", text),
            ("detail", text),
            ("steps", whole),
            ("tokens", whole),
            ("cost_nano", whole),
            ("created", pa.timestamp("us", "UTC")),
            ("ended", pa.timestamp("us", "UTC")),
        ]
    )


def steps_schema() -> pa.Schema:
    """A row for each step that ended; one that waited has another row when it goes on."""
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    return pa.schema(
        [
            ("time", pa.timestamp("us", "UTC")),
            ("run", text),
            ("number", whole),
            ("kind", text),
            ("name", text),
            ("arguments", text),
            ("outcome", text),
            ("result", text),
            ("pending", text),
            ("prompt_tokens", whole),
            ("completion_tokens", whole),
            ("cost_nano", whole),
            ("started", pa.timestamp("us", "UTC")),
            ("duration_ms", pa.float64()),
        ]
    )


Append = Callable[[str, Sequence[Mapping[str, Any]], Sequence[str]], object]


class RowRecords:
    """`Records` of the loop, as rows. A row that is written again is the same row.

    Args:
        append: (kind, rows, ids), durable when it returns, each id once.
    """

    def __init__(self, append: Append) -> None:
        self._append = append

    def run(self, run: Run, steps: Sequence[Step]) -> None:
        """A run has another state."""
        so_far = spent(list(steps))
        row = {
            "time": _time(run.changed_us or run.created_us),
            "run": run.id,
            "state": run.state.value,
            "actor": run.actor,
            "key_id": run.key,
            "task": _cut(run.task),
            "model": run.model,
            "pending": run.pending,
            "result": _cut(run.result),
            "reason": run.reason,
            "detail": _cut(run.detail),
            "steps": len(steps),
            "tokens": so_far.tokens,
            "cost_nano": so_far.cost_nano,
            "created": _time(run.created_us),
            "ended": _time(run.ended_us) if run.ended_us else None,
        }
        self._append(RUNS, [row], [f"{run.id}:{run.state.value}:{len(steps)}"])

    def step(self, run: Run, step: Step) -> None:
        """A step has ended, or goes on after it waited."""
        row = {
            "time": _time(step.ended_us),
            "run": run.id,
            "number": step.number,
            "kind": step.kind.value,
            "name": step.name,
            "arguments": _cut(step.arguments),
            "outcome": step.outcome,
            "result": _cut(step.result or ""),
            "pending": step.pending,
            "prompt_tokens": step.prompt_tokens,
            "completion_tokens": step.completion_tokens,
            "cost_nano": step.cost_nano,
            "started": _time(step.started_us),
            "duration_ms": (step.ended_us - step.started_us) / 1_000,
        }
        waits = ":waits" if step.pending else ""
        self._append(STEPS, [row], [f"{run.id}:{step.number}{waits}"])


def _time(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)


def _cut(text: str) -> str:
    if len(text) <= MAX_CELL_CHARACTERS:
        return text
    return f"{text[:MAX_CELL_CHARACTERS]}… {len(text) - MAX_CELL_CHARACTERS:,} characters more"
