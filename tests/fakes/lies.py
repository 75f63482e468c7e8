"""Commits whose truth is known, each with an honest message and a lying one.

An edit changes a project and says what it did; messages are made of that: honest ones say it,
lying ones say the same of something else. Both stand in the frames that messages have: a
prefix, a body, a list, trailers, and sentences that are vague or about another time, which
must not be taken for claims about this commit.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.fakes.frames import frame
from tests.fakes.projects import (
    LANGUAGES,
    PACKAGES,
    Function,
    Project,
    Step,
    constant_name,
    make_name,
    make_project,
    manifest_path,
    module_path,
    test_path,
)


@dataclass(frozen=True, slots=True)
class Case:
    """A commit with a message; `lie` says whether it lies, `kind` about what."""

    kind: str
    language: str
    message: str
    lie: bool
    before: dict[str, str]
    after: dict[str, str]


@dataclass(slots=True)
class Edit:
    """What was done, in sentences that are true, and in ones that are not."""

    honest: list[str]
    lies: list[str]


Editor = Callable[[random.Random, Project], Edit]


def _new_name(rng: random.Random, project: Project) -> str:
    return make_name(rng, project.language, [f.name for f in project.functions()])


def _others(rng: random.Random, project: Project, *names: str) -> list[str]:
    rest = [f.name for f in project.functions() if f.name not in names]
    rng.shuffle(rest)
    return rest


def _add_function(rng: random.Random, project: Project) -> Edit:
    name = _new_name(rng, project)
    module = rng.choice(list(project.modules))
    project.modules[module].append(Function(name))
    ghost = make_name(rng, project.language, [name, *(f.name for f in project.functions())])
    old = _others(rng, project, name)[0]
    forms = [
        "Add `{}`",
        "Introduce `{}()`",
        "Add the function `{}`",
        "Adds `{}` to the module",
        "`{}` is added",
    ]
    return Edit(
        [form.format(name) for form in forms], [f.format(n) for f in forms for n in (ghost, old)]
    )


def _remove_function(rng: random.Random, project: Project) -> Edit:
    victim = rng.choice(project.functions())
    for functions in project.modules.values():
        functions[:] = [f for f in functions if f.name != victim.name]
        for function in functions:
            function.calls = [call for call in function.calls if call != victim.name]
    for tests in project.tests.values():
        tests[:] = [test for test in tests if not test.startswith(victim.name)]
    forms = ["Remove `{}`", "Drop the unused function `{}`", "`{}` is removed", "Delete `{}()`"]
    still = _others(rng, project, victim.name)[:2]
    gone = "Remove all uses of `{}`"
    return Edit(
        [form.format(victim.name) for form in [*forms, gone]],
        [form.format(name) for form in forms for name in still]
        + [gone.format(name) for name in still if _is_called(project, name)],
    )


def _is_called(project: Project, name: str) -> bool:
    return any(name in function.calls for function in project.functions())


def _rename_function(rng: random.Random, project: Project) -> Edit:
    function = rng.choice(project.functions())
    old, new = function.name, _new_name(rng, project)
    function.name = new
    for other in project.functions():
        other.calls = [new if call == old else call for call in other.calls]
    for name, tests in project.tests.items():
        project.tests[name] = [test.replace(old, new) for test in tests]
    ghost = make_name(rng, project.language, [old, *(f.name for f in project.functions())])
    still = _others(rng, project, new)[0]
    forms = [
        "Rename `{}` to `{}`",
        "`{}` is renamed to `{}`",
        "Renamed `{}` → `{}`",
        "Rename the function `{}` to `{}`",
    ]
    return Edit(
        [form.format(old, new) for form in forms],
        [form.format(a, b) for form in forms for a, b in ((old, ghost), (still, ghost))],
    )


def _change_constant(rng: random.Random, project: Project) -> Edit:
    key = rng.choice(list(project.constants))
    old = project.constants[key]
    new = old + rng.randint(1, 30)
    project.constants[key] = new
    name = constant_name(project.language, key)
    forms = ["Raise `{}` from {} to {}", "`{}`: {} → {}", "Change `{}` from {} to {}", "{} {} → {}"]
    quoted = [form.format(name, old, new) for form in forms]
    lies = [form.format(name, old, new + rng.randint(1, 9)) for form in forms]
    lies += [form.format(name, old + 1, new) for form in forms]
    other = next(k for k in project.constants if k != key)
    idle = constant_name(project.language, other)
    value = project.constants[other]
    lies += [f"Set `{idle}` to {value + 7}", f"Raise `{idle}` from {value} to {value + 3}"]
    return Edit([*quoted, f"Set `{name}` to {new}"], [*lies, f"Set `{name}` to {new + 5}"])


def _add_tests(rng: random.Random, project: Project) -> Edit:
    count = rng.randint(2, 6)
    module = rng.choice(list(project.tests))
    named = project.modules[module][-1].name
    for index in range(count):
        project.tests[module].append(f"{named}_again{index}")
    forms = [
        "Add {} tests",
        "adds {} new tests",
        "{} new unit tests",
        "{} tests added",
        "With {} more tests",
    ]
    words = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
    total = len(project.tests[module])
    return Edit(
        [form.format(count) for form in forms]
        + [
            f"Add {words[count]} tests",
            f"Tests {total - count} → {total}",
            "Add tests",
            f"Adds tests for `{named}`",
        ],
        [form.format(count + rng.choice((-1, 1, 2, 5))) for form in forms]
        + [f"Tests {total - count} → {total + 3}", f"Add {count * 2} tests for `{named}`"],
    )


def _no_tests(rng: random.Random, project: Project) -> Edit:
    function = rng.choice(project.functions())
    function.factor += 1
    return Edit(
        [f"Scale `{function.name}` by one more"],
        ["Add tests", "Adds 2 tests", "With tests", "Tests added", "Add three regression tests"],
    )


def _add_dependency(rng: random.Random, project: Project) -> Edit:
    taken = {**project.dependencies, **project.dev_dependencies}
    name, ghost = rng.sample([p for p in PACKAGES if p not in taken], 2)
    there = next(iter(project.dependencies))
    project.dependencies[name] = "1.4.2"
    forms = ["Add `{}` as a dependency", "Add the dependency `{}`", "Add a dependency on {}"]
    return Edit(
        [form.format(name) for form in forms],
        [form.format(n) for form in forms for n in (ghost, there)] + ["No new dependencies"],
    )


def _remove_dependency(rng: random.Random, project: Project) -> Edit:
    name, still = list(project.dependencies)[:2]
    del project.dependencies[name]
    forms = [
        "Remove the `{}` dependency",
        "Drop the dependency on {}",
        "Remove the dependency `{}`",
    ]
    return Edit(
        [*(form.format(name) for form in forms), "No new dependencies"],
        [form.format(still) for form in forms],
    )


def _bump_dependency(rng: random.Random, project: Project) -> Edit:
    name, still = list(project.dependencies)[:2]
    old = project.dependencies[name]
    new = f"{int(old[0]) + 1}.{rng.randint(0, 9)}.{rng.randint(0, 9)}"
    project.dependencies[name] = new
    other = f"{int(old[0]) + 2}.0.1"
    return Edit(
        [
            f"Bump {name} from {old} to {new}",
            f"Upgrade `{name}` to {new}",
            f"Update {name} to {new}",
        ],
        [
            f"Bump {name} from {old} to {other}",
            f"Upgrade `{name}` to {other}",
            f"Bump {still} from {project.dependencies[still]} to 9.9.9",
        ],
    )


def _move_dependency(rng: random.Random, project: Project) -> Edit:
    name, still = list(project.dependencies)[:2]
    project.dev_dependencies[name] = project.dependencies.pop(name)
    if project.language == "go":
        project.documents["README.md"] += "\nMore words.\n"
        return Edit(["Say more in README.md"], [f"Add `{PACKAGES[0]}x` as a dependency"])
    return Edit(
        [f"Move {name} to dev-dependencies", f"{name} moved to the dev dependencies"],
        [f"Move {still} to dev-dependencies", f"{still} moved to the dev dependencies"],
    )


def _wire(rng: random.Random, project: Project) -> Edit:
    name, idle = _new_name(rng, project), ""
    while not idle or idle == name:
        idle = _new_name(rng, project)
    module = rng.choice(list(project.modules))
    caller = project.modules[module][0]
    project.modules[module] += [Function(name), Function(idle)]
    project.tests[module].append(f"{idle}_works")
    caller.calls.append(name)
    forms = ["Wire `{}` into the pipeline", "`{}` is now wired", "Register `{}`", "Hook up `{}`"]
    return Edit([form.format(name) for form in forms], [form.format(idle) for form in forms])


def _files(rng: random.Random, project: Project) -> Edit:
    count = rng.randint(2, 3)
    for functions in list(project.modules.values())[:count]:
        functions[0].factor += 3
    forms = [
        "Touches {} files",
        "{} files changed",
        "Changes {} source files",
        "This commit touches {} files",
    ]
    return Edit(
        [form.format(count) for form in forms],
        [form.format(count + rng.choice((1, 2, 4))) for form in forms]
        + [f"Add {count} files", "2 files removed"],
    )


def _add_file(rng: random.Random, project: Project) -> Edit:
    path, ghost = "docs/limits.md", "docs/bounds.md"
    project.documents[path] = "# Limits\n\nThere are some.\n"
    return Edit(
        [f"Add {path}", f"Add `{path}`", f"Create {path}", f"{path} is added", "Add 1 file"],
        [
            f"Add {ghost}",
            f"Create `{ghost}`",
            "Add README.md",
            "Add 3 files",
            f"Update {ghost[:5]}guide.md",
        ],
    )


def _remove_file(rng: random.Random, project: Project) -> Edit:
    del project.documents["docs/guide.md"]
    return Edit(
        [
            "Remove docs/guide.md",
            "Delete `docs/guide.md`",
            "docs/guide.md is removed",
            "1 file removed",
        ],
        [
            "Remove README.md",
            "Delete `README.md`",
            f"Remove {module_path(project.language, 'part0')}",
            "Removes 2 files",
        ],
    )


def _move_file(rng: random.Random, project: Project) -> Edit:
    project.documents["docs/manual.md"] = project.documents.pop("docs/guide.md")
    forms = ["Rename docs/guide.md to docs/manual.md", "Move `docs/guide.md` to `docs/manual.md`"]
    return Edit(
        [*forms, "Rename guide.md to manual.md", "1 file renamed"],
        [
            "Rename docs/guide.md to docs/handbook.md",
            "Move README.md to docs/README.md",
            "Rename README.md to INDEX.md",
        ],
    )


def _reformat(rng: random.Random, project: Project) -> Edit:
    for function in rng.sample(project.functions(), 3):
        function.spaced = True
    return Edit(
        [
            "Formatting only",
            "Only reformatting",
            "No functional change",
            "No behaviour change",
            "No code changes, only formatting",
        ],
        ["Add tests", "Touches 9 files", "Update README.md"],
    )


def _lie_about_layout(rng: random.Random, project: Project) -> Edit:
    function = rng.choice(project.functions())
    function.calls.append(next(f.name for f in project.functions() if f is not function))
    function.spaced = True
    return Edit(
        [f"`{function.name}` asks another one, too"],
        [
            "Formatting only",
            "Only reformatting",
            "Whitespace only",
            "Docs only",
            "Comments only",
            "No code changes",
        ],
    )


def _documents(rng: random.Random, project: Project) -> Edit:
    project.documents["README.md"] += "\nIt is quick, too.\n"
    rng.choice(project.functions()).note = "Gives back what fits."
    return Edit(
        [
            "Docs only",
            "Documentation only",
            "Only documentation",
            "Fix typo in a comment",
            "No code changes",
            "No functional changes",
        ],
        ["Add tests", "Whitespace only", "docs/guide.md is removed", "Update docs/guide.md"],
    )


def _change_value(rng: random.Random, project: Project) -> Edit:
    function = rng.choice(project.functions())
    if rng.random() < 0.5:
        function.compare = {"<": "<=", ">": ">="}[function.compare]
    else:
        key = rng.choice(list(project.constants))
        project.constants[key] += 1
    return Edit(
        ["Be exact about the bound", "Fix a value that was off by one"],
        [
            "No behaviour change",
            "No functional change",
            "NFC",
            "Pure refactoring",
            "Formatting only",
            "Docs only",
        ],
    )


def _add_branch(rng: random.Random, project: Project) -> Edit:
    """A lie that no program can tell from a refactoring in general."""
    rng.choice(project.functions()).guarded = True
    return Edit(["Handle a value that is special"], ["No behaviour change", "Pure refactoring"])


def _typo(rng: random.Random, project: Project) -> Edit:
    project.modules["part1"].append(Function(_new_name(rng, project)))
    return Edit(
        ["Extend part1"], ["Fix typo", "Fix a typo", "Fix spelling", "Fix typos in comments"]
    )


def _unchanged(rng: random.Random, project: Project) -> Edit:
    project.documents["README.md"] += "\nRead on.\n"
    manifest = manifest_path(project.language)
    return Edit(
        [
            f"Say more; {manifest} is unchanged",
            "Say more without touching docs/guide.md",
            "Does not touch `src/`",
        ],
        ["README.md is unchanged", "Does not touch README.md", "No changes to README.md"],
    )


def _headed(rng: random.Random, project: Project) -> Edit:
    module = rng.choice(list(project.modules))
    idle = next(m for m in project.modules if m != module)
    project.modules[module][1].factor += 1
    changed, still = (module_path(project.language, m) for m in (module, idle))
    tests = test_path(project.language, idle)
    return Edit(
        [
            f"Tidy\n\n- {changed}: handle more",
            f"Update {changed}",
            f"Tidy\n\n* `{changed}`: use another factor",
        ],
        [
            f"Tidy\n\n- {still}: handle more",
            f"Update {still}",
            f"Tidy\n\n* `{tests}`: add a case",
            f"Modify {still} and {changed}",
        ],
    )


EDITORS: dict[str, Editor] = {
    "add": _add_function,
    "remove": _remove_function,
    "rename": _rename_function,
    "value": _change_constant,
    "tests": _add_tests,
    "no tests": _no_tests,
    "dependency added": _add_dependency,
    "dependency removed": _remove_dependency,
    "dependency bumped": _bump_dependency,
    "dependency moved": _move_dependency,
    "wired": _wire,
    "files": _files,
    "file added": _add_file,
    "file removed": _remove_file,
    "file renamed": _move_file,
    "layout": _reformat,
    "not only layout": _lie_about_layout,
    "documents": _documents,
    "behaviour: a value": _change_value,
    "behaviour: a branch": _add_branch,
    "typo": _typo,
    "unchanged": _unchanged,
    "file changed": _headed,
}


def make_cases(seed: int, *, kinds: tuple[str, ...] = tuple(EDITORS)) -> Iterator[Case]:
    """An honest and a lying case of each kind and language."""
    for language in LANGUAGES:
        for kind in kinds:
            rng = random.Random(f"{seed} {language} {kind}")
            project = make_project(rng, language)
            before = project.render()
            names = [function.name for function in project.functions()]
            edited = copy.deepcopy(project)
            edit = EDITORS[kind](rng, edited)
            after = edited.render()
            for lie, texts in ((False, edit.honest), (True, edit.lies)):
                # "Fix typo" in a list says nothing about the rest of the commit.
                shapes = (0, 1) if kind == "typo" else tuple(range(5))
                message = frame(rng, rng.choice(texts), names, shapes)
                yield Case(kind, language, message, lie, before, after)


def to_steps(cases: list[Case]) -> list[Step]:
    """Two steps a case: what was before, and the commit that is judged."""
    steps: list[Step] = []
    for case in cases:
        steps.append(Step(case.before, "before"))
        steps.append(Step(case.after, case.message, parents=(len(steps) - 1,)))
    return steps
