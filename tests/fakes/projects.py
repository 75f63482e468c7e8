"""Small projects in four languages, and git repositories of them, made in one go.

A project is functions that call each other, constants, tests, a manifest and documents. It is
changed as a value and written out as files, so that what a change is, is known exactly.
`write_history` makes commits of such file sets with ``git fast-import``: one process for all.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_VERBS = ("parse", "load", "split", "merge", "count", "sort", "check", "fold", "trim", "scale")
_NOUNS = ("header", "record", "window", "digest", "ledger", "bucket", "cursor", "column", "frame")
_LIMITS = ("max_retries", "page_limit", "queue_depth", "window_size", "batch_rows", "grace_days")
LANGUAGES = ("python", "rust", "typescript", "go")
PACKAGES = ("alpha-codec", "beta-http", "gamma-log", "delta-zip", "omega-cli", "kappa-json")


@dataclass(slots=True)
class Function:
    """A function: `calls` names others, `factor` is a number in it, `note` a comment."""

    name: str
    calls: list[str] = field(default_factory=list)
    factor: int = 2
    compare: str = "<"
    note: str = "Keeps what is in order."
    spaced: bool = False
    guarded: bool = False


@dataclass(slots=True)
class Project:
    """What a repository is made of."""

    language: str
    modules: dict[str, list[Function]]
    constants: dict[str, int]
    tests: dict[str, list[str]]
    dependencies: dict[str, str]
    dev_dependencies: dict[str, str]
    documents: dict[str, str]
    extra: dict[str, str] = field(default_factory=dict)

    def functions(self) -> list[Function]:
        return [function for functions in self.modules.values() for function in functions]

    def render(self) -> dict[str, str]:
        """All files by path."""
        files = dict(self.documents) | self.extra
        files[manifest_path(self.language)] = _manifest(self)
        for name, functions in self.modules.items():
            files[module_path(self.language, name)] = _module(self, name, functions)
        for name, tests in self.tests.items():
            files[test_path(self.language, name)] = _tests(self, name, tests)
        return files


def make_name(rng: random.Random, language: str, taken: Iterable[str]) -> str:
    """A function's name in the language's style that is not `taken`."""
    used = set(taken)
    while True:
        words = [rng.choice(_VERBS), rng.choice(_NOUNS), rng.choice(_NOUNS)]
        if words[1] == words[2]:
            continue
        name = "_".join(words)
        if language in ("typescript", "go"):
            name = words[0] + "".join(word.title() for word in words[1:])
        if name not in used:
            return name


def make_project(rng: random.Random, language: str) -> Project:
    """A project of three modules with three functions each; every function is called."""
    names: list[str] = []
    for _ in range(9):
        names.append(make_name(rng, language, names))
    functions = [Function(name, factor=rng.randint(2, 9)) for name in names]
    for index, function in enumerate(functions[:-1]):
        function.calls.append(functions[index + 1].name)
    functions[-1].compare = ">"
    functions[4].calls.append(functions[0].name)
    modules = {f"part{i}": functions[i * 3 : i * 3 + 3] for i in range(3)}
    packages = rng.sample(PACKAGES, 4)
    versions = {
        name: f"{rng.randint(1, 4)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}" for name in packages
    }
    return Project(
        language=language,
        modules=modules,
        constants={name: rng.randint(2, 40) for name in rng.sample(_LIMITS, 3)},
        tests={
            name: [f"{member.name}_works" for member in members[:2]]
            for name, members in modules.items()
        },
        dependencies={name: versions[name] for name in packages[:2]},
        dev_dependencies={packages[2]: versions[packages[2]]},
        documents={
            "README.md": "# A project\n\nIt does one thing, and does it well.\n",
            "docs/guide.md": "# Guide\n\nBegin at the beginning, and go on.\n",
        },
    )


def manifest_path(language: str) -> str:
    return {
        "python": "pyproject.toml",
        "rust": "Cargo.toml",
        "typescript": "package.json",
        "go": "go.mod",
    }[language]


def module_path(language: str, name: str) -> str:
    suffix = {"python": ".py", "rust": ".rs", "typescript": ".ts", "go": ".go"}[language]
    return f"src/{name}{suffix}"


def test_path(language: str, name: str) -> str:
    return {
        "python": f"tests/test_{name}.py",
        "rust": f"tests/{name}.rs",
        "typescript": f"tests/{name}.test.ts",
        "go": f"src/{name}_test.go",
    }[language]


def constant_name(language: str, name: str) -> str:
    """A constant in the language's style."""
    if language in ("python", "rust"):
        return name.upper()
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _manifest(project: Project) -> str:
    main, dev = project.dependencies, project.dev_dependencies
    if project.language == "python":
        listed = ", ".join(f'"{name}>={version}"' for name, version in main.items())
        also = ", ".join(f'"{name}>={version}"' for name, version in dev.items())
        return (
            f'[project]\nname = "thing"\nversion = "1"\ndependencies = [{listed}]\n\n'
            f"[project.optional-dependencies]\ndev = [{also}]\n"
        )
    if project.language == "rust":
        return (
            '[package]\nname = "thing"\nversion = "0.1.0"\n\n[dependencies]\n'
            + "".join(f'{name} = "{version}"\n' for name, version in main.items())
            + "\n[dev-dependencies]\n"
            + "".join(f'{name} = "{version}"\n' for name, version in dev.items())
        )
    if project.language == "typescript":
        return (
            '{\n  "name": "thing",\n  "dependencies": {\n'
            + ",\n".join(f'    "{name}": "^{version}"' for name, version in main.items())
            + '\n  },\n  "devDependencies": {\n'
            + ",\n".join(f'    "{name}": "^{version}"' for name, version in dev.items())
            + "\n  }\n}\n"
        )
    return (
        "module example.com/thing\n\ngo 1.22\n\nrequire (\n"
        + "".join(f"\texample.com/{name} v{version}\n" for name, version in (main | dev).items())
        + ")\n"
    )


def _module(project: Project, name: str, functions: Sequence[Function]) -> str:
    language = project.language
    first = next(iter(project.modules))
    constants = project.constants if name == first else {}
    lines: list[str] = []
    if language == "go":
        lines += ["package src", ""]
    for constant, value in constants.items():
        lines.append(_constant(language, constant_name(language, constant), value))
    others = {call for function in functions for call in function.calls}
    others -= {function.name for function in functions}
    for other in sorted(others):
        home = next(
            (m for m, fs in project.modules.items() if any(f.name == other for f in fs)), first
        )
        if language == "python":
            lines.append(f"from {home} import {other}")
        elif language == "rust":
            lines.append(f"use crate::{home}::{other};")
        elif language == "typescript":
            lines.append(f'import {{ {other} }} from "./{home}";')
    lines.append("")
    for function in functions:
        lines += [*_function(language, function), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _constant(language: str, name: str, value: int) -> str:
    return {
        "python": f"{name} = {value}",
        "rust": f"pub const {name}: u64 = {value};",
        "typescript": f"export const {name} = {value};",
        "go": f"const {name} = {value}",
    }[language]


def _function(language: str, function: Function) -> list[str]:
    body = " + ".join(
        [f"value * {function.factor}", *(f"{call}(value)" for call in function.calls)]
    )
    if function.spaced:
        body = body.replace(" + ", "  +  ")
    test = f"value {function.compare} {function.factor + 5}"
    if language == "python":
        guard = ["    if value == 77:", "        return 0"] if function.guarded else []
        return [
            "",
            f"def {function.name}(value):",
            f'    """{function.note}"""',
            *guard,
            f"    if {test}:",
            "        return value",
            f"    return {body}" if not function.spaced else f"    return ({body})",
        ]
    comment = f"/// {function.note}" if language == "rust" else f"// {function.note}"
    head = {
        "rust": f"pub fn {function.name}(value: u64) -> u64 {{",
        "typescript": f"export function {function.name}(value: number): number {{",
        "go": f"func {function.name}(value int) int {{",
    }[language]
    semicolon = "" if language == "go" else ";"
    parens = ("(", ")") if language == "typescript" else ("", "")
    guard = (
        [f"    if {parens[0]}value == 77{parens[1]} {{", f"        return 0{semicolon}", "    }"]
        if function.guarded
        else []
    )
    gap = "  " if function.spaced else ""
    return [
        comment,
        head,
        *guard,
        f"    {gap}if {parens[0]}{test}{parens[1]} {{",
        f"        return value{semicolon}",
        "    }",
        f"    {gap}return {body}{semicolon}",
        "}",
    ]


def _tests(project: Project, name: str, tests: Sequence[str]) -> str:
    language = project.language
    lines: list[str] = []
    if language == "go":
        lines += ["package src", "", 'import "testing"', ""]
    for index, test in enumerate(tests):
        called = test.split("_works")[0].split("_again")[0]
        if language == "python":
            lines += [f"def test_{test}():", f"    assert {called}({index}) is not None", ""]
        elif language == "rust":
            lines += [
                "#[test]",
                f"fn {test}() {{",
                f"    assert!({called}({index}) >= 0);",
                "}",
                "",
            ]
        elif language == "typescript":
            lines += [
                f'test("{test}", () => {{',
                f"  expect({called}({index})).toBeDefined();",
                "});",
                "",
            ]
        else:
            title = test[:1].upper() + test[1:]
            lines += [
                f"func Test{title}(t *testing.T) {{",
                f"    if {called}({index}) < 0 {{",
                '        t.Fatal("negative")',
                "    }",
                "}",
                "",
            ]
    return "\n".join(lines).rstrip("\n") + "\n" if lines else "# none\n"


@dataclass(frozen=True, slots=True)
class Step:
    """A commit to be made: its files, its message, and the steps it comes after."""

    files: Mapping[str, bytes | str | None]
    message: bytes | str
    parents: tuple[int, ...] = ()
    whole: bool = True


def write_history(folder: Path, steps: Sequence[Step]) -> list[str]:
    """Make a repository of the steps; the ids of their commits, in order.

    `Step.files` is the whole tree, or with ``whole=False`` what differs from the first parent
    (None removes a file). A step's number is its place in `steps`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _git(folder, "init", "--quiet", "--initial-branch=main", ".")
    stream = bytearray()
    for number, step in enumerate(steps):
        stream += _commit(number, step)
    marks = folder / ".git" / "marks"
    _git(folder, "fast-import", "--quiet", f"--export-marks={marks}", data=bytes(stream))
    known = dict(line.split() for line in marks.read_text().splitlines())
    return [known[f":{number + 1}"] for number in range(len(steps))]


def _commit(number: int, step: Step) -> bytes:
    message = step.message.encode() if isinstance(step.message, str) else step.message
    who = b"A Person <a@example.com> %d +0000" % (1_700_000_000 + number)
    out = bytearray(b"commit refs/heads/step%d\nmark :%d\n" % (number, number + 1))
    out += b"author " + who + b"\ncommitter " + who + b"\n"
    out += b"data %d\n" % len(message) + message + b"\n"
    for index, parent in enumerate(step.parents):
        out += b"%s :%d\n" % (b"from" if index == 0 else b"merge", parent + 1)
    if step.whole and step.parents:
        out += b"deleteall\n"
    for path, content in step.files.items():
        if content is None:
            out += b"D " + path.encode("utf-8", "surrogateescape") + b"\n"
            continue
        data = content.encode() if isinstance(content, str) else content
        name = path.encode("utf-8", "surrogateescape")
        out += b"M 100644 inline " + name + b"\ndata %d\n" % len(data) + data + b"\n"
    return bytes(out + b"\n")


def _git(folder: Path, *arguments: str, data: bytes | None = None) -> bytes:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "HOME": str(folder),
    }
    answer = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=data,
        capture_output=True,
        env=environment,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr.decode("utf-8", "replace")
    return answer.stdout


def git(folder: Path, *arguments: str) -> str:
    """Run git in a repository of a test, with none of the user's configuration."""
    return _git(
        folder, "-c", "user.name=A Person", "-c", "user.email=a@example.com", *arguments
    ).decode()
