"""Each view on a lake with something of everything, and on one with nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import keep_screen
from tests.browser.lakes import HOSTILE
from tests.browser.looking import log_in, settle, violations
from tests.gateways import Served, serving

VIEWS = {
    "home": "/",
    "lake": "/lake",
    "dataset": "/lake/planes",
    "columns": "/lake/planes?tab=columns",
    "versions": "/lake/planes?tab=versions",
    "quality": "/lake/airports?tab=quality",
    "sql": "/sql?q=select%20*%20from%20planes",
    "load": "/load",
    "journal": "/journal",
    "journal-live": "/journal?live=1",
    "entity": "/journal/entity/planes/N10156",
    "proof": "/journal/proof/{event}",
    "changes": "/changes",
    "change": "/changes/{change}",
}
ALIKE = ("columns", "versions", "quality", "journal-live", "changes", "lake")
"""They have no colours that others have not."""

PICTURES = ("home", "lake", "dataset", "journal", "entity", "proof", "change")


def paths(served: Served) -> dict[str, str]:
    """The views' addresses in this lake."""
    event = served.lake.history("planes", "N10156")[-1].event_id
    change = served.lake.pending()[0].id
    return {name: path.format(event=event, change=change) for name, path in VIEWS.items()}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_can_be_read_by_everybody(full: Served, page: Page, theme: str) -> None:
    """WCAG AA by axe-core; nothing of what others wrote runs; no error in the console."""
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of its words
    url = log_in(page, full)
    found: dict[str, list[str]] = {}
    for name, path in paths(full).items():
        if theme == "dark" and name in ALIKE:
            continue
        page.goto(url + path)
        settle(page)
        if broken := violations(page, rules=None if theme == "light" else ["color-contrast"]):
            found[name] = broken
        if name in (PICTURES if theme == "light" else ("home", "entity")):
            keep_screen(page, name if theme == "light" else f"{name}-dark")
    assert found == {}


def test_a_phone_shows_every_view_without_scrolling_sideways(full: Served, page: Page) -> None:
    """What is wider scrolls by itself."""
    page.set_viewport_size({"width": 390, "height": 844})
    url = log_in(page, full)
    wide = []
    for name, path in paths(full).items():
        page.goto(url + path)
        settle(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(name)
        if name == "home":
            keep_screen(page, f"{name}-phone")
    assert wide == []


def test_a_page_says_what_needs_a_person_first(full: Served, page: Page) -> None:
    """What waits, and what was refused, with the way there; and every number its source."""
    log_in(page, full)
    needed = page.get_by_role("region", name="What needs a person now")
    expect(needed.get_by_text("1 change waits for approval")).to_be_visible()
    expect(needed.get_by_text("1 change was refused in 24 h")).to_be_visible()
    figures = page.locator(".figure")
    expect(figures).to_have_count(5)
    for source in figures.locator(".source").all():
        assert source.text_content() is not None
    needed.get_by_role("link", name="See why").click()
    expect(page.get_by_text("no plane has more than 853 seats")).to_be_visible()


def test_a_chart_is_a_table_too(full: Served, page: Page) -> None:
    """The same rows, in words."""
    log_in(page, full)
    chart = page.get_by_role("region", name="Events by hour, the last day")
    expect(chart.locator("svg")).to_be_visible()
    chart.get_by_role("button", name="As a table").click()
    expect(chart.get_by_role("row")).to_have_count(25)


def test_events_show_as_they_come(full: Served, page: Page) -> None:
    """Live, without a look at anything; held back while somebody reads."""
    url = log_in(page, full)
    page.goto(f"{url}/journal?live=1")
    expect(page.get_by_text("listening")).to_be_visible()
    full.lake.update("planes", keys=["N103US"], set={"seats": 183}, reason=f"live {HOSTILE}")
    full.lake.journal.seal()
    expect(page.get_by_text(f"live {HOSTILE}")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    full.lake.update("planes", keys=["N103US"], set={"seats": 182}, reason="unseen")
    full.lake.journal.seal()
    expect(page.get_by_text("1 one held back")).to_be_visible()
    expect(page.get_by_text("unseen")).to_have_count(0)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("unseen")).to_be_visible()


def test_the_journal_is_filtered_by_its_address(full: Served, page: Page) -> None:
    """What is typed is in the address, and the address is what is shown."""
    url = log_in(page, full)
    page.goto(f"{url}/journal?actor=carol")
    rows = page.locator(".journal-table tbody tr")
    expect(rows.first).to_contain_text("carol")
    page.get_by_label("Action").fill("insert")
    page.get_by_label("Action").press("Enter")
    expect(rows).to_have_count(2)
    assert "actor=carol" in page.url
    assert "action=insert" in page.url
    page.go_back()
    expect(rows).not_to_have_count(2)


@pytest.mark.parametrize(
    "path",
    [
        f"/{HOSTILE}",
        f"/lake/{HOSTILE}",
        f"/lake/planes?tab={HOSTILE}",
        f"/journal?actor={HOSTILE}&dataset=x",
        f"/journal/entity/planes/{HOSTILE}",
        f"/journal/proof/{HOSTILE}",
        f"/changes/{HOSTILE}",
        f"/sql?q={HOSTILE}",
        f"/login#{HOSTILE}",
    ],
)
def test_an_address_is_only_text(full: Served, page: Page, path: str) -> None:
    """Whatever somebody sends as a link: nothing in it runs, and nothing is made by it."""
    url = log_in(page, full)
    page.goto(url + path)
    settle(page)
    assert page.locator("img[onerror], script:not([src])").count() == 0


def test_every_view_is_good_on_an_empty_lake(tmp_path: Path, page: Page) -> None:
    """It says what would fill it, and how."""
    with serving(tmp_path, keys=False) as served:
        served.lake.drop("planes", grace_days=0)
        url = log_in(page, served)
        expect(page.get_by_role("heading", level=1)).to_have_text("The lake is sound")
        expect(page.get_by_text("Nothing", exact=True)).to_be_visible()
        assert violations(page) == []
        told = {
            "/lake": "There is no dataset yet",
            "/sql": "A SELECT over whatever you may read",
            "/load": "Choose a file, or drop one here",
            "/journal?actor=nobody": "Nothing that fits is on record",
            "/journal?live=1": "Nothing yet",
            "/changes": "Nothing waits",
        }
        for path, text in told.items():
            page.goto(url + path)
            expect(page.get_by_text(text)).to_be_visible()
