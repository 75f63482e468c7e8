"""One identity over a generated history of edits, whose truth is known."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from lakecore.review import Finding, RawFinding, ground, line_map, match

CATEGORIES = ("correctness", "security", "error-handling")
EDITS = ("insert", "move", "reindent", "rename symbol", "tweak", "delete", "rename file", "split")


@dataclass
class Statement:
    """A line of a generated file; some are faults, known by `name`."""

    text: str
    name: str | None = None
    category: str = ""


@dataclass
class Function:
    name: str
    body: list[Statement]


class File:
    """A file of functions with planted faults; edits keep account of which is which."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.path = "src/module.py"
        self.functions = [self._function(number) for number in range(self.random.randint(4, 9))]

    def _function(self, number: int) -> Function:
        body = []
        for at in range(self.random.randint(3, 8)):
            verb = self.random.choice(("load", "store", "merge", "check", "drop", "count"))
            text = f"{verb}_{number}_{at} = {verb}(source, {self.random.randrange(90)})"
            body.append(Statement(text))
            if self.random.random() < 0.25:
                body[-1].name = f"{number}.{at}"
                body[-1].category = self.random.choice(CATEGORIES)
        return Function(f"step_{number}", body)

    def text(self) -> str:
        lines = []
        for function in self.functions:
            lines += [f"def {function.name}(source):"]
            lines += [f"    {one.text}" for one in function.body] + ["    return source", ""]
        return "\n".join(lines)

    def review(self) -> tuple[list[Finding], list[str]]:
        """All the faults as findings, and which they are."""
        symbols = []
        for function in self.functions:
            symbols += [function.name] * (len(function.body) + 3)
        faults = [one for function in self.functions for one in function.body if one.name]
        self.random.shuffle(faults)
        raw = [RawFinding(one.category, one.text, "wrong", "major") for one in faults]
        grounded = ground(raw, self.path, self.text(), lambda line: symbols[line - 1])
        assert not grounded.refused
        return list(grounded.findings), [str(one.name) for one in faults]

    def edit(self, kind: str) -> None:
        function = self.random.choice(self.functions)
        one = self.random.choice(function.body)
        if kind == "insert":
            at = self.random.randrange(len(function.body))
            function.body.insert(at, Statement(f"log(source, {self.random.randrange(99)})"))
        elif kind == "move":
            self.random.shuffle(self.functions)
        elif kind == "reindent":
            one.text = one.text.replace(" = ", "  =  ")
        elif kind == "rename symbol":
            function.name = f"{function.name}_renamed"
        elif kind == "tweak":
            one.text = one.text.replace("(source, ", "(source, 1")
        elif kind == "delete":
            function.body.remove(one)
            function.body.append(Statement("pass"))
        elif kind == "rename file":
            self.path = f"src/renamed_{self.random.randrange(9)}.py"
        elif len(function.body) > 3:
            half = len(function.body) // 2
            self.functions.append(Function(f"{function.name}_rest", function.body[half:]))
            function.body = function.body[:half]


def pairs_of(seed: int, kinds: tuple[str, ...], edits: int) -> tuple[int, int, int]:
    """(right, wrong, missed) pairs after some edits."""
    file = File(seed)
    old, names = file.review()
    before = file.text()
    for _ in range(edits):
        file.edit(file.random.choice(kinds))
    new, names_after = file.review()
    path = file.path
    found = match(old, new, line_of=line_map(before, file.text()), new_path=path)
    paired = {(names[row], names_after[column]) for row, column in found.pairs}
    true = {(name, name) for name in names if name in names_after}
    return len(paired & true), len(paired - true), len(true - paired)


@pytest.mark.parametrize("kinds", [*((kind,) for kind in EDITS), EDITS], ids=[*EDITS, "all"])
def test_precision_and_recall(kinds: tuple[str, ...]) -> None:
    """At least 95 % of pairs are right, and 90 % are found, for each kind of edit."""
    right = wrong = missed = 0
    for seed in range(120):
        some = pairs_of(seed, kinds, edits=3)
        right, wrong, missed = right + some[0], wrong + some[1], missed + some[2]
    precision, recall = right / (right + wrong), right / (right + missed)
    print(f"{kinds}: precision {precision:.3f}, recall {recall:.3f} of {right + missed}")
    assert precision >= 0.95
    assert recall >= 0.90


def test_a_wording_and_a_line_are_no_identity() -> None:
    """Category and code make a finding, not words or lines."""
    old = Finding("security", "a.py", "f", "eval(text)", "one", "major", 10, 10)
    new = Finding("correctness", "a.py", "f", "eval(text)", "one", "major", 10, 10)
    assert match([old], [new]).pairs == ()
    other = Finding("security", "a.py", "f", "eval(text)", "in other words", "minor", 99, 99)
    assert match([old], [other]).pairs == ((0, 0),)


def test_nothing_to_pair() -> None:
    """Without a counterpart findings are lost or fresh."""
    one = Finding("security", "a.py", "f", "eval(text)", "one", "major", 10, 10)
    assert match([], [one]).fresh == (0,)
    assert match([one], []).lost == (0,)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a\nb\nc", "a\nx\nb\nc", {1: 1, 2: 3, 3: 4}),
        ("a\nb\nc", "a\nc", {1: 1, 2: None, 3: 2}),
        ("a\nb\nc", "a\nB\nc", {1: 1, 2: 2, 3: 3}),
        ("", "a", {1: None}),
    ],
)
def test_line_map(old: str, new: str, expected: dict[int, int | None]) -> None:
    """Lines before and after an edit."""
    line_of = line_map(old, new)
    assert {line: line_of(line) for line in expected} == expected
