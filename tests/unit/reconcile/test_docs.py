"""The examples of docs/verify.md run."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from lakecore.app import open_lake
from lakecore.reconcile import _words as words

PAGE = (Path(__file__).parents[3] / "docs" / "verify.md").read_text(encoding="utf-8")
PYCON = re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL)


def test_the_sessions_run(tmp_path: Path) -> None:
    """The Python on the page answers what the page says."""
    assert len(PYCON) == 3
    place = tmp_path / "lake"
    with open_lake(str(place), actor="ada") as lake:
        names = {"lake": lake, "place": place}
        test = doctest.DocTestParser().get_doctest(
            "\n".join(PYCON), names, "verify.md", "verify.md", 0
        )
        assert doctest.DocTestRunner().run(test).failed == 0


def test_every_finding_is_on_the_page() -> None:
    """What verifying says is explained, in its own words."""
    said = [
        words.foreign("p"),
        words.rewritten("p", "a", "b"),
        words.gone_in_the_middle("p"),
        words.other_table("p", "a", "b"),
        words.unregistered("p"),
        words.unreadable("p", "e"),
        words.changed_file("p", "a", "b"),
        words.checkpoint("p", "leaves out x"),
        words.wrong_events("p", "x"),
    ]
    explained = re.findall(r"^\| \*(.*?)\*", PAGE, re.MULTILINE)
    assert len(explained) == 16
    for sentence in said:
        assert any(text.split("…")[0].strip() in sentence for text in explained), sentence
