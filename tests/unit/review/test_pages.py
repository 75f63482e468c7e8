"""The pages say what the code asks."""

from __future__ import annotations

from pathlib import Path

from lakecore.review._prompt import FORENSIC, RUBRIC, SOFT
from lakecore.review._signal import SignalClass
from lakecore.review._state import State

DOCS = Path(__file__).parents[3] / "docs"


def test_prompts_are_those_that_are_asked() -> None:
    """Word for word."""
    page = (DOCS / "review" / "prompts.md").read_text()
    for text in (FORENSIC, SOFT, RUBRIC):
        assert f"```text\n{text}```" in page


def test_every_state_and_signal_is_explained() -> None:
    """None is left out of the page that explains them."""
    page = (DOCS / "review.md").read_text()
    for state in State:
        assert f"`{state.value}`" in page
    for signal in SignalClass:
        assert f"| {signal.value} |" in page
