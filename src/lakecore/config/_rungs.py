"""`[[llm.rung]]` and the like: tables in a list, from the file or from the environment."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from lakecore.base import InvalidInput
from lakecore.config._parse import kind_of, parse_value

MAX_TABLES: Final = 64


def parse_tables(kind: type, value: object, *, key: str, where: str) -> tuple[Any, ...]:
    """Each table as the dataclass `kind`; from the environment the words between the underscores
    say which table a value belongs to, and in which order they come.

    Raises:
        InvalidInput: no list of tables, a name that is not known, or a value that is not right.
    """
    tables = _from_variables(value) if isinstance(value, Mapping) else value
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise InvalidInput(
            f"{key} is a list of tables", expected=f"[[{key}]]", found=repr(value)[:80], where=where
        )
    if len(tables) > MAX_TABLES:
        raise InvalidInput(f"{key} has too many tables", expected=MAX_TABLES, where=where)
    return tuple(
        _table(kind, table, key=f"{key}[{at}]", where=where) for at, table in enumerate(tables)
    )


def _from_variables(value: Mapping[Any, Any]) -> list[dict[str, object]]:
    """``LAKECORE_LLM__RUNG__1__MODEL``: the table ``1``; its name too, where it has none."""
    tables: dict[str, dict[str, object]] = {}
    for name, text in value.items():
        table, _, setting = str(name).partition("__")
        setting, _, entry = setting.partition("__")
        settings = tables.setdefault(table, {"name": table})
        if not entry:
            settings[setting] = text
        elif isinstance(entries := settings.setdefault(setting, {}), dict):
            entries[entry] = text
    return [tables[table] for table in sorted(tables, key=_order)]


def _order(word: str) -> tuple[int, str]:
    return (int(word), "") if word.isdecimal() else (1 << 30, word)


def _table(kind: type, table: Mapping[str, object], *, key: str, where: str) -> Any:
    known = {setting.name: setting for setting in fields(kind)}
    for name in table:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            expected = f"{close[0]!r}?" if close else "one of " + ", ".join(known)
            raise InvalidInput(f"{key} has no setting {name!r}", expected=expected, where=where)
    values = {
        name: parse_value(
            kind_of(kind, name), value, setting=known[name], key=f"{key}.{name}", where=where
        )
        for name, value in table.items()
    }
    for name, one in known.items():
        if one.metadata["required"] and not values.get(name):
            raise InvalidInput(f"{key} needs {name}", where=where)
    return kind(**values)
