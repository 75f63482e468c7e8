"""What `Lake` offers of models: the ladder that its settings describe, and what was used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.config import LlmSettings, RungSettings
    from lakecore.llm import BudgetLeft, Budgets, Ladder, Mode, Policy, Rung, UsageReport
    from lakecore.records import Recorder, RecordKind

_NOT_SAID: Final = -1.0
_REPLAY_FOLDER: Final = "llm-replay"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class ModelsFace:
    """Models: asked through one ladder, every call on record."""

    _parts: Components

    @property
    def ladder(self) -> Ladder:
        """The ladder of `[llm]`: `complete` asks it; see docs/models.md."""
        return self._parts.ladder

    def usage(self, *, days: int | None = None, key: str | None = None) -> UsageReport:
        """What models were asked on this machine, and what it cost.

        Args:
            days: only the last ones (UTC); 1 is today.
            key: only what came with the API key of this id.

        The rows of all machines are in `system.usage`.
        """
        from lakecore.llm import UsageReport

        has_any = _has_ledger(self._parts)
        return self.ladder.usage(days=days, key=key) if has_any else UsageReport()

    def budget_left(self, key: str | None = None) -> BudgetLeft:
        """What may be spent, and what is left of today's: of all, or of the key of this id."""
        from lakecore.llm import BudgetLeft

        if _has_ledger(self._parts):
            return self.ladder.budget_left(key)
        return BudgetLeft(_budgets(self._parts.settings.llm), key is not None, 0)


def _has_ledger(parts: Components) -> bool:
    """Whether anything was asked: a look makes no file."""
    return "ladder" in parts.__dict__ or _ledger_file(parts).exists()


def usage_kind() -> RecordKind:
    """The columns of `system.usage`: one row for each attempt at a rung, by its `id`."""
    import pyarrow as pa

    from lakecore.llm import DATASET
    from lakecore.records import RecordKind

    texts = ("id", "call_id", "day", "actor", "key_id", "source", "run", "rung", "model")
    more = ("outcome", "tokens_from", "left_rungs", "detail", "reported")
    numbers = ("attempt", "prompt_tokens", "completion_tokens", "total_tokens", "cost_nano_usd")
    few = ("reserved_nano_usd", "status", "redactions")
    return RecordKind(
        DATASET.removeprefix("system."),
        pa.schema(
            [
                ("time", pa.timestamp("us", "UTC")),
                *((name, pa.string()) for name in (*texts, *more)),
                *((name, pa.int64()) for name in (*numbers, *few)),
                ("cost_usd", pa.float64()),
                ("duration_ms", pa.float64()),
                ("is_sent", pa.bool_()),
            ]
        ),
        description="What models were asked: a row for each attempt, and what it cost.",
    )


class UsageSink:
    """Settled attempts into `system.usage`, each once: the recorder knows their ids again."""

    def __init__(self, records: Callable[[], Recorder]) -> None:
        self._records = records

    def append(self, dataset: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Durable when it returns."""
        self._records().append(dataset, rows, ids=[str(row["id"]) for row in rows])


def make_ladder(parts: Components) -> Ladder:
    """The ladder of a lake, as its settings say."""
    from lakecore.llm import Circuit, Ladder, Ledger, ReplayStore

    given = parts.settings.llm
    folder = Path(given.replay_directory or parts.state_dir / _REPLAY_FOLDER)
    mode = _mode(given)
    return Ladder(
        [_rung(rung) for rung in given.rung],
        Ledger(
            parts.state_dir,
            clock=parts.clock,
            circuit=Circuit(faults=given.circuit_faults, open_s=given.circuit_s),
        ),
        policy=_policy(given),
        budgets=_budgets(given),
        replay=ReplayStore(folder, mode),
        sink=UsageSink(lambda: parts.records),
        keep_days=given.keep_days,
    )


def _budgets(given: LlmSettings) -> Budgets:
    from lakecore.llm import Budgets, nano_of

    return Budgets(
        call_nano=nano_of(given.budget_call_usd),
        run_nano=nano_of(given.budget_run_usd),
        key_nano=nano_of(given.budget_key_usd),
        day_nano=nano_of(given.budget_day_usd),
    )


def _rung(given: RungSettings) -> Rung:
    from lakecore.llm import Prices, Rung

    key = os.environ.get(given.api_key_env) if given.api_key_env else None
    return Rung(
        name=given.name,
        base_url=given.base_url,
        model=given.model,
        api_key=key or None,
        key_missing=given.api_key_env if given.api_key_env and not key else None,
        prices=Prices.of_usd(
            _price(given, "prompt_usd_per_million"), _price(given, "completion_usd_per_million")
        ),
        max_output_tokens=given.max_output_tokens,
        output_member=_one_of(given, "output_member", ("max_tokens", "max_completion_tokens")),
        structured=_structured(given),
        max_concurrent=given.max_concurrent,
        requests_per_minute=given.requests_per_minute or None,
        tokens_per_minute=given.tokens_per_minute or None,
        timeout_s=given.timeout_s,
        retries=given.retries,
    )


def _price(given: RungSettings, name: str) -> float:
    """A price that nobody said is nothing on this machine, and never elsewhere: no budget would
    hold for a server that is taken for free."""
    price: float = getattr(given, name)
    if price != _NOT_SAID:
        return price
    if urlsplit(given.base_url).hostname in _LOOPBACK:
        return 0.0
    raise InvalidInput(
        "the price of a model elsewhere has to be said",
        where=f"[[llm.rung]] {given.name}",
        expected=name,
        hint="0 where it costs nothing",
    )


def _structured(given: RungSettings) -> Any:
    from lakecore.llm import Structured

    return Structured(_one_of(given, "structured", tuple(Structured)))


def _policy(given: LlmSettings) -> Policy:
    from lakecore.llm import REASONS, Outcome, Policy

    for word in given.climb:
        if word not in REASONS:
            raise InvalidInput(
                "not an outcome that a rung is left for",
                where="[llm] climb",
                expected=", ".join(REASONS),
                found=word[:80],
            )
    return Policy(
        climb=frozenset(map(Outcome, given.climb)),
        repairs=given.repairs,
        max_pause_s=given.max_pause_s,
    )


def _mode(given: LlmSettings) -> Mode:
    from lakecore.llm import Mode

    return Mode(_one_of(given, "replay", tuple(Mode)))


def _one_of(given: object, name: str, known: tuple[str, ...]) -> str:
    value: str = getattr(given, name)
    if value not in known:
        raise InvalidInput(f"{name} has a bad value", expected=" | ".join(known), found=value[:80])
    return value


def _ledger_file(parts: Components) -> Path:
    from lakecore.llm import LEDGER_FILE

    return parts.state_dir / LEDGER_FILE
