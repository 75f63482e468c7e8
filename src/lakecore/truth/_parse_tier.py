"""Reading `[[tier]]` entries."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from lakecore.truth import _bounds as bounds
from lakecore.truth._reading import (
    At,
    at_most,
    check_members,
    choice_of,
    classes_of,
    refusal,
    table_of,
    text_of,
    texts_of,
)
from lakecore.truth._tier import KINDS, SIZE_MEMBERS, Approval, Bound, By, TierEntry

_OFFERED = ("auto", "dry_run", "sim")
_KNOWN = ("principal", "kind", "dataset", "task_class", *_OFFERED, "approval")
_MAX_SIZE = (1 << 63) - 1


def parse_tiers(tables: Any, at: At) -> tuple[TierEntry, ...]:
    """The entries of a rule set, in their order."""
    if not isinstance(tables, list | tuple):
        raise refusal(at, "the tiers are not a list", "[[tier]] tables", tables)
    at_most(len(tables), bounds.MAX_TIERS, at, "tiers")
    return tuple(_entry(table, at.item(index)) for index, table in enumerate(tables))


def _entry(table: Any, at: At) -> TierEntry:
    table = table_of(table, _KNOWN, at)
    if not any(name in table for name in _OFFERED):
        raise refusal(
            at, "the tier entry offers nothing", f"one of {', '.join(_OFFERED)}, or auto = false",
            None,
        )  # fmt: skip
    return TierEntry(
        principal=_glob(table, "principal", at),
        kind=_kind(table, at),
        dataset=_glob(table, "dataset", at),
        task_classes=classes_of(table.get("task_class", "*"), at.member("task_class")),
        auto=_bound(table, "auto", at),
        dry_run=_bound(table, "dry_run", at),
        sim=_bound(table, "sim", at),
        approval=_approval(table.get("approval", {}), at.member("approval")),
    )


def _glob(table: Mapping[str, Any], name: str, at: At) -> str:
    text = text_of(table, name, at, default="*")
    at = at.member(name)
    at_most(len(text), bounds.MAX_GLOB_CHARACTERS, at, "characters")
    at_most(text.count("*"), bounds.MAX_GLOB_STARS, at, "stars")
    if not text:
        raise refusal(at, f"the {name} is empty", 'a name, or a pattern with "*" and "?"', "")
    return text


def _kind(table: Mapping[str, Any], at: At) -> str:
    kind = text_of(table, "kind", at, default="*")
    if kind != "*" and kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        expected = " or ".join(near) or f"one of {', '.join(KINDS)}"
        raise refusal(at.member("kind"), "there is no such kind of principal", expected, kind)
    return kind


def _bound(table: Mapping[str, Any], name: str, at: At) -> Bound | None:
    value, at = table.get(name, False), at.member(name)
    if value is False:
        return None
    if not isinstance(value, Mapping):
        expected = "{ rows = …, fraction = … }, {} for no bound, or false"
        raise refusal(at, f"{name} is no bound", expected, value)
    check_members(value, SIZE_MEMBERS, at)
    return Bound(
        rows=_size(value, "rows", at),
        fields=_size(value, "fields", at),
        bytes=_size(value, "bytes", at),
        fraction=_fraction(value, at),
    )


def _size(table: Mapping[str, Any], name: str, at: At) -> int | None:
    value = table.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_SIZE:
        raise refusal(at.member(name), f"{name} is no number of {name}", "an integer from 0", value)
    return value


def _fraction(table: Mapping[str, Any], at: At) -> float | None:
    value = table.get("fraction")
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        expected = "a number from 0; 0.01 is a hundredth of the dataset's rows"
        raise refusal(at.member("fraction"), "not a fraction", expected, value)
    return float(value)


def _approval(value: Any, at: At) -> Approval:
    table = table_of(value, ("by", "roles"), at)
    return Approval(
        by=choice_of(table, "by", By, at, By.ANOTHER),
        roles=texts_of(table.get("roles", ()), at.member("roles")),
    )
