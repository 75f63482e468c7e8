"""From a file to a proof, as a person does it; and with the keyboard alone."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, Route, expect
from tests.browser.conftest import keep_screen
from tests.browser.lakes import HOSTILE
from tests.browser.looking import log_in, settle, violations
from tests.gateways import Served


def test_a_file_becomes_a_table_a_change_a_history_a_proof(
    full: Served, page: Page, tmp_path: Path
) -> None:
    """Preview with types and bad rows, load, ask, change, approve, look back, prove."""
    file = tmp_path / "Fleet 2013.csv"
    file.write_text(f'tail,seats,note\nA1,100,"{HOSTILE}"\nA2,200,ok\nA3,300,x,too many\n')
    url = log_in(page, full, "/load")

    page.get_by_label("Choose a file").set_input_files(file)
    bad = page.get_by_role("region", name="Records that would not get in")
    expect(bad.get_by_text("1 record would not get in")).to_be_visible()
    expect(bad.get_by_role("cell", name="A3,300,x,too many")).to_be_visible()
    expect(page.get_by_role("row", name="seats int64")).to_be_visible()
    assert "fleet_2013" not in [one.name for one in full.lake.datasets()]
    page.get_by_label("tail is part of the key").check()
    settle(page)
    assert violations(page) == []
    keep_screen(page, "load-preview")
    page.get_by_role("button", name="Load it").click()
    expect(page.get_by_text("2 new, 0 changed, 0 deleted, 1 kept apart")).to_be_visible()
    assert list(full.lake.dataset("fleet_2013").key) == ["tail"]

    page.get_by_role("link", name="See fleet_2013").click()
    expect(page.get_by_role("cell", name=HOSTILE)).to_be_visible()

    page.goto(f"{url}/sql?q=update fleet_2013 set seats = 500 where tail = 'A1'")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_be_visible()  # nothing is changed unless that is meant
    page.get_by_label("may change rows").check()
    page.get_by_role("button", name="Run").click()
    page.get_by_role("link", name="see it").click()
    expect(page.get_by_text("large-planes-are-looked-at")).to_be_visible()
    expect(page.get_by_role("row", name="A1")).to_contain_text("500")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_contain_text("ada")  # not by who asked for it
    change = page.url.rsplit("/", 1)[1]
    full.lake.approve(change, actor="bob", reason="I counted")
    full.lake.journal.seal()
    full.lake.journal.checkpoint()

    page.goto(f"{url}/journal/entity/fleet_2013/A1")
    expect(page.get_by_role("heading", name="2 changes")).to_be_visible()
    page.get_by_role("slider").press("ArrowLeft")
    expect(page.locator(".entity-state tr", has_text="seats")).to_contain_text("100")
    page.get_by_role("slider").press("ArrowRight")
    expect(page.locator(".entity-state tr", has_text="seats")).to_contain_text("500")
    page.locator(".timeline").get_by_role("link", name="proof").first.click()
    expect(page.get_by_text("Proved", exact=True)).to_be_visible()
    expect(page.get_by_text("valid Ed25519, checked in this browser")).to_be_visible()


def test_a_change_is_decided(full: Served, page: Page) -> None:
    """Approved by somebody else than its author, from what needs a person."""
    url = log_in(page, full)
    change = full.lake.pending()[0].id
    page.goto(f"{url}/changes/{change}")
    page.get_by_placeholder("Why, for the record").fill("I looked at the deck")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Decided")).to_be_visible()
    assert full.lake.pending_change(change).state == "committed"
    seats = full.lake.sql("select seats from planes where tailnum = 'N102UW'").to_pylist()
    assert seats == [{"seats": 450}]
    full.lake.update("planes", keys=["N103US"], set={"seats": 460}, actor="bob")
    page.goto(f"{url}/changes/{full.lake.pending()[0].id}")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("By ada")).to_be_visible()
    assert full.lake.pending() == []


def test_a_proof_that_lies_is_found_out(full: Served, page: Page) -> None:
    """Another text, another sibling, another root, another signature: never 'proved'."""
    url = log_in(page, full)
    event = full.lake.history("planes", "N10156")[0].event_id

    def lie(change: str) -> None:
        def answer(route: Route) -> None:
            told = route.fetch()
            proof = told.json()
            if change == "entry":
                proof["entry"] = proof["entry"].replace("N10156", "N10157")
            else:
                lines = proof["proof"].split("\n")
                at = {"sibling": 2, "root": lines.index("") + 3, "signature": -2}[change]
                word = lines[at].split(" ")
                middle = len(word[-1]) // 2
                other = "A" if word[-1][middle] != "A" else "B"
                word[-1] = word[-1][:middle] + other + word[-1][middle + 1 :]
                lines[at] = " ".join(word)
                proof["proof"] = "\n".join(lines)
            route.fulfill(response=told, body=json.dumps(proof))

        page.unroute_all()
        page.route("**/api/journal/proof/**", answer)

    for change in ("entry", "sibling", "root", "signature"):
        lie(change)
        page.goto(f"{url}/journal/proof/{event}")
        expect(page.get_by_text("Not proved")).to_be_visible()
    page.unroute_all()
    page.goto(f"{url}/journal/proof/{event}")
    expect(page.get_by_text("Proved", exact=True)).to_be_visible()
    page.get_by_label("Verifier key").fill("lakecore/other+00000000+" + "A" * 44)
    page.get_by_label("Verifier key").press("Enter")
    expect(page.get_by_text("Proved", exact=True)).to_have_count(0)


def test_everything_with_the_keyboard_alone(full: Served, page: Page) -> None:
    """Palette, editor, rows, tabs, slider: no mouse."""
    log_in(page, full)
    page.keyboard.press("Control+k")
    page.keyboard.type("plan")
    chosen = page.locator(".palette [aria-selected=true]")
    expect(chosen).to_contain_text("planes")
    keep_screen(page, "palette")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="planes")).to_be_visible()
    page.get_by_role("tab", name="Rows").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Columns")).to_be_focused()
    expect(page.get_by_role("rowheader", name="tailnum")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_placeholder("A view, a dataset, an action")).to_be_focused()
    page.keyboard.type("sql")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    editor = page.get_by_role("textbox", name="SQL statement")
    expect(editor).to_be_focused()
    page.keyboard.type("select tailnum, seats from pla")
    expect(page.locator(".cm-tooltip-autocomplete")).to_be_visible()
    page.wait_for_timeout(200)  # a completion is not taken in its first moments, so it says
    page.keyboard.press("Enter")
    page.keyboard.type(" order by tailnum")
    page.keyboard.press("Control+Enter")
    grid = page.get_by_role("table", name="Result")
    expect(grid.get_by_role("row")).to_have_count(5)
    keep_screen(page, "sql-result")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert "q=select" in page.url


def test_a_million_rows_are_a_few_in_the_page(full: Served, page: Page) -> None:
    """However far somebody scrolls, only what is in sight is there; and it can be stopped."""
    url = log_in(page, full)
    page.goto(f"{url}/sql?q=select value as n, value * 7 as m from generate_series(1, 1000000)")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".sql-told")).to_contain_text("1,000,000 rows", timeout=60_000)
    grid = page.get_by_role("table", name="Result")
    counted = set()
    for part in (0.25, 0.5, 0.75, 1.0):
        grid.evaluate("(box, part) => { box.scrollTop = box.scrollHeight * part; }", part)
        settle(page)
        counted.add(grid.get_by_role("row").count() > 80)
    assert counted == {False}
    expect(grid.locator(".grid-body .grid-number").last).to_have_text("1000000")
    slow = "select count(*) from generate_series(1, 100000000000) a"
    page.goto(f"{url}/sql?q={slow}")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("this was cancelled")


def test_the_first_view_is_small(full: Served, page: Page) -> None:
    """At most 300 kB come over the wire for Home, the chart included."""
    sizes: dict[str, int] = {}
    log_in(page, full)
    page.on(
        "response",
        lambda answer: sizes.__setitem__(
            answer.url, int(answer.headers.get("content-length") or 0)
        ),
    )
    page.reload()
    settle(page)
    expect(page.locator(".chart svg")).to_be_visible()
    scripts = [name for name in sizes if name.endswith(".js")]
    assert len(scripts) >= 3
    assert sum(sizes.values()) <= 300_000, sizes
