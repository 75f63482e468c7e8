"""The report as a page: all of it text, nothing loaded, every number with what it rests on."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from lakecore.review import Memory, PageFacts, Pair, Point, State, TrustProfile, report_page
from lakecore.review._finding import Finding
from lakecore.review._memory import FileMemory, Tracked
from lakecore.review._page import MAX_FINDINGS
from lakecore.review._page_parts import Share, stacked_bars, text

MARKS = '</pre></style></title><script>alert(1)</script><img src=x onerror="a()">'
HOSTILE = f"{MARKS} '&#60;\u202e\udc80\x1b"
PATH = f"src/{HOSTILE}.py"
NOW = datetime(2026, 5, 4, 3, 2, tzinfo=UTC)
MODEL = f"qwen{HOSTILE}"


def row(iteration: int, score: float | None, **given: Any) -> dict[str, Any]:
    """A row of `system.reviews`."""
    return {
        "iteration": iteration,
        "path": PATH,
        "purpose": "review",
        "time": NOW,
        "score": score,
        "confirmed_score": score,
        "attempts": 1,
        "output_format": "json",
        "verified_components_count": 2,
        "gradient_tier": "sim",
        "cost_microusd": 1_500,
        **given,
    }


def facts(**given: Any) -> PageFacts:
    """A file of a hostile name with three findings, after two iterations."""
    finding = Finding(
        *("security", PATH, HOSTILE, f"{HOSTILE}\nand more", HOSTILE, "critical", 3, 4, 0.5)
    )
    tracked = {
        state.value: Tracked(
            f"{state.value}-{HOSTILE}", replace(finding, line=at), state, MODEL, "qwen", HOSTILE
        )
        for at, state in enumerate((State.NEW, State.CLAIMED_FIXED, State.CONFIRMED_FIXED), 1)
    }
    points = [Point(score, frozenset(), 8.0) for score in (4.0, 6.0)]
    file = FileMemory(PATH, "b" * 40, "r" * 40, 4.0, tracked, points)
    pairs = [Pair(4.0, 5.0, frozenset("ab"), frozenset("a"))] * 6
    memory = Memory(2, "r" * 40, {PATH: file}, pairs)
    rows = [row(1, 4.0), row(2, 6.0, attempts=2), row(2, None, purpose="blind")]
    trust = [TrustProfile(MODEL, 3, 1, 9, 1, 20, 5)]
    made = PageFacts(f"rules{HOSTILE}", "b" * 16, memory, rows, trust, NOW, "1.0")
    return replace(made, **given)


class Page(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "rect", "path", "circle"):
            self.tags[tag] -= 1

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_others_wrote_is_text() -> None:
    """Marks of HTML in a name, a claim, a quote or a model's name make no element of any kind."""
    page = report_page(facts())
    found = Page(page)
    assert set(found.tags) <= KNOWN
    assert {tag: n for tag, n in found.tags.items() if n and tag not in _VOID} == {}
    names = {name for name, _ in found.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("href", "src", "style")}
    assert "<script>alert(1)</script>" in found.text  # shown, as text
    assert "⟨202E⟩⟨DC80⟩⟨001B⟩" in found.text
    page.encode()  # no half of a character is left


KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "section", "div"),
    *("table", "thead", "tbody", "tr", "th", "td", "code", "svg", "path", "circle", "rect"),
    *("text", "details", "summary", "b", "span", "pre"),
}
_VOID = ("meta", "path", "circle", "rect")


def test_nothing_is_loaded() -> None:
    """The policy allows the page's own style, by its hash; no address is in the page."""
    page = report_page(facts())
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert not re.search(r"https?:|//|url\(|@import|javascript:", page)
    assert "prefers-color-scheme:dark" in style


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Open findings", ["2", "3"]),
        ("Fixes confirmed", ["1", "3"]),
        ("Mean model score", ["6.00", "1", "4.61 to 7.39"]),
        ("Accepted at first attempt", ["0", "1", "0% to 79%"]),
        ("Verified components", ["2", "1"]),
        ("Noise: sigma of a score", ["0.71", "6"]),
        ("Noise: found again", ["67%", "6"]),
        ("Cost of this iteration", ["$0.0030", "2"]),
    ],
)
def test_every_number_has_what_it_rests_on(name: str, cells: list[str]) -> None:
    """Value, n, interval where there is one, and its source."""
    page = report_page(facts())
    [line] = re.findall(rf"<tr><td>{name}</td>(.*?)</tr>", page)
    found = re.findall(r"<td[^>]*>(.*?)</td>", line)
    assert found[: len(cells)] == cells
    assert len(found) == 5
    assert found[4].startswith("<code>")


def test_what_is_not_known_is_no_number() -> None:
    """No score, no floor: a dash and a word, not 0."""
    memory = Memory(1, "r" * 40, {PATH: FileMemory(PATH)})
    page = report_page(facts(memory=memory, rows=[row(1, None)], trust=[]))
    assert "no floor below 5 pairs" in page
    assert not re.search(r">(0\.00|0%|nan)<", page)
    assert page.count(">–<") >= 10
    some = Page(report_page(facts(memory=replace(facts().memory, pairs=[]))))
    assert "no floor yet" in some.text
    nothing = Page(report_page(facts(memory=Memory(), rows=[])))
    assert "Nothing was reviewed yet" in nothing.text


def test_it_is_bounded() -> None:
    """Beyond a bound it is said how many are not shown; long texts are cut."""
    memory = facts().memory
    [file] = memory.files.values()
    one = file.tracked["new"]
    many = {f"{n}": replace(one, id=f"{n}") for n in range(MAX_FINDINGS + 7)}
    page = report_page(facts(memory=replace(memory, files={PATH: replace(file, tracked=many)})))
    assert "7 more are not shown" in page
    assert page.count("<details>") == MAX_FINDINGS
    assert len(text("x" * 10_000)) < 4_100


def test_a_narrow_part_of_a_bar_still_has_its_number() -> None:
    """The words go before the number does."""
    bars = [[Share("↑ rose", "up", 100), Share("↓ fell", "down", 8), Share("= same", "same", 4)]]
    said = re.findall(r"<text class=on[^>]*>(.*?)</text>", stacked_bars(["1"], bars, title="x"))
    assert said == ["↑ rose 100", "↓ 8", "4"]
