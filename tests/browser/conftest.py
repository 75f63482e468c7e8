"""A real browser before a real lake. Where there is none, no test here is collected.

With ``LAKECORE_SCREENS=1`` the tests write the pictures of ``docs/screens``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.lakes import fill
from tests.gateways import serving
from tests.servers import has_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from tests.gateways import Served

if not has_browser():
    collect_ignore_glob = ["test_*.py"]

SCREENS = Path(__file__).parents[2] / "docs" / "screens"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # a machine may be busy with other tests
    with sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with something of everything, that asks for no keys."""
    folder = tmp_path_factory.mktemp("full")
    with serving(folder, keys=False) as served:
        fill(served.lake, folder)
        yield served


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with two datasets, that asks for keys."""
    with serving(tmp_path_factory.mktemp("keyed")) as served:
        served.lake.create("salaries", key="name")
        yield served


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own; at the end nothing may have gone wrong in it unseen."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(30_000)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: wrong.append(f"a script ran: {dialog.message}"))
    opened.on("console", lambda told: wrong.append(told.text) if _is_wrong(told) else None)
    yield opened
    context.close()
    assert wrong == []


def _is_wrong(told: Any) -> bool:
    # The browser itself says of every answer that is an error, also of expected ones, that it is.
    return told.type in ("error", "warning") and "Failed to load resource" not in told.text


def keep_screen(page: Page, name: str) -> None:
    """The picture of a view, for the documentation; only when asked for."""
    if os.environ.get("LAKECORE_SCREENS"):
        SCREENS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENS / f"{name}.png", animations="disabled")
