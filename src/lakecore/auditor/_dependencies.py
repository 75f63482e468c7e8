"""What a project depends on, by its manifests; pure.

Read: ``pyproject.toml``, ``requirements*.txt``, ``package.json``, ``Cargo.toml``, ``go.mod``.
Lock files are not read as manifests, but a bump may be shown by their lines alone.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

_REQUIREMENT: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(.*)$")
_REQUIREMENTS_NAME: Final = re.compile(
    r"^(?:[\w.-]*requirements[\w.-]*|constraints[\w.-]*)\.(?:txt|in)$"
)
_GO_REQUIRE: Final = re.compile(r"^\s*(?:require\s+)?([\w.-]+(?:/[\w.~-]+)+)\s+(v\S+)", re.M)
_LOCK_NAME: Final = re.compile(
    r"\.lock$|^(?:package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|go\.sum|requirements.*\.txt)$"
)
_JS_SECTIONS: Final = (
    "dependencies",
    "devDependencies",
    "peerDependencies",
    "optionalDependencies",
)
_RUST_SECTIONS: Final = ("dependencies", "dev-dependencies", "build-dependencies")


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """A line of a manifest: `name` is normalised, `section` as the manifest calls it."""

    name: str
    section: str
    version: str


def normalised(name: str) -> str:
    """One spelling for all; dots, dashes and underscores are the same.

    >>> normalised("Serde_JSON") == normalised("serde-json")
    True
    """
    return re.sub(r"[-_.]+", "-", name.strip().lower())


def is_manifest(path: str) -> bool:
    """Whether a file says what a project depends on."""
    name = PurePosixPath(path).name
    return name in ("pyproject.toml", "package.json", "Cargo.toml", "go.mod") or bool(
        _REQUIREMENTS_NAME.match(name)
    )


def is_lock(path: str) -> bool:
    """Whether a file says which versions were chosen."""
    return bool(_LOCK_NAME.search(PurePosixPath(path).name)) or "requirements/" in path


def read_manifest(path: str, text: str) -> frozenset[Dependency] | None:
    """The dependencies in a manifest; None for one that cannot be read.

    >>> sorted(d.name for d in read_manifest("requirements.txt", "a==1\\n# b\\n-r c.txt\\n"))
    ['a']
    """
    name = PurePosixPath(path).name
    try:
        if name == "pyproject.toml":
            return frozenset(_python(tomllib.loads(text)))
        if name == "Cargo.toml":
            return frozenset(_rust(tomllib.loads(text)))
        if name == "package.json":
            return frozenset(_javascript(json.loads(text)))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    if name == "go.mod":
        return frozenset(
            Dependency(normalised(module), "require", version)
            for module, version in _GO_REQUIRE.findall(text)
        )
    return frozenset(
        dependency
        for line in text.splitlines()
        if (dependency := _requirement(line, "requirements")) is not None
    )


def _requirement(text: object, section: str) -> Dependency | None:
    line = str(text).split("#")[0].split(";")[0].strip()
    if not line or line.startswith(("-", "http", "git+", ".", "/")):
        return None
    match = _REQUIREMENT.match(line)
    if match is None:
        return None
    return Dependency(normalised(match[1]), section, match[2].split(" --")[0].strip(" \\"))


def _listed(values: object, section: str) -> Iterator[Dependency]:
    for value in values if isinstance(values, list) else []:
        if isinstance(value, str) and (found := _requirement(value, section)) is not None:
            yield found


def _table(values: object, section: str) -> Iterator[Dependency]:
    for name, value in (values if isinstance(values, dict) else {}).items():
        version = value.get("version", "") if isinstance(value, dict) else value
        yield Dependency(normalised(str(name)), section, str(version))


def _python(document: Mapping[str, Any]) -> Iterator[Dependency]:
    project = document.get("project", {})
    yield from _listed(project.get("dependencies"), "dependencies")
    for extra, values in project.get("optional-dependencies", {}).items():
        yield from _listed(values, f"optional-dependencies.{extra}")
    for group, values in document.get("dependency-groups", {}).items():
        yield from _listed(values, f"dependency-groups.{group}")
    yield from _listed(document.get("build-system", {}).get("requires"), "build-system")
    poetry = document.get("tool", {}).get("poetry", {})
    yield from _table(poetry.get("dependencies"), "dependencies")
    yield from _table(poetry.get("dev-dependencies"), "dev-dependencies")
    for group, values in poetry.get("group", {}).items():
        yield from _table(values.get("dependencies"), f"group.{group}.dependencies")


def _rust(document: Mapping[str, Any]) -> Iterator[Dependency]:
    for section in _RUST_SECTIONS:
        yield from _table(document.get(section), section)
        for target, values in document.get("target", {}).items():
            yield from _table(values.get(section), f"target.{target}.{section}")
    workspace = document.get("workspace", {}).get("dependencies")
    yield from _table(workspace, "workspace.dependencies")


def _javascript(document: Mapping[str, Any]) -> Iterator[Dependency]:
    for section in _JS_SECTIONS:
        yield from _table(document.get(section), section)
