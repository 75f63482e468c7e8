"""What is asked of events and spans, as SQL; and the answers put together. Pure.

Nothing that a caller gives is part of an SQL text: it is a parameter, or a whole number.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lakecore.base import InvalidInput, format_timestamp
from lakecore.observer._event import parse_time

HOUR_S: Final = 3_600
MAX_BUCKETS: Final = 1_000
MAX_GROUPS: Final = 10_000
"""Rows of one answer; what has more says that it is cut."""
MAX_TRACE_SPANS: Final = 10_000

_STEPS_S: Final = (1, 5, 10, 30, 60, 300, 600, 1_800, HOUR_S, 6 * HOUR_S, 24 * HOUR_S)
_ABOUT_BUCKETS: Final = 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

EVENT_FILTERS: Final = ("source", "kind", "level", "trace_id", "id", "principal")
TRACE_FILTERS: Final = ("source", "model", "session_id", "user_id", "status")


@dataclass(frozen=True, slots=True)
class Window:
    """A time that is asked about, microseconds, the end excluded; and its steps."""

    since_us: int
    until_us: int
    bucket_s: int

    @property
    def seconds(self) -> float:
        return (self.until_us - self.since_us) / 1_000_000


def window(
    since: object, until: object, bucket_s: int | None, *, now_us: int, default_s: int = HOUR_S
) -> Window:
    """The time that is asked about: by default the last hour, in about sixty steps.

    Raises:
        InvalidInput: it ends before it begins, or has too many steps.
    """
    # One microsecond more: what came at this very moment is in it.
    end = now_us + 1 if until is None else parse_time(until, "until")
    begin = end - default_s * 1_000_000 if since is None else parse_time(since, "since")
    if begin >= end:
        raise InvalidInput("a time that ends before it begins", where="since, until")
    seconds = (end - begin) / 1_000_000
    if bucket_s is None:
        about = seconds / _ABOUT_BUCKETS
        whole_days = 24 * HOUR_S * max(1, -(-seconds // (24 * HOUR_S * MAX_BUCKETS)))
        bucket_s = next((step for step in _STEPS_S if step >= about), int(whole_days))
    if bucket_s < 1 or seconds / bucket_s > MAX_BUCKETS:
        raise InvalidInput(
            "too many steps", expected=f"at most {MAX_BUCKETS}", where="bucket_s", found=bucket_s
        )
    return Window(begin, end, bucket_s)


Question = tuple[str, dict[str, Any]]


def groups(table: str, asked: Window) -> Question:
    """How many there are of each source and kind in each step."""
    is_spans = table == "spans"
    error = "status" if is_spans else "level"
    kind = "type" if is_spans else "kind"
    more = (
        ", sum(prompt_tokens) as prompt_tokens, sum(completion_tokens) as completion_tokens, "
        "sum(cost_usd) as cost_usd"
        if is_spans
        else ""
    )
    sql = (
        f"select source, {kind} as kind, "
        f"date_bin(interval '{asked.bucket_s} seconds', time) as bucket, "
        f"count(*) as n, sum(case when {error} = 'error' then 1 else 0 end) as errors{more} "
        f"from system.{table} where time >= $since and time < $until "
        f"group by 1, 2, 3 order by 3 desc, 4 desc limit {MAX_GROUPS + 1}"
    )
    return sql, _times(asked)


def event_page(
    asked: Window, filters: Mapping[str, str | None], cursor: str | None, limit: int
) -> Question:
    """Events that match, the newest first."""
    wheres, params = _wheres(filters, EVENT_FILTERS)
    params |= _times(asked)
    if cursor is not None:
        at_us, last = _read_cursor(cursor)
        wheres.append("(time < $at or (time = $at and id < $last))")
        params |= {"at": _moment(at_us), "last": last}
    where = " and ".join(["time >= $since", "time < $until", *wheres])
    sql = f"select * from system.events where {where} order by time desc, id desc limit {limit + 1}"
    return sql, params


def trace_page(
    asked: Window, filters: Mapping[str, str | None], cursor: str | None, limit: int
) -> Question:
    """Traces that have a span that matches, the newest first."""
    wheres, params = _wheres(filters, TRACE_FILTERS)
    params |= _times(asked)
    inside = " and ".join(["time >= $since", "time < $until", *wheres])
    having = ""
    if cursor is not None:
        at_us, last = _read_cursor(cursor)
        having = "where began < $at or (began = $at and trace_id < $last)"
        params |= {"at": _moment(at_us), "last": last}
    sql = (
        "with some as (select distinct trace_id from system.spans "
        f"where {inside}), each as (select *, row_number() over "
        "(partition by trace_id, span_id order by received) as nth from system.spans "
        "where trace_id in (select trace_id from some)), traces as (select trace_id, "
        "min(time) as began, "
        "max(cast(time as bigint) + cast(duration_ms * 1000 as bigint)) as ended_us, "
        "count(*) as spans, "
        "sum(case when status = 'error' then 1 else 0 end) as errors, "
        "first_value(name order by (parent_id is not null), time) as name, "
        "first_value(source order by (parent_id is not null), time) as source, "
        "array_agg(distinct model) as models, max(session_id) as session_id, "
        "max(user_id) as user_id, sum(prompt_tokens) as prompt_tokens, "
        "sum(completion_tokens) as completion_tokens, sum(total_tokens) as total_tokens, "
        "sum(cost_usd) as cost_usd from each where nth = 1 group by trace_id) "
        f"select * from traces {having} order by began desc, trace_id desc limit {limit + 1}"
    )
    return sql, params


def one_trace(trace_id: str) -> Question:
    """The spans of a trace."""
    sql = (
        "select * from system.spans where trace_id = $trace_id "
        f"order by received, time limit {MAX_TRACE_SPANS + 1}"
    )
    return sql, {"trace_id": trace_id}


# -- answers --------------------------------------------------------------------------


def events_of(rows: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page of events."""
    items = [_event(row) for row in rows[:limit]]
    following = _cursor(rows[limit - 1]["time"], rows[limit - 1]["id"]) if rows[limit:] else None
    return {"items": items, "next": following}


def traces_of(rows: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page of traces."""
    items = []
    for row in rows[:limit]:
        began_us = _microseconds(row["began"])
        items.append(
            {
                "trace_id": row["trace_id"],
                "name": row["name"],
                "source": row["source"],
                "time": format_timestamp(began_us),
                "duration_ms": max(0, row["ended_us"] - began_us) / 1_000,
                "spans": row["spans"],
                "errors": row["errors"],
                "models": sorted(model for model in row["models"] or () if model is not None),
                **{
                    name: row[name]
                    for name in (
                        *("session_id", "user_id", "prompt_tokens", "completion_tokens"),
                        *("total_tokens", "cost_usd"),
                    )
                    if row[name] is not None
                },
            }
        )
    last = rows[limit - 1] if rows[limit:] else None
    return {
        "items": items,
        "next": None if last is None else _cursor(last["began"], last["trace_id"]),
    }


def stats_of(
    asked: Window, events: Iterable[Mapping[str, Any]], spans: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Counts and rates by source, by kind, by step."""
    found = {"events": list(events), "spans": list(spans)}
    is_cut = any(len(rows) > MAX_GROUPS for rows in found.values())
    by_pair: dict[tuple[str, str], dict[str, Any]] = {}
    by_source: dict[str, int] = {}
    buckets = []
    totals: dict[str, Any] = {"errors": 0, "prompt_tokens": 0, "completion_tokens": 0}
    totals["cost_usd"] = 0.0
    for name, rows in found.items():
        totals[name] = sum(row["n"] for row in rows[:MAX_GROUPS])
        for row in rows[:MAX_GROUPS]:
            source, kind = str(row["source"]), str(row["kind"])
            by_source[source] = by_source.get(source, 0) + row["n"]
            pair = by_pair.setdefault(
                (source, kind), {"source": source, "kind": kind, "count": 0, "errors": 0}
            )
            pair["count"] += row["n"]
            for member in ("errors", "prompt_tokens", "completion_tokens", "cost_usd"):
                if value := row.get(member):
                    pair[member] = pair.get(member, 0) + value
                    totals[member] += value
            buckets.append(
                {
                    "time": format_timestamp(_microseconds(row["bucket"])),
                    "source": source,
                    "kind": kind,
                    "count": row["n"],
                    "errors": row["errors"],
                    "rate_per_s": round(row["n"] / asked.bucket_s, 6),
                }
            )
    kinds = sorted(by_pair.values(), key=lambda pair: (-pair["count"], pair["source"]))
    for pair in kinds:
        pair["rate_per_s"] = round(pair["count"] / asked.seconds, 6)
    return {
        "since": format_timestamp(asked.since_us),
        "until": format_timestamp(asked.until_us),
        "seconds": round(asked.seconds, 3),
        **totals,
        "by_source": dict(sorted(by_source.items(), key=lambda pair: (-pair[1], pair[0]))),
        "rates_per_s": {
            source: round(count / asked.seconds, 6) for source, count in by_source.items()
        },
        "by_kind": kinds,
        "bucket_s": asked.bucket_s,
        "buckets": sorted(buckets, key=lambda one: (one["time"], one["source"], one["kind"])),
        "is_cut": is_cut,
    }


# -- inside ---------------------------------------------------------------------------


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in row.items() if value is not None}
    if "data" in found:
        found["data"] = json.loads(found["data"])
    return found


def _wheres(
    filters: Mapping[str, str | None], known: tuple[str, ...]
) -> tuple[list[str], dict[str, Any]]:
    given = {name: value for name, value in filters.items() if value is not None}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InvalidInput("not a filter", expected=", ".join(known), found=", ".join(unknown))
    return [f"{name} = ${name}" for name in given], dict(given)


def _times(asked: Window) -> dict[str, Any]:
    return {"since": _moment(asked.since_us), "until": _moment(asked.until_us)}


def _moment(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)


def _microseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _cursor(moment: datetime, last: str) -> str:
    text = f"{_microseconds(moment)}:{last}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, str]:
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        number, colon, last = text.partition(":")
        if not colon or not number.isdecimal() or len(number) > 17:
            raise ValueError
        return int(number), last
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("not a cursor of this list", found=repr(cursor)[:200]) from error
