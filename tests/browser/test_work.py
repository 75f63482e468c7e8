"""What machines did, as people see it: Search, Agents and usage, Findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import keep_screen
from tests.browser.lakes import HOSTILE
from tests.browser.looking import log_in, log_in_with, settle, violations
from tests.browser.worked import NOTES, PATHS, Worked, task, worked_lake
from tests.gateways import Served, serving

VIEWS = {
    "search": "/search?q=jet&index=notes_text",
    "search-journal": "/search?q=refitted&index=changes",
    "search-new": "/search?show=new",
    "agents": "/agents",
    "agent-run": "/agents/runs/{done}",
    "agent-waits": "/agents/runs/{waiting}",
    "usage": "/agents/usage",
    "findings": "/kb?state=all",
    "finding-file": "/kb/file?path={file}",
}
PICTURES = {
    "light": ("search", "agent-run", "usage", "findings", "finding-file"),
    "dark": ("findings",),
    "phone": ("search",),
}


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    """A lake that agents and reviews worked on."""
    with worked_lake(tmp_path_factory.mktemp("worked")) as made:
        yield made


def paths(worked: Worked) -> dict[str, str]:
    """The views' addresses in this lake."""
    file = quote(PATHS[0], safe="")
    known = {"done": worked.done, "waiting": worked.waiting, "file": file}
    return {name: path.format(**known) for name, path in VIEWS.items()}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_can_be_read_by_everybody(worked: Worked, page: Page, theme: str) -> None:
    """WCAG AA by axe-core, and on a phone nothing scrolls sideways; no error in the console."""
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of its words
    url = log_in(page, worked.served)
    found: dict[str, object] = {}
    for name, path in paths(worked).items():
        page.goto(url + path)
        settle(page)
        if broken := violations(page, rules=None if theme == "light" else ["color-contrast"]):
            found[name] = broken
        if name in PICTURES[theme]:
            keep_screen(page, name if theme == "light" else f"{name}-dark")
        if theme == "light":
            page.set_viewport_size({"width": 390, "height": 844})
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found[f"{name} on a phone"] = "scrolls sideways"
            if name in PICTURES["phone"]:
                keep_screen(page, f"{name}-phone")
            page.set_viewport_size({"width": 1280, "height": 900})
    assert found == {}


def test_a_search_from_words_to_a_history(worked: Worked, page: Page) -> None:
    """By the keyboard: what was found is marked, is only text, and leads to the row's history."""
    url = log_in(page, worked.served, "/search")
    expect(page.get_by_role("searchbox", name="Text")).to_be_focused()
    page.locator("select[name=index]").select_option("notes_text")
    page.get_by_role("searchbox", name="Text").fill("jet")
    page.keyboard.press("Enter")
    hits = page.locator(".hits > li")
    expect(hits).to_have_count(3)
    assert "q=jet" in page.url
    expect(page.get_by_text("1 row changed since")).to_be_visible()
    assert {text.lower() for text in hits.locator("mark").all_inner_texts()} == {"jet"}
    expect(hits.filter(has_text=HOSTILE)).to_be_visible()
    assert page.locator("img[onerror]").count() == 0

    page.get_by_label("Only rows where (SQL)").fill("id < 2")
    page.keyboard.press("Enter")
    expect(hits).to_have_count(1)
    page.get_by_label("Only rows where (SQL)").fill("no_such > 1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no_such")
    page.goto(f"{url}/search?q=%22short+routes%22&index=notes_text")
    expect(hits).to_have_count(1)
    page.get_by_role("searchbox", name="Text").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="1 change")).to_be_visible()
    assert page.url.endswith("/journal/entity/notes/2")

    page.goto(f"{url}/search?q=refitted&index=changes")
    settle(page)
    expect(page.get_by_text("Nothing fits")).to_be_visible()  # it covers what was before


def test_indexes_are_made_brought_up_to_date_and_dropped(worked: Worked, page: Page) -> None:
    """With their state, what they cover and how far they are behind."""
    lake = worked.served.lake
    log_in(page, worked.served, "/search?show=new")
    form = page.get_by_role("region", name="New index")
    form.get_by_label("Over").select_option("notes")
    form.get_by_label("Name").fill("titles")
    form.get_by_label("title").check()
    form.get_by_label("Words alone").check()
    form.get_by_role("button", name="Make it").click()
    row = page.get_by_role("row", name="titles")
    expect(row).to_contain_text("ready")
    assert lake.index.get("titles")["columns"] == ["title"]

    lake.insert("notes", [{"id": 6, "title": "Late", "text": "later"}])
    page.reload()
    cells = row.get_by_role("cell")
    expect(cells.nth(3)).to_have_text("1")
    row.get_by_role("button", name="Refresh titles").click()
    expect(cells.nth(3)).to_have_text("0")
    row.get_by_role("button", name="Drop… titles").click()
    row.get_by_role("button", name="Keep it").click()
    row.get_by_role("button", name="Drop… titles").click()
    row.get_by_role("button", name="Drop titles").click()
    expect(row).to_have_count(0)
    assert "titles" not in [one["name"] for one in lake.index.list()]
    lake.delete("notes", keys=["6"])


def test_a_run_is_followed_as_it_goes(worked: Worked, page: Page) -> None:
    """Its steps come by themselves; its change is one click away; its end is told."""
    served = worked.served
    asked = task("N102UW", 170)
    run = served.client.post("/agent/runs", json={"task": asked}).json()["id"]
    url = log_in(page, served, f"/agents/runs/{run}")
    expect(page.get_by_role("heading", level=1)).to_have_text(asked)
    steps = page.locator(".step")
    expect(page.get_by_role("heading", name="It waits for a person")).to_be_visible()
    expect(steps).to_have_count(4)
    served.lake.approve(served.lake.agent_run(run).pending, actor="grace", reason="seen")
    expect(steps).to_have_count(5, timeout=30_000)
    expect(page.get_by_text("It is corrected.").first).to_be_visible()
    expect(steps.nth(1)).to_contain_text("select seats from planes")
    questions = page.locator(".figure", has_text="Questions")
    expect(questions).to_contain_text("3")
    expect(page.locator(".figure", has_text="Budget left")).to_contain_text("of $0.25")
    for source in page.locator(".figure .source").all():
        assert "GET /" in source.inner_text()

    page.goto(f"{url}/agents")
    expect(page.locator(".figure", has_text="Wait for a person")).to_contain_text("1")
    page.locator(".runs > li", has_text="waits for a person").get_by_role("link").first.click()
    page.get_by_role("link", name="See the change and decide").click()
    expect(page.get_by_role("heading", name="update in planes")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="End the run").click()
    expect(page.get_by_text("It was ended by somebody")).to_be_visible()
    assert served.lake.agent_run(worked.waiting).state.value == "cancelled"


def test_usage_is_a_chart_and_a_table(worked: Worked, page: Page) -> None:
    """By day, and by model, source, key: the figures of the route, with their address."""
    log_in(page, worked.served, "/agents/usage?days=7")
    days = page.get_by_role("region", name="Cost by day, US$")
    expect(days.locator("svg")).to_be_visible()
    days.get_by_role("button", name="As a table").click()
    expect(days.get_by_role("row")).to_have_count(8)
    total = worked.served.lake.usage(days=7)
    expect(page.locator(".figure", has_text="Requests")).to_contain_text(
        f"{total.total.requests:,}"
    )
    expect(page.get_by_role("row", name="qwen-coder-7b")).to_be_visible()
    page.get_by_role("button", name="Source").click()
    for source in total.by["source"]:
        expect(page.get_by_role("row", name=source)).to_be_visible()
    page.get_by_role("button", name="Requests").click()
    assert "by=source" in page.url
    assert "measure=requests" in page.url


def test_findings_by_facets_and_a_persons_word(worked: Worked, page: Page) -> None:
    """Counted by what the other facets leave; ignored with a reason, until a day."""
    url = log_in(page, worked.served, "/kb")
    cards = page.locator(".finding")
    expect(cards).to_have_count(3)
    page.get_by_role("button", name="critical").click()
    expect(cards).to_have_count(1)
    assert "severity=critical" in page.url
    expect(page.get_by_role("button", name="claimed fixed")).to_contain_text("1")
    page.get_by_role("button", name="critical").click()
    page.get_by_role("searchbox").fill("never looked at")
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text(PATHS[2])
    assert page.locator("img[onerror]").count() == 0
    cards.get_by_role("button", name="Not useful").click()
    cards.get_by_label("Why").fill("a number is for the log")
    cards.get_by_label("How long").select_option("7")
    assert violations(page) == []
    cards.get_by_role("button", name="Ignore it").click()
    expect(page.get_by_text("Nothing like that")).to_be_visible()
    page.goto(f"{url}/kb?state=ignored")
    expect(cards).to_contain_text("wrong: a number is for the log")
    reading = worked.served.lake.reviews.reading
    [ignored] = reading.findings(reading.scope("rules"), state="ignored")
    assert (ignored["who"], ignored["reason"]) == ("ada", "wrong: a number is for the log")
    assert ignored["until"] is not None


def test_two_reviews_of_a_file_are_held_against_each_other(worked: Worked, page: Page) -> None:
    """What only one of them found, what both did; a fix that is claimed is not called one."""
    url = log_in(page, worked.served, f"/kb/file?path={quote(PATHS[0], safe='')}")
    earlier = page.get_by_role("region", name="Only in the earlier one")
    expect(earlier.locator(".finding")).to_have_count(1)
    expect(earlier).to_contain_text("claimed fixed, not confirmed")
    page.get_by_role("combobox", name="Earlier").select_option("2")
    expect(page.get_by_text("Neither found anything that counts")).to_be_visible()
    page.goto(f"{url}/kb/file?path={quote(PATHS[2], safe='')}")
    both = page.get_by_role("region", name="In both")
    expect(both.locator(".finding")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_text(PATHS[2])


def test_no_more_is_offered_than_a_key_may(keyed: Served, page: Page) -> None:
    """Who may read finds; makes, refreshes and drops nothing; sees no runs of others."""
    keyed.lake.create("notes", key="id")
    keyed.lake.insert("notes", NOTES)
    keyed.lake.index.create("notes_text", "notes", "text", kind="text")
    keyed.lake.index.create("secret", "system.journal", "new_value", kind="text")
    url = log_in_with(page, keyed, keyed.key("bo", "read:notes"))
    page.goto(f"{url}/search?q=jet")
    expect(page.locator(".hits > li")).to_have_count(3)
    expect(page.get_by_role("heading", name="1 index", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Refresh")).to_have_count(0)
    page.get_by_role("button", name="New index").click()
    expect(page.get_by_text("Nothing that you may index")).to_be_visible()
    page.goto(f"{url}/search?q=jet&index=secret")
    expect(page.get_by_text("There is no such index")).to_be_visible()
    for path in ("/agents", "/kb"):
        page.goto(url + path)
        expect(page.get_by_role("alert").first).to_contain_text("Not for your key")


def test_an_address_is_only_text(worked: Worked, page: Page) -> None:
    """Whatever somebody sends as a link: nothing in it runs, and nothing is made by it."""
    url = log_in(page, worked.served)
    text = quote(HOSTILE, safe="")
    for path in (
        f"/search?q={text}&index={text}&where={text}",
        f"/search?q=jet&index=notes_text&where={text}",
        f"/agents/runs/{text}",
        f"/agents/usage?days={text}&by={text}&measure=constructor",
        f"/kb?state={text}&severity={text}&find={text}&repository={text}",
        f"/kb/file?path={text}&from={text}&to=-1",
        "/kb/file?path=../../keys",
    ):
        page.goto(url + path)
        settle(page)
        assert page.locator("img[onerror], script:not([src])").count() == 0
        expect(page.locator("main h1, main [role=alert]").first).to_be_visible()


def test_every_view_is_good_on_an_empty_lake(tmp_path: Path, page: Page) -> None:
    """It says what would fill it, and how."""
    with serving(tmp_path, keys=False) as served:
        url = log_in(page, served)
        told = {
            "/search": "There is no index yet",
            "/agents": "No agent was given a task yet",
            "/agents/usage": "No model was asked",
            "/kb": "No code was reviewed yet",
        }
        for path, text in told.items():
            page.goto(url + path)
            expect(page.get_by_text(text)).to_be_visible()
            settle(page)
            assert violations(page) == []
