"""Claims about names in programs: added, removed, renamed, wired."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from lakecore.auditor._facts import Facts, as_evidence
from lakecore.auditor._model import Claim, Evidence
from lakecore.auditor._uses import Use
from lakecore.auditor._verdicts import Judgement, backed, contradicted, unverifiable
from lakecore.auditor._words import PARTS, last_name
from lakecore.code import Line, Symbol, is_document, is_test_path


def _name_of(text: str) -> str:
    return text.lstrip("-") if text.startswith("--") else last_name(text)


def _lines(lines: Iterable[Line], side: str = "new") -> list[Evidence]:
    return [as_evidence(line.path, line.line, line.text, side=side) for line in lines]


def _defined(use: Use) -> list[Evidence]:
    return [
        Evidence(f"{symbol.kind} {symbol.qualified}", path, symbol.start_line)
        for path, symbol in use.definitions
    ]


def _named_file(name: str, facts: Facts, *, old: bool = False) -> list[Evidence]:
    """Changed files and folders that are called so: a module is a name, too."""
    found = []
    for change in facts.files:
        path = PurePosixPath(change.old_path if old else change.path)
        if name in (*path.parts, path.stem):
            found.append(Evidence(change.kind.value, str(path), side="old" if old else "new"))
    return found


def judge_added(claim: Claim, facts: Facts) -> Judgement:
    """``add `x```: an added line has it, or it is the name of a new file."""
    name = _name_of(claim.target)
    lines = facts.lines_with(name, added=True)
    if lines:
        definitions = [
            Evidence(f"defines {symbol.kind} {symbol.qualified}", path, symbol.start_line)
            for path, symbol in facts.use(name).definitions
            if any(line.path == path for line in lines)
        ]
        return backed("it is in added lines", [*definitions, *lines])
    files = [e for e in _named_file(name, facts) if e.text in ("added", "renamed", "copied")]
    if files:
        return backed("a new file is called so", files)
    near = facts.lines_with(name, added=True, word=False)
    if near:
        return unverifiable("added lines have it in another spelling", near)
    if facts.opaque:
        return unverifiable(f"not all lines can be read: {facts.opaque}")
    use = facts.use(name)
    if claim.unit.startswith("test") or not _is_shaped(claim):
        return unverifiable("no added line has it; it may be a word for something else")
    if use.anywhere:
        return contradicted(
            "no added line has it; it was there before",
            [*_defined(use), *_lines(use.references), *_lines(use.mentions)],
        )
    return contradicted("neither an added line nor the tree has it", [Evidence("0 lines", count=0)])


def _is_shaped(claim: Claim) -> bool:
    """Whether a name can only be one of a program: a plain word is often that of an idea."""
    name = claim.target
    if last_name(name).isupper() and name.endswith("()"):
        # `app.VERB()`: any of several.
        return False
    nouns = ("function", "method", "class", "struct", "enum", "trait", "constant", "variable")
    if claim.unit.startswith(nouns) or name.endswith("()") or name.startswith("--"):
        return True
    return bool(re.search(r"\w_\w|[a-z0-9][A-Z]|::|\w\.\w|^_\w", name))


def judge_removed(claim: Claim, facts: Facts) -> Judgement:
    """``remove `x```: removed lines have it, and what it names is not defined any more."""
    name = _name_of(claim.target)
    use = _of_that_name(claim.target, facts.use(name))
    if claim.unit == "all references":
        return _no_references(use)
    lines = facts.lines_with(name, added=False)
    if not lines:
        return _nothing_removed(claim, name, use, facts)
    if not use.anywhere and use.whole:
        return backed("it is gone from the tree", lines)
    before = _of_that_name(claim.target, facts.use(name, after=False))
    if len(use.definitions) < len(before.definitions):
        reason = "its definition is gone"
        if use.definitions:
            reason = "a definition of it is gone, others of that name stay"
        return backed(reason, lines)
    fewer = facts.count_lines(name, added=False) > facts.count_lines(name, added=True)
    part = bool(PARTS.match(claim.unit)) or claim.scoped or claim.target.startswith("-")
    if fewer and (part or not use.definitions):
        return backed("removed lines have it", lines)
    if fewer or part or not _same_definitions(before, use) or facts.opaque:
        return unverifiable("removed lines have it, and it is still there", lines)
    return contradicted("it is still defined, and used as often as before", _defined(use))


def _of_that_name(target: str, use: Use) -> Use:
    """`Store.close` is not what another class calls so."""
    *outer, _ = re.split(r"::|\.|#|->", target.rstrip("!").removesuffix("()").lstrip("-"))
    if not outer:
        return use
    definitions = tuple(
        (path, symbol)
        for path, symbol in use.definitions
        if outer[-1] in symbol.container.split(".") or outer[-1] == PurePosixPath(path).stem
    )
    return replace(use, definitions=definitions)


def _same_definitions(before: Use, after: Use) -> bool:
    """Whether the name is defined once, before and after, in the same place."""
    if len(before.definitions) != 1 or len(after.definitions) != 1:
        return False
    old, new = before.definitions[0], after.definitions[0]
    return old[0] == new[0] and old[1].qualified == new[1].qualified


def _no_references(use: Use) -> Judgement:
    left = [*use.references, *use.imports]
    if left:
        return contradicted("it is still used", _lines(left))
    if not use.whole:
        return unverifiable("it is in more files than are read")
    code = [line for line in use.mentions if not is_document(line.path)]
    if code:
        return unverifiable("no code uses it; its name is left in these lines", _lines(code))
    return backed("nothing uses it any more")


def _nothing_removed(claim: Claim, name: str, use: Use, facts: Facts) -> Judgement:
    files = [e for e in _named_file(name, facts, old=True) if e.text in ("removed", "renamed")]
    if files:
        return backed("a file that is called so is gone", files)
    if facts.opaque:
        return unverifiable(f"not all lines can be read: {facts.opaque}")
    if claim.scoped or claim.unit.startswith("test"):
        return unverifiable("no removed line names it; what it is removed from is not known")
    if facts.lines_with(name, added=False, word=False):
        return unverifiable("removed lines have it in another spelling")
    if use.definitions:
        return contradicted("no removed line has it, and it is still defined", _defined(use))
    option = [line for line in use.mentions if not is_document(line.path)]
    if claim.target.startswith("--") and option:
        return contradicted("no removed line has it, and it is still there", _lines(option))
    return unverifiable("it is not known what this names")


def judge_renamed(claim: Claim, facts: Facts) -> Judgement:
    """``rename `a` to `b```: `b` is in added lines, `a` in removed ones."""
    old, new = _name_of(claim.target), _name_of(claim.other)
    came = facts.lines_with(new, added=True)
    went = facts.lines_with(old, added=False)
    if came and went:
        before, after = facts.use(old, after=False), facts.use(old)
        if before.definitions and len(after.definitions) >= len(before.definitions):
            if _same_definitions(before, after) and not facts.use(new).definitions:
                return contradicted(f"{old} is still defined, {new} is not", _defined(after))
            return unverifiable(f"{old} is still defined", [*_defined(after), *came])
        return backed(f"{old} is in removed lines, {new} in added ones", [*came, *went])
    if _named_file(old, facts, old=True) and _named_file(new, facts):
        return backed("a file was renamed so", _named_file(new, facts))
    if facts.opaque:
        return unverifiable(f"not all lines can be read: {facts.opaque}")
    if not came and facts.lines_with(new, added=True, word=False):
        return unverifiable("added lines have it in another spelling")
    if not came and not _named_file(new, facts):
        found = facts.use(new)
        return contradicted(
            f"no added line has {new}",
            [*_defined(found), *_lines(found.references)] or [Evidence("0 lines", count=0)],
        )
    left = facts.use(old)
    if not went and left.definitions and not _named_file(old, facts, old=True):
        return contradicted(f"no removed line has {old}, and it is still defined", _defined(left))
    return unverifiable("the old name is not known here")


def judge_wired(claim: Claim, facts: Facts) -> Judgement:
    """``wire `x```: something that is no test uses it."""
    name = _name_of(claim.target)
    use = facts.use(name)
    if not use.definitions:
        if use.anywhere:
            return unverifiable(
                "it is not defined in a language with symbols", _lines(use.mentions)
            )
        return unverifiable("it is not known what this names")
    inside = {
        (path, line)
        for path, symbol in use.definitions
        for line in range(symbol.start_line, symbol.end_line + 1)
    }
    outside = [line for line in use.references if (line.path, line.line) not in inside]
    if outside:
        fresh = facts.lines_with(name, added=True)
        new = {(evidence.path, evidence.line) for evidence in fresh}
        first = [line for line in outside if (line.path, line.line) in new]
        reason = "it is used by code that is no test"
        return backed(reason, _lines([*first, *(line for line in outside if line not in first)]))
    if not use.whole or facts.opaque:
        return unverifiable("not everything could be read")
    symbols: list[Symbol] = [symbol for _, symbol in use.definitions]
    if any(symbol.decorators for symbol in symbols):
        return unverifiable("no code names it, a decorator or attribute may", _defined(use))
    elsewhere = [
        line
        for line in use.mentions
        if not is_test_path(line.path)
        and not is_document(line.path)
        and (line.path, line.line) not in inside
        and not line.text.strip().startswith(("#", "//", "*", "/*"))
    ]
    if use.imports or elsewhere:
        return unverifiable("no code uses it; these lines may", _lines([*use.imports, *elsewhere]))
    return contradicted("nothing but its definition and tests has it", _defined(use))
