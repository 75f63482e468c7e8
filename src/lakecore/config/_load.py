"""Finding the file, reading file and environment, and putting the settings together."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from lakecore.base import InvalidInput, NotFound
from lakecore.config._buckets import check_buckets
from lakecore.config._parse import kind_of, parse_value
from lakecore.config._rungs import parse_tables
from lakecore.config._settings import Settings

CONFIG_FILE_NAME: Final = "lakecore.toml"
_MAX_FILE_BYTES: Final = 1 << 20
_PREFIX: Final = "LAKECORE_"
_SHORT_NAMES: Final = {
    "LAKECORE_LAKE": ("lake", "uri"),
    "LAKECORE_ACTOR": ("lake", "actor"),
}
_FILE_VARIABLE: Final = "LAKECORE_CONFIG"
SECTIONS: Final[dict[str, type]] = {
    section.name: section.default_factory  # type: ignore[misc]  # always a dataclass
    for section in fields(Settings)
}

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, where each one came from, and the file that was read, if any."""

    settings: Settings
    origins: Mapping[_Key, str]
    path: Path | None

    def origin(self, section: str, name: str) -> str:
        """Where the value of a setting is from, in words."""
        return self.origins.get((section, name), "default")


@dataclass(frozen=True, slots=True)
class _Given:
    """One value that somebody gave, not yet parsed."""

    value: object
    where: str
    origin: str


def load(
    *,
    lake: str | None = None,
    actor: str | None = None,
    file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    directory: str | Path | None = None,
) -> Loaded:
    """The settings in force, by the precedence of this package's docstring.

    `lake` and `actor` are what a caller named explicitly; `file` is ``--config``;
    `environ` and `directory` default to the process's own.

    Raises `NotFound` when a file that was named is not there, `InvalidInput` for
    anything that is not a known setting with a right value.
    """
    variables = os.environ if environ is None else environ
    base = Path.cwd() if directory is None else Path(directory)
    given = _from_environment(variables)
    for name, value in (("uri", lake), ("actor", actor)):
        if value is not None:
            given["lake", name] = _Given(value, f"--{'lake' if name == 'uri' else name}", "option")
    named_lake = given.get(("lake", "uri"))
    path = _find_file(
        file if file is not None else variables.get(_FILE_VARIABLE) or None,
        str(named_lake.value) if named_lake else None,
        base,
    )
    if path is not None:
        given = {**_from_file(path), **given}
    return _assemble(given, path)


def _find_file(named: str | Path | None, lake: str | None, directory: Path) -> Path | None:
    if named is not None:
        path = directory / Path(named).expanduser()
        if not path.is_file():
            raise NotFound("no such configuration file", where=path)
        return path
    candidates = [directory / CONFIG_FILE_NAME]
    if lake is not None and "://" not in lake:
        beside = (directory / Path(lake).expanduser()).absolute().parent
        candidates.insert(0, beside / CONFIG_FILE_NAME)
    return next((path for path in candidates if path.is_file()), None)


def _from_environment(variables: Mapping[str, str]) -> dict[_Key, _Given]:
    given: dict[_Key, _Given] = {}
    tables: dict[_Key, dict[str, str]] = {}
    for variable in sorted(variables):
        value = variables[variable]
        origin = f"environment {variable}"
        if not variable.startswith(_PREFIX):
            continue
        if variable in _SHORT_NAMES:
            if value:
                given[_SHORT_NAMES[variable]] = _Given(value, variable, origin)
            continue
        # Without two underscores it is no setting: LAKECORE_TRACEBACK, a test's own.
        section, separator, rest = variable.removeprefix(_PREFIX).lower().partition("__")
        if not separator:
            continue
        name, _, entry = rest.partition("__")
        _known(section, name, where=variable)
        if entry:
            tables.setdefault((section, name), {})[entry] = value
            given[section, name] = _Given(tables[section, name], variable, origin)
        elif (section, name) not in given:
            given[section, name] = _Given(value, variable, origin)
    return given


def _from_file(path: Path) -> dict[_Key, _Given]:
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise InvalidInput("the configuration file is too long", expected="1 MiB", where=path)
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise InvalidInput("the configuration file is not UTF-8", where=path) from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the configuration file is not TOML: {error}", where=path) from error
    given: dict[_Key, _Given] = {}
    for section, table in content.items():
        where = _place(path, text, section, None)
        _known(section, None, where=where)
        if not isinstance(table, dict):
            raise InvalidInput(
                f"{section} is a section", expected=f"[{section}]", found=repr(table), where=where
            )
        for name, value in table.items():
            where = _place(path, text, section, name)
            _known(section, name, where=where)
            if (section, name) == ("lake", "uri") and isinstance(value, str):
                value = _beside(path, value)
            if (section, name) == ("storage", "bucket") and isinstance(value, list):
                value = [_bucket_beside(path, table) for table in value]
            given[section, name] = _Given(value, where, f"file {path}")
    return given


def _beside(path: Path, uri: str) -> str:
    """A relative path in a file means the same wherever the command is started."""
    if "://" in uri or not uri:
        return uri
    return str(path.parent / Path(uri).expanduser())


def _bucket_beside(path: Path, table: object) -> object:
    if not isinstance(table, dict):
        return table
    placed = dict(table)
    for name in ("uri", "credentials_file"):
        if isinstance(placed.get(name), str):
            placed[name] = _beside(path, placed[name])
    return placed


def _place(path: Path, text: str, section: str, name: str | None) -> str:
    """``file:line``; tomllib keeps no positions, so the line is looked for, and left out if
    it is written in a way that this simple search does not see."""
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([\w.\"'-]+)\s*\]+", line)
        if header is not None:
            current = header[1].strip("\"'")
            if current == section and name is None:
                return f"{path}:{number}"
            if name is not None and current == f"{section}.{name}":
                return f"{path}:{number}"
        elif name is not None and current == section:
            if re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[=.]", line):
                return f"{path}:{number}"
        elif re.match(rf"\s*{re.escape(section)}\s*[=.]", line) and not current:
            return f"{path}:{number}"
    return str(path)


def _known(section: str, name: str | None, *, where: str) -> None:
    if section not in SECTIONS:
        raise InvalidInput(
            f"there is no section [{section}]",
            expected=_nearest(section, SECTIONS),
            where=where,
        )
    names = [setting.name for setting in fields(SECTIONS[section])]
    if name is not None and name not in names:
        raise InvalidInput(
            f"[{section}] has no setting {name!r}", expected=_nearest(name, names), where=where
        )


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"{close[0]!r}?" if close else "one of " + ", ".join(names)


def _parsed(kind: type, setting: Field[Any], entry: _Given, key: str) -> Any:
    tables = setting.metadata.get("tables")
    if tables is not None:
        return parse_tables(tables, entry.value, key=key, where=entry.where)
    words = kind_of(kind, setting.name)
    return parse_value(words, entry.value, setting=setting, key=key, where=entry.where)


def _assemble(given: Mapping[_Key, _Given], path: Path | None) -> Loaded:
    sections: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        values = {
            setting.name: _parsed(kind, setting, entry, f"{section}.{setting.name}")
            for setting in fields(kind)
            if (entry := given.get((section, setting.name))) is not None
        }
        sections[section] = kind(**values)
    origins = {key: entry.origin for key, entry in given.items()}
    storage, lake = sections["storage"], sections["lake"]
    entry = given.get(("storage", "bucket"))
    check_buckets(storage.bucket, where=entry.where if entry else "")
    primary = next((one for one in storage.bucket if one.role == "primary"), None)
    if primary is not None and ("lake", "uri") not in given:
        sections["lake"] = replace(lake, uri=primary.uri)
        origins["lake", "uri"] = f"storage.bucket {primary.name}"
    return Loaded(Settings(**sections), origins, path)
