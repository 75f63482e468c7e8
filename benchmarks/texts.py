"""Real short texts: sentences of the documentation in the packages that are installed."""

from __future__ import annotations

import ast
import random
import re
import sysconfig
from pathlib import Path
from typing import Final

_SPLIT: Final = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_DEFINITIONS: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def sentences(count: int) -> list[str]:
    """So many different sentences of 30 to 160 characters, in an order that does not change."""
    files = sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.py"))
    random.Random(7).shuffle(files)
    found: dict[str, None] = {}
    for file in files:
        try:
            tree = ast.parse(file.read_text(errors="ignore"))
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, _DEFINITIONS) and (text := ast.get_docstring(node)):
                found |= dict.fromkeys(filter(_is_prose, map(_line, _SPLIT.split(text))))
        if len(found) >= count:
            break
    return list(found)[:count]


def _line(text: str) -> str:
    return " ".join(text.split())


def _is_prose(text: str) -> bool:
    letters = sum(one.isalpha() or one == " " for one in text)
    return 30 <= len(text) <= 160 and text.count(" ") >= 4 and letters > 0.85 * len(text)
