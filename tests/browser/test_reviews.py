"""The views of reviews, and the console: full, empty, hostile, by keyboard, and when much comes."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import keep_screen
from tests.browser.lakes import IS_FOR_PICTURES
from tests.browser.looking import log_in, settle, violations
from tests.gateways import Served, serving
from tests.reviewed import fill_reviews

from lakecore.telemetry import LogLines

HOSTILE = "src/odd.py" if IS_FOR_PICTURES else "src/<img src=x onerror=alert(1)>'\".py"
CLAIM = "takes any rule as kept" if IS_FOR_PICTURES else "</script><img src=x onerror=alert(2)>"
QUOTE = "return accept_all(rule)" if IS_FOR_PICTURES else "<svg onload=alert(3)> & 'x'"
FOLDERS = ("src/engine/rules", "src/engine/plan", "src/store", "src/http/routes", "tests", "tools")
NAMES = ("parse", "merge", "index", "cache", "schema", "route", "guard", "retry", "table", "walk")
STORIES = ("plateau", "converging", "fixed", "reopened", "looping", "converging", "plateau")
VIEWS = {
    "map": "/map",
    "map-folder": "/map?in=src/engine",
    "trace-list": "/trace",
    "trace": "/trace?path=src/engine/rules/index.py&run=run-2",
    "trajectory": "/trajectory",
    "trajectory-search": "/trajectory?term=check",
    "metrics": "/metrics",
    "console": "/console",
}
PICTURES = ("map", "trace", "trajectory", "metrics", "console")
LINES_PER_S = 10_000


@pytest.fixture(scope="module")
def log() -> Iterator[LogLines]:
    """The log of the process that serves."""
    with LogLines(io.StringIO(), as_json=True) as made:
        yield made


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory, log: LogLines) -> Iterator[Served]:
    """A repository under review, with programs that tell what they do."""
    paths = [
        (f"{folder}/{name}.py", STORIES[(n * 3 + m) % len(STORIES)])
        for n, folder in enumerate(FOLDERS)
        for m, name in enumerate(NAMES[: 4 + n])
    ]
    paths.append((HOSTILE, "looping"))
    with serving(tmp_path_factory.mktemp("reviewed"), keys=False, log=log) as served:
        fill_reviews(served.lake, paths, claim=CLAIM, quote=QUOTE)
        levels = ("info", "info", "warning", "error")
        events = [
            {
                "source": ("loader", "scheduler")[n % 2],
                "kind": "step",
                "level": levels[n % 4],
                "message": f"step {n} of the night load",
            }
            for n in range(12)
        ]
        events.append(
            {
                "source": "reviewer",
                "kind": "review.file",
                "level": "warning",
                "message": f"{HOSTILE}: {CLAIM}",
                "data": {"path": HOSTILE},
            }
        )
        served.client.post("/event", json=events).raise_for_status()
        served.lake._parts.records.flush()
        yield served


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_can_be_read_by_everybody(
    reviewed: Served, page: Page, log: LogLines, theme: str
) -> None:
    """WCAG AA by axe-core; nothing of what models and programs wrote runs."""
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of its words
    log.put("lakecore.test", "WARNING", f"said {CLAIM}", {"n": 1})
    url = log_in(page, reviewed)
    found: dict[str, list[str]] = {}
    for name, path in VIEWS.items():
        if theme == "dark" and name not in PICTURES:
            continue  # they have no colours of their own
        page.goto(url + path)
        settle(page)
        if name == "console":
            expect(page.get_by_text("night load").first).to_be_visible()
        if broken := violations(page, rules=None if theme == "light" else ["color-contrast"]):
            found[name] = broken
        if name in PICTURES:
            page.wait_for_timeout(300 if IS_FOR_PICTURES else 0)
            keep_screen(page, name if theme == "light" else f"{name}-dark")
    assert found == {}
    assert page.locator("img[onerror], svg[onload], script:not([src])").count() == 0


def test_a_phone_shows_every_view_without_scrolling_sideways(reviewed: Served, page: Page) -> None:
    """What is wider scrolls by itself."""
    page.set_viewport_size({"width": 390, "height": 844})
    url = log_in(page, reviewed)
    wide = []
    for name, path in VIEWS.items():
        page.goto(url + path)
        settle(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(name)
    assert wide == []


def test_from_the_map_to_the_evidence_by_keyboard(reviewed: Served, page: Page) -> None:
    """Overlay by arrows, tile by arrows, Enter: the trace; a review: evidence as text."""
    url = log_in(page, reviewed, "/map")
    page.get_by_role("radio", name="Confirmed score").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Signal class")).to_be_focused()
    assert "overlay=signal" in page.url
    first = page.get_by_role("region", name="Files, the worst first").get_by_role("row").nth(1)
    expect(first).to_contain_text("LOOPING")
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    told = page.locator(".map-pointed strong").text_content()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(told or "")
    page.goto(f"{url}/trace")
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.locator(".figure", has_text="Class")).to_contain_text("LOOPING")
    page.get_by_role("button", name="Open 2").click()
    raw = page.get_by_role("region", name="Raw reply").first
    expect(raw.locator("mark")).to_have_count(1)
    parsed = page.locator(".asked mark").last
    # The quote of every second finding is hostile; as text it is what it was.
    expect(parsed).to_have_text(page.locator(".trace-findings pre").first.text_content() or "")
    page.get_by_text("The prompt").click()
    expect(page.get_by_role("region", name="Prompt")).to_contain_text("You audit one source file")


def test_who_needs_a_person_comes_first_and_says_why(reviewed: Served, page: Page) -> None:
    """Small multiples in order, filtered by class; the search says why a hit is one."""
    url = log_in(page, reviewed, "/trajectory")
    multiples = page.locator(".multiple")
    expect(multiples.first).to_contain_text("Needs a person now")
    expect(multiples.first).to_contain_text("LOOPING because")
    page.get_by_role("button", name="CONVERGING").click()
    expect(multiples.first).to_contain_text("open weight falls")
    page.get_by_role("searchbox", name="Symbol or term").fill("check_1")
    expect(page.locator(".hit-why").first).to_contain_text("is the symbol")
    signals = page.get_by_role("region", name="Where to make anew rather than mend again")
    expect(signals.get_by_text("looping").first).to_be_visible()
    page.goto(f"{url}/metrics")
    control = page.get_by_role("region", name="Planted faults found")
    expect(control).to_contain_text("GOOD: at least 80 %")
    control.get_by_role("link", name="Source").click()
    expect(page.get_by_role("textbox", name="SQL statement")).to_contain_text("control_found")


def test_lines_are_filtered_and_held(reviewed: Served, page: Page, log: LogLines) -> None:
    """By service, by level, by text; paused; and from a line to its file."""
    url = log_in(page, reviewed, "/console?service=scheduler&level=error")
    lines = page.locator(".line")
    expect(lines).to_have_count(3)
    page.get_by_label("Service").select_option("reviewer")
    page.get_by_label("Level, at least").select_option("")
    lines.get_by_role("link", name="trace").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    page.goto(f"{url}/console?service=process")
    log.put("lakecore.test", "INFO", "before the pause", {})
    expect(page.get_by_text("before the pause")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    log.put("lakecore.test", "INFO", "in the pause", {})
    expect(page.get_by_text("came since")).to_be_visible()
    expect(page.get_by_text("in the pause")).to_have_count(0)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("in the pause")).to_be_visible()


FRAMES = """async (until) => {
    const began = performance.now();
    let frames = 0, longest = 0, last = began;
    while (performance.now() - began < until) {
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
        frames += 1;
    }
    return [frames * 1000 / (last - began), longest];
}"""


def test_ten_thousand_lines_a_second_do_not_freeze_it(
    reviewed: Served, page: Page, log: LogLines
) -> None:
    """The page draws and answers meanwhile, and keeps a bounded number of lines."""
    log_in(page, reviewed, "/console?service=process")
    settle(page)
    is_over = threading.Event()

    def flood() -> None:
        number, began_s = 0, time.monotonic()
        while not is_over.is_set():
            due = int((time.monotonic() - began_s) * LINES_PER_S)
            for at in range(number, due):
                log.put("lakecore.flood", "INFO", f"line {at} of a program that talks", {"n": at})
            number = due
            time.sleep(0.01)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        expect(page.get_by_text("of a program that talks").first).to_be_visible()
        rate, longest_ms = page.evaluate(FRAMES, 1_500)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Go on")).to_be_visible()
    finally:
        is_over.set()
        thread.join()
    print(f"\nconsole, 10,000 lines a second: {rate:.0f} frames/s, longest {longest_ms:.0f} ms")
    assert page.locator(".line").count() <= 250


def test_a_map_of_five_thousand_files(tmp_path: Path, page: Page) -> None:
    """Every tile is there; how often it is drawn while its colours change is printed."""
    paths = [
        (f"part{n % 25}/module{n % 7}/file_{n}.py", STORIES[n % len(STORIES)]) for n in range(5_000)
    ]
    with serving(tmp_path, keys=False) as served:
        fill_reviews(served.lake, paths, claim="c", quote="return 1", rounds=1)
        url = log_in(page, served)
        page.goto(f"{url}/map")
        box = page.get_by_role("application", name="Treemap of 5000 files")
        expect(box).to_be_visible()
        settle(page)
        page.evaluate(
            """() => {
                const all = [...document.querySelectorAll('[role=radio]')];
                let n = 0;
                window.turning = setInterval(() => all[n++ % all.length].click(), 240);
            }"""
        )
        rate, longest_ms = page.evaluate(FRAMES, 1_500)
        page.evaluate("clearInterval(window.turning)")
        print(f"\nmap of 5,000 files: {rate:.0f} frames/s, longest {longest_ms:.0f} ms")
        box.hover(position={"x": 100, "y": 100})
        expect(page.locator(".map-pointed strong")).to_contain_text("file_")


def test_every_view_is_good_on_an_empty_lake(tmp_path: Path, page: Page) -> None:
    """It says what would fill it, and how."""
    with serving(tmp_path, keys=False) as served:
        url = log_in(page, served)
        told = {
            "/map": "No code was reviewed yet",
            "/trace": "lakecore review run",
            "/trace?path=none.py": "No code was reviewed yet",
            "/trajectory": "No code was reviewed yet",
            "/metrics": "No data yet, which is not 0",
            "/console": "Nothing was said yet",
        }
        for path, text in told.items():
            page.goto(url + path)
            expect(page.get_by_text(text).first).to_be_visible()
            settle(page)
            assert violations(page) == [], path
