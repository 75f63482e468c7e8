"""Claims about dependencies, held against the manifests before and after."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lakecore.auditor._dependencies import Dependency, is_lock, normalised
from lakecore.auditor._facts import Facts
from lakecore.auditor._model import Action, Claim, Evidence
from lakecore.auditor._verdicts import Judgement, backed, contradicted, unverifiable
from lakecore.code import shown

_Manifests = Mapping[str, frozenset[Dependency]]


def _of(name: str, manifests: _Manifests) -> list[tuple[str, Dependency]]:
    wanted = {normalised(name), normalised(name.rsplit("/", 1)[-1])}
    return [
        (path, dependency)
        for path, dependencies in sorted(manifests.items())
        for dependency in sorted(dependencies)
        if dependency.name in wanted or normalised(dependency.name.rsplit("/", 1)[-1]) in wanted
    ]


def _evidence(found: list[tuple[str, Dependency]], side: str = "new") -> list[Evidence]:
    return [
        Evidence(f"{d.section}: {d.name} {d.version}".strip(), path, side=side) for path, d in found
    ]


def is_dependency(name: str, facts: Facts) -> bool:
    """Whether a changed manifest has it, before or after."""
    before, after = facts.dependencies
    return bool(_of(name, before) or _of(name, after))


def judge_dependency(claim: Claim, facts: Facts) -> Judgement:
    """A dependency that is said to have been added, removed, moved, bumped; or none to be new."""
    before, after = facts.dependencies
    if claim.action is Action.KEEP:
        return _nothing_new(claim, facts)
    old, new = _of(claim.target, before), _of(claim.target, after)
    if claim.action is Action.ADD:
        return _added(claim, old, new, facts)
    if claim.action is Action.REMOVE:
        return _removed(claim, old, new, facts)
    if claim.action is Action.MOVE:
        return _moved(claim, old, new, facts)
    return _bumped(claim, old, new, facts)


def _nothing_new(claim: Claim, facts: Facts) -> Judgement:
    before, after = facts.dependencies
    known = {d.name for dependencies in before.values() for d in dependencies}
    came = [
        (path, dependency)
        for path, dependencies in sorted(after.items())
        for dependency in sorted(dependencies)
        if dependency.name not in known
    ]
    if facts.unread_manifests and not came:
        return unverifiable(f"{shown(facts.unread_manifests[0])} is not understood")
    if not came:
        return backed("no changed manifest has a new one")
    if claim.scoped or all(path not in before for path, _ in came):
        return unverifiable("a manifest is new, or it is said of a part", _evidence(came))
    own = {name for path in after for name in _own_names(path, facts)}
    fresh = [(path, d) for path, d in came if d.name not in own]
    if not fresh:
        return unverifiable("what is new is the project's own", _evidence(came))
    if set(facts.all_dependencies) - set(before):
        known |= {
            d.name
            for path, dependencies in facts.all_dependencies.items()
            if path not in after
            for d in dependencies
        }
        fresh = [(path, d) for path, d in fresh if d.name not in known]
        if not fresh:
            return unverifiable("another manifest had it before", _evidence(came))
    fresh = [(path, d) for path, d in fresh if not _was_locked(d.name, facts)]
    if not fresh:
        return unverifiable("it was there before, for another dependency", _evidence(came))
    return contradicted("a manifest has a new one", _evidence(fresh))


def _was_locked(name: str, facts: Facts) -> bool:
    """Whether a lock file had it before, because something else depends on it."""
    found = facts.repository.find(facts.repository.parent(facts.commit), name, word=False)
    return any(is_lock(line.path) for line in found.lines)


def _own_names(path: str, facts: Facts) -> Iterator[str]:
    """What a manifest calls its own project: extras of it may name it."""
    for change in facts.files:
        if change.path == path:
            text = facts.source(change, after=True).text
            match = re.search(r"^\s*\"?name\"?\s*[=:]\s*\"([^\"]+)\"", text, re.M)
            if match:
                yield normalised(match[1])


def _added(
    claim: Claim,
    old: list[tuple[str, Dependency]],
    new: list[tuple[str, Dependency]],
    facts: Facts,
) -> Judgement:
    fresh = [
        item for item in new if (item[0], item[1].section) not in {(p, d.section) for p, d in old}
    ]
    if fresh:
        return backed("a manifest has it now, and had it not", _evidence(fresh))
    if old and new and not facts.opaque:
        return contradicted("the manifests had it before", _evidence(new))
    if _in_changed_lines(claim.target, facts):
        return unverifiable("changed lines name it, no manifest that is read does")
    there = _of(claim.target, facts.all_dependencies)
    if there:
        return contradicted("the manifests had it before", _evidence(there))
    if not facts.all_dependencies or facts.opaque:
        return unverifiable("no manifest is read")
    return contradicted(
        "no manifest has it",
        [Evidence("not in it", path) for path in sorted(facts.all_dependencies)],
    )


def _in_changed_lines(name: str, facts: Facts) -> bool:
    short = name.rsplit("/", 1)[-1]
    return any(facts.lines_with(short, added=added, word=False) for added in (True, False))


def _removed(
    claim: Claim,
    old: list[tuple[str, Dependency]],
    new: list[tuple[str, Dependency]],
    facts: Facts,
) -> Judgement:
    gone = [
        item for item in old if (item[0], item[1].section) not in {(p, d.section) for p, d in new}
    ]
    if gone:
        return backed("a manifest had it, and has it no more", _evidence(gone, "old"))
    if _in_changed_lines(claim.target, facts) and not new:
        return unverifiable("changed lines name it, no manifest that is read does")
    there = _of(claim.target, facts.all_dependencies)
    if there and not facts.opaque:
        return contradicted("the manifests still have it", _evidence(there))
    return unverifiable("no manifest had it")


def _moved(
    claim: Claim,
    old: list[tuple[str, Dependency]],
    new: list[tuple[str, Dependency]],
    facts: Facts,
) -> Judgement:
    wanted = re.sub(r"^the\s+|[\[\]]", "", claim.other).replace(" ", "-")
    wanted = wanted.replace("development-", "dev-").replace("runtime-dependencies", "dependencies")
    kept = {(path, d.section) for path, d in old}
    came = [(path, d) for path, d in new if (path, d.section) not in kept]
    fitting = [(path, d) for path, d in came if _is_section(wanted, d.section)]
    if fitting:
        return backed("it is in that section now", _evidence(fitting))
    if came:
        return unverifiable("it is in another section now", _evidence(came))
    there = _of(claim.target, facts.all_dependencies)
    if there and not any(_is_section(wanted, d.section) for _, d in there) and not facts.opaque:
        return contradicted("it is in no such section", _evidence(there))
    return unverifiable(
        "no changed manifest has it in another section than before", _evidence(there)
    )


def _is_section(wanted: str, section: str) -> bool:
    plain = section.replace("devDependencies", "dev-dependencies").replace(
        "peerDependencies", "peer-dependencies"
    )
    tail = wanted.replace("devDependencies", "dev-dependencies").rsplit(".", 1)[-1]
    if tail == "dependencies":
        return plain.rsplit(".", 1)[-1] == "dependencies" or plain == "require"
    short = tail.removesuffix("-dependencies")
    return short in re.split(r"[.-]", plain)


def _bumped(
    claim: Claim,
    old: list[tuple[str, Dependency]],
    new: list[tuple[str, Dependency]],
    facts: Facts,
) -> Judgement:
    kept = {(path, d.section): d.version for path, d in old}
    changed = [(path, d) for path, d in new if kept.get((path, d.section), d.version) != d.version]
    said = _plain_version(claim.new)
    fitting = [(path, d) for path, d in changed if _names_version(d.version, said)]
    if fitting:
        return backed("a manifest asks for that version", _evidence(fitting))
    if any(is_lock(change.path) for change in facts.files):
        lines = facts.lines_with(claim.new.lstrip("v^~=<>"), added=True)
        if lines:
            return backed("a lock file has that version", lines)
        return unverifiable("a lock file is changed, that version is not seen in it")
    short = claim.target.rsplit("/", 1)[-1]
    lines = [line for line in facts.lines_with(short, added=True) if said in line.text]
    if lines:
        return backed("an added line has both", lines)
    if changed and not facts.opaque:
        return contradicted("a manifest asks for another version", _evidence(changed))
    there = _of(claim.target, facts.all_dependencies)
    asked = [(path, d) for path, d in there if re.search(r"\d", d.version)]
    if asked and len(asked) == len(there) and not facts.opaque:
        if not any(_names_version(d.version, said) for _, d in asked):
            return contradicted("the manifests ask for another version", _evidence(asked))
        return unverifiable("the manifests asked for that version before", _evidence(asked))
    return unverifiable("no manifest that is read asks for a version of it", _evidence(there))


def _plain_version(text: str) -> str:
    return re.sub(r"(?:\.[x*])+$", "", text.lstrip("v^~=<>").strip())


def _names_version(asked: str, said: str) -> bool:
    """Whether what is asked for has the version in it, or one begins with the other."""
    for found in re.findall(r"\d+(?:\.\d+)*(?:[-+.]?[A-Za-z][\w.]*)?", asked):
        short, long = sorted((found, said), key=len)
        if long == short or long.startswith(f"{short}."):
            return True
    return False
