"""A set of files to try a reviewer on: some with one fault, and the same without.

A folder holds it, to be looked at and kept under version control:

    set.json       which cases there are: a text, and of a fault its line before and after
    texts/0.txt …  the texts as they are when nothing is wrong

A fault is one line, so that a text is stored once however many faults are planted in it. The id
of a set is the hash of all of it: what was measured on another set is not compared.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lakecore.base import CorruptData, InvalidInput, NotFound
from lakecore.base.limits import MIB
from lakecore.review._control import plant

FILE_NAME: Final = "set.json"
FOLDER_NAME: Final = "texts"
VERSION: Final = 1
MAX_CASES: Final = 1_000
MAX_TEXT_BYTES: Final = 1 * MIB
MAX_MANIFEST_BYTES: Final = 4 * MIB
_NAME: Final = re.compile(r"[0-9a-zA-Z_-]{1,64}\.txt")


@dataclass(frozen=True, slots=True)
class Case:
    """A text to be reviewed.

    Attributes:
        path: what the reviewer is told; the same with and without the fault.
        line: of the fault, from 1; 0: there is none.
        before, after: that line.
        killed_by: the test that fails with the fault; empty: nobody looked.
    """

    text: str
    path: str
    line: int = 0
    before: str = ""
    after: str = ""
    what: str = ""
    killed_by: str = ""

    @property
    def is_planted(self) -> bool:
        """Whether it has a fault."""
        return self.line > 0

    @property
    def id(self) -> str:
        """12 hexadecimal digits, of what is reviewed."""
        told = f"{self.path}\0{self.line}\0{self.after}\0{self.text}"
        return hashlib.sha256(told.encode(errors="replace")).hexdigest()[:12]

    def shown(self) -> str:
        """The text with its fault."""
        if not self.is_planted:
            return self.text
        lines = self.text.splitlines(keepends=True)
        ended = lines[self.line - 1]
        end = ended[len(ended.rstrip("\r\n")) :]
        return "".join([*lines[: self.line - 1], self.after + end, *lines[self.line :]])


@dataclass(frozen=True, slots=True)
class CaseSet:
    """Cases that belong together."""

    cases: tuple[Case, ...]

    @property
    def id(self) -> str:
        """16 hexadecimal digits, of all that is reviewed."""
        told = "\n".join(sorted(case.id for case in self.cases))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def planted(self) -> int:
        """How many have a fault."""
        return sum(case.is_planted for case in self.cases)


def make_cases(texts: Iterable[tuple[str, str]], *, seed: str, each: int = 1) -> CaseSet:
    """Plant faults in texts, and put the same without one beside them.

    Args:
        texts: (path, text); one that has no line for a fault is left out.
        each: faults in a text, in a copy each.
    """
    cases: list[Case] = []
    for path, text in texts:
        taken: set[int] = set()
        for number in range(each):
            control = plant(text, f"{seed}\0{path}\0{number}", avoid=taken)
            if control is None:
                break
            taken.add(control.line)
            before, after = (whole.splitlines()[control.line - 1] for whole in (text, control.text))
            cases.append(Case(text, path, control.line, before, after, control.what))
        # A clean text counts once, however often it would be listed.
        if taken:
            cases.append(Case(text, path))
    return _checked(cases)


def write_cases(folder: Path, cases: CaseSet) -> None:
    """Write a set. Raises `InvalidInput` where another one is."""
    if (folder / FILE_NAME).exists() and read_cases(folder).id != cases.id:
        raise InvalidInput("another set is there", where=folder, hint="choose another folder")
    (folder / FOLDER_NAME).mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    for case in cases.cases:
        if case.text not in names:
            names[case.text] = f"{len(names)}.txt"
            file = folder / FOLDER_NAME / names[case.text]
            file.write_text(case.text, encoding="utf-8", newline="")
    body = {"version": VERSION, "id": cases.id, "cases": [_body(c, names) for c in cases.cases]}
    # The manifest last: a folder without one is no set.
    (folder / FILE_NAME).write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8")


def has_cases(folder: Path) -> bool:
    """Whether there is a set."""
    return (folder / FILE_NAME).is_file()


def read_cases(folder: Path) -> CaseSet:
    """A set that was written.

    Raises:
        NotFound: there is none.
        CorruptData: it is not what was written; what, and where.
    """
    file = folder / FILE_NAME
    try:
        data = _bounded(file, MAX_MANIFEST_BYTES)
    except FileNotFoundError as error:
        raise NotFound("there is no set of cases", expected=FILE_NAME, where=folder) from error
    try:
        body = json.loads(data)
        version, listed = body["version"], body["cases"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptData("not a set of cases", where=file) from error
    if version != VERSION:
        raise CorruptData("a set of another format", expected=VERSION, found=version, where=file)
    if not isinstance(listed, list):
        raise CorruptData("not a set of cases", where=file)
    texts: dict[str, str] = {}
    found = _checked(
        [_case(one, folder / FOLDER_NAME, texts, file) for one in listed[: MAX_CASES + 1]]
    )
    if found.id != body.get("id"):
        raise CorruptData(
            "the set is not what was written", expected=body.get("id"), found=found.id, where=file
        )
    return found


def _body(case: Case, names: Mapping[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {"id": case.id, "text": names[case.text], "path": case.path}
    if case.is_planted:
        body |= {"line": case.line, "before": case.before, "after": case.after, "what": case.what}
    return body | ({"killed_by": case.killed_by} if case.killed_by else {})


def _case(body: Any, folder: Path, texts: dict[str, str], where: Path) -> Case:
    try:
        name, path, line = body["text"], body["path"], body.get("line", 0)
        words = [body.get(key, "") for key in ("before", "after", "what", "killed_by")]
    except (KeyError, TypeError, AttributeError) as error:
        raise CorruptData("not a case", where=where) from error
    if not isinstance(line, int) or not all(isinstance(one, str) for one in (name, path, *words)):
        raise CorruptData("not a case", where=where)
    if not _NAME.fullmatch(name):  # nothing outside of the folder is read
        raise CorruptData("not the name of a text", found=name[:80], where=where)
    if name not in texts:
        try:
            texts[name] = _bounded(folder / name, MAX_TEXT_BYTES).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise CorruptData("a text is missing or no UTF-8", where=folder / name) from error
    case = Case(texts[name], path, line, *words)
    if line and (
        not 0 < line <= len(lines := case.text.splitlines()) or lines[line - 1] != words[0]
    ):
        raise CorruptData("the line of a fault is not in its text", found=line, where=where)
    return case


def _checked(cases: Sequence[Case]) -> CaseSet:
    if not cases or len(cases) > MAX_CASES:
        raise InvalidInput("not a set", expected=f"1 to {MAX_CASES} cases", found=len(cases))
    return CaseSet(tuple(cases))


def _bounded(file: Path, most: int) -> bytes:
    with file.open("rb") as opened:
        data = opened.read(most + 1)
    if len(data) > most:
        raise CorruptData("a file of the set is too large", expected=f"{most} bytes", where=file)
    return data
