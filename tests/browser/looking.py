"""How tests look at the control plane: a served lake, the way in, what axe-core says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.gateways import Served

_AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"


def log_in(page: Page, served: Served, path: str = "/") -> str:
    """Come in by a one-time link; the console's address."""
    console = served.gateway.console
    page.goto(console.login_url())
    page.wait_for_selector(".shell")
    if path != "/":
        page.goto(console.url + path)
    return console.url


def log_in_with(page: Page, served: Served, key: str) -> str:
    """Come in by a key, as a person types it."""
    url = served.gateway.console.url
    page.goto(url)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector(".shell")
    return url


def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA, or against some rules, one line each."""
    # As the browser's own tools do: the page's policy lets no foreign script in.
    page.evaluate(_AXE.read_text() + ";void 0")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": tags}
    found = page.evaluate("(only) => axe.run(document, {runOnly: only})", only)
    return [
        f"{one['id']}: {node['target']}: {node['failureSummary'][:300]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def settle(page: Page) -> None:
    """Until what was asked for is there: no skeleton is left, and a frame was drawn."""
    page.wait_for_selector(".shell, .login")
    page.locator(".skeleton").first.wait_for(state="detached")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
