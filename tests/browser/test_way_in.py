"""Into the control plane: by a link that works once, by a key; and not otherwise."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.looking import log_in, log_in_with, violations
from tests.gateways import serving


def test_a_link_leads_to_the_lake_and_works_once(tmp_path: Path, page: Page) -> None:
    """`lakecore up` prints it; it is gone from the address before anything else is asked."""
    with serving(tmp_path, keys=False) as served:
        link = served.gateway.console.login_url()
        page.goto(link)
        expect(page.get_by_role("heading", level=1)).to_have_text("The lake is sound")
        assert "#" not in page.url
        assert page.evaluate("document.cookie") == ""  # no script can read it
        expect(page.locator(".who")).to_have_text("ada")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Print a new link there")).to_be_visible()
        page.goto(link)
        expect(page.get_by_role("alert")).to_contain_text("this link opens nothing")
        assert violations(page) == []


def test_another_link_is_printed_where_the_server_runs(
    tmp_path: Path, page: Page, capfd: object
) -> None:
    """Whoever reads that terminal gets in, and nobody else does."""
    with serving(tmp_path, keys=False) as served:
        page.goto(served.gateway.console.url)
        page.get_by_role("button", name="Print a new link there").click()
        expect(page.get_by_role("status")).to_have_text("Printed. Open it in this browser.")
        told = capfd.readouterr().err  # type: ignore[attr-defined]  # a pytest fixture
        (link,) = re.findall(r"log in at (\S+)", told)
        page.goto(link)
        expect(page.get_by_role("heading", level=1)).to_have_text("The lake is sound")


def test_a_key_sees_what_it_may(tmp_path: Path, page: Page) -> None:
    """Who may read one dataset is told so, in words, of everything else."""
    with serving(tmp_path) as served:
        served.lake.create("salaries", key="name")
        url = log_in_with(page, served, served.key("guest", "read:planes"))
        expect(page.get_by_text("Whether the lake is sound is not known")).to_be_visible()
        expect(page.get_by_role("alert").first).to_contain_text("Not for your key")
        names = page.evaluate(
            "fetch('/api/catalog/datasets').then((a) => a.json())"
            ".then((b) => b.items.map((i) => i.name))"
        )
        assert names == ["planes"]
        page.keyboard.press("/")
        page.keyboard.type("sal")
        expect(page.get_by_text("Nothing is called that.")).to_be_visible()
        assert page.goto(url) is not None


def test_a_key_that_opens_nothing_is_told_so(tmp_path: Path, page: Page) -> None:
    """And nothing of it is kept."""
    with serving(tmp_path) as served:
        page.goto(served.gateway.console.url)
        page.get_by_label("API key").fill("lc_nothing")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert page.context.cookies() == []
        assert log_in_with(page, served, served.key("ada", "read:*"))


def test_home_is_good_on_an_empty_lake(tmp_path: Path, page: Page) -> None:
    """Every question has an answer, and nothing is in the way."""
    with serving(tmp_path, keys=False) as served:
        served.lake.drop("planes", grace_days=0)
        log_in(page, served)
        expect(page.get_by_role("heading", level=1)).to_have_text("The lake is sound")
        expect(page.get_by_text("What needs a person now")).to_be_visible()
        assert violations(page) == []
