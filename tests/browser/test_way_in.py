"""Into the control plane: by a link that works once, by a key; and not otherwise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.looking import log_in_with, violations
from tests.gateways import Served


def test_a_link_leads_to_the_lake_and_works_once(full: Served, page: Page) -> None:
    """`lakecore up` prints it; it is gone from the address before anything else is asked."""
    link = full.gateway.console.login_url()
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


def test_the_command_prints_the_way_in(tmp_path: Path, page: Page) -> None:
    """`lakecore up`, the printed address, Home; and it stops when it is told to."""
    command = [sys.executable, "-c", "from lakecore.cli import main; main()"]
    with subprocess.Popen(
        [*command, "--lake", str(tmp_path / "lake"), "up", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            link = next(found[1] for line in lines if (found := re.search(r"plane at (\S+)", line)))
            page.goto(link)
            expect(page.get_by_role("heading", level=1)).to_have_text("The lake is sound")
        finally:
            process.terminate()
        assert "sealing what was recorded" in process.stderr.read()
    assert process.returncode == 0


def test_another_link_is_printed_where_the_server_runs(
    full: Served, page: Page, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads that terminal gets in, and nobody else does."""
    page.goto(full.gateway.console.url)
    page.get_by_role("button", name="Print a new link there").click()
    expect(page.get_by_role("status")).to_have_text("Printed. Open it in this browser.")
    (link,) = re.findall(r"log in at (\S+)", capfd.readouterr().err)
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("The lake is sound")


def test_a_key_sees_what_it_may(keyed: Served, page: Page) -> None:
    """Who may read one dataset is told so, in words, of everything else."""
    url = log_in_with(page, keyed, keyed.key("guest", "read:planes"))
    expect(page.get_by_text("Whether the lake is sound is not known")).to_be_visible()
    expect(page.get_by_role("alert").first).to_contain_text("Not for your key")
    page.goto(f"{url}/lake")
    expect(page.get_by_role("rowheader")).to_have_text(["planes"])
    page.goto(f"{url}/lake/salaries")
    expect(page.get_by_role("alert")).to_contain_text("the key does not allow this")
    page.keyboard.press("/")
    expect(page.get_by_placeholder("A view, a dataset, an action")).to_be_focused()
    page.keyboard.type("salaries")
    expect(page.get_by_text("Nothing is called that.")).to_be_visible()


def test_a_key_that_opens_nothing_is_told_so(keyed: Served, page: Page) -> None:
    """And nothing of it is kept; one that ends asks for another."""
    page.goto(keyed.gateway.console.url)
    page.get_by_label("API key").fill("lc_nothing")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    assert page.context.cookies() == []
    made = keyed.lake.keys.create("leaver", scopes=["read:*"])
    log_in_with(page, keyed, made.text)
    keyed.lake.keys.revoke(made.key.id)
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()
